"""Upper bounds of spectral norms that are proofs, whatever rounding did.

Two ways, both for the largest eigenvalue of a Gram matrix G = T^T T, which is |T|^2:

    factorisation   if Cholesky's algorithm runs through on theta I - G in floating point, then
                    lambda_max(G) <= theta + gamma_(b+2) / (1 - gamma_(b+2)) trace(theta I - G)
                    for a matrix of half bandwidth b, since R^T R is A + E with |E| <= gamma |R|^T |R| (Rump, 2006).
                    Tight: theta is taken just above the value that Lanczos reached.
    Gram iteration  lambda_max(G)^(2^k) = lambda_max(G^(2^k)) <= |G^(2^k)|_F: squared until the factor
                    rank^(2^-(k+1)) by which the Frobenius norm is too large is near 1 (Delattre, Barthelemy,
                    Araujo, Allauzen, 2023). The rounding of every squaring is carried along.

Cost: n b^2 flops (dense n^3 / 3); 2 n^3 flops a squaring, about ten of them, for all matrices of a batch together,
those that cannot be the largest dropped on the way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

U = 2.0**-53  # unit roundoff of float64


def gamma(terms: float) -> float:
    """N u / (1 - n u) in float64, with a dozen operations to spare."""
    return (terms + 12) * U / (1 - (terms + 12) * U)


def proven_by_factorisation(gram: Any, theta: float, bandwidth: int, forming: float) -> float:
    """An upper bound of lambda_max, or inf where theta I - G is not seen to be positive definite.

    `gram` (n, n) is sparse (scipy) or dense, float64, within `forming` of the exact one in spectral norm. With a
    half bandwidth of at least half of n it is factored as a dense matrix.

    >>> bound = proven_by_factorisation(np.diag([1.0, 2.0]), 2.0 + 1e-9, 1, 0.0)
    >>> 2 < bound < 2 + 2e-9, proven_by_factorisation(np.diag([1.0, 2.0]), 1.9, 1, 0.0)
    (True, inf)
    """
    from scipy import linalg

    n = gram.shape[0]
    try:
        if 2 * bandwidth >= n:
            dense = gram.toarray() if hasattr(gram, "toarray") else np.array(gram)
            np.negative(dense, out=dense)
            dense[np.diag_indices(n)] += theta
            trace = float(dense.trace())
            linalg.cholesky(dense, lower=True, overwrite_a=True, check_finite=False)
        else:
            bands = _bands(gram, bandwidth)
            np.negative(bands, out=bands)
            bands[0] += theta
            trace = float(bands[0].sum())
            linalg.cholesky_banded(bands, lower=True, overwrite_ab=True, check_finite=False)
    except linalg.LinAlgError:
        return math.inf
    g = gamma(min(bandwidth, n) + 2)
    return (theta * (1 + 4 * U) + g / (1 - g) * trace * (1 + gamma(n)) + forming) * (1 + 8 * U)


def _bands(gram: Any, bandwidth: int) -> np.ndarray:
    """The lower bands of a symmetric sparse matrix, (bandwidth + 1, n)."""
    lower = gram.tocoo()
    keep = lower.row >= lower.col
    bands = np.zeros((bandwidth + 1, gram.shape[0]))
    bands[(lower.row - lower.col)[keep], lower.col[keep]] = lower.data[keep]
    return bands


def proven_by_squaring(factors: Tensor, tolerance: float = 1e-4) -> float:
    """An upper bound of the largest spectral norm of matrices (F, m, n), float64 or complex128.

    At most 1 + `tolerance` times that norm, and rounding.

    >>> 5 <= proven_by_squaring(torch.diag(torch.tensor([3.0, 5.0]).double())[None]) < 5.01
    True
    """
    if factors.shape[1] > factors.shape[2]:
        factors = factors.mH
    scale = power_of_two(factors)
    factors = factors / scale  # exact
    rank = factors.shape[1]
    g = 8 * gamma(factors.shape[2] + 8)
    frobenius = torch.linalg.vector_norm(factors, dim=(1, 2))
    gram = factors @ factors.mH
    forming = g * float(frobenius.max()) ** 2
    squarings = max(1, math.ceil(math.log2(max(math.log(rank), 1e-9) / (2 * math.log1p(tolerance)))))
    bound = _largest_by_squaring(gram, squarings, 8 * gamma(rank + 8))
    return scale * math.sqrt(max(bound + forming, 0.0) * (1 + 8 * U)) * (1 + 4 * U)


def power_of_two(values: Tensor) -> float:
    """The power of two next to the largest entry: dividing by it is exact, and squares stay within range.

    >>> power_of_two(torch.tensor([3.0, -5.0])), power_of_two(torch.zeros(1))
    (8.0, 1.0)
    """
    most = float(values.abs().max())
    return 2.0 ** math.frexp(most)[1] if most > 0 else 1.0


def _largest_by_squaring(gram: Tensor, squarings: int, g: float) -> float:
    """A bound of the largest eigenvalue of positive semidefinite matrices (F, c, c), normed before each squaring."""
    rank = gram.shape[1]
    norms: list[Tensor] = []
    dropped = 0.0
    for step in range(squarings + 1):
        norm = torch.linalg.vector_norm(gram, dim=(1, 2)).clamp(min=torch.finfo(torch.float64).tiny)
        norms.append(norm)
        high = _unrolled(norms, g)
        low = float((high / rank ** (0.5 / 2**step)).max())  # the largest of them is at least this, but for rounding
        keep = high >= low * (1 - 1e-6)
        if not bool(keep.all()):
            dropped = max(dropped, float(high[~keep].max()))
            gram, norms, norm = gram[keep], [each[keep] for each in norms], norm[keep]
        if step < squarings:
            gram = gram / norm[:, None, None]
            gram = gram @ gram.mH
    return max(float(_unrolled(norms, g).max()), dropped)


def _unrolled(norms: list[Tensor], g: float) -> Tensor:
    """From the Frobenius norms of all squarings back to a bound of the first matrix: v -> a sqrt(v + g) + g a."""
    v = norms[-1] * (1 + g)
    for norm in reversed(norms[:-1]):
        v = norm * (torch.sqrt(v + g) + g) * (1 + g)
    return v
