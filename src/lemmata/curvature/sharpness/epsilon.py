"""Epsilon-sharpness: the largest rise of the loss in a small box around the parameters (metric 2.1 of Keskar et al.).

    phi(x) = 100 (max { f(x + A z) : |z_i| <= epsilon (|(A^+ x)_i| + 1) } - f(x)) / (1 + f(x))

A is the identity (the whole space) or random with p columns (a subspace). Keskar, Mudigere, Nocedal, Smelyanskiy, Tang
(2017), On large-batch training for deep learning: generalization gap and sharp minima, arXiv:1609.04836. They maximise
by ten iterations of L-BFGS-B and take epsilon = 1e-3 and 5e-4, p = 100.

The maximum is bounded below by what an ascent finds. L-BFGS-B begins at x with a step as long as the slope is there,
which at a well-trained network is short; ``method="signs"`` climbs from corner to corner of the box instead
(`lemmata.curvature.sharpness.climb`), whatever the size of the slope. Over trained perceptrons both end within 3 % of
one another, the second a little higher and after fewer gradients; where f is convex every corner without a higher
neighbour is a local maximum, of which either finds one: more `starts` find higher ones.

Not invariant: the box of a weight is epsilon wide however small the weight is, so that Dinh et al.'s (2017) rescaling
of a ReLU network leaves the function and raises phi; and phi changes with the loss's own scale, by 1 + f.
Cost: one gradient an evaluation, of which L-BFGS-B takes one to two an iteration; memory size * p numbers for A.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from torch import Tensor

from lemmata.curvature.sharpness.climb import Chart, Climb, climb
from lemmata.curvature.sharpness.points import losses_and_slopes
from lemmata.curvature.sharpness.result import WorstCase
from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective, Subject

Method = Literal["l-bfgs-b", "signs"]


def epsilon_sharpness(
    subject: Subject,
    *,
    epsilon: float = 1e-3,
    subspace: int | Tensor | None = None,
    method: Method = "l-bfgs-b",
    iterations: int = 10,
    starts: int = 1,
    seed: int | torch.Generator = 0,
) -> WorstCase:
    """Keskar et al.'s phi, in per cent of 1 + loss: a lower bound of the maximum it is defined by.

    `subspace` is p, for A with p columns of independent standard normal entries (the paper says random), or A itself
    (size, p). The first of `starts` ascents begins at the parameters, or at a random point where the slope is exactly
    zero; the others at points uniform in the box. ``method="signs"`` takes `iterations` steps from vertex to vertex.
    `history`, `gap` and the value are in per cent. Nothing is random with one start in the whole space.

    Raises `InvalidInput` for an epsilon or count that makes no sense, p above the number of parameters, an A of the
    wrong shape or of dependent columns, and a loss of -1 or less.

    >>> from lemmata import curvature, phantoms
    >>> bowl = phantoms.quadratic([3.0, 2.0, -1.0], rotated=False)  # at its minimum over the first two axes
    >>> found = curvature.epsilon_sharpness(bowl.objective, epsilon=0.1)
    >>> round(found.value, 6)  # 100 * epsilon^2 (3 + 2) / 2
    2.5
    """
    objective = Objective.of(subject)
    _check(epsilon, method, iterations, starts)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    basis = None if subspace is None else _basis(objective, subspace, draw)
    chart = Chart(epsilon * (_coordinates(objective, basis).abs() + 1), basis)
    if method == "signs":
        found = climb(objective, chart, rho=1.0, norm="inf", steps=iterations, starts=starts, seed=draw)
    else:
        found = _quasi_newton(objective, chart, iterations, starts, draw)
    if not found.loss > -1:
        raise InvalidInput(f"the loss is {found.loss:.3g}; epsilon-sharpness divides by 1 + loss; add a constant to it")
    per_cent = 100 / (1 + found.loss)
    value, gap = per_cent * max(found.rise, 0.0), per_cent * found.gap
    return WorstCase(
        value,
        converged=gap <= 0.05 * value,
        cost=found.cost,
        loss=found.loss,
        history=per_cent * (found.losses - found.loss),
        gap=gap,
        displacement=objective.tree(chart.delta(found.u)),
        quantity="100 (rise of the loss) / (1 + loss)",
    )


def _check(epsilon: float, method: str, iterations: int, starts: int) -> None:
    if not 0 < epsilon < math.inf:
        raise InvalidInput(f"epsilon = {epsilon}; it must be positive and finite")
    if method not in ("l-bfgs-b", "signs"):
        raise UnknownName("method", method, ("l-bfgs-b", "signs"))
    if iterations < 1 or starts < 1:
        raise InvalidInput(f"iterations = {iterations}, starts = {starts}: both must be at least 1")


def _coordinates(objective: Objective, basis: Tensor | None) -> Tensor:
    """A^+ x: the parameters' own coordinates."""
    x = objective.vector(objective.parameters)
    if basis is None:
        return x
    A, x = basis.double(), x.double()
    gram = A.T @ A
    if torch.linalg.cond(gram) > 1e12:
        raise InvalidInput("the columns of `subspace` depend on one another; give independent ones")
    return torch.linalg.solve(gram, A.T @ x).to(basis)


