"""Pairs of perceptrons on digits, brought into one order of neurons or another, and the line between them.

A seed is a split of the digits and networks of its own: no two pairs share a network, a batch, a permutation or a test
digit (as long as there are digits for all). Members that agree in how networks are trained are trained in one call,
each network once, however many lines end in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets, training
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool, whiten
from lemmata.landscape import paths, permutation
from lemmata.landscape.paths.path import Path
from lemmata.landscape.permutation import Permutations, Specification
from lemmata.landscape.states import State, mixed, stacked
from lemmata.studies._disjoint_parts import apart
from lemmata.study import Config

PURPOSES = ("split", "weights", "batches", "permutation", "matching")
STREAMS = 7_340_000  # seeds count from here: how the studies are set up was chosen on the streams from 0


class Pair(Config):
    """Two perceptrons of one architecture, trained alike on the same digits from independent weights."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 28x28 image that are averaged")
    n: int = Field(default=4000, ge=1, description="training digits")
    n_test: int = Field(default=600, ge=1, description="test digits")
    measured: int = Field(default=1000, ge=1, description="training digits that the loss is measured on")
    width: int = Field(default=64, ge=1, description="hidden units a layer")
    depth: int = Field(default=3, ge=1, description="hidden layers")
    presented: int = Field(default=40_000, ge=0, description="digits seen in training, each as often as the others")
    batch: int = Field(default=50, ge=1)
    optimiser: Literal["momentum", "adam"] = "momentum"
    step_size: float = Field(default=0.1, gt=0)
    weight_decay: float = Field(default=1e-3, ge=0)
    points: int = Field(default=7, ge=3, description="points on a line, an odd number: the middle is one of them")
    reach: float = Field(default=1.0, gt=0, description="where a line ends, in units of the way to the second network")


@dataclass(frozen=True)
class Trained:
    """The networks of one seed: the `states` after training, those before it, and the digits."""

    model: nn.Module
    states: list[State]
    initial: list[State]
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    diverged: bool

    @cached_property
    def spec(self) -> Specification:
        """Which neurons permute together."""
        return permutation.specification(self.model, self.train[0][:2])


