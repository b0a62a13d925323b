"""Tikhonov regularisation: the minimiser of |A x - b|^2 + lam |L x|^2, for any operator L.

    (A'A + lam L'L) x = A' b                    (lam multiplies the square; some authors write lam^2)

Dense problems go through the standard form of (A, L) (`StandardForm`), which also tells when x is not determined, and
gives the degrees of freedom; operators through CGLS (`cgls`), that is conjugate gradients on the stacked system
[A; sqrt(lam) L] x = [b; 0]. The answer carries a certificate computed afresh, the relative gradient

    |A'(b - A x) - lam L'L x| / |A' b|,     and for L = I   |x - x*| <= |gradient| / lam.

Cost: one decomposition, O(m n min(m, n)); or two products with A and L a step, with the condition number c of
A'A + lam L'L about sqrt(c)/2 log(2/tolerance) steps. Fails where the null spaces of A and L intersect: refused for
dense problems, and for operators if a direction in the intersection is met.

References: Tikhonov (1963); Phillips (1962); Elden (1977).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.cgls import operator, steps
from lemmata.regression.regularisation.filters import Ridge
from lemmata.regression.regularisation.linear_system import dense_system, positive, right_hand_side
from lemmata.regression.regularisation.standard_form import StandardForm

Method = Literal["auto", "standard form", "cgls"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Tikhonov:
    """The minimiser `x` (n,) or (n, k) with its certificate.

    `normal_residual` is |A'(b - A x) - lam L'L x| / |A' b|, the largest over right-hand sides, computed afresh;
    `history` has it after each step (empty for a direct solution). `cost` is in products with A or A', into which the
    flops of a decomposition are converted. `freedom` is the effective degrees of freedom (NaN where only products are
    known). Norms are Frobenius norms over right-hand sides.
    """

    x: Tensor
    lam: float
    residual_norm: float
    solution_norm: float
    normal_residual: float
    method: str
    cost: float
    history: Tensor
    freedom: float = float("nan")

    @property
    def objective(self) -> float:
        """|A x - b|^2 + lam |L x|^2."""
        return self.residual_norm**2 + self.lam * self.solution_norm**2

    def plot(self) -> Figure:
        """Draw the solution, and the gradient after each step of an iteration."""
        columns = self.x.reshape(len(self.x), -1).T.double().cpu().numpy()[:6]
        place = range(len(self.x))
        series = [
            Series(label=f"x, column {i}" if len(columns) > 1 else "x", x=list(place), y=y)
            for i, y in enumerate(columns)
        ]
        panels = [Panel(x=Axis(label="entry"), y=Axis(label="solution"), series=series)]
        if len(self.history):
            gradient = self.history.double().cpu().numpy()
            curve = Series(label="gradient", x=range(1, len(gradient) + 1), y=gradient)
            panels.append(Panel(x=Axis(label="step"), y=Axis(label="relative gradient", log=True), series=[curve]))
        caption = f"λ = {self.lam:.3g}: |Ax - b| = {self.residual_norm:.3g}, |Lx| = {self.solution_norm:.3g}."
        return Figure(name="tikhonov", title="Tikhonov solution", caption=caption, panels=panels)


def tikhonov(
    A: Tensor | LinearOperator,
    b: Tensor,
    lam: float,
    *,
    L: Tensor | LinearOperator | None = None,
    method: Method = "auto",
    tolerance: float = 1e-8,
    iterations: int | None = None,
) -> Tikhonov:
    """Minimise |A x - b|^2 + lam |L x|^2; A (m, n), b (m,) or (m, k), L (p, n) or the identity.

    "auto" takes the standard form where A and L are tensors, and else CGLS, which stops at the relative gradient
    `tolerance` or after `iterations` steps (by default 10 n). Nothing is random.

    Raises `InvalidInput` for shapes and types that do not fit, NaN, empty data, a lam that is not positive and
    intersecting null spaces; `UnknownName`; `NotConverged` with the best x.

    >>> found = tikhonov(torch.eye(2), torch.tensor([2.0, 4.0]), 1.0)
    >>> found.x, round(found.objective, 4), round(found.freedom, 4)
    (tensor([1., 2.]), 10.0, 1.0)
    """
    lam = positive(lam, "lam")
    if method not in get_args(Method):
        raise UnknownName("method", method, get_args(Method))
    dense = isinstance(A, Tensor) and (L is None or isinstance(L, Tensor))
    if method == "auto":
        method = "standard form" if dense else "cgls"
    if isinstance(A, Tensor):
        A = dense_system(A, b)[0]
    if method == "standard form":
        if not isinstance(A, Tensor):
            raise InvalidInput("the standard form wants a dense A; take method='cgls', or A.dense() where it is small")
        return _direct(A, b, lam, L)
    positive(tolerance, "tolerance")
    return _iterated(operator(A), b, lam, None if L is None else operator(L, "L"),
                     tolerance=tolerance, iterations=iterations)  # fmt: skip


def _direct(A: Tensor, b: Tensor, lam: float, L: Tensor | LinearOperator | None) -> Tikhonov:
    A, columns = dense_system(A, b)
    form = StandardForm.of(A, L)
    kept, _, inverse = (part[0] for part in Ridge()(form.s, torch.tensor([lam], dtype=torch.float64, device=b.device)))
    x = form.solution(columns, inverse)
    freedom, (m, n), q = form.null + float(kept.sum()), form.shape, len(form.s)
    return _certified(
        operator(A), columns, lam, None if L is None else operator(L, "L"), x, like=b, method="standard form",
        cost=(6 * m * q**2 + 20 * q**3) / (2 * m * n), history=b.new_zeros(0), freedom=freedom,
    )  # fmt: skip


def _iterated(
    A: LinearOperator, b: Tensor, lam: float, L: LinearOperator | None, *, tolerance: float, iterations: int | None
) -> Tikhonov:
    columns = right_hand_side(A, b)
    if L is not None and L.shape[1] != A.shape[1]:
        raise InvalidInput(f"L of shape {L.shape} does not fit A {A.shape}; give (p, {A.shape[1]})")
    limit = 10 * A.shape[1] if iterations is None else iterations
    if limit < 1:
        raise InvalidInput(f"iterations = {iterations}; at least one step is wanted")
    scale = (A.T @ columns).norm(dim=0)
    x, history = columns.new_zeros(A.shape[1], columns.shape[1]), list[float]()
    for step in steps(A, columns, lam=lam, L=L) if scale.any() else ():
        x = step.x
        history.append(_worst(step.gradient2.sqrt(), scale))
        if history[-1] <= 0.5 * tolerance or len(history) >= limit:
            break
    found = _certified(
        A, columns, lam, L, x, like=b, method="cgls", cost=2 * len(history) + 2, history=torch.tensor(history)
    )
    if not found.normal_residual <= tolerance:
        raise NotConverged(
            "CGLS", best=found, residual=found.normal_residual, tolerance=tolerance,
            remedy=f"allow more than {limit} iterations, a larger tolerance, or take float64",
        )  # fmt: skip
    return found


def _certified(
    A: LinearOperator, b: Tensor, lam: float, L: LinearOperator | None, x: Tensor, *, like: Tensor, method: str,
    cost: float, history: Tensor, freedom: float = float("nan"),
) -> Tikhonov:  # fmt: skip
    """The result with its norms and its gradient, which are computed afresh from x."""
    r, Lx = b - A @ x, x if L is None else L @ x
    g = A.T @ r - lam * (Lx if L is None else L.T @ Lx)
    return Tikhonov(
        x=x if like.ndim == 2 else x[:, 0], lam=lam, residual_norm=float(r.norm()), solution_norm=float(Lx.norm()),
        normal_residual=_worst(g.norm(dim=0), (A.T @ b).norm(dim=0)), method=method, cost=cost + 3,
        history=history, freedom=freedom,
    )  # fmt: skip


def _worst(norms: Tensor, scales: Tensor) -> float:
    """The largest of some norms in units of their scales; a column of scale 0 is solved by x = 0."""
    return float(torch.where(scales > 0, norms / scales.where(scales > 0, torch.ones_like(scales)), 0).max())
