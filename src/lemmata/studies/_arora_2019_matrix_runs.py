"""What is run and measured in `arora_2019_matrix`: completions, and the motion of singular values.

Completion. A seed is a few problems, and its numbers are their medians: one run in dozens of deep factorisations ends
in a bad place, and the mean over few runs would be about that one.

Motion. From balanced weights, W_{l+1}^T W_{l+1} = W_l W_l^T, the paper's theorem says of gradient flow

    d sigma / dt = -N (sigma^2)^{1 - 1/N} <grad l(W), u v^T>

for each singular value of the product with its vectors u, v. Balance is what flow keeps and descent loses slowly. Here
d sigma / dt = u^T (dW/dt) v is computed from the layers as they are, with dW/dt = -sum_l A_l A_l^T grad l(W) B_l^T B_l,
A_l the layers above l and B_l those below, and the exponent is the slope of log |d sigma / dt| - log |<grad l, u v^T>|
on log sigma over all recorded times and singular values. Weights that begin out of balance are its control.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._arora_2019_matrix_completion import (
    Problem,
    effective_rank,
    factorised,
    least_nuclear_norm,
    small_layers,
)
from lemmata.studies._deep_linear import layer_gradients, orthonormal, prefixes
from lemmata.study import Config, Curve, Measurements

RATES = {1: 0.3, 2: 0.1, 3: 0.06, 4: 0.03}  # step sizes by depth; deeper, the curvature is larger
OTHERWISE = 0.02


class Completion(Config):
    """A few problems of one kind and how they are completed."""

    n: int = Field(default=30, ge=2, description="rows and columns")
    rank: int = Field(default=2, ge=1, description="rank of the matrix")
    share: float = Field(default=0.35, gt=0, lt=1, description="share of entries observed")
    depth: int = Field(default=3, ge=0, description="factors; 0 is the least nuclear norm, by a convex method")
    alpha: float = Field(default=1e-3, gt=0, description="size of the product's entries at the start, times sqrt(n)")
    draws: int = Field(default=3, ge=1, description="problems of a seed, of which medians are taken")
    tolerance: float = Field(default=1e-5, gt=0, description="mean square on observed entries at which descent ends")
    steps: int = Field(default=4000, ge=1, description="steps at most")

    @property
    def solver(self) -> str:
        """How the matrix is completed, in words."""
        return "nuclear norm" if self.depth == 0 else f"depth {self.depth}"


def complete(configs: Sequence[Completion]) -> list[Measurements]:
    """All seeds of a kind of factorisation in one batch; the least nuclear norm of a seed's problems once for all."""
    problems = {config.seed: _problems(config) for config in configs}
    problem = _joined(list(problems.values()))
    least, gap = least_nuclear_norm(problem)
    draws, seeds = configs[0].draws, list(problems)
    convex = {
        seed: (least[i * draws : (i + 1) * draws], gap[i * draws : (i + 1) * draws]) for i, seed in enumerate(seeds)
    }
    completed: dict[int, tuple[Tensor, Tensor]] = {}
    for kind in {(config.depth, config.alpha) for config in configs if config.depth > 0}:
        rows = [i for i, config in enumerate(configs) if (config.depth, config.alpha) == kind]
        layers = [torch.cat(parts) for parts in zip(*(_layers(configs[i]) for i in rows), strict=True)]
        W, taken = factorised(
            _joined([problems[configs[i].seed] for i in rows]), layers,
            rate=RATES.get(kind[0], OTHERWISE), steps=configs[0].steps, tolerance=configs[0].tolerance,
        )  # fmt: skip
        for at, i in enumerate(rows):
            completed[i] = W[at * draws : (at + 1) * draws], taken[at * draws : (at + 1) * draws]
    return [
        _completed(
            problems[config.seed], *completed.get(i, (convex[config.seed][0], torch.zeros(draws))), *convex[config.seed]
        )
        for i, config in enumerate(configs)
    ]


def _completed(problem: Problem, W: Tensor, taken: Tensor, least: Tensor, gap: Tensor) -> Measurements:
    """Medians over the problems of a seed."""
    W = torch.where(W.isfinite().all((1, 2))[:, None, None], W, 0.0) + 1e-12
    error, erank = problem.test_error(W), effective_rank(W)
    excess = nuclear(W) / nuclear(least) - 1
    return Measurements.of(
        error=error.median(), log_error=error.median().log10(), erank=erank.median(), excess=excess.median(),
        true_erank=effective_rank(problem.matrix).median(), taken=taken.median(), worst_gap=gap.max(), errors=error,
    )  # fmt: skip


def nuclear(W: Tensor) -> Tensor:
    """Nuclear norms (B,) of W (B, n, n)."""
    return torch.linalg.matrix_norm(W, "nuc")


def _joined(problems: Sequence[Problem]) -> Problem:
    return Problem(*(torch.cat(parts) for parts in zip(*problems, strict=True)))


