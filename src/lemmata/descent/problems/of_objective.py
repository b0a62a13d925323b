"""A user's own convex model as a problem: its constants proven or estimated, its minimum found.

    f(x) = objective(x) + (ridge / 2) |x|^2,        x the parameters, flat, in the order of `Objective.vector`

What is proven and what is not is said in `L_kind`, `mu_kind` and `minimum_kind`. L and mu come from
`constants.smoothness` and `strong_convexity` unless they are given; a negative eigenvalue of the Hessian on the way, or
at the minimum, is refused by name. The minimum is found by Newton's method with conjugate gradients. With mu > 0 proven
(a ridge on a model that is linear in its parameters), f* has a proven bracket. Else the smallest eigenvalue at the
minimum stands in for mu, along the directions that are not flat, and the bracket is an estimate.

Cost: that of the constants, and some hundred to thousand Hessian products for the minimum. Fails (`NotConverged`)
where there is no minimiser, as for separable data without a ridge.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lemmata.curvature import hessian, top_eigenvalues
from lemmata.descent.constants import Constant, require_convex, smoothness, strong_convexity
from lemmata.descent.numbers import is_positive
from lemmata.descent.problems.minimum import Direction, newton
from lemmata.descent.problems.problem import Bracket, Function, Kind, Problem, start_of
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.linalg.cg import cg
from lemmata.linalg.operator import LinearOperator
from lemmata.objective import Objective, Subject


def problem(
    subject: Subject,
    *,
    ridge: float = 0.0,
    L: float | None = None,
    mu: float | None = None,
    x0: Tensor | None = None,
    tolerance: float = 1e-8,
    seed: int | torch.Generator = 0,
) -> Problem:
    """Make a problem of an objective, or of (model, loss, data), from the model's own parameters or from `x0`.

    `x0` is (d,) or (S, d). `L` and `mu` are taken as proven where they are given. `tolerance` is for the gradient's
    norm at the minimum, relative to L D; float64 models reach 1e-8, float32 ones about 1e-4. Random are the starts of
    eigenvalue iterations. Raises `InvalidInput` where the objective is not convex, with the eigenvalue that says so,
    or L cannot be estimated, and `NotConverged` where no minimum is found.

    >>> from torch import nn
    >>> x, y = torch.eye(3).double(), torch.tensor([0, 1, 0])
    >>> own = problem((nn.Linear(3, 2, dtype=torch.float64), "cross_entropy", (x, y)), ridge=0.1)
    >>> own.d, own.L_kind, own.mu, own.minimum.width < 1e-12
    (8, 'bound', 0.1, True)
    """
    objective = Objective.of(subject)
    if L is not None and not is_positive(L):
        raise InvalidInput(f"L = {L!r}; a Lipschitz constant is positive and finite: leave L out to have it found")
    if mu is not None and mu != 0 and not is_positive(mu):
        raise InvalidInput(f"mu = {mu!r}; a modulus of strong convexity is 0 or more, and finite: leave mu out")
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    smooth = _given(L) or smoothness(objective, ridge=ridge, seed=draw)
    start = objective.vector(objective.parameters)

    def value(x: Tensor) -> Tensor:
        return _at_points(lambda x: objective.value(objective.tree(x)), x, ()) + ridge / 2 * x.square().sum(-1)

    def gradient(x: Tensor) -> Tensor:
        found = _at_points(lambda x: objective.vector(objective.gradient(objective.tree(x))), x, x.shape[-1:])
        return found + ridge * x

    strong = _given(mu) or strong_convexity(objective, ridge=ridge, seed=draw)
    direction = _newton_direction(objective, float(smooth.value), ridge)
    scale = float(smooth.value) * max(float(start.norm()), 1.0)
    found = newton(value, gradient, direction, start, tolerance=tolerance * scale)
    modulus, kind = _modulus(objective, found.x, smooth, strong, ridge=ridge, seed=draw)
    return Problem(
        name=f"{type(objective.model).__name__}, {objective.n} examples", value=value, gradient=gradient,
        x0=start_of(x0, start, what="the problem"), L=float(smooth.value), mu=float(strong.value),
        minimum=found.bracket(modulus) if found.gradient_norm else Bracket(found.value, found.value),
        nearest=found.x.expand_as, radius=found.radius(modulus), L_kind=smooth.kind,
        mu_kind=strong.kind, minimum_kind=kind, per_point=4 * objective.size,
    )  # fmt: skip


def _given(constant: float | None) -> Constant | None:
    return None if constant is None else Constant(constant, kind="bound", how="given")


def _at_points(function: Function, x: Tensor, rest: tuple[int, ...]) -> Tensor:
    """A function of one row of points, at points of any leading shape."""
    return function(x) if x.ndim <= 2 else function(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], *rest)


def _newton_direction(objective: Objective, L: float, ridge: float) -> Direction:
    """Solve each Newton system by conjugate gradients, the Hessian linearised once."""

    def direction(x: Tensor, g: Tensor) -> Tensor:
        own = hessian(objective.at(objective.tree(x)))
        shift = max(ridge, (1e-10 if x.dtype == torch.float64 else 1e-5) * L)  # flat directions, as softmax biases have
        H = LinearOperator(
            lambda V: own @ V + shift * V, (len(g), len(g)), symmetric=True, dtype=g.dtype, device=g.device
        )
        try:
            return -cg(H, g, tolerance=min(0.1, max(float(g.norm()) ** 0.5, 1e-3)), max_iterations=2000).x
        except NotConverged as unfinished:
            return -unfinished.best.x

    return direction


def _modulus(
    objective: Objective, x: Tensor, smooth: Constant, strong: Constant, *, ridge: float, seed: torch.Generator
) -> tuple[float, Kind]:
    """A modulus of strong convexity around the minimum x: the proven one, or the smallest curvature there."""
    if strong.kind != "estimate" and strong.value > 0:
        return float(strong.value), "bound"
    L = float(smooth.value)
    least = float(top_eigenvalues(objective.at(objective.tree(x)), which="smallest", seed=seed).value[0]) + ridge
    require_convex(np.array([least]), np.array([L]), tolerance=1e-3)  # that of the eigenvalue
    return max(least, 1e-6 * L), "estimate"
