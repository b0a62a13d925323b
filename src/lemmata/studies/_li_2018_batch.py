"""Small and large batches: which solution generalises, which looks sharp, and where training went.

A member is a pair of networks with batch normalisation from the same initial weights, one trained in small batches and
one in large ones, for as many epochs. What is measured:

    apparent     rise of the loss a quarter of the way from the large-batch solution to the other, less the same from
                 the small-batch one, on the line through both: positive if the large-batch one looks sharper
    normalised   mean rise of the loss at +-1/2 along random directions, the large-batch solution's less the other's.
                 Directions are filter-normalised; not normalised, they are as long as the large-batch weights for both
    moved        by how much that rise changes, relatively, when the weights in front of each normalisation shrink to a
                 fifth and the function stays the same
    explained    the share of the variance of the path of training that its two first principal components hold; with
                 random directions, the share of its squared distances from the end
    walk         the same of a random walk of as many steps, in as many dimensions

Pairs that differ in what is measured only are trained once, all networks of one batch together. Of two networks that
were both trained in small batches the test errors are measured alone.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, training
from lemmata.landscape import Trajectory, between, line, random_directions, trajectory
from lemmata.nets.initialisations import initialise
from lemmata.objective import Objective
from lemmata.studies._li_2018_depth import STREAMS, at_end, images
from lemmata.study import Config, Curve, Measurements

SHRUNK = 0.2
CHECKPOINTS = 60
DIRECTIONS = 8
DRAWN = 250  # images that the loss on the plane of the path is drawn for
VGG9 = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0)  # channels; 0 is a 2x2 max-pooling


class Batch(Config):
    """One pair of networks, and how it is looked at."""

    data: Literal["mnist-5k", "cifar10"] = "mnist-5k"
    network: Literal["mlp", "vgg9"] = "mlp"
    n: int = Field(default=1000, ge=1, description="training images")
    n_test: int = Field(default=3000, ge=1)
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 32x32 image that are averaged")
    width: int = Field(default=64, ge=1, description="units of each of the perceptron's three hidden layers")
    small: int = Field(default=16, ge=2, description="the small batch")
    large: int = Field(default=1000, ge=2, description="the large batch")
    epochs: int = Field(default=60, ge=2)
    step_size: float = Field(default=0.1, gt=0, description="at first; it falls like half a cosine")
    decayed: bool = Field(default=False, description="whether weights decay")
    weight_decay: float = Field(default=0.016, ge=0, description="used where they do")
    against: Literal["large", "small"] = Field(default="large", description="what small batches are compared with")
    samples: int = Field(default=1000, ge=1, description="training images that losses are drawn for")
    normalization: Literal["filter", "none"] = "filter"
    shrink: float = Field(default=1.0, gt=0, description="factor of the small-batch weights in front of normalisations")
    plane: Literal["principal", "random"] = "principal"
    steps: Literal["walk", "independent"] = "walk"


Sample = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Trained:
    """One network: the module, its test error, and its state after each checkpoint."""

    model: nn.Module
    error: float
    states: list[dict[str, Tensor]]
    diverged: bool


class Run(NamedTuple):
    """One network to be trained: its batch (``"small"`` or ``"large"``), its pair, and which order of the data.

    Seed and weight decay are those of its pair.
    """

    size: str
    pair: int
    order: int
    seed: int
    decayed: bool

    @property
    def watched(self) -> bool:
        """Whether the path of training is kept: not of a second network in small batches."""
        return self.size == "large" or self.order == 0


def compare_batches(configs: Sequence[Batch]) -> list[Measurements]:
    """Train every network that is asked for once, and measure each member."""
    setting = configs[0]
    pairs = sorted({(c.seed, c.decayed) for c in configs})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = data.load(setting.data)
    parts = [whole.split(setting.n, setting.n_test, seed=STREAMS.seed(seed, "split")) for seed, _ in pairs]
    x, x_test = (torch.stack([_inputs(t, setting) for t in ts]).to(device)
                 for ts in ([p.x for p in parts], [p.x_test for p in parts]))  # fmt: skip
    y, y_test = (torch.stack(ts).to(device) for ts in ([p.y for p in parts], [p.y_test for p in parts]))  # type: ignore[arg-type]
    places = [pairs.index((c.seed, c.decayed)) for c in configs]
    others = sorted({(c.against, i) for i, c in zip(places, configs, strict=True)})
    runs = [*(Run("small", i, 0, *pair) for i, pair in enumerate(pairs)),
            *(Run(size, i, 1, *pairs[i]) for size, i in others)]  # fmt: skip
    trained: dict[Run, Trained] = {}
    for size in ("small", "large"):
        if own := [run for run in runs if run.size == size]:
            at = [run.pair for run in own]
            tests = training.Probe(x_test[at], y_test[at], metric="error", at=at_end)
            trained |= dict(zip(own, _train(setting, own, (x[at], y[at]), tests), strict=True))
    samples = [(x[i, : setting.samples], y[i, : setting.samples]) for i in range(len(pairs))]
    views = {
        (against, i): View(trained[Run("small", i, 0, *pairs[i])], trained[Run(against, i, 1, *pairs[i])], samples[i],
                           pairs[i][0])
        for against, i in others
    }  # fmt: skip
    return [_measured(config, views[config.against, i]) for i, config in zip(places, configs, strict=True)]


def network(config: Batch, channels: int, side: int, seed: int) -> nn.Module:
    """An untrained network whose hidden layers have no bias and are normalised over the batch."""
    layers: list[nn.Module] = []
    before = channels * side**2
    if config.network == "vgg9":
        before = channels
        for width in VGG9:
            layers += [nn.MaxPool2d(2)] if not width else _hidden(nn.Conv2d(before, width, 3, padding=1, bias=False))
            before = width or before
        before *= (side // 16) ** 2
    layers.append(nn.Flatten())
    widths = [config.width] * 3 if config.network == "mlp" else [512, 512]
    for fan_in, fan_out in pairwise([before, *widths]):
        layers += _hidden(nn.Linear(fan_in, fan_out, bias=False))
    net = nn.Sequential(*layers, nn.Linear(widths[-1], 10))
    return initialise(net, "he", torch.Generator().manual_seed(seed))


def shrunk(model: nn.Module, factor: float) -> nn.Module:
    """A copy that is the same function, the weights in front of each normalisation multiplied by `factor`.

    The normalisation's statistics, and the constant that it adds to the variance, shrink with them.
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer, norm in pairwise(model.children()):
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.weight.mul_(factor)  # type: ignore[operator]
                norm.running_mean.mul_(factor)  # type: ignore[union-attr]
                norm.running_var.mul_(factor**2)  # type: ignore[union-attr]
                norm.eps *= factor**2
    return model


