"""The straight lines of Goodfellow, Vinyals and Saxe (2015): what is trained, between which points, what is measured.

A member is one line of one seed. Members that agree in architecture and optimiser are trained in one call, each
network once, however many lines it is the end of; a line's outcome does not depend on which others are drawn with it.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, landscape, nets, training
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool, whiten
from lemmata.objective import Objective
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements, Section

State = Mapping[str, Tensor]
LineName = Literal["initialisation", "unrelated", "solutions", "permuted"]
STREAMS = Streams("split", "weights", "batches", "other weights", "other batches", "permutation")
FLAT = 1e-5  # rises below this share of the initial loss are rounding: a float32 loss of 1,000 digits is right to 1e-6


class Network(Section):
    """A perceptron; a maxout unit is the largest of `pieces` linear ones."""

    activation: Literal["relu", "tanh", "sigmoid", "maxout"] = "relu"
    width: int = Field(default=100, ge=1, description="hidden units a layer")
    depth: int = Field(default=2, ge=1, description="hidden layers")
    pieces: int = Field(default=2, ge=2, description="linear pieces of a maxout unit")


class Training(Section):
    """Minibatch training until the loss is small."""

    optimiser: Literal["sgd", "momentum", "adam"] = "sgd"
    step_size: float = Field(default=0.1, gt=0)
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=400, ge=1, description="at most")
    fitted: float = Field(default=0.01, gt=0, description="training ends when the mean training loss is below this")


class Interpolation(Config):
    """One line in parameter space, and the network at its end."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 28x28 image that are averaged")
    n: int = Field(default=1000, ge=1, description="training examples, on which the loss is measured too")
    line: LineName = "initialisation"
    reach: float = Field(default=1.0, gt=0, description="where the line ends, in units of the way to the solution")
    points: int = Field(default=51, ge=3)
    network: Network = Network()
    training: Training = Training()


