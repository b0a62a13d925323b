"""Kernels that the study of Arora et al. (2020) compares: of networks with fixed first layers, Gaussian, polynomial.

The tangent kernel of a network of L weight layers, rectified units, no biases, of which the first l are not trained:

    S_1(x, z) = <x, z>,   S_{h+1} = sqrt(S_h(x, x) S_h(z, z)) (sin t + (pi - t) cos t) / (2 pi),
    D_h = (pi - t) / (2 pi),    cos t = S_h(x, z) / sqrt(S_h(x, x) S_h(z, z)),
    H_{L,l} = sum_{h = l+1}^{L} S_h D_h ... D_{L-1},

since a trained layer h adds what it sees, S_h, carried to the output. One recursion in depth gives all L and l. With
all but the last layer fixed, H_{L,L-1} = S_L is the kernel of the Gaussian process that the network is before training.

Sources: Arora, Du, Li, Salakhutdinov, Wang, Yu (2020), section 3 (fixed layers); Cho, Saul (2009) (the arc cosines).
Cost: 40 flops and one arc cosine for each pair and layer; 8 n^2 bytes for each of L + 4 matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Candidate(NamedTuple):
    """A kernel matrix on all samples with the numbers that single it out in its family."""

    values: np.ndarray
    first: float  # depth, exponent of the bandwidth, or degree
    second: float  # fixed layers, or offset


def tangent_kernels(x: np.ndarray, depth: int) -> Iterator[Candidate]:
    """All kernels of networks of 1 to `depth` weight layers with 0 to depth - 1 of them fixed, x (n, d) to (n, n).

    >>> [(int(k.first), int(k.second), k.values.round(3).tolist()) for k in tangent_kernels(np.array([[3.0, 4.0]]), 2)]
    [(1, 0, [[25.0]]), (2, 0, [[25.0]]), (2, 1, [[12.5]])]
    """
    now = x @ x.T
    carried: list[np.ndarray] = []
    for layers in range(1, depth + 1):
        carried.append(now)
        total, sums = np.zeros_like(now), []
        for part in reversed(carried):
            total = total + part
            sums.append(total)
        for fixed, values in enumerate(reversed(sums)):
            yield Candidate(values, layers, fixed)
        if layers < depth:
            now, slope = _rectified(now)
            carried = [part * slope for part in carried]


def _rectified(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[relu(u) relu(v)] and E[step(u) step(v)] for Gaussian pairs of this covariance."""
    norms = np.sqrt(np.diag(covariance))
    scale = np.outer(norms, norms)
    cosine = np.clip(np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0), -1.0, 1.0)
    angle = np.arccos(cosine)
    np.fill_diagonal(angle, 0.0)
    slope = (np.pi - angle) / (2 * np.pi)
    return scale * (np.sin(angle) / (2 * np.pi) + slope * cosine), slope


def gaussian_kernels(x: np.ndarray, exponents: range = range(-8, 7)) -> Iterator[Candidate]:
    """exp(-2^q |x - z|^2 / d) for each q of `exponents`.

    >>> [k.values.round(3).tolist() for k in gaussian_kernels(np.array([[0.0], [1.0]]), range(1))]
    [[[1.0, 0.368], [0.368, 1.0]]]
    """
    squares = (x * x).sum(1)
    distances = np.maximum(squares[:, None] + squares - 2 * (x @ x.T), 0.0) / x.shape[1]
    np.fill_diagonal(distances, 0.0)
    for exponent in exponents:
        yield Candidate(np.exp(-(2.0**exponent) * distances), exponent, 0)


def polynomial_kernels(
    x: np.ndarray, degrees: range = range(1, 6), offsets: tuple[float, ...] = (0.0, 1.0, 10.0)
) -> Iterator[Candidate]:
    """(offset + <x, z> / d)^degree for each degree and offset.

    >>> [k.values.tolist() for k in polynomial_kernels(np.array([[2.0]]), range(2, 3), (0.0, 1.0))]
    [[[16.0]], [[25.0]]]
    """
    inner = x @ x.T / x.shape[1]
    for degree in degrees:
        for offset in offsets:
            yield Candidate((inner + offset) ** degree, degree, offset)
