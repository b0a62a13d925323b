"""Gradient steps of ReLU students with outputs of one, compiled: many steps of many students without leaving the cache.

Students are lanes: a block (n, d, lanes) holds the same entry of all its students side by side, so that every loop over
lanes becomes vector instructions, the angle included: arccos c = 2 arcsin sqrt z, z = (1 - |c|) / 2, by a polynomial in
z of degree 20 (error 3e-15). A step costs, for each student, n (n - 1) / 2 + n k angles of about 60 operations, n (n -
1) d for the inner products, 2 n^2 d for the gradient, and 4 n for every entry of the teacher that is not zero. There is
one division a neuron, by its length, and none a pair.

That an arccos near c = 1 is off by 1e-8 does no harm here: sine and angle are off together, and the gradient by the
product of the sine and the angle's error only, which is 1e-16.
"""

# ruff: noqa: PLR0917 (compiled functions are called by position)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial

LANES = 32
DEGREE = 20
_TINY = 1e-300


def _inner(function: Any) -> Any:
    return njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "arcp"}, inline="never")(function)


def _outer(function: Any) -> Any:
    """Compile, and keep the code on disk where a folder for it can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder: an installation that cannot be written, and no home
        return njit(**options)(function)


def arcsine_series() -> np.ndarray:
    """Coefficients, highest first, of arcsin(sqrt z) / sqrt z on [0, 1/2] by powers of 4 z - 1."""

    def ratio(u: np.ndarray) -> np.ndarray:
        root = np.sqrt(np.maximum((u + 1) / 4, 1e-30))
        return np.arcsin(root) / root

    many = Chebyshev.interpolate(ratio, 5 * DEGREE)  # more nodes than terms: their rounding averages out
    return many.truncate(DEGREE + 1).convert(kind=Polynomial).coef[::-1].copy()


@_inner
def _angles(q, left, right, series, sine, half):
    """From inner products and inverse norms of a pair: sin t / (2 pi) and (pi - t) / (2 pi), for all lanes."""
    for m in range(len(q)):
        c = min(max(q[m] * left[m] * right[m], -1.0), 1.0)
        z = 0.5 - 0.5 * abs(c)
        u = 4.0 * z - 1.0
        p = series[0]
        for r in range(1, DEGREE + 1):
            p = p * u + series[r]
        angle = 2.0 * math.sqrt(z) * p
        sine[m] = math.sqrt(max((1.0 - c) * (1.0 + c), 0.0)) / (2.0 * math.pi)
        half[m] = (angle if c < 0.0 else math.pi - angle) / (2.0 * math.pi)


@_inner
def _dot(a, b, out):
    """Inner products (lanes,) of rows (d, lanes)."""
    d, lanes = a.shape
    for m in range(lanes):
        out[m] = 0.0
    c = 0
    while c + 4 <= d:
        for m in range(lanes):
            out[m] += (a[c, m] * b[c, m] + a[c + 1, m] * b[c + 1, m]) + (
                a[c + 2, m] * b[c + 2, m] + a[c + 3, m] * b[c + 3, m]
            )
        c += 4
    while c < d:
        for m in range(lanes):
            out[m] += a[c, m] * b[c, m]
        c += 1


@_inner
def _add(weights, W, out):
    """Add to out (d, lanes) the sum over j of weights (n, lanes) times W (n, d, lanes), four j at a pass."""
    n, d, lanes = W.shape
    j = 0
    while j + 4 <= n:
        for c in range(d):
            for m in range(lanes):
                out[c, m] += (weights[j, m] * W[j, c, m] + weights[j + 1, m] * W[j + 1, c, m]) + (
                    weights[j + 2, m] * W[j + 2, c, m] + weights[j + 3, m] * W[j + 3, c, m]
                )
        j += 4
    while j < n:
        for c in range(d):
            for m in range(lanes):
                out[c, m] += weights[j, m] * W[j, c, m]
        j += 1


@_inner
def _students(W, size, inverse, along, beta, work, series):
    """Fill size = |w_i|, its inverse, along = sum_j sin t |w_j| / (2 pi), and beta_ij, zero on the diagonal."""
    inner, sine, half = work
    n, _, lanes = W.shape
    for i in range(n):
        _dot(W[i], W[i], inner)
        for m in range(lanes):
            size[i, m] = math.sqrt(inner[m])
            inverse[i, m] = 1.0 / max(size[i, m], _TINY)
            along[i, m] = 0.0
    for i in range(n):
        for j in range(i):
            _dot(W[i], W[j], inner)
            _angles(inner, inverse[i], inverse[j], series, sine, half)
            for m in range(lanes):
                beta[i, j, m] = half[m]
                beta[j, i, m] = half[m]
                along[i, m] += sine[m] * size[j, m]
                along[j, m] += sine[m] * size[i, m]


@_inner
def _teacher(w, inverse, along, teacher, beta, work, series):
    """Take the teacher's part off `along` (lanes,) of the neuron w, and fill b_j beta_j (k, lanes)."""
    rows, columns, entries, lengths, outputs = teacher
    inner, sine, half = work
    for j in range(len(lengths)):
        for m in range(len(inverse)):
            inner[m] = 0.0
            beta[j, m] = 1.0 / max(lengths[j], _TINY)
        for e in range(rows[j], rows[j + 1]):
            for m in range(len(inverse)):
                inner[m] += entries[e] * w[columns[e], m]
        _angles(inner, inverse, beta[j], series, sine, half)
        for m in range(len(inverse)):
            beta[j, m] = outputs[j] * half[m]
            along[m] -= outputs[j] * sine[m] * lengths[j]