class Maxout(nn.Module):
    """The largest of each `pieces` neighbouring inputs (Goodfellow et al., 2013): (n, width pieces) to (n, width)."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """Take the maxima."""
        return x.unflatten(-1, (-1, self.pieces)).amax(-1)


def lines(configs: Sequence[Interpolation]) -> list[Measurements]:
    """Train what the lines of the block join, then follow each line."""
    setting, seeds = configs[0], sorted({config.seed for config in configs})
    whole = data.load(setting.data)
    samples = {seed: sample(setting, whole, seed) for seed in seeds}
    pairs = sorted({(c.seed, other) for c in configs for other in (False, c.line == "solutions")})
    starts = [untrained(setting, whole, seed, other=other) for seed, other in pairs]
    x, y = (torch.stack([samples[seed][part] for seed, _ in pairs]) for part in (0, 1))
    result = training.train(
        starts, x, y, optimiser=rule(setting.training), batch_size=setting.training.batch,
        epochs=setting.training.epochs, train_at=training.epochs_at([]),
        seeds=[STREAMS.seed(seed, "other batches" if other else "batches") for seed, other in pairs],
        stop=training.Stop(running_loss_below=setting.training.fitted),
    )  # fmt: skip
    place = {pair: i for i, pair in enumerate(pairs)}
    return [_followed(config, whole, samples[config.seed], place, result) for config in configs]


def rule(setting: Training) -> training.SGD | training.Adam:
    """The optimiser of a setting."""
    if setting.optimiser == "adam":
        return training.Adam(lr=setting.step_size)
    return training.SGD(lr=setting.step_size, momentum=0.9 if setting.optimiser == "momentum" else 0.0)


def sample(setting: Interpolation, whole: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """The training digits of a seed, each whitened: (n, 1, h, w), and their labels."""
    part = whole.split(setting.n, 1, seed=STREAMS.seed(seed, "split"))
    return whiten(mean_pool(part.x, setting.pool)), part.y


def untrained(setting: Interpolation, whole: Dataset, seed: int, *, other: bool = False) -> nn.Sequential:
    """The network of a seed before training, or another draw of it."""
    kind, side = setting.network, whole.x.shape[-1] // setting.pool
    draw = STREAMS.generator(seed, "other weights" if other else "weights")
    if kind.activation != "maxout":
        return nets.mlp(side**2, [kind.width] * kind.depth, whole.classes, activation=kind.activation, seed=draw)
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(kind.depth):
        layers += [nn.Linear(kind.width if i else side**2, kind.width * kind.pieces), Maxout(kind.pieces)]
    layers.append(nn.Linear(kind.width, whole.classes))
    return nets.initialise(nn.Sequential(*layers), "standard", draw)  # type: ignore[return-value]


def permuted(state: State, generator: torch.Generator, pieces: int = 1) -> dict[str, Tensor]:
    """The same function with the hidden units of every layer in another order (units of `pieces` rows each).

    The last layer's outputs keep theirs. The order is an involution, so that the line between the two is symmetric.
    """
    names = [name for name, tensor in state.items() if name.endswith("weight")]
    moved = {name: tensor.clone() for name, tensor in state.items()}
    for name, after in pairwise(names):
        units = len(moved[name]) // pieces
        order = _swaps(units, generator)
        rows = (order[:, None] * pieces + torch.arange(pieces)).flatten()
        bias = name.removesuffix("weight") + "bias"
        moved[name], moved[bias] = moved[name][rows], moved[bias][rows]
        moved[after] = moved[after][:, order]
    return moved


def _swaps(units: int, generator: torch.Generator) -> Tensor:
    """A permutation that swaps units in pairs drawn at random."""
    shuffled, order = torch.randperm(units, generator=generator), torch.arange(units)
    half = units // 2
    order[shuffled[:half]], order[shuffled[half : 2 * half]] = shuffled[half : 2 * half], shuffled[:half]
    return order


def _followed(
    config: Interpolation,
    whole: Dataset,
    digits: tuple[Tensor, Tensor],
    place: Mapping[tuple[int, bool], int],
    result: training.Result,
) -> Measurements:
    """The loss along one line, and what it says."""
    own = place[config.seed, False]
    ends = [own, place[config.seed, True]] if config.line == "solutions" else [own]
    if any(bool(result.diverged[i]) for i in ends):
        return Measurements(status="diverged")
    solution, initial = _state(result, own), untrained(config, whole, config.seed)
    objective = Objective(initial, loss="cross_entropy", data=digits)
    start: State = initial.state_dict()
    distance = _norm(solution, start) / _norm(start)
    if config.line == "unrelated":
        start = untrained(config, whole, config.seed, other=True).state_dict()
    elif config.line == "solutions":
        start = _state(result, ends[1])
    elif config.line == "permuted":
        pieces = config.network.pieces if config.network.activation == "maxout" else 1
        start = permuted(solution, STREAMS.generator(config.seed, "permutation"), pieces)
    end = {name: start[name] + config.reach * (tensor - start[name]) for name, tensor in solution.items()}
    found = landscape.between(objective, [start, end], points=config.points)
    scale = float(objective.value())
    says = judged(found.x, found.loss, scale)
    return Measurements.of(
        initial_loss=scale,
        final_loss=float(objective.at(solution).value()),
        fitted=float(result.stopped[own]),
        distance=distance,
        rise=says["rise"],
        monotone=says["monotone"],
        excess=says["excess"],
        barrier=says["barrier"],
        loss=Curve(found.x, found.loss / scale),
        error=Curve(found.x, found.misclassified),
    )


def judged(x: np.ndarray, loss: np.ndarray, scale: float) -> dict[str, float]:
    """What a line's loss (T,) says, in units of `scale`, the loss of the initial weights.

    ``rise``         the largest rise from any point to a later one
    ``monotone``     1 if that is no more than rounding, else 0
    ``excess``       the largest height above the largest convex function below the curve: 0 if it is convex
    ``barrier``      the largest height above the straight line between the two ends, or 0

    >>> x = np.array([0.0, 0.5, 1.0])
    >>> found = judged(x, np.array([1.0, 3.0, 0.0]), scale=2.0)
    >>> found["rise"], found["monotone"], found["excess"], found["barrier"]
    (1.0, 0.0, 1.25, 1.25)
    """
    y = loss / scale
    rise = float((y - np.minimum.accumulate(y)).max())
    chord = y[0] + (y[-1] - y[0]) * (x - x[0]) / (x[-1] - x[0])
    return {
        "rise": rise,
        "monotone": float(rise <= FLAT),
        "excess": float((y - convex_envelope(x, y)).max()),
        "barrier": float((y - chord).max()),
    }


def convex_envelope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The largest convex function below the points (x, y), x increasing, at x: the lower side of their hull.

    >>> convex_envelope(np.arange(4.0), np.array([2.0, 3.0, 0.0, 1.0]))
    array([2., 1., 0., 1.])
    """
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1 and _turns_up(x, y, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    return np.interp(x, x[hull], y[hull])


def _turns_up(x: np.ndarray, y: np.ndarray, i: int, j: int, k: int) -> bool:
    """Whether point j lies on or above the chord from i to k."""
    return bool((y[j] - y[i]) * (x[k] - x[i]) >= (y[k] - y[i]) * (x[j] - x[i]))


def _state(result: training.Result, i: int) -> dict[str, Tensor]:
    return {name: stacked[i] for name, stacked in result.states.items()}


def _norm(state: State, origin: State | None = None) -> float:
    parts = [tensor - origin[name] if origin else tensor for name, tensor in state.items()]
    return float(torch.cat([part.double().flatten() for part in parts]).norm())