def trained(setting: Pair, seeds: Sequence[int], count: int = 2) -> dict[int, Trained]:
    """Train `count` networks for each seed, all in one call."""
    whole = data.load(setting.data)
    digits = {seed: _digits(setting, whole, seed) for seed in seeds}
    which = [(seed, k) for seed in seeds for k in range(count)]
    models = [untrained(setting, whole, seed, k) for seed, k in which]
    names = [name for name, _ in models[0].named_parameters()]
    initial = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in models]
    states, diverged = initial, [False] * len(which)
    if setting.presented:
        x, y = (torch.stack([digits[seed][0][part] for seed, _ in which]) for part in (0, 1))
        seen = min(setting.n, setting.presented)
        result = training.train(
            models, x[:, :seen], y[:, :seen], batch_size=setting.batch, epochs=max(1, setting.presented // setting.n),
            optimiser=_rule(setting), train_at=training.epochs_at([]),
            seeds=[seed_of(seed, "batches", k) for seed, k in which],
        )  # fmt: skip
        states = [{name: result.states[name][i].clone() for name in names} for i in range(len(which))]
        diverged = result.diverged.tolist()
    made = {}
    for seed in seeds:
        own = [i for i, (s, _) in enumerate(which) if s == seed]
        (x, y), test = digits[seed]
        made[seed] = Trained(
            models[own[0]], [states[i] for i in own], [initial[i] for i in own],
            (x[: setting.measured], y[: setting.measured]), test, any(diverged[i] for i in own),
        )  # fmt: skip
    return made


def untrained(setting: Pair, whole: Dataset, seed: int, k: int) -> nn.Sequential:
    """Network k of a seed before training."""
    side = whole.x.shape[-1] // setting.pool
    draw = torch.Generator().manual_seed(seed_of(seed, "weights", k))
    return nets.mlp(side**2, [setting.width] * setting.depth, whole.classes, initialisation="he", seed=draw)


def line(own: Trained, setting: Pair, a: State, b: State) -> Path:
    """The loss on the line from a through b, on digits of training and on test digits."""
    end = mixed([1.0 - setting.reach, setting.reach], stacked([a, b])) if setting.reach != 1.0 else b
    return paths.linear(own.model, a, end, data=own.train, test=own.test, points=setting.points)


def barrier(t: np.ndarray, loss: np.ndarray) -> float:
    """The largest height of a curve above the straight line between its ends, at least 0.

    The value of `lemmata.landscape.paths.Barrier`, without its interval over samples: here pairs are the samples.

    >>> barrier(np.array([0.0, 0.5, 1.0]), np.array([1.0, 3.0, 2.0]))
    1.5
    """
    return float((loss - ((1 - t) * loss[0] + t * loss[-1])).max())


def height(loss: np.ndarray) -> float:
    """How far the middle of a line (T,), T odd, lies above the mean of its ends; below it is negative.

    >>> height(np.array([1.0, 0.5, 2.0]))
    -1.0
    """
    return float(loss[len(loss) // 2] - (loss[0] + loss[-1]) / 2)


def gain(loss: np.ndarray) -> float:
    """The loss of the middle of a line (T,), T odd, over that of its better end; negative where it is better than both.

    >>> gain(np.array([1.0, 0.5, 2.0]))
    -0.5
    """
    return float(loss[len(loss) // 2] - min(loss[0], loss[-1]))


def extreme(t: np.ndarray, loss: np.ndarray) -> float:
    """Where a curve is largest, by the parabola through the largest value and its neighbours on an even grid.

    >>> extreme(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 0.0]))
    0.5
    """
    i = int(np.argmax(loss))
    if i in (0, len(t) - 1):
        return float(t[i])
    left, middle, right = loss[i - 1 : i + 2]
    return float(t[i] + (t[1] - t[0]) * (left - right) / (2 * (left - 2 * middle + right)))


def moved_share(spec: Specification, share: float, seed: int) -> Permutations:
    """Permutations of a random share of the units of every group; the others stay."""
    draw = torch.Generator().manual_seed(seed)
    made = {}
    for group in spec.free:
        chosen = torch.randperm(group.size, generator=draw)[: round(share * group.size)]
        order = torch.arange(group.size)
        order[chosen] = chosen[torch.randperm(len(chosen), generator=draw)]
        made[group.name] = order
    return made


def exchanged(spec: Specification, permutations: Mapping[str, Tensor]) -> Permutations:
    """Every group with the permutation that was found for the next one of its size, the last with that of the first.

    A single group has the permutation reversed: what was first comes last.
    """
    names = [group.name for group in spec.free]
    if len(names) == 1:
        return {names[0]: permutations[names[0]].flip(-1)}
    return {name: permutations[after] for name, after in zip(names, [*names[1:], names[0]], strict=True)}


def seed_of(seed: int, purpose: str, k: int = 0) -> int:
    """A seed for one purpose and network, independent of the others'."""
    return int(np.random.SeedSequence([STREAMS + seed, PURPOSES.index(purpose), k]).generate_state(1)[0])


def _rule(setting: Pair) -> training.SGD | training.Adam:
    if setting.optimiser == "adam":
        return training.Adam(lr=setting.step_size, weight_decay=setting.weight_decay)
    return training.SGD(lr=setting.step_size, momentum=0.9, weight_decay=setting.weight_decay)


def _digits(setting: Pair, whole: Dataset, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test digits of a seed, each whitened: (n, 1, h, w), and their labels."""
    if whole.x_test is None:
        rows, test_rows = apart(len(whole), setting.n, setting.n_test, seed, lambda own, k: seed_of(own, "split", k))
        x, y, x_test, y_test = whole.x[rows], whole.y[rows], whole.x[test_rows], whole.y[test_rows]
    else:
        part = whole.split(setting.n, setting.n_test, seed=seed_of(seed, "split"))
        x, y, x_test, y_test = part.x, part.y, part.x_test, part.y_test
    assert x_test is not None
    assert y_test is not None
    return (whiten(mean_pool(x, setting.pool)), y), (whiten(mean_pool(x_test, setting.pool)), y_test)
