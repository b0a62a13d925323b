"""Factors of the loss's Hessian at the outputs: S S^T = d^2 L / dz_n^2 for every sample n, one column at a time.

    cross-entropy   diag(p) - p p^T has rank C - 1, and an exact Cholesky factor in closed form: with the tail sums
                    t_j = p_j + ... + p_C, column j is sqrt(p_j t_{j+1} / t_j) (e_j - sum_{i > j} (p_i / t_{j+1}) e_i)
                    (Tanabe and Sagae, 1992). C - 1 columns, free of cancellation.
    mse             2 / K times the identity for K outputs a sample: K columns
    any other loss  eigenvectors of the K x K Hessian of each sample, found by K backward passes through the loss,
                    each with the root of |eigenvalue| and the eigenvalue's sign, so that no loss need be convex

Scaled as the mean over the samples at hand, so that nothing more is to be divided by. Computed in float64.
Fails where the loss couples samples, which is tested and refused, and where n K^2 numbers do not fit into memory.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.curvature.not_exact import NotExact
from lemmata.objective import Objective

Column = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class OutputFactor:
    """`rank` columns: ``column(j)`` is (samples, *outputs), and the signs (samples,) where not all are 1."""

    rank: int
    column: Callable[[int], Column]

    def rows(self, chosen: slice) -> "OutputFactor":
        """The same factor for some of the samples, still scaled as the mean over all."""

        def column(j: int) -> Column:
            values, signs = self.column(j)
            return values[chosen], None if signs is None else signs[chosen]

        return OutputFactor(self.rank, column)


def output_factor(objective: Objective, z: Tensor, y: Tensor, *, memory: int = 2**30) -> OutputFactor:
    """The factor at the outputs z (samples, *outputs) for the targets y. Nothing is random.

    Raises `NotExact` for a loss that couples samples, and for one whose Hessians need more than `memory` bytes.
    """
    z = z.detach()
    if objective.loss_name == "cross_entropy":
        return _cross_entropy(z)
    if objective.loss_name == "mse":
        return _mse(z)
    return _eigenvectors(objective.loss, z, y, memory)


def largest_rank(objective: Objective, outputs: torch.Size) -> int:
    """The number of columns to expect for `outputs` of one sample: what an exact trace would cost."""
    if objective.loss_name == "cross_entropy":
        return (outputs[0] - 1) * outputs[1:].numel()
    return outputs.numel()


def _cross_entropy(z: Tensor) -> OutputFactor:
    n, C, places = z.shape[0], z.shape[1], z.shape[2:].numel()
    p = z.double().flatten(2).softmax(1) if z.ndim > 2 else z.double().softmax(1)[:, :, None]
    tails = p.flip(1).cumsum(1).flip(1)
    scale = 1 / math.sqrt(n * places)

    def column(index: int) -> Column:
        j, place = index % (C - 1), index // (C - 1)
        pj, tail, rest = p[:, j, place], tails[:, j, place], tails[:, j + 1, place]
        size = scale * (pj * (rest / tail.clamp(min=torch.finfo(p.dtype).tiny))).sqrt()
        values = torch.zeros_like(p)
        values[:, j, place] = size
        share = p[:, j + 1 :, place] / rest.clamp(min=torch.finfo(p.dtype).tiny)[:, None]
        values[:, j + 1 :, place] = -size[:, None] * share
        return values.reshape(z.shape).to(z.dtype), None

    return OutputFactor((C - 1) * places, column)


def _mse(z: Tensor) -> OutputFactor:
    def column(index: int) -> Column:
        values = torch.zeros_like(z).flatten(1) if z.ndim > 1 else torch.zeros_like(z)[:, None]
        values[:, index] = math.sqrt(2 / z.numel())
        return values.reshape(z.shape), None

    return OutputFactor(z[0].numel(), column)


def _eigenvectors(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor, memory: int) -> OutputFactor:
    n, K = len(z), z[0].numel()
    needed = 3 * 8 * n * K * K
    if needed > memory:
        raise NotExact(
            f"the loss's Hessians at {n} samples of {K} outputs take {needed} bytes, more than memory = {memory}; "
            "give the objective a smaller chunk, or take an estimator"
        )
    H = _hessians(loss, z, y)
    values, vectors = torch.linalg.eigh(H.double())
    order = values.abs().argsort(1, descending=True)
    values, vectors = values.gather(1, order), vectors.gather(2, order[:, None, :].expand_as(vectors))
    noise = K * torch.finfo(z.dtype).eps * values.abs().amax() if values.numel() else 0.0
    rank = int((values.abs().amax(0) > noise).sum())

    def column(index: int) -> Column:
        root = values[:, index].abs().sqrt()
        return (vectors[:, :, index] * root[:, None]).reshape(z.shape).to(z.dtype), values[:, index].sign()

    return OutputFactor(rank, column)


def _hessians(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> Tensor:
    """The diagonal blocks (n, K, K) of the loss's Hessian, after a test that there are no others."""
    z = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(z, y), z, create_graph=True, allow_unused=True)
    n, K = len(z), z[0].numel()
    if slope is None or not slope.requires_grad:  # piecewise linear in the outputs
        return z.new_zeros(n, K, K)

    def product(u: Tensor) -> Tensor:
        (found,) = torch.autograd.grad((slope * u).sum(), z, retain_graph=True, allow_unused=True)
        return torch.zeros_like(z) if found is None else found

    rows = []
    for k in range(K):
        u = torch.zeros(n, K, dtype=z.dtype, device=z.device)
        u[:, k] = 1
        rows.append(product(u.reshape(z.shape)).reshape(n, K))
    H = torch.stack(rows, 1)
    u = torch.randn(n, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(z)
    apart = product(u.reshape(z.shape)).reshape(n, K) - (H @ u[:, :, None])[:, :, 0]
    scale = float(H.norm()) * float(u.abs().max())
    if not float(apart.norm()) <= 1e3 * K * torch.finfo(z.dtype).eps * scale:
        raise NotExact(
            "the loss couples samples: its Hessian at the outputs has blocks between them; take a loss that is a mean "
            "over samples, or method='hutchinson'"
        )
    return H
