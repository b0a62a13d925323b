"""Plain stochastic steps, compiled: a recursion of small state is run for thousands of steps in one call.

    theta <- theta - mu_k (mean of the gradients of the batch),      total <- total + theta

for S runs, theta and total (S, p). Draws have the axes (n, D, batch, ...) and run s sees those of stream `stream[s]`;
its step sizes are column `rule[s]` of `sizes` (n, R). What is done is what the gradients of `lemmata.regression
.stochastic.problem` and `.finite_sum` do, in another order of summation. Everything is changed in place. Cost: p^2 + 3
p operations a step and run of a quadratic, 6 p for each sample of a linear model with one output.
"""

# ruff: noqa: PLR0917 (compiled functions are called by position)

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

SQUARE, LOGISTIC, CROSS_ENTROPY = 0, 1, 2
LOSSES = {"mse": SQUARE, "logistic": LOGISTIC, "cross_entropy": CROSS_ENTROPY}


def _compiled(function: Any) -> Any:
    """Compile, and keep the code on disk where a folder for it can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder: an installation that cannot be written, and no home
        return njit(**options)(function)


@_compiled
def quadratic(theta, total, z, stream, sizes, rule, H, star):
    """Steps along H (theta - star) + z, the noise z (n, D, batch, p)."""
    p, batch = theta.shape[1], z.shape[2]
    e, g = np.empty(p, theta.dtype), np.empty(p, theta.dtype)
    for k in range(len(z)):
        for s in range(len(theta)):
            noise = z[k, stream[s]]
            for j in range(p):
                e[j] = theta[s, j] - star[j]
                g[j] = noise[0, j]
            for b in range(1, batch):
                for j in range(p):
                    g[j] += noise[b, j]
            size = sizes[k, rule[s]]
            for j in range(p):
                slope = g[j] / batch
                for i in range(p):
                    slope += H[j, i] * e[i]
                theta[s, j] -= size * slope
                total[s, j] += theta[s, j]


@_compiled
def stream_of_samples(theta, total, x, y, stream, sizes, rule):
    """Steps of least squares on samples x (n, D, batch, p), y (n, D, batch)."""
    p, batch = theta.shape[1], x.shape[2]
    g = np.empty(p, theta.dtype)
    for k in range(len(x)):
        for s in range(len(theta)):
            d = stream[s]
            for j in range(p):
                g[j] = 0.0
            for b in range(batch):
                residual = -y[k, d, b]
                for j in range(p):
                    residual += x[k, d, b, j] * theta[s, j]
                for j in range(p):
                    g[j] += residual * x[k, d, b, j]
            size = sizes[k, rule[s]] / batch
            for j in range(p):
                theta[s, j] -= size * g[j]
                total[s, j] += theta[s, j]


@_compiled
def finite_sum(theta, total, rows, stream, sizes, rule, x, y, loss, ridge):
    """Steps of a linear model on rows (n, D, batch) of x (N, d), y (N,), zeros skipped; theta (S, d, outputs)."""
    d, outputs = theta.shape[1:]
    batch = rows.shape[2]
    slopes, places = np.empty((batch, outputs), theta.dtype), np.empty((batch, d), np.int32)
    counts = np.empty(batch, np.int64)
    for k in range(len(rows)):
        for s in range(len(theta)):
            at, size, w, summed = rows[k, stream[s]], sizes[k, rule[s]], theta[s], total[s]
            for b in range(batch):
                counts[b] = _slopes(slopes[b], places[b], w, x[at[b]], y[at[b]], loss)
            keep, size = 1.0 - size * ridge, size / batch
            for j in range(d):
                for c in range(outputs):
                    w[j, c] *= keep
            for b in range(batch):
                row, slope, place = x[at[b]], slopes[b], places[b]
                for i in range(counts[b]):
                    j = place[i]
                    step = size * row[j]
                    for c in range(outputs):
                        w[j, c] -= step * slope[c]
            for j in range(d):
                for c in range(outputs):
                    summed[j, c] += w[j, c]


@_compiled
def _slopes(slopes, places, w, x, y, loss):
    """The derivative of a sample's loss by its outputs, and the places where x is not zero, whose number is given."""
    outputs, count = len(slopes), 0
    for j in range(len(x)):
        places[count] = j
        count += x[j] != 0.0
    for c in range(outputs):
        slopes[c] = 0.0
    for i in range(count):
        j = places[i]
        entry = x[j]
        for c in range(outputs):
            slopes[c] += entry * w[j, c]
    if loss == SQUARE:
        slopes[0] -= y
    elif loss == LOGISTIC:
        slopes[0] = 1.0 / (1.0 + math.exp(-slopes[0])) - y
    else:
        top, mass = slopes.max(), 0.0
        for c in range(outputs):
            slopes[c] = math.exp(slopes[c] - top)
            mass += slopes[c]
        for c in range(outputs):
            slopes[c] /= mass
        slopes[int(y)] -= 1.0
    return count