@_inner
def _gradient(w, inverse, along, teacher, beta, G):
    """G = (1/2 + along / |w|) w - sum_j beta_j v_j, for one neuron."""
    rows, columns, entries, lengths, _ = teacher
    d, lanes = w.shape
    for c in range(d):
        for m in range(lanes):
            G[c, m] = (0.5 + along[m] * inverse[m]) * w[c, m]
    for j in range(len(lengths)):
        for e in range(rows[j], rows[j + 1]):
            for m in range(lanes):
                G[columns[e], m] -= entries[e] * beta[j, m]


@_inner
def _step(W, G, step, norms):
    """W <- W - step G, and |G|^2 (lanes,)."""
    n, d, lanes = W.shape
    for m in range(lanes):
        norms[m] = 0.0
    for i in range(n):
        for c in range(d):
            for m in range(lanes):
                norms[m] += G[i, c, m] * G[i, c, m]
                W[i, c, m] -= step * G[i, c, m]


@_outer
def descend(blocks, teacher, step, count, series, norms):
    """Take `count` steps W <- W - step G in place; leave |G|^2 of the last gradient, before its step, in `norms`.

    `blocks` (blocks, n, d, lanes); `teacher` = (rows, columns, entries, lengths, outputs): row j has the entries
    rows[j] : rows[j + 1] in their columns, the length and the output; `norms` (blocks, lanes). All float64 but indices.
    """
    number, n, d, lanes = blocks.shape
    beta, along = np.zeros((n, n, lanes)), np.empty((n, lanes))
    size, inverse = np.empty((n, lanes)), np.empty((n, lanes))
    theirs, G = np.empty((len(teacher[3]), lanes)), np.empty((n, d, lanes))
    work = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    for b in range(number):
        W = blocks[b]
        for _ in range(count):
            _students(W, size, inverse, along, beta, work, series)
            for i in range(n):
                _teacher(W[i], inverse[i], along[i], teacher, theirs, work, series)
                _gradient(W[i], inverse[i], along[i], teacher, theirs, G[i])
                _add(beta[i], W, G[i])
            _step(W, G, step, norms[b])