def explained(path: Tensor) -> float:
    """The share of the variance of a path (K, P) in its two first principal components.

    >>> round(explained(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])), 6)
    1.0
    """
    centred = path.double() - path.double().mean(0)
    values = torch.linalg.eigvalsh(centred @ centred.T).flip(0).clamp(min=0)
    return float(values[:2].sum() / values.sum())


def _hidden(layer: nn.Conv2d | nn.Linear) -> list[nn.Module]:
    norm = nn.BatchNorm2d(layer.out_channels) if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d(layer.out_features)
    return [layer, norm, nn.ReLU()]


def _inputs(x: Tensor | None, config: Batch) -> Tensor:
    made = images(x, config.pool)
    return made if config.network == "vgg9" else made[:, :1]


def _train(setting: Batch, runs: list[Run], sample: Sample, tests: training.Probe) -> list[Trained]:
    """Train the networks of all runs, which are of one batch, at once."""
    x, y = sample
    models = [network(setting, x.shape[2], x.shape[3], STREAMS.seed(run.seed, "weights")).to(x.device) for run in runs]
    states: list[Mapping[str, Tensor]] = []
    watched = [i for i, run in enumerate(runs) if run.watched]

    def keep(live: Mapping[str, Tensor]) -> Tensor:
        count = len(next(iter(live.values())))
        if count == len(runs):  # after a divergence there are fewer
            states.append({name: tensor.detach()[watched].cpu() for name, tensor in live.items()})
        return torch.zeros(count)

    def at(epochs: int) -> list[int]:
        return sorted({round(epoch) for epoch in np.linspace(0, epochs, min(epochs, CHECKPOINTS) + 1)})

    decay = [setting.weight_decay * run.decayed for run in runs]
    rule = training.SGD(lr=setting.step_size, momentum=0.9, nesterov=True, weight_decay=decay)
    result = training.train(
        models, x, y, optimiser=rule, epochs=setting.epochs, batch_size=getattr(setting, runs[0].size),
        train_at=at_end, seeds=[STREAMS.seed(run.seed, "batches") + run.order for run in runs],
        schedule=training.cosine(), probes={"test_error": tests, "kept": training.WeightProbe(keep, at=at)},
    )  # fmt: skip
    return [
        Trained(
            result.model(i).to(x.device), float(result.final["test_error"][i]),
            [{name: t[watched.index(i)] for name, t in s.items()} for s in states] if run.watched else [],
            bool(result.diverged[i]),
        )
        for i, run in enumerate(runs)
    ]  # fmt: skip


