"""Curves of low loss between networks, trained (Garipov, Izmailov, Podoprikhin, Vetrov and Wilson, 2018).

    minimise over w_1, ..., w_K   E_t L(theta(t)),   t uniform on [0, 1],   theta(t) = sum_k c_k(t) w_k

where w_0 and w_(K + 1) are two trained networks that stay as they are, and c are the weights of a Bezier curve or of a
polygonal chain (`bases`). Uniform t in place of uniform arc length keeps the gradient simple; the paper takes it too.
Any model will do: a network on the curve is the model at other parameters.

Cost: a step costs `draws` gradients of one network on a minibatch, and a few passes over its parameters. Memory:
K + 2 control points, their momenta, and the networks at `draws` values of t, for each curve. Fails where the loss is
flat only in the mean: a narrow wall that a curve crosses fast costs little, so look at the maximum, not the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.batches import Data, read_batches
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_number, require_seed, require_whole
from lemmata.landscape.paths.bases import Kind, basis_of
from lemmata.landscape.paths.bends import Bends
from lemmata.landscape.paths.ends import Ends
from lemmata.landscape.paths.path import BatchNorm, Path, Points, along
from lemmata.landscape.samples import Interrupted, Progress
from lemmata.landscape.states import Place, State, mixed
from lemmata.objective import Loss
from lemmata.training.batches import Batches
from lemmata.training.losses import check_loss
from lemmata.training.optimisers import Adam, Optimiser
from lemmata.training.perceptron import assemble
from lemmata.training.probes import Samples
from lemmata.training.schedules import Factor, Schedule, bound, cosine
from lemmata.training.streams import derived

PLACES = 7  # the purpose of the streams that t is drawn from


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve between two networks, at t = 0 and t = 1.

    `control` holds its points {name: (K + 2, ...)}, parameters and buffers, ends first and last, and `history`
    (epochs,) the mean loss met on the curve in each epoch of its training. `cost` counts gradients of the whole data.
    `diverged` says that the training left numbers that are not finite.
    """

    kind: Kind
    control: State = field(repr=False)
    model: nn.Module = field(repr=False)
    loss: Loss
    data: Data = field(repr=False)
    history: np.ndarray
    cost: float
    diverged: bool = False

    def at(self, t: float) -> State:
        """The state at t in [0, 1]: parameters on the curve, buffers interpolated between the ends.

        At t = 0 and t = 1 it is the end to the bit.
        """
        if not 0 <= t <= 1:
            raise InvalidInput(f"t = {t}; a curve runs from 0 to 1")
        place = torch.tensor(t, dtype=torch.float64)
        points = len(next(iter(self.control.values())))
        names = {name for name, _ in self.model.named_parameters(remove_duplicate=False)}
        moved = mixed(basis_of(self.kind)(place, points), {n: v for n, v in self.control.items() if n in names})
        ends = {n: v[[0, -1]] for n, v in self.control.items() if n not in names}
        return {**moved, **mixed([1.0 - t, t], ends)}

    def path(
        self,
        points: Points = 25,
        *,
        data: Data | None = None,
        batch_norm: BatchNorm = "recompute",
        test: Data | None = None,
        chunk: int = 1024,
        known: Path | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """The loss along the curve, on the data it was trained on or others; the rest as for `linear`.

        Running statistics of batch normalisation are recomputed by default, at the ends too: a bend has none of its
        own.
        """
        return along(
            self.model, self.at, loss=self.loss, data=self.data if data is None else data, points=points,
            batch_norm=batch_norm, test=test, chunk=chunk, known=known, progress=progress,
        )  # fmt: skip

    def plot(self) -> Figure:
        """Draw the training: the mean loss on the curve against the epoch. For the loss along it: ``path().plot()``."""
        epochs = np.arange(1, len(self.history) + 1)
        panel = Panel(
            x=Axis(label="epoch"), y=Axis(label="mean loss on the curve"),
            series=[Series(label=self.kind, x=epochs, y=self.history)],
        )  # fmt: skip
        caption = f"{self.cost:.3g} gradients."
        return Figure(name="curve", title="Training of a curve", caption=caption, panels=[panel])


def curve(
    model: nn.Module, a: Place, b: Place, *, seed: int | torch.Generator = 0, known: Curve | None = None, **options: Any
) -> Curve:
    """Train one curve from `a` to `b`, models or state dicts; options and defaults are those of `curves`.

    >>> from lemmata.training import GD
    >>> model, x = nn.Linear(1, 2, bias=False), torch.ones(1, 1)  # its outputs are its two weights
    >>> ring = lambda z, y: (z.square().sum(1) - 1).square().mean()  # the minima are a circle
    >>> a, b = ({"weight": torch.tensor([[s], [0.1]])} for s in (-1.0, 1.0))
    >>> rule = GD(lr=0.02, momentum=0.9)
    >>> found = curve(model, a, b, loss=ring, data=(x, x), epochs=500, batch_size=None, draws=8, optimiser=rule)
    >>> float(found.path(points=9).loss.max()) < 0.1  # it is 0.98 on the straight line
    True
    """
    return curves(model, [a], [b], seeds=[one_seed(seed)], known=known and [known], **options)[0]


def curves(
    model: nn.Module,
    starts: Sequence[Place],
    ends: Sequence[Place],
    *,
    kind: Kind = "bezier",
    bends: int = 1,
    loss: Loss = "cross_entropy",
    data: Data,
    own_data: bool = False,
    epochs: int = 50,
    batch_size: int | None = 128,
    optimiser: Optimiser | None = None,
    schedule: Schedule | Factor | None = None,
    weight_decay: float = 0.0,
    draws: int = 1,
    seeds: Sequence[int] | None = None,
    known: Sequence[Curve] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Curve]:
    """Train M curves at once, from starts[i] to ends[i]; each comes out as it would alone, to rounding.

    `bends` is the number K of free control points, which begin evenly spaced on the straight line. `data` is one data
    set for all, or with `own_data` (x, y) whose leading axis is that of the curves. A step takes a minibatch of
    `batch_size` (None: all samples) and `draws` values of t, one drawn uniformly from each of as many equal parts of
    [0, 1]. `optimiser` (by default Adam with step size 0.001) and `schedule` (by default, if there is no optimiser
    either, half a cosine) are those of `lemmata.training`; `weight_decay` adds that of the networks on the curve, as
    the paper does. Layers of batch normalisation use the batch's statistics in training.

    `known` are earlier curves, which the training goes on from for the epochs that are left, with momenta anew.
    `progress(epoch, epochs)` is called after each. Ctrl-C raises `Interrupted` (a `KeyboardInterrupt`) whose `partial`
    is the list of curves so far. Randomness: orders of the samples and values of t, from each curve's own seed (by
    default 0, 1, ...). Raises `InvalidInput` for states that do not fit, are not finite, or differ in a buffer that is
    no running statistic.
    """
    check_loss(loss)
    basis, free = basis_of(kind), require_whole(bends, "bends")
    draws, epochs = require_whole(draws, "draws"), require_whole(epochs, "epochs")
    between = Ends.of(model, starts, ends)
    seeds = list(range(len(between)) if seeds is None else seeds)
    if len(seeds) != len(between):
        raise InvalidInput(f"{len(seeds)} seeds for {len(between)} curves; give one seed a curve")
    control = between.straight(free) if known is None else _control_of(known, free, kind, between)
    models, decay = between.models, require_number(weight_decay, "weight_decay")
    samples = samples_of(data, len(between), own_data=own_data)
    samples.check(assemble(models, loss), loss)
    moving = Bends(models, control, basis, loss=loss, draws=draws, decay=decay)
    run = _Training(moving, Batches(samples, batch_size, seeds), seeds, known)
    rule = (optimiser or Adam(lr=1e-3)).start(moving)
    factor = bound(cosine() if optimiser is None and schedule is None else schedule, run.steps, epochs)

    def result() -> list[Curve]:
        control, owned = between.completed(moving.control()), own_data
        return [
            Curve(
                kind, {name: tensor[i].clone() for name, tensor in control.items()}, between.template, loss,
                (samples.x[i], samples.y[i]) if owned else (samples.x, samples.y), run.history_of(i),
                float(draws * len(run.history)), bool(run.diverged[i]),
            )
            for i in range(len(between))
        ]  # fmt: skip

    try:
        run.train(rule, factor, epochs, progress)
    except KeyboardInterrupt as stop:
        raise Interrupted(result()) from stop
    return result()


def one_seed(seed: int | torch.Generator) -> int:
    """A seed as a number: as it is given, or drawn from the generator."""
    seed = require_seed(seed)
    return seed if isinstance(seed, int) else int(torch.randint(2**62, (1,), generator=seed))


def samples_of(data: Data, members: int, *, own_data: bool) -> Samples:
    """The data of a training as tensors: one set for all paths, or a leading axis of paths."""
    if own_data:
        if not isinstance(data, tuple) or len(data) != 2 or len(data[0]) != members or len(data[1]) != members:
            raise InvalidInput(f"own_data: give tensors (x, y) whose first axis is that of the {members} paths")
        return Samples(data[0], data[1], members, name="data")  # type: ignore[arg-type]
    x, y = (torch.cat(part) for part in zip(*read_batches(data, None), strict=True))
    return Samples(x, y, members, name="data")


class _Training:
    """The training of curves: their batches, their values of t, and the mean loss of every epoch."""

    def __init__(self, moving: Bends, batches: Batches, seeds: Sequence[int], known: Sequence[Curve] | None):
        self.moving, self.batches, self.steps = moving, batches, batches.steps_per_epoch
        self.generators = [torch.Generator().manual_seed(seed) for seed in derived(seeds, PLACES)]
        self.live = torch.arange(moving.curves, device=moving.theta.device)
        self.history = [] if known is None else list(torch.tensor(np.array([one.history for one in known])).T)
        for _ in self.history:  # what the earlier training has drawn
            self._places()
            for _ in self.batches.epoch(self.live):
                pass

    @torch.enable_grad()
    def train(self, rule: Any, factor: Factor, epochs: int, progress: Callable[[int, int], object] | None) -> None:
        """Train up to this many epochs in all."""
        n = self.batches.samples.n
        for epoch in range(len(self.history), epochs):
            total, places = 0.0, self._places()
            for step, (x, y) in enumerate(self.batches.epoch(self.live)):
                self.moving.t = places[step]
                losses = rule.step(
                    self.moving, x, y, shared=self.batches.shared, factor=factor(epoch * self.steps + step)
                )
                total = total + losses.double() * (y.shape[1] / n)
            self.history.append(torch.as_tensor(total).cpu())
            if progress is not None:
                progress(epoch + 1, epochs)

    def history_of(self, i: int) -> np.ndarray:
        """The mean losses of one curve, an epoch each."""
        return np.array([float(losses[i]) for losses in self.history])

    @property
    def diverged(self) -> Tensor:
        """Which curves (M,) have numbers that are not finite."""
        return ~self.moving.finite().view(self.moving.curves, -1).all(1)

    def _places(self) -> Tensor:
        """The values of t of an epoch's steps (steps, M, T): one in each of T equal parts, uniform."""
        T = self.moving.draws
        drawn = [torch.rand(self.steps, T, generator=own, dtype=torch.float64) for own in self.generators]
        return ((torch.stack(drawn, 1) + torch.arange(T)) / T).to(self.live.device)


def _control_of(known: Sequence[Curve], bends: int, kind: Kind, between: Ends) -> State:
    """The control points of earlier curves; refuse curves of another kind."""
    for one in known:
        points = len(next(iter(one.control.values()))) if isinstance(one, Curve) else 0
        if points != bends + 2 or one.kind != kind:
            raise InvalidInput(f"known: a {kind} curve with {bends} bends is asked for; give curves of the same kind")
    if len(known) != len(between):
        raise InvalidInput(f"known: {len(known)} curves for {len(between)} pairs of networks; give one a pair")
    control = {name: torch.stack([one.control[name] for one in known]) for name in between.names}
    for name, points in control.items():
        if not (points[:, 0].equal(between.a[name]) and points[:, -1].equal(between.b[name])):
            raise InvalidInput(f"known: curves between other networks than those given, which differ in {name!r}")
    return control
