"""Total variation: the minimiser of |A x - b|^2 / 2 + lam TV(x) on a line or a grid, with a proof of its accuracy.

    TV(x) = sum_i |(D x)_i|,  |.| the Euclidean norm of the differences along the axes (isotropic); Rudin, Osher and
    Fatemi (1992). Edges survive that a quadratic penalty would blur.

Solved by the alternating direction method of multipliers (Glowinski and Marroco, 1975): with z for D x and p = rho u,

    x = argmin |A x - b|^2 / 2 + rho/2 |D x - z + u|^2,   z = shrink(D x + u, lam / rho),   u <- u + D x - z.

The certificate is the duality gap. For every residual r and every p with D'p = A'r and |p_i| <= lam

    min_x |A x - b|^2 / 2 + lam TV(x)  >=  <b, r> - |r|^2 / 2,

since lam TV(x) >= <p, D x> = <A'r, x>. Without an A, r = D'p is taken; with one, r = b - A x, after the best constant
is added to x, p is moved to D'p = A'r by a Laplace equation, and both are scaled until |p_i| <= lam. `gap` is the value
reached less this bound: no x is better by more. Without an A also |x - x*| <= sqrt(2 gap).

Cost: a step is two Fourier transforms without A; with a dense A two triangular solves (one factorisation, n^3/3, more
when rho changes); with an operator some steps of conjugate gradients. Some hundred steps to a gap of 1e-6. Fails where
A annihilates constants (refused), and in patience where A is badly conditioned and lam small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg.cg import cg
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.cgls import operator
from lemmata.regression.regularisation.differences import adjoint, gradient, solve_laplacian
from lemmata.regression.regularisation.linear_system import positive, require_finite

EVERY = 10  # steps between looks at the gap, and at the balance of the two residuals
RELAX, BALANCE = 1.8, 3.0  # over-relaxation; how far apart the residuals may be


@dataclass(frozen=True, eq=False, kw_only=True)
class TotalVariation:
    """The minimiser `x` of shape (n,) or (h, w), and how near it is known to be: objective - minimum <= `gap`.

    `variation` is TV(x), `residual_norm` |A x - b|, `history` the gap at every tenth step.
    """

    x: Tensor
    lam: float
    objective: float
    gap: float
    variation: float
    residual_norm: float
    iterations: int
    history: Tensor
    data: Tensor

    def plot(self) -> Figure:
        """Draw the solution (and the data, where they are of its shape), and the gap while it was found."""
        if self.x.ndim == 1:
            place = range(len(self.x))
            series = [Series(label="solution", x=place, y=self.x.double().cpu().numpy())]
            if self.data.shape == self.x.shape:
                series.insert(0, Series(label="data", x=place, y=self.data.double().cpu().numpy(), role="control"))
            panels = [Panel(x=Axis(label="entry"), y=Axis(label="value"), series=series)]
        else:
            panels = self._images()
        at = range(EVERY, EVERY * len(self.history) + 1, EVERY)
        gap = Series(label="duality gap", x=at, y=self.history.clamp(min=1e-300).numpy())
        panels.append(Panel(x=Axis(label="step"), y=Axis(label="duality gap", log=True), series=[gap]))
        caption = f"λ = {self.lam:.3g}; the objective {self.objective:.4g} is at most {self.gap:.1e} above the minimum."
        return Figure(name="total-variation", title="Total variation", caption=caption, panels=panels)

    def _images(self) -> list[Panel]:
        from lemmata.figures.field import Field

        h, w = self.x.shape
        images = {"data": self.data, "solution": self.x} if self.data.shape == self.x.shape else {"solution": self.x}
        return [
            Panel(
                x=Axis(label="column"), y=Axis(label="row"), title=name, equal=True,
                fields=[Field(label="value", x=range(w), y=range(h), z=image.double().cpu().numpy(), kind="heatmap")],
            )
            for name, image in images.items()
        ]  # fmt: skip


def total_variation(
    b: Tensor,
    lam: float,
    *,
    A: Tensor | LinearOperator | None = None,
    shape: tuple[int, ...] | None = None,
    tolerance: float = 1e-6,
    iterations: int = 10_000,
) -> TotalVariation:
    """Minimise |A x - b|^2 / 2 + lam TV(x); without an A, b is the noisy signal (n,) or image (h, w) itself.

    With an A (m, n), b is (m,) and x has `shape`, by default (n,). It stops at a gap of `tolerance` times the
    objective. Nothing is random.

    With an A that is badly conditioned and a small lam it can take many thousand iterations: for 60 points under a
    Gaussian blur of standard deviation 4 and lam = 1e-2 some 5000, for one of 6 and lam = 1e-3 more than the 10000 that
    are allowed. Then allow more `iterations`, take a larger `tolerance` (1e-3 took the latter 2750), or use the `best`
    of `NotConverged`, whose `gap` bounds how far its objective is from the minimum.

    Raises `InvalidInput` for what cannot be used (NaN, empty data, more than two axes, a lam that is not positive, an
    A that annihilates constants), and `NotConverged` with the best x.

    >>> found = total_variation(torch.tensor([0.0, 0.0, 1.0, 1.0]).double(), 0.2)
    >>> found.x, found.gap < 1e-6  # each half moves by lam / 2 towards the other
    (tensor([0.1000, 0.1000, 0.9000, 0.9000], dtype=torch.float64), True)
    """
    lam = positive(lam, "lam")
    positive(tolerance, "tolerance")
    if iterations < 1:
        raise InvalidInput(f"iterations = {iterations}; at least one step is wanted")
    problem = _Problem(b, lam, A, shape)
    best, history, taken = _iterate(problem, tolerance, iterations)
    value, gap, x = best
    found = TotalVariation(
        x=x, lam=lam, objective=value, gap=gap, variation=problem.variation(x),
        residual_norm=float(problem.residual(x).norm()), iterations=taken, history=torch.tensor(history), data=b,
    )  # fmt: skip
    if gap > tolerance * value:
        raise NotConverged(
            "total variation", best=found, residual=gap / value, tolerance=tolerance,
            remedy=f"allow more than {iterations} iterations, or a larger tolerance",
        )  # fmt: skip
    return found


class _Problem:
    """A, b and lam with what the method needs of them."""

    def __init__(self, b: Tensor, lam: float, A: Tensor | LinearOperator | None, shape: tuple[int, ...] | None):
        require_finite(b, "b")
        A = A.detach() if isinstance(A, Tensor) else A
        self.b, self.lam, self.A = b.detach(), lam, A if A is None else operator(A)
        self.matrix = A if isinstance(A, Tensor) else None
        self.shape = tuple(b.shape) if A is None else tuple(shape or (A.shape[1],))
        if not b.numel() or len(self.shape) not in (1, 2) or (A is not None and b.ndim != 1):
            raise InvalidInput(
                f"b of shape {tuple(b.shape)} for x of shape {self.shape}; x is (n,) or (h, w), not empty"
            )
        if self.A is not None:
            if self.matrix is not None:
                require_finite(self.matrix, "A")
            if self.A.shape != (len(b), math.prod(self.shape)) or self.A.dtype != b.dtype:
                raise InvalidInput(
                    f"A {self.A.shape} of {self.A.dtype} takes x of shape {self.shape} to b {tuple(b.shape)} of "
                    f"{b.dtype}? make them fit"
                )
        ones = torch.ones(self.shape, dtype=b.dtype, device=b.device)
        self.level = self.apply(ones)
        if self.A is not None and not self.level.norm() > 1e-12 * ones.norm() * self._size_of_a():
            raise InvalidInput(
                "A annihilates constants, as TV does: x is determined up to a constant only; fix its mean"
            )

    def _size_of_a(self) -> float:
        """The size of A on a vector that is no constant: what |A 1| is compared with."""
        v = torch.linspace(-1, 1, math.prod(self.shape), dtype=self.b.dtype, device=self.b.device).reshape(self.shape)
        return float(self.apply(v).norm() / v.norm().clamp(min=1e-300))

    def apply(self, x: Tensor) -> Tensor:
        return x if self.A is None else self.A @ x.flatten()

    def back(self, r: Tensor) -> Tensor:
        return r if self.A is None else (self.A.T @ r).reshape(self.shape)

    def residual(self, x: Tensor) -> Tensor:
        return self.b - self.apply(x)

    def variation(self, x: Tensor) -> float:
        return float(gradient(x).norm(dim=0).sum())

    def value(self, x: Tensor) -> float:
        return float(self.residual(x).square().sum()) / 2 + self.lam * self.variation(x)

    def levelled(self, x: Tensor) -> Tensor:
        """The point x with the constant added that fits b best: the total variation stays."""
        return x + (self.residual(x) * self.level).sum() / self.level.square().sum()

    def certified(self, x: Tensor, p: Tensor) -> tuple[float, float, Tensor]:
        """The value at x, its gap by the dual point near p (|p_i| <= lam), and x with the best constant."""
        if self.A is None:
            r, scale = adjoint(p), 1.0
            x = min(x, self.b - r, key=self.value)
        else:
            x = self.levelled(x)
            r = self.residual(x)
            p = p + gradient(solve_laplacian(self.back(r) - adjoint(p), shift=0.0))
            most = float(p.norm(dim=0).max())
            free = float((self.b * r).sum() / r.square().sum().clamp(min=1e-300))
            scale = min(free, self.lam / most) if most > 0 else free
        bound = scale * float((self.b * r).sum()) - scale**2 * float(r.square().sum()) / 2
        value = self.value(x)
        return value, max(value - bound, 0.0), x

    def solver(self, rho: float) -> Callable[[Tensor, Tensor], Tensor]:
        """(right-hand side, x so far) -> (A'A + rho D'D)^-1 right-hand side."""
        if self.A is None:
            return lambda q, x: solve_laplacian(q, shift=1.0, weight=rho)
        if self.matrix is not None:
            eye = torch.eye(self.matrix.shape[1], dtype=self.b.dtype, device=self.b.device)
            DtD = torch.stack([adjoint(gradient(e.reshape(self.shape))).flatten() for e in eye])
            factor = torch.linalg.cholesky(self.matrix.T @ self.matrix + rho * DtD)
            return lambda q, x: torch.cholesky_solve(q.flatten()[:, None], factor)[:, 0].reshape(self.shape)
        return self._by_products(rho)

    def _by_products(self, rho: float) -> Callable[[Tensor, Tensor], Tensor]:
        def normal(v: Tensor) -> Tensor:
            x = v.reshape(self.shape)
            return (self.back(self.apply(x)) + rho * adjoint(gradient(x))).flatten()

        n = math.prod(self.shape)
        system = LinearOperator(
            lambda V: torch.stack([normal(v) for v in V.T], 1), (n, n), symmetric=True, dtype=self.b.dtype,
            device=self.b.device,
        )  # fmt: skip

        def solve(q: Tensor, x: Tensor) -> Tensor:
            missing = q.flatten() - normal(x.flatten())
            try:
                step = cg(system, missing, tolerance=1e-2, max_iterations=50).x
            except NotConverged as error:  # the gap, not this system, decides when all is done
                step = error.best.x
            return x + step.reshape(self.shape)

        return solve


def _iterate(
    problem: _Problem, tolerance: float, iterations: int
) -> tuple[tuple[float, float, Tensor], list[float], int]:
    """Steps until the gap is small; the best (value, gap, x), the gaps, and the steps taken."""
    lam, fixed = problem.lam, problem.back(problem.b)
    x = problem.levelled(torch.zeros_like(fixed))
    z = gradient(x)
    u = torch.zeros_like(z)
    best = problem.certified(x, u)
    rho = 10 * lam / max(float((fixed - fixed.mean()).norm()) / math.sqrt(fixed.numel()), 1e-300)
    solve, history, step = problem.solver(rho), list[float](), 0
    while best[1] > tolerance * best[0] and step < iterations:
        step += 1
        x = solve(fixed + rho * adjoint(z - u), x)
        before, v = z, RELAX * gradient(x) + (1 - RELAX) * z + u
        size = v.norm(dim=0)
        z = v * (1 - lam / rho / size.clamp(min=lam / rho))
        u = v - z
        if step % EVERY:
            continue
        value, gap, moved = problem.certified(x, rho * u)
        history.append(gap)
        best = (value, min(gap, value - best[0] + best[1]), moved) if value <= best[0] else (
            best[0], min(best[1], best[0] - value + gap), best[2])  # fmt: skip
        primal, dual = float((gradient(x) - z).norm()), rho * float(adjoint(z - before).norm())
        if max(primal, dual) > BALANCE * min(primal, dual) and step <= iterations // 2:
            factor = 2.0 if primal > dual else 0.5
            rho, u = rho * factor, u / factor
            solve = problem.solver(rho)
    return best, history, step