class View:
    """What is measured of one pair; each thing once, however many members ask for it."""

    def __init__(self, small: Trained, large: Trained, sample: Sample, seed: int):
        self.small, self.large, self.sample, self.seed = small, large, sample, seed
        self.ends = [self.objective(trained.model) for trained in (small, large)]
        self.length = _length(self.ends[1])
        self._known: dict[tuple[object, ...], Any] = {}

    def once(self, measure: Callable[..., Any], *how: object) -> Any:
        """The result of ``measure(view, *how)``, from the first call."""
        key = (measure, *how)
        if key not in self._known:
            self._known[key] = measure(self, *how)
        return self._known[key]

    def objective(self, model: nn.Module) -> Objective:
        """The loss of a network on this pair's sample."""
        return Objective(model, loss="cross_entropy", data=self.sample)


def _measured(config: Batch, view: View) -> Measurements:
    small, large = view.small, view.large
    errors: dict[str, Any] = {"error_small": small.error, "error_large": large.error}
    if small.diverged or large.diverged:
        return Measurements.of(status="diverged", **errors)
    errors["gap"] = large.error - small.error
    if config.against == "small":
        return Measurements.of(**errors)
    x, loss = view.once(_interpolation)
    filters = config.normalization == "filter"
    before, again, seen = (view.once(_rise, 0, factor, filters) for factor in (1.0, SHRUNK, config.shrink))
    other = view.once(_rise, 1, 1.0, filters)
    shares = [view.once(_share, side, config.plane) for side in (0, 1)]
    drawn = view.once(_path)
    return Measurements.of(
        **errors,
        norm_small=_length(view.ends[0]), norm_large=view.length,
        apparent=float((loss[30] - loss[40]) - (loss[10] - loss[0])), interpolation=Curve(x, loss),
        rise_small=seen[1], rise_large=other[1], normalised=other[1] - seen[1], moved=abs(again[1] / before[1] - 1.0),
        line_small=Curve(seen[0], seen[2]), line_large=Curve(other[0], other[2]),
        explained_small=shares[0], explained_large=shares[1],
        walk=view.once(_walk, config.steps == "walk", len(small.states)),
        path=drawn.path, path_axes=np.stack([drawn.surface.x, drawn.surface.y]), path_surface=drawn.surface.loss,
    )  # fmt: skip


def _interpolation(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and losses on the line from the small-batch solution to the large-batch one."""
    states = [trained.model.state_dict() for trained in (view.small, view.large)]
    drawn = between(view.ends[0], states, span=(0.0, 1.0), points=41)
    return drawn.x, drawn.loss


def _length(objective: Objective) -> float:
    """The length of the weights, those that filter normalisation moves."""
    return float(sum(t.square().sum() for t in objective.parameters.values() if t.ndim > 1)) ** 0.5


def _rise(view: View, side: int, factor: float, filters: bool) -> tuple[np.ndarray, float, np.ndarray]:
    """Coordinates, the mean rise at +-1/2, and the mean loss, along random directions from one of the two, shrunk."""
    model = (view.small, view.large)[side].model
    objective = view.objective(shrunk(model, factor) if factor != 1.0 else model)
    lines = []
    for seed in range(DIRECTIONS):
        start = STREAMS.seed(view.seed, "directions") + seed
        (direction,) = random_directions(objective, 1, normalization="filter" if filters else None, seed=start)
        if not filters:
            own = float(sum(t.square().sum() for t in direction.values())) ** 0.5
            direction = {name: t * (view.length / own) for name, t in direction.items()}
        lines.append(line(objective, direction=direction, points=9))
    x, loss = lines[0].x, np.mean([drawn.loss for drawn in lines], axis=0)
    return x, float((loss[2] + loss[6]) / 2 - loss[4]), loss


def _share(view: View, side: int, plane: str) -> float:
    """The share of the path of training that two directions hold: its principal components, or random ones."""
    end, states = view.ends[side], (view.small, view.large)[side].states
    path = torch.stack([end.vector({name: state[name] for name in end.names}) for state in states]).double()
    if plane == "principal":
        return explained(path)
    generator = torch.Generator().manual_seed(STREAMS.seed(view.seed, "directions"))
    basis = torch.linalg.qr(torch.randn(path.shape[1], 2, generator=generator, dtype=torch.float64)).Q
    steps = path - path[-1]
    return float((steps @ basis.to(steps.device)).square().sum() / steps.square().sum())


def _path(view: View) -> Trajectory:
    """The path of training in small batches on its plane, with the loss of some images over it."""
    x, y = view.sample
    end = Objective(view.small.model, loss="cross_entropy", data=(x[:DRAWN], y[:DRAWN]))
    return trajectory(end, view.small.states, points=11, adaptive=False)


def _walk(view: View, walk: bool, points: int) -> float:
    """What the two first components explain of a random path of as many points and parameters."""
    generator = torch.Generator().manual_seed(STREAMS.seed(view.seed, "directions"))
    steps = torch.randn(points, view.ends[0].size, generator=generator)
    return explained(steps.cumsum(0) if walk else steps)
