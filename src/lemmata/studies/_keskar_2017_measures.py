"""What the study of Keskar et al. (2017) measures on a pair of solutions: errors, sharpness, the line between them."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from lemmata import curvature, landscape, linalg, phantoms, training
from lemmata.data.dataset import Dataset
from lemmata.objective import Objective
from lemmata.studies._keskar_2017_training import STREAMS, Pair, prepared, taken, trained
from lemmata.study import Curve, Measurements

SIZES = ("small", "large")
ALONG = (-1.0, 2.0)  # the line through both solutions: small batches at 0, large ones at 1
STEP = 0.25  # how far to both sides of a solution the line's curvature is taken
EPS = nn.BatchNorm1d(1).eps
Values = dict[str, float]

SHARPNESS: dict[str, Callable[[Objective, Pair], float]] = {
    "box": lambda o, c: curvature.epsilon_sharpness(o, epsilon=1e-3).value,
    "half_box": lambda o, c: curvature.epsilon_sharpness(o, epsilon=5e-4).value,
    "subspace": lambda o, c: (
        curvature.epsilon_sharpness(
            o, epsilon=1e-3, subspace=min(c.subspace, o.size), seed=STREAMS.seed(c.seed, "subspace")
        ).value
    ),
    "ball": lambda o, c: curvature.sam_sharpness(o, rho=0.05, steps=5).value,
    "average": lambda o, c: curvature.average_sharpness(o, sigma=0.01, pairs=8, seed=c.seed).value,
    "eigenvalue": lambda o, c: _top_eigenvalue(o, c.seed),
    "filters": lambda o, c: curvature.filter_normalised_sharpness(o, radius=0.1, pairs=8, seed=c.seed).value,
    "adaptive": lambda o, c: curvature.adaptive_sharpness(o, rho=0.5, steps=5).value,
}
CLAIMED = {"exchanged": (), "both large": ("box", "half_box", "subspace")}  # what claims ask of pairs not as named


def train_and_measure(configs: Sequence[Pair]) -> list[Measurements]:
    """Train every network that the pairs are made of once, all of one batch together, and measure every pair."""
    setting = configs[0]
    whole = prepared(setting)
    parts = {
        seed: whole.split(setting.n, setting.n_test, seed=STREAMS.seed(seed, "split"))
        for seed in sorted({config.seed for config in configs})
    }
    solutions = {}
    for name in SIZES:
        places = sorted({place for c in configs for place in SIZES if taken(c.sizes, place) == name})
        if runs := [(seed, place) for place in places for seed in parts]:
            result = trained(setting, name, runs, parts)
            solutions |= {(name, *run): _Solution(result, i, parts[run[0]]) for i, run in enumerate(runs)}
    return [
        _measured(config, *(solutions[taken(config.sizes, place), config.seed, place] for place in SIZES))
        for config in configs
    ]


class _Solution:
    """One trained network, and its sharpness: measured once, whatever pairs it is part of."""

    def __init__(self, result: training.Result, i: int, part: Dataset):
        self.result, self.i = result, i
        device = result.states["output.weight"].device
        self.x, self.y = part.x.to(device), part.y.to(device)
        self._known: Values = {}

    @property
    def diverged(self) -> bool:
        return bool(self.result.diverged[self.i])

    @cached_property
    def objective(self) -> Objective:
        """The training loss."""
        return Objective(self.result.model(self.i), data=(self.x, self.y))

    def sharpness(self, name: str, config: Pair) -> float:
        if name not in self._known:
            self._known[name] = SHARPNESS[name](self.objective, config)
        return self._known[name]

    def errors(self) -> Values:
        """Training error and loss, test error, and the epochs that training took."""
        values = {name: float(self.result.final[name][self.i]) for name in ("train_error", "test_error", "train_loss")}
        return values | {"epochs": float(self.result.stopped_at[self.i])}

    def test_error_curve(self) -> Curve:
        epochs, values = (part.numpy() for part in self.result.curves["test_error"])
        return Curve(epochs, values[self.i])


def _measured(config: Pair, small: _Solution, large: _Solution) -> Measurements:
    """Everything that is asked of a pair, the solution of small batches shrunk as the configuration says."""
    if small.diverged or large.diverged:
        return Measurements.of(status="diverged")
    of_small, of_large = small.errors(), large.errors()
    values = {f"{name}_small": value for name, value in of_small.items()}
    values |= {f"{name}_large": value for name, value in of_large.items()}
    values |= {f"{name}_gap": of_large[name] - of_small[name] for name in of_small if name != "epochs"}
    curves = {f"test_error_curve_{size}": s.test_error_curve() for size, s in zip(SIZES, (small, large), strict=True)}
    if config.measured == "errors":
        return Measurements.of("ok", **values, **curves)
    if config.shrink != 1.0:
        moved = small.objective.at(shrunk(config, small.objective.model.state_dict()))
        box = SHARPNESS["box"](moved, config) if config.norm else small.sharpness("box", config)
        values |= _compared("box", box, large.sharpness("box", config))
        values |= {"change": _change(small.objective, moved, small.x)}
        return Measurements.of("ok", **values, **curves)
    values |= {"length_small": _length(small.objective), "length_large": _length(large.objective)}
    for name in CLAIMED.get(config.sizes, SHARPNESS):
        values |= _compared(name, small.sharpness(name, config), large.sharpness(name, config))
    if config.sizes != "both large":
        states = [solution.objective.model.state_dict() for solution in (small, large)]
        line = landscape.between(small.objective, states, span=ALONG, points=25, batch_norm="reestimate")
        loss = dict(zip(line.x.round(6).tolist(), line.loss.tolist(), strict=True))
        values |= _compared("line", *(loss[at - STEP] + loss[at + STEP] - 2 * loss[at] for at in (0.0, 1.0)))
        curves |= {"line": Curve(line.x, line.loss), "line_error": Curve(line.x, line.misclassified)}
    return Measurements.of("ok", **values, **curves)


def shrunk(config: Pair, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with the weights before each normalisation divided by `shrink`: the same function."""
    for depth in range(1, config.depth + 1) if config.norm else ():
        layer, norm = f"hidden{depth}", f"norm{depth}"
        state = phantoms.rescaled_before_norm(state, layer, norm, 1 / config.shrink, eps=EPS)
    return state


def _top_eigenvalue(objective: Objective, seed: int) -> float:
    """The largest eigenvalue of the Hessian, to 3 %: by so few products that tracing the Hessian would not pay."""
    H = curvature.hessian(objective, way="double backward")
    return float(linalg.eigenpairs(H, 1, tolerance=3e-2, seed=seed).values[0])


def _change(before: Objective, after: Objective, x: Tensor) -> float:
    """How far apart the outputs are, relative to their size."""
    with torch.no_grad():
        outputs, moved = before.model(x), after.model(x)
    return float((moved - outputs).norm() / outputs.norm())


def _length(objective: Objective) -> float:
    """The Euclidean length of all weights of the hidden layers."""
    weights = [p for name, p in objective.parameters.items() if name.startswith("hidden") and p.ndim > 1]
    return math.sqrt(sum(float(weight.square().sum()) for weight in weights))


def _compared(name: str, small: float, large: float) -> Values:
    """Both values, and log10 of one and of their ratio, left out where they are not positive."""
    values = {f"{name}_small": small, f"{name}_large": large}
    if small > 0:
        values[f"log_{name}_small"] = math.log10(small)
    if small > 0 and large > 0:
        values[f"log_{name}_ratio"] = math.log10(large / small)
    return values
