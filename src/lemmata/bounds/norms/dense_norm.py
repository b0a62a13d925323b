"""The spectral norm of a matrix that is small enough for dense algebra, between two proven bounds.

    low    |T v| / |v| rounded down, v the eigenvector of T^T T that LAPACK gives
    high   by Cholesky's factorisation of theta I - T^T T, theta just above low^2 (`lemmata.linalg.verified_norm`)

The bounds are those of `lemmata.linalg.matrix_norm`, which takes products only. Neither rests on the eigenvector: a bad
one makes `low` smaller and `high` larger. Cost: about 2 m n^2 + 5 n^3 operations, n the shorter side: some milliseconds
for n = 200, a twentieth of the time of Lanczos and a sparse factorisation. Fails: sides of many thousands do not fit.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lemmata.linalg.convolution_norm import OperatorNorm
from lemmata.linalg.verified_norm import gamma, power_of_two, proven_by_factorisation


def dense_norm(matrix: Tensor, *, tolerance: float = 1e-6) -> OperatorNorm:
    """Bound the spectral norm of a finite real matrix (m, n); `high` is at most 1 + `tolerance` times the norm.

    Computed in float64 on the host; nothing is random.

    >>> found = dense_norm(torch.tensor([[3.0, 0.0], [4.0, 0.0]]))
    >>> found.low <= 5 <= found.high < 5.0001
    True
    """
    from scipy import linalg

    matrix = matrix.detach().double().cpu()
    if not matrix.any():
        return OperatorNorm(0.0, 0.0, "factorisation", matrix.new_zeros(matrix.shape[1]), 0.0, 0)
    scale = power_of_two(matrix)
    T = (matrix / scale).numpy()
    tall = T if T.shape[0] >= T.shape[1] else T.T
    gram = tall.T @ tall
    last = len(gram) - 1
    squares, vectors = linalg.eigh(gram, subset_by_index=[last, last], check_finite=False)
    v = vectors[:, 0] if tall is T else T.T @ vectors[:, 0]
    low = _reached(T, v)
    high = _factored(gram, tall, low, tolerance)
    reshaped = math.sqrt(max(0.0, float(squares[0])))
    return OperatorNorm(scale * low, scale * high, "factorisation", torch.from_numpy(v), scale * reshaped, 2)


def _reached(T: np.ndarray, v: np.ndarray) -> float:
    """|T v| / |v| rounded down."""
    g = gamma(sum(T.shape))
    rounding = g * float(np.linalg.norm(abs(T) @ abs(v)))
    return max(0.0, (float(np.linalg.norm(T @ v)) * (1 - g) - rounding) / (float(np.linalg.norm(v)) * (1 + g)))


def _factored(gram: np.ndarray, tall: np.ndarray, low: float, tolerance: float) -> float:
    """The bound by factorisation just above `low`, further above until one runs through."""
    size = abs(tall)
    forming = gamma(len(tall) + 4) * float(size.sum(0).max()) * float(size.sum(1).max())  # |T|_1 |T|_inf
    theta, above = max(low**2, float(gram.trace()) / len(gram)), 2 * tolerance  # the mean eigenvalue: positive for sure
    while True:  # it ends at the latest where theta I - gram is diagonally dominant
        proven = proven_by_factorisation(gram, theta * (1 + above), len(gram), forming)
        if proven < math.inf:
            return math.sqrt(proven) * (1 + 1e-15)
        above *= 8
