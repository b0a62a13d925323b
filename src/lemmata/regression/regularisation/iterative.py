"""Iterations stopped early as regularisation: CGLS and Landweber from x = 0, with their filter factors.

The first iterates hold the components of large singular value, which the data determine; later ones add the others,
and with them the noise. The error |x_k - x_true| falls, then rises, while the residual only falls: semiconvergence.
The number of steps is the regularisation parameter.

    Landweber   x <- x + step A'(b - A x):   f(s) = 1 - (1 - step s^2)^k, the same for every b
    CGLS        f(s) = 1 - R_k(s^2), R_k(0) = 1 the polynomial of degree k of least residual for this b

R_k follows from the lengths alpha and weights beta of the steps: R_{k+1} = R_k - alpha_k t P_k, P_{k+1} = R_{k+1} +
beta_k P_k, R_0 = P_0 = 1. CGLS needs about the square root of Landweber's number of steps. It is not linear in b, so
that GCV's degrees of freedom do not apply to it; the discrepancy principle does, and is of optimal order (Nemirovskii,
1986; Hanke, 1995).

The recursion is exact as long as the iteration keeps its orthogonality, and to some 1e-4 beyond. With
`reorthogonalise` the iterates are those of exact arithmetic, but the recursion, which no rounding corrects then, is of
no use, and filter factors are refused: take s v'x / u'b.

Cost: two products with A a step for all right-hand sides together, and the memory of the iterates. Fails as a
regularisation where the large singular values are not those of the signal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.cgls import Step, operator, steps
from lemmata.regression.regularisation.filters import Landweber
from lemmata.regression.regularisation.linear_system import (
    dense_system,
    positive,
    require_tensor,
    right_hand_side,
    whole,
)

Method = Literal["cgls", "landweber"]
BYTES = 2**29


@dataclass(frozen=True, eq=False, kw_only=True)
class Iterates:
    """All iterates of `k` right-hand sides: `x` (T + 1, n, k), from zero on; norms (T + 1, k).

    `alpha` and `beta` (T, k) are CGLS's (empty for Landweber, whose `step` is given). One right-hand side (m,) has
    k = 1 here. `cost` counts products with A and A'.
    """

    method: str
    x: Tensor
    residual_norms: Tensor
    solution_norms: Tensor
    alpha: Tensor
    beta: Tensor
    step: float
    cost: float
    reorthogonalised: bool = False

    def stop(self, noise: float | Tensor, *, factor: float = 1.0) -> Tensor:
        """The first step at which each residual is at most factor times the norm of its noise, (k,).

        Raises `InvalidInput` for a noise that is not positive, not below |b|, or not reached within the iterations.
        """
        level = torch.as_tensor(noise, dtype=torch.float64) * positive(factor, "factor")
        if not (level.isfinite() & (level > 0)).all():
            raise InvalidInput(f"noise = {noise}; the norm of the noise must be positive and finite")
        norms = self.residual_norms.double().cpu()
        if (level >= norms[0]).any():
            raise InvalidInput(
                f"noise of norm {float(level.max()):.3g} is no less than |b| = {float(norms[0].min()):.3g}: no step is "
                "taken, and x = 0; check the noise level (sigma sqrt(m), not sigma)"
            )
        below = norms <= level
        if not below.any(0).all():
            raise InvalidInput(
                f"{len(norms) - 1} steps leave a residual of {float(norms[-1].max()):.4g}, above the noise "
                f"{float(level.min()):.4g}; take more steps, or the noise level is below what A can fit"
            )
        return below.double().argmax(0)

    def at(self, stops: int | Tensor) -> Tensor:
        """The iterates (n, k) after these numbers of steps, one for each right-hand side."""
        k, taken = torch.as_tensor(stops, device=self.x.device), len(self.x) - 1
        if k.is_floating_point() or k.numel() == 0 or int(k.min()) < 0 or int(k.max()) > taken:
            raise InvalidInput(f"stops = {stops}; give whole numbers of steps, from 0 to the {taken} taken")
        if k.ndim > 1 or k.numel() not in (1, self.x.shape[2]):
            raise InvalidInput(
                f"stops of shape {tuple(k.shape)}; give one, or one for each of {self.x.shape[2]} columns"
            )
        k = k.expand(self.x.shape[2])
        return self.x[k, :, torch.arange(len(k), device=self.x.device)].T

    def errors(self, truth: Tensor) -> Tensor:
        """|x_k - truth| after each step, (T + 1, k), for the truth (n,) or (n, k)."""
        require_tensor(truth, "truth")
        n, k = self.x.shape[1:]
        if tuple(truth.shape) not in ((n,), (n, 1), (n, k)):
            raise InvalidInput(f"truth has shape {tuple(truth.shape)}; it must be ({n},) or ({n}, {k})")
        return (self.x - (truth if truth.ndim == 2 else truth[:, None])).norm(dim=1)

    def filter_factors(self, s: Tensor) -> Tensor:
        """The factors f after each step at the singular values s (q,): (T + 1, q, k), float64."""
        if self.reorthogonalised:
            raise InvalidInput("filter factors by recursion hold without reorthogonalisation only; take s v'x / u'b")
        t = s.double().square()[:, None]
        if self.method == "landweber":
            kept = Landweber(self.step)(s, torch.arange(len(self.x), device=s.device)).kept
            return kept[:, :, None].expand(-1, -1, self.x.shape[2])
        R = P = torch.ones(len(s), self.x.shape[2], dtype=torch.float64, device=s.device)
        kept = [1 - R]
        for alpha, beta in zip(self.alpha.double(), self.beta.double(), strict=True):
            R = R - alpha * t * P
            P = R + beta * P
            kept.append(1 - R)
        return torch.stack(kept)

    def plot(self, truth: Tensor | None = None) -> Figure:
        """Draw the residual and the norm of the iterates, and their error where the truth is known."""
        place = torch.arange(len(self.x)).numpy()
        parts = {"residual |b - Ax|": self.residual_norms, "norm |x|": self.solution_norms}
        if truth is not None:
            parts = {"error |x - x_true|": self.errors(truth), **parts}
        series = [_series(name, place, part) for name, part in parts.items()]
        panel = Panel(x=Axis(label=f"steps of {self.method}"), y=Axis(label="norm", log=True), series=series)
        caption = "Norms after each step, from x = 0; thin lines are right-hand sides, the thick line their mean."
        return Figure(name="iterates", title="Early stopping", caption=caption, panels=[panel])


def iterative(
    A: Tensor | LinearOperator,
    b: Tensor,
    *,
    method: Method = "cgls",
    iterations: int = 100,
    step: float | None = None,
    reorthogonalise: bool = False,
) -> Iterates:
    """The iterates of CGLS or Landweber on |A x - b| from x = 0, for b (m,) or (m, k), each column for itself.

    `step` is Landweber's, by default 1 / |A|^2, estimated by 30 power iterations. `reorthogonalise` keeps CGLS as it is
    in exact arithmetic, for as much memory again as the iterates take. Nothing is random.

    Raises `InvalidInput` for what cannot be used: shapes, NaN, a step that is too long, iterates of more than 512 MiB.

    >>> found = iterative(torch.diag(torch.tensor([2.0, 1.0])), torch.tensor([2.0, 3.0]), iterations=2)
    >>> found.x[-1].T, found.residual_norms[:, 0] > 1e-6
    (tensor([[1., 3.]]), tensor([ True,  True, False]))
    """
    if method not in get_args(Method):
        raise UnknownName("method", method, get_args(Method))
    iterations = whole(iterations, "iterations", 1)
    op = operator(dense_system(A, b)[0] if isinstance(A, Tensor) else A)
    columns = right_hand_side(op, b)
    needed = (iterations + 1) * op.shape[1] * columns.shape[1] * columns.element_size()
    if needed > BYTES:
        raise InvalidInput(
            f"{iterations} iterates take {needed / 2**20:.0f} MiB, more than {BYTES / 2**20:.0f}; take fewer steps or "
            "fewer right-hand sides at once"
        )
    x, r = [columns.new_zeros(op.shape[1], columns.shape[1])], [columns.norm(dim=0)]
    alpha, beta = [], []
    length = 0.0 if method == "cgls" else _step_length(op, step)
    taken = steps(op, columns, reorthogonalise=reorthogonalise) if method == "cgls" else _landweber(op, columns, length)
    for _, found in zip(range(iterations), taken, strict=False):
        x.append(found[0])
        r.append(found[1].norm(dim=0))
        if isinstance(found, Step):
            alpha.append(found.alpha)
            beta.append(found.beta)
    iterates = torch.stack(x)
    empty = columns.new_zeros(0, columns.shape[1])
    return Iterates(
        method=method, x=iterates, residual_norms=torch.stack(r), solution_norms=iterates.norm(dim=1),
        alpha=torch.stack(alpha) if alpha else empty, beta=torch.stack(beta) if beta else empty, step=length,
        cost=2.0 * iterations + 1, reorthogonalised=reorthogonalise and method == "cgls",
    )  # fmt: skip


def _landweber(A: LinearOperator, b: Tensor, step: float) -> Iterator[tuple[Tensor, Tensor]]:
    x, r = b.new_zeros(A.shape[1], b.shape[1]), b
    while True:
        x = x + step * (A.T @ r)
        before, r = r, b - A @ x
        if (r.norm(dim=0) > 1.01 * before.norm(dim=0)).any():
            raise InvalidInput(f"Landweber with step {step:.3g} diverges: it must be below 2 / |A|^2; shorten it")
        yield x, r


def _step_length(A: LinearOperator, step: float | None) -> float:
    if step is not None:
        return positive(step, "step")
    v = torch.ones(A.shape[1], dtype=A.dtype, device=A.device)
    v = v + torch.linspace(
        0, 1, len(v), dtype=A.dtype, device=A.device
    )  # not orthogonal to a first singular vector by symmetry
    square = 0.0
    for _ in range(30):
        v = A.T @ (A @ (v / v.norm()))
        square = float(v.norm())
        if not square > 0:
            raise InvalidInput("A is zero on the vectors tried; give Landweber's step")
    return 1 / square


def _series(name: str, place, part: Tensor) -> Series:
    every = part.double().cpu().numpy().T
    return Series(label=name, x=place, y=every.mean(0), seeds=every if len(every) > 1 else None)
