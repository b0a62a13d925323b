"""What the study of Keskar et al. (2017) measures on a pair of solutions: errors, sharpness, the line between them."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from lemmata import curvature, landscape, phantoms, training
from lemmata.objective import Objective
from lemmata.studies._keskar_2017_training import STREAMS, Pair, prepared, trained
from lemmata.study import Curve, Measurements

SIZES = ("small", "large")
ALONG = (-1.0, 2.0)  # the line through both solutions: small batches at 0, large ones at 1
STEP = 0.25  # how far to both sides of a solution the line's curvature is taken
EPS = nn.BatchNorm1d(1).eps
Values = dict[str, float]

CLAIMED = ("box", "half_box", "subspace")  # what claims are about; the others are drawn beside them
SHARPNESS: dict[str, Callable[[Objective, Pair], float]] = {
    "box": lambda o, c: curvature.epsilon_sharpness(o, epsilon=1e-3).value,
    "half_box": lambda o, c: curvature.epsilon_sharpness(o, epsilon=5e-4).value,
    "subspace": lambda o, c: (
        curvature.epsilon_sharpness(
            o, epsilon=1e-3, subspace=min(c.subspace, o.size), seed=STREAMS.seed(c.seed, "subspace")
        ).value
    ),
    "ball": lambda o, c: curvature.sam_sharpness(o, rho=0.05, steps=8).value,
    "average": lambda o, c: curvature.average_sharpness(o, sigma=0.01, pairs=16, seed=c.seed).value,
    "eigenvalue": lambda o, c: float(curvature.top_eigenvalues(o, tolerance=3e-2, seed=c.seed).value[0]),
    "filters": lambda o, c: curvature.filter_normalised_sharpness(o, radius=0.1, pairs=16, seed=c.seed).value,
    "adaptive": lambda o, c: curvature.adaptive_sharpness(o, rho=0.5, steps=8).value,
}


def train_and_measure(configs: Sequence[Pair]) -> list[Measurements]:
    """Train the pairs of all seeds at once, small batches and then large ones, and measure every pair."""
    setting = configs[0]
    seeds = sorted({config.seed for config in configs})
    whole = prepared(setting)
    parts = [whole.split(setting.n, setting.n_test, seed=STREAMS.seed(seed, "split")) for seed in seeds]
    results = {size: trained(setting, size, seeds, parts) for size in SIZES}
    pairs = {}
    for i, seed in enumerate(seeds):
        device = results["small"].states["output.weight"].device
        pairs[seed] = _Pair(results, i, parts[i].x.to(device), parts[i].y.to(device))
    return [pairs[config.seed].measured(config) for config in configs]


class _Pair:
    """The two solutions of one seed."""

    def __init__(self, results: Mapping[str, training.Result], i: int, x: Tensor, y: Tensor):
        self.results, self.i, self.x, self.y = results, i, x, y
        self.large: Values = {}  # the sharpness of the one solution that does not depend on `shrink`

    def measured(self, config: Pair) -> Measurements:
        """Everything about the pair, the solution of small batches shrunk as the configuration says."""
        if any(bool(result.diverged[self.i]) for result in self.results.values()):
            return Measurements.of(status="diverged")
        small, large = (Objective(self.results[size].model(self.i), data=(self.x, self.y)) for size in SIZES)
        moved = small.at(shrunk(config, small.model.state_dict()))
        self.large = self.large or _sharpness(large, config)
        values = {"change": _change(small, moved, self.x)} | self._errors()
        values |= {"length_small": _length(moved), "length_large": _length(large)}
        for name, sharpness in _sharpness(moved, config).items():
            values |= _compared(name, sharpness, self.large[name])
        line = landscape.between(
            moved, [moved.model.state_dict(), large.model.state_dict()], span=ALONG, points=25, batch_norm="reestimate"
        )
        loss = dict(zip(line.x.round(6).tolist(), line.loss.tolist(), strict=True))
        values |= _compared("line", *(loss[at - STEP] + loss[at + STEP] - 2 * loss[at] for at in (0.0, 1.0)))
        curves = {"line": Curve(line.x, line.loss), "line_error": Curve(line.x, line.misclassified)}
        return Measurements.of("ok", **values, **curves, **self._curves())

    def _errors(self) -> Values:
        values: Values = {}
        for name in ("train_error", "test_error", "train_loss"):
            small, large = (float(self.results[size].final[name][self.i]) for size in SIZES)
            values |= {f"{name}_small": small, f"{name}_large": large, f"{name}_gap": large - small}
        return values | {f"epochs_{size}": float(self.results[size].stopped_at[self.i]) for size in SIZES}

    def _curves(self) -> dict[str, Curve]:
        curves = {}
        for size, result in self.results.items():
            epochs, values = (part.numpy() for part in result.curves["test_error"])
            curves[f"test_error_curve_{size}"] = Curve(epochs, values[self.i])
        return curves


def shrunk(config: Pair, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with the weights before each normalisation divided by `shrink`: the same function."""
    for depth in range(1, config.depth + 1) if config.norm else ():
        layer, norm = f"hidden{depth}", f"norm{depth}"
        state = phantoms.rescaled_before_norm(state, layer, norm, 1 / config.shrink, eps=EPS)
    return state


def _sharpness(objective: Objective, config: Pair) -> Values:
    """By every measure; where the batches are not as they are named, by those that claims are about."""
    return {
        name: measure(objective, config)
        for name, measure in SHARPNESS.items()
        if name in CLAIMED or config.sizes == "as named"
    }


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