def _basis(objective: Objective, subspace: int | Tensor, draw: torch.Generator) -> Tensor:
    if isinstance(subspace, Tensor):
        if subspace.ndim != 2 or len(subspace) != objective.size or not subspace.isfinite().all():
            raise InvalidInput(f"subspace of shape {tuple(subspace.shape)}; give finite ({objective.size}, p)")
        return subspace.to(device=objective.device, dtype=objective.dtype)
    if not 1 <= subspace <= objective.size:
        raise InvalidInput(f"subspace = {subspace} dimensions of {objective.size}; take between 1 and as many")
    drawn = torch.randn(objective.size, subspace, generator=draw, dtype=torch.float64)
    return drawn.to(device=objective.device, dtype=objective.dtype)


def _quasi_newton(objective: Objective, chart: Chart, iterations: int, starts: int, draw: torch.Generator) -> Climb:
    """L-BFGS-B in the coordinates z = T u, where the box is as Keskar et al. have it."""
    half = chart.scale.double().cpu().numpy()
    centre = _Seen(objective, chart.basis, half)
    slope = centre(np.zeros_like(half))[1]
    climbed, histories = [], []
    for start in range(starts):
        z = np.zeros_like(half)
        if start or not slope.any():
            z = half * (2 * torch.rand(len(half), generator=draw, dtype=torch.float64).numpy() - 1)
        seen, history = _Seen(objective, chart.basis, half), list[float]()
        minimize(  # type: ignore[call-overload]
            seen, z, jac=True, method="L-BFGS-B", bounds=Bounds(-half, half),
            callback=_note(seen, history),  # type: ignore[arg-type]
            options={"maxiter": iterations, "gtol": 0.0, "ftol": 0.0},
        )  # fmt: skip
        climbed.append(seen)
        histories.append([*history, *[seen.highest] * iterations][:iterations])
    best = max(climbed, key=lambda seen: seen.highest)
    return Climb(
        centre.highest,
        torch.tensor(histories, dtype=torch.float64),
        torch.as_tensor(best.z / half).to(chart.scale),
        best.gap,
        cost=1.0 + sum(seen.calls for seen in climbed),
    )


def _note(seen: "_Seen", history: list[float]) -> Callable[[np.ndarray], None]:
    def note(xk: np.ndarray) -> None:
        history.append(seen.highest)

    return note


class _Seen:
    """Minus the loss and its slope as a function of z, which remembers the highest loss that it has seen."""

    def __init__(self, objective: Objective, basis: Tensor | None, half: np.ndarray):
        self.objective, self.half = objective, half
        self.theta = objective.vector(objective.parameters)
        ones = torch.ones_like(self.theta if basis is None else basis[0])
        self.chart = Chart(ones, basis)
        self.highest, self.gap, self.z, self.calls = -math.inf, math.nan, np.zeros_like(half), 0

    def __call__(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        """-L and its slope at z (p,)."""
        point = self.theta + self.chart.delta(torch.as_tensor(z).to(self.theta))
        losses, slopes = losses_and_slopes(self.objective, point[None])
        slope = self.chart.pull(slopes[0]).double().cpu().numpy()
        loss, self.calls = float(losses[0]), self.calls + 1
        if loss > self.highest:
            self.highest, self.z = loss, z.copy()
            self.gap = float(self.half @ np.abs(slope) - slope @ z)
        return -loss, -slope
