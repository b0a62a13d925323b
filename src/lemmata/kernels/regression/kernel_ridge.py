"""Kernel ridge and ridgeless regression, by Cholesky or by iteration.

    f(x) = sum_i alpha_i k(x, x_i),    (K + ridge I) alpha = y,    f = argmin sum_i (f(x_i) - y_i)^2 + ridge |f|^2

with the norm of the kernel's space. ridge = 0 asks for the interpolant of least norm. (scikit-learn's alpha is this
ridge; where the loss is a mean over samples, its lambda is ridge / n.)

- *Cholesky* by block columns, n^3 / 3 flops and n^2 / 2 numbers (`block_cholesky`), then iterative refinement with
  residuals in float64 (Higham, 2002, chapter 12), for as long as that at least halves the residual.
- *Iterative*: conjugate gradients preconditioned by r columns of K (`preconditioner`), n^2 / 2 kernel values a step, or
  none after the first where they fit into the memory, restarted on residuals in float64.

60,000 points in float32 take 7.6 GB by Cholesky; 24 GB are no limit. What a solve takes is counted beforehand and
refused if it is not there. A residual above the tolerance is not handed out: `NotConverged` carries it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.given import require_number, require_tensor
from lemmata.kernels.kernel_matrix import Kernel, KernelMatrix
from lemmata.kernels.regression import memory as budget
from lemmata.kernels.regression.block_cholesky import factorise, solve
from lemmata.kernels.regression.conjugate_gradients import SymmetricProduct, conjugate_gradients
from lemmata.kernels.regression.entries import Entries, product
from lemmata.kernels.regression.kernel_fit import KernelFit
from lemmata.kernels.regression.preconditioner import Preconditioner

Method = Literal["auto", "cholesky", "iterative"]


def kernel_ridge(
    kernel: Kernel | KernelMatrix | Tensor,
    y: Tensor,
    *,
    x: Tensor | None = None,
    ridge: float = 0.0,
    method: Method = "auto",
    tolerance: float = 1e-6,
    rank: int | None = None,
    max_steps: int = 1000,
    memory: int | None = None,
    seed: int | torch.Generator = 0,
) -> KernelFit:
    """Regress y (n,) or (n, k) on the samples of a kernel; the result is a function.

    `kernel` is a function k(x, z) -> (n, m), z = None standing for x, and `x` (n, d, ...) are the points; or it is the
    matrix K (n, n) of the samples itself, a tensor or a symmetric `KernelMatrix`. Computed in the dtype and on the
    device of x or K; coefficients and predictions are float64.

    `method` "auto" is "cholesky" where it fits into `memory` bytes (by default what is free on the device), otherwise
    "iterative". `tolerance` bounds the largest residual over the largest |y|. For "iterative": the preconditioner has
    `rank` columns (by default 10 sqrt(n)), and `max_steps` bounds the products with K. Random: the choice of the
    columns, by `seed`, in "iterative" only.

    Raises `InvalidInput` for shapes that do not go together, values that are not finite, ridge < 0, a K that is not
    symmetric or not positive definite in its dtype, and where the memory does not suffice, with what would be needed;
    `NotConverged`, with the fit as `best`, where the residual stays above the tolerance.

    >>> x, y = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([1.0, -1.0, 1.0])
    >>> from lemmata.kernels.regression import Gaussian
    >>> f = kernel_ridge(Gaussian(1.0), y, x=x)
    >>> f(x), f.residual < 1e-6
    (tensor([ 1., -1.,  1.], dtype=torch.float64), True)
    >>> kernel_ridge(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([1.0, 4.0]), ridge=1.0).coefficients
    tensor([-0.1250, 1.3750], dtype=torch.float64)
    """
    entries = Entries(kernel, x)
    targets = require_targets(y, entries.n).to(entries.device)
    if entries.dtype not in (torch.float32, torch.float64):
        raise InvalidInput(f"the kernel is in {entries.dtype}, in which no system is solved; give float32 or float64")
    if not 0 <= require_number(ridge, "ridge") < float("inf"):
        raise InvalidInput(f"ridge = {ridge}; it must be 0 or positive, and finite (many at once: kernel_ridge_path)")
    if not require_number(tolerance, "tolerance") > 0:
        raise InvalidInput(f"tolerance = {tolerance}; it must be positive")
    for name, count in (("max_steps", max_steps), ("rank", rank if rank is not None else 1)):
        if not (isinstance(count, int) and count >= 1):
            raise InvalidInput(f"{name} = {count!r}; give a whole number, 1 or more")
    columns = min(entries.n, round(10 * entries.n**0.5) if rank is None else rank)
    system = _System(entries, targets, float(ridge), tolerance)
    chosen = _choose(system, method, columns, memory)
    if chosen.method == "cholesky":
        return _by_cholesky(system, chosen)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    return _by_iteration(system, chosen, columns, max_steps, generator)


def require_targets(y: Tensor, n: int) -> Tensor:
    """Give targets back if they are finite, (n,) or (n, k), for n samples."""
    require_tensor(y, "targets y")
    if y.ndim not in (1, 2) or len(y) != n or not y.numel():
        raise InvalidInput(f"targets y of shape {tuple(y.shape)} for {n:,} samples; expected ({n},) or ({n}, k)")
    if y.is_complex() or not bool(y.isfinite().all()):
        at = "complex numbers" if y.is_complex() else f"the first in row {int((~y.isfinite()).nonzero()[0][0])}"
        raise InvalidInput(f"targets y must be finite real numbers; they hold others, {at}")
    return y.detach()


@dataclass(frozen=True, eq=False)
class _System:
    """(K + ridge I) alpha = y, and how far a solution is off."""

    entries: Entries
    targets: Tensor
    ridge: float
    tolerance: float

    @property
    def y(self) -> Tensor:
        y = self.targets.double()
        return y[:, None] if y.ndim == 1 else y

    @property
    def scale(self) -> float:
        return float(self.y.abs().max()) or 1.0

    def left(self, alpha: Tensor) -> Tensor:
        """What is left, y - (K + ridge I) alpha, as the function is evaluated."""
        return self.y - product(self.entries, self.entries.training_rows(), alpha) - self.ridge * alpha


@dataclass(frozen=True)
class _Way:
    method: Literal["cholesky", "iterative"]
    bytes: int
    keep: bool = False


@dataclass(eq=False)
class _Refined:
    """The best coefficients so far with their residual, and the history."""

    alpha: Tensor
    residual: float = float("inf")
    history: list[tuple[int, float]] = field(default_factory=list)


def _choose(system: _System, method: str, rank: int, memory: int | None) -> _Way:
    if method not in ("auto", "cholesky", "iterative"):
        raise UnknownName("method", method, ("auto", "cholesky", "iterative"))
    entries, outputs = system.entries, system.y.shape[1]
    n, size = entries.n, entries.dtype.itemsize
    there = budget.free_bytes(entries.device) if memory is None else memory
    cholesky = budget.cholesky_bytes(n, outputs, itemsize=size)
    iterative = budget.iterative_bytes(n, outputs, rank, itemsize=size)
    kept = iterative + budget.factor_bytes(n, itemsize=size)
    if method != "iterative" and cholesky <= there:
        return _Way("cholesky", cholesky)
    if method != "cholesky" and iterative <= there:
        keep = entries.values is None and kept <= there
        return _Way("iterative", kept if keep else iterative, keep)
    wanted = {"cholesky": f"{cholesky / 1e9:.3g} GB", "iterative": f"{iterative / 1e9:.3g} GB"}
    needs = wanted.get(method, f"{wanted['cholesky']} by Cholesky, {wanted['iterative']} by iteration")
    less = " or float32" if size > 4 else ""
    other = ", method='iterative'" if method == "cholesky" and iterative <= there else ", a smaller rank"
    raise InvalidInput(
        f"the kernel system of {n:,} points in {entries.dtype} needs {needs}, and {there / 1e9:.3g} GB are free on "
        f"{entries.device}; use fewer points{less}{other}, or free memory"
    )


def _by_cholesky(system: _System, way: _Way) -> KernelFit:
    factor = factorise(system.entries, system.ridge)
    refined = _refine(system, lambda left: solve(factor, left.to(system.entries.dtype)).double())
    named = f"Cholesky in {system.entries.dtype}, {len(refined.history)} corrections".replace("torch.", "")
    n, k = system.entries.n, system.y.shape[1]
    cost = n**3 / 3 + 4 * n**2 * k * len(refined.history)
    return _fit(system, way, refined, named, cost, steps=[], factor=factor, remedy="use float64 or a ridge")


def _by_iteration(system: _System, way: _Way, rank: int, max_steps: int, generator: torch.Generator) -> KernelFit:
    entries = system.entries
    P = Preconditioner(entries, rank, ridge=system.ridge, generator=generator)
    A = SymmetricProduct(entries, ridge=system.ridge, keep=way.keep)
    digits = 1e-4 if entries.dtype.itemsize <= 4 else 1e-10  # what one run can gain on a matrix of this rounding
    steps: list[float] = []

    def correct(left: Tensor) -> Tensor:
        target = max(digits * float(left.abs().max()), 0.5 * system.tolerance * system.scale)
        found = conjugate_gradients(A, left, preconditioner=P, target=target, max_steps=max_steps - A.count)
        steps.extend([size / system.scale for size in found.residuals[min(1, len(steps)) :]])
        return found.x

    refined = _refine(system, correct, enough=system.tolerance, spent=lambda: A.count, limit=max_steps)
    named = f"conjugate gradients in {entries.dtype}, {A.count} products, {len(P.pivots)} columns in the preconditioner"
    n, k, r = entries.n, system.y.shape[1], len(P.pivots)
    cost = 4.0 * n * r**2 + A.count * (2 * n**2 + 4 * n * r) * k + 2 * n**2 * k * len(refined.history)
    return _fit(
        system, way, refined, named.replace("torch.", ""), cost, steps=steps, factor=None,
        remedy="allow more steps or a larger rank, add a ridge, or use float64",
    )  # fmt: skip


def _refine(
    system: _System,
    correct: Callable[[Tensor], Tensor],
    *,
    enough: float = 0.0,
    spent: Callable[[], int] | None = None,
    limit: float = float("inf"),
) -> _Refined:
    """Solve, and solve again for what is left, while that at least halves the residual: as far as rounding allows."""
    alpha, left = torch.zeros_like(system.y), system.y
    best = _Refined(alpha)
    while True:
        alpha = alpha + correct(left)
        left = system.left(alpha)
        residual, before = float(left.abs().max()) / system.scale, best.residual
        products = len(best.history) + 1 if spent is None else spent()
        best.history.append((products, residual))
        if residual < before:
            best.alpha, best.residual = alpha, residual
        if residual <= enough or not residual < before / 2 or products >= limit:
            return best


def _fit(
    system: _System, way: _Way, refined: _Refined, named: str, cost: float, *, steps: list[float],
    factor: list[Tensor] | None, remedy: str,
) -> KernelFit:  # fmt: skip
    alpha = refined.alpha[:, 0] if system.targets.ndim == 1 else refined.alpha
    fit = KernelFit(
        entries=system.entries, targets=system.targets, coefficients=alpha, ridge=system.ridge,
        residual=refined.residual, tolerance=system.tolerance, way=named, bytes=way.bytes, cost=cost,
        history=refined.history, steps=steps, factor=factor,
    )  # fmt: skip
    if not fit.residual <= system.tolerance:
        raise NotConverged(
            f"the kernel system of {system.entries.n:,} points in {system.entries.dtype}",
            best=fit, residual=fit.residual, tolerance=system.tolerance, remedy=remedy,
        )  # fmt: skip
    return fit
