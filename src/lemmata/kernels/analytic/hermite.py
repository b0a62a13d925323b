r"""The dual of any smooth activation, by its expansion in Hermite polynomials.

With h_k the orthonormal Hermite polynomials and u = sqrt(a) x, x standard normal,

    c_k(a) = E phi(sqrt(a) x) h_k(x)          by the trapezoidal rule, whose error is exponentially small
    K  = sum_k c_k(a) c_k(b) r^k               r = c / sqrt(ab) the correlation of u and v
    K' = sum_k k c_k(a) c_k(b) r^(k-1) / sqrt(ab)

(Mehler's formula; the second line follows by dK/dc). What is cut off is at most sum_{k >= n} c_k^2 in K and
sum_{k >= n} k c_k^2 / a in K' by Cauchy-Schwarz, and both are known exactly, since all terms together are E phi^2 and
E phi'^2. This `remainder` is computed for every sample and refused above a tolerance: that is how kinks are recognised,
whose coefficients fall too slowly (E phi'^2 of a ReLU still lacks 2 % after 512 terms). A truncated series is positive
semidefinite, being a sum of products of kernels. Source: Daniely, Frostig, Singer (2016), lemma 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.given import require_tensor
from lemmata.kernels.analytic.pairs import Covariance, Pairs

_BELOW_ROUNDING, _ENOUGH = 1e-15, 1e-14


@dataclass(frozen=True)
class HermiteExpansion:
    """An activation given as an elementwise, differentiable function on float64 tensors.

    `terms` is the largest length of the expansion, up to 512; `tolerance` the largest relative remainder of K and K'
    that is accepted; beyond it `dual` raises `NotConverged`.

    >>> tanh = HermiteExpansion(torch.tanh)
    >>> tanh.remainder(torch.tensor([1.0], dtype=torch.float64)).max().item() < 1e-12
    True
    """

    function: Callable[[Tensor], Tensor]
    terms: int = 512
    tolerance: float = 1e-5

    form = Covariance

    def __post_init__(self) -> None:
        if not 2 <= self.terms <= 512:
            raise InvalidInput(f"terms = {self.terms}; a Hermite expansion takes from 2 to 512")

    def dual(self, kernel: Pairs) -> tuple[Covariance, Covariance]:
        """(K, K') of the kernel of the pre-activations."""
        left, right = self._expand(kernel.left.reshape(-1)), self._expand(kernel.right.reshape(-1))
        needed = max(_length(left.coefficients), _length(right.coefficients))
        a, b = (_padded(side.coefficients, needed) for side in (left, right))
        inverse = [1 / side.reshape(-1).clamp(min=1e-300).sqrt() for side in (kernel.left, kernel.right)]
        correlation = kernel.values * inverse[0][:, None] * inverse[1][None]
        values, slopes = torch.zeros_like(correlation), torch.zeros_like(correlation)
        for k in range(needed - 1, -1, -1):
            values.mul_(correlation).addr_(a[:, k], b[:, k])
            if k:
                slopes.mul_(correlation).addr_(a[:, k] * inverse[0], b[:, k] * inverse[1], alpha=k)
        return (
            Covariance(left.square[:, None], right.square[None], values),
            Covariance(left.square_slope[:, None], right.square_slope[None], slopes),
        )

    def remainder(self, variance: Tensor) -> Tensor:
        """The share of K and of K' (2, n) at pre-activations of these variances (n,) that lies beyond the expansion."""
        return self._expansion(variance).remainder

    def _expand(self, variance: Tensor) -> _Expansion:
        found = self._expansion(variance)
        worst = float(found.remainder.max())
        if not worst <= self.tolerance:
            raise NotConverged(
                f"the Hermite expansion of {getattr(self.function, '__name__', self.function)} in {self.terms} terms, "
                f"at variances from {float(variance.min()):.3g} to {float(variance.max()):.3g},",
                best=found.coefficients, residual=worst, tolerance=self.tolerance,
                remedy="an activation with kinks needs its closed form; else smaller variances, or a larger tolerance=",
            )  # fmt: skip
        return found

    def _expansion(self, variance: Tensor) -> _Expansion:
        """As many terms as reduce the remainder to rounding, doubling up to `terms`."""
        terms = min(64, self.terms)
        while True:
            found = self._of_length(variance, terms)
            if terms == self.terms or float(found.remainder.max()) < _ENOUGH:
                return found
            terms = min(2 * terms, self.terms)

    def _heights(self, at: Tensor) -> Tensor:
        """The function's values, and its own error as one about the activation."""
        try:
            heights = self.function(at)
        except Exception as error:
            raise InvalidInput(
                f"the activation {self.function!r} fails on a float64 tensor of shape {tuple(at.shape)}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not require_tensor(heights, f"the activation {self.function!r} gave").requires_grad:
            raise InvalidInput(
                f"the activation {self.function!r} is not differentiable by torch: its values do not depend on what it "
                "got; compute them by torch, without detach"
            )
        return heights

    def _of_length(self, variance: Tensor, terms: int) -> _Expansion:
        x, basis = (part.to(variance.device) for part in _quadrature(terms))
        weights = basis[:, 0]
        with torch.enable_grad():
            at = (variance.detach().sqrt()[:, None] * x).requires_grad_()
            heights = self._heights(at)
            if heights.shape != at.shape or not bool(heights.isfinite().all()):
                raise InvalidInput(f"the activation {self.function!r} is not elementwise, or not finite between "
                                   f"{float(at.min()):.3g} and {float(at.max()):.3g}")  # fmt: skip
            (slopes,) = torch.autograd.grad(heights.sum(), at, allow_unused=True, materialize_grads=True)
        heights = heights.detach()
        coefficients = heights @ basis
        order = torch.arange(terms, dtype=variance.dtype, device=variance.device)
        all_of_it = torch.stack([heights.square() @ weights, slopes.square() @ weights])
        found = torch.stack([coefficients.square().sum(1), coefficients.square() @ order / variance.clamp(min=1e-300)])
        size = torch.where(all_of_it > 0, all_of_it, 1.0)
        remainder = torch.where(variance > 0, (1 - found / size).abs() * (all_of_it > 0), 0.0)
        return _Expansion(coefficients, all_of_it[0], all_of_it[1], remainder)


@dataclass(frozen=True, eq=False)
class _Expansion:
    """`coefficients` (n, terms), E phi^2 and E phi'^2 (n,), and the shares of both that are beyond (2, n)."""

    coefficients: Tensor
    square: Tensor
    square_slope: Tensor
    remainder: Tensor


@cache
def _quadrature(terms: int) -> tuple[Tensor, Tensor]:
    """Nodes (m,) over the support of h_k times the normal density, k < terms, and h_k times their weights."""
    step = 1 / 16
    half = round((2 * math.sqrt(terms) + 10) / step)
    x = np.arange(-half, half + 1) * step
    root = np.exp(-x * x / 4) / (2 * math.pi) ** 0.25  # of the density: h_k overflows where h_k times this does not
    basis = np.empty((terms, len(x)))
    basis[0], basis[1] = root, x * root
    for k in range(1, terms - 1):
        basis[k + 1] = (x * basis[k] - math.sqrt(k) * basis[k - 1]) / math.sqrt(k + 1)
    return torch.from_numpy(x), torch.from_numpy((basis * root * step).T.copy())


def _padded(coefficients: Tensor, length: int) -> Tensor:
    """The first coefficients (n, length), zero where there are none."""
    return nn.functional.pad(coefficients, (0, max(0, length - coefficients.shape[1])))[:, :length]


def _length(coefficients: Tensor) -> int:
    """How many coefficients matter to somebody, to rounding."""
    order = torch.arange(1, coefficients.shape[1] + 1, dtype=coefficients.dtype, device=coefficients.device)
    weight = coefficients.square() * order
    tail = weight.flip(1).cumsum(1).flip(1)
    seen = (tail > _BELOW_ROUNDING * tail[:, :1]).any(0).nonzero()
    return int(seen[-1]) + 1 if len(seen) else 1