def _problems(config: Completion) -> Problem:
    """The problems of a seed, whatever completes them."""
    random = torch.Generator().manual_seed(config.seed)
    return _joined([Problem.drawn(config.n, config.rank, config.share, random) for _ in range(config.draws)])


def _layers(config: Completion) -> list[Tensor]:
    """Initial layers for each problem of a seed, (draws, n, n) each."""
    random = torch.Generator().manual_seed(10_000 + config.seed)
    layers = [small_layers(config.n, config.depth, config.alpha, random) for _ in range(config.draws)]
    return [torch.cat(parts) for parts in zip(*layers, strict=True)]


# ---- singular values in motion ---------------------------------------------------------------------------------------


class Motion(Config):
    """One completion from balanced weights, whose singular values are followed."""

    n: int = Field(default=12, ge=2, description="rows and columns")
    rank: int = Field(default=3, ge=1, description="rank of the matrix")
    share: float = Field(default=0.7, gt=0, lt=1, description="share of entries observed")
    depth: int = Field(default=3, ge=1, description="factors, N")
    balance: Literal["balanced", "one large layer"] = Field(default="balanced", description="the initial weights")
    rate: float = Field(default=0.001, gt=0, description="step size")
    horizon: float = Field(default=6.0, gt=0, description="steps times step size")

    @property
    def steps(self) -> int:
        """Steps of descent."""
        return round(self.horizon / self.rate)


def move(configs: Sequence[Motion]) -> list[Measurements]:
    """Follow all members together: singular values, their speed, and what the theorem has for it."""
    first = configs[0]
    drawn = [_balanced(config) for config in configs]
    problem = Problem(*(torch.cat(parts) for parts in zip(*(p for p, _ in drawn), strict=True)))
    layers = [torch.cat(parts) for parts in zip(*(layers for _, layers in drawn), strict=True)]
    marks = set(np.unique(np.linspace(0, first.steps, 61).astype(int)).tolist())
    times, seen = [], []
    for step in range(first.steps + 1):
        parts = prefixes(layers)
        slope = problem.slope(parts[-1])
        if step in marks:
            times.append(step * first.rate)
            seen.append(_speeds(layers, parts, slope))
        layers = [w - first.rate * g for w, g in zip(layers, layer_gradients(layers, parts, slope), strict=True)]
    sigma, speed, force = (torch.stack(part, 1).numpy() for part in zip(*seen, strict=True))  # (member, time, n)
    return [_motion(config, np.array(times), sigma[i], speed[i], force[i]) for i, config in enumerate(configs)]


def _speeds(layers: Sequence[Tensor], parts: Sequence[Tensor], slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular values of the product, their speeds and the forces -<grad, u v^T>, (B, n) each."""
    U, sigma, V = torch.linalg.svd(parts[-1])
    gradients = layer_gradients(layers, parts, slope)
    change, above = torch.zeros_like(slope), torch.eye(slope.shape[-1], dtype=slope.dtype)
    for i in range(len(layers) - 1, -1, -1):
        moved = gradients[i] if i == 0 else gradients[i] @ parts[i - 1]
        change, above = change - above @ moved, above @ layers[i]
    along = lambda G: (U.mT @ G @ V.mT).diagonal(dim1=1, dim2=2)  # noqa: E731
    return sigma, along(change), -along(slope)


def _motion(config: Motion, t: np.ndarray, sigma: np.ndarray, speed: np.ndarray, force: np.ndarray) -> Measurements:
    """Exponent and factor N of a fit, and the largest deviation from the theorem over the largest speed."""
    N = config.depth
    kept = (sigma > 1e-4) & (np.abs(force) > 1e-6 * np.abs(force).max())
    x, y = np.log(sigma[kept]), np.log(np.abs(speed[kept] / force[kept]))
    slope, intercept = np.polyfit(x, y, 1)
    predicted = N * sigma ** (2 - 2 / N) * force
    off = np.abs(speed - predicted).max() / np.abs(speed).max()
    curves: dict[str, Any] = {f"sigma_{i + 1}": Curve(t, sigma[:, i]) for i in range(config.rank + 1)}
    curves |= {f"share_{i + 1}": Curve(t, np.abs(speed[:, i] / force[:, i])) for i in range(config.rank)}
    return Measurements.of(**curves, exponent=slope, factor=np.exp(intercept), deviation=off)


def _balanced(config: Motion) -> tuple[Problem, list[Tensor]]:
    """A problem, and layers R_l D R_{l-1}^T with D = diag(sigma_i^(1/N)), sigma from 0.3 down to 0.003."""
    random = torch.Generator().manual_seed(config.seed)
    problem = Problem.drawn(config.n, config.rank, config.share, random)
    sigma = torch.tensor(np.geomspace(0.3, 0.003, config.n))
    frames = [orthonormal(config.n, random) for _ in range(config.depth + 1)]
    layers = [frames[i + 1] * sigma ** (1 / config.depth) @ frames[i].mT for i in range(config.depth)]
    if config.balance != "balanced":
        layers[0] = 5 * layers[0]
    return problem, [layer[None] for layer in layers]
