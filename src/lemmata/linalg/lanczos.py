"""Extreme eigenpairs of a symmetric operator by Lanczos with full reorthogonalisation (Parlett, 1998, chapter 13).

A V_m = V_m T_m + beta_m v_{m+1} e_m^T, and the eigenpairs (lambda, V_m s) of the tridiagonal T_m approximate those of
A with residual |A v - lambda v| = beta_m |s_m|. The iteration stops on this residual, never on the last two iterates,
and the residuals returned are computed afresh: within |A v - lambda v| of each value lies an eigenvalue of A.
Cost: m products and O(n m^2) flops, with n m numbers of memory.

It fails, and cannot know it, where the start vector has no component along an eigenvector: of a multiple eigenvalue
only one copy is found until the Krylov space is exhausted (then a fresh direction is drawn).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg.operator import LinearOperator


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues (k,) in the order asked for, unit eigenvectors (n, k), residuals |A v - lambda v| (k,), products."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: int

    def plot(self) -> Figure:
        """Draw the eigenvalues in their order; a residual bounds how far each is from one of the operator."""
        values, residuals = self.values.detach().cpu().double(), self.residuals.detach().cpu().double()
        index = np.arange(1, len(values) + 1)
        found = Series(
            label="eigenvalue ± residual",
            x=index,
            y=values.numpy(),
            low=(values - residuals).numpy(),
            high=(values + residuals).numpy(),
            style="points",
        )
        panel = Panel(x=Axis(label="index"), y=Axis(label="eigenvalue"), series=[found])
        caption = f"{self.products} products with the operator; largest residual {float(residuals.max()):.2g}."
        return Figure(name="eigenvalues", title="Eigenvalues", caption=caption, panels=[panel])


def eigenpairs(
    A: LinearOperator | Tensor,
    k: int = 1,
    *,
    which: str = "largest",
    tolerance: float = 1e-6,
    max_iterations: int | None = None,
    seed: int | torch.Generator,
) -> Eigenpairs:
    """Find the k ``"largest"`` or ``"smallest"`` eigenvalues (by sign) of a symmetric operator, with eigenvectors.

    `tolerance` bounds |A v - lambda v| relative to the largest |eigenvalue| met. `max_iterations` defaults to
    min(n, max(20 k, 300)). Only the start vector is random. Raises `NotConverged` with the best pairs.

    >>> pairs = eigenpairs(torch.diag(torch.arange(1.0, 101.0).double()), 2, seed=0)
    >>> [round(float(value), 4) for value in pairs.values]
    [100.0, 99.0]
    """
    operator = A if isinstance(A, LinearOperator) else LinearOperator.of(A)
    n = operator.shape[0]
    if not operator.symmetric:
        raise InvalidInput("Lanczos needs a symmetric operator; construct it with symmetric=True")
    if not 1 <= k <= n:
        raise InvalidInput(f"k = {k} eigenpairs of an operator of size {n}: k must be between 1 and {n}")
    if which not in ("largest", "smallest"):
        raise InvalidInput(f"which = {which!r}; take 'largest' or 'smallest'")
    limit = min(n, max(20 * k, 300) if max_iterations is None else max_iterations)
    V, values, S = _iterate(
        operator, k, largest=which == "largest", tolerance=tolerance, limit=max(limit, k), seed=seed
    )
    vectors = V @ S
    vectors = vectors / vectors.norm(dim=0)
    residuals = (operator @ vectors - vectors * values).norm(dim=0)
    pairs = Eigenpairs(values, vectors, residuals, V.shape[1] + k)
    worst, allowed = float(residuals.max()), tolerance * max(float(values.abs().max()), 1e-300)
    if not worst <= 2 * allowed:
        raise NotConverged(
            "Lanczos", best=pairs, residual=worst, tolerance=allowed, remedy="allow more iterations or float64"
        )
    return pairs


def _iterate(
    operator: LinearOperator, k: int, *, largest: bool, tolerance: float, limit: int, seed: int | torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Grow the Krylov basis V (n, m) until k Ritz pairs converge: V, values, coordinates (m, k)."""
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    n = operator.shape[0]
    V = torch.zeros(n, limit, dtype=operator.dtype, device=operator.device)
    T = torch.zeros(limit, limit, dtype=torch.float64)
    v = _fresh(V[:, :0], operator, generator)
    for m in range(1, limit + 1):
        V[:, m - 1] = v
        basis = V[:, :m]
        w = operator @ v
        T[m - 1, m - 1] = float(v @ w)
        size = float(w.norm())
        for _ in range(2):  # "twice is enough" (Parlett, section 6.9)
            w = w - basis @ (basis.T @ w)
        beta = float(w.norm())
        exhausted = beta <= 10 * torch.finfo(operator.dtype).eps * max(size, float(T[:m, :m].abs().max()))
        beta = 0.0 if exhausted else beta
        if m >= k:
            theta, S = torch.linalg.eigh(T[:m, :m])
            chosen = torch.arange(m - 1, m - 1 - k, -1) if largest else torch.arange(k)
            residuals = beta * S[-1, chosen].abs()
            converged = bool((residuals <= tolerance * theta.abs().max()).all())
            if m == limit or (converged and not exhausted):
                like = {"dtype": operator.dtype, "device": operator.device}
                return basis, theta[chosen].to(**like), S[:, chosen].to(**like)
        v = _fresh(basis, operator, generator) if exhausted else w / beta
        if m < limit:
            T[m - 1, m] = T[m, m - 1] = beta
    raise AssertionError("unreachable: the last iteration returns")


def _fresh(basis: Tensor, operator: LinearOperator, generator: torch.Generator) -> Tensor:
    """A random unit vector orthogonal to the basis."""
    v = torch.randn(operator.shape[0], generator=generator, dtype=torch.float64).to(basis)
    for _ in range(2):
        v = v - basis @ (basis.T @ v)
    return v / v.norm()
