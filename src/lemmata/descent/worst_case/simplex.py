"""The mixture of points nearest to a target, at a price.

    least (1/2) |x - sum_i a_i z_i|^2 + sum_i a_i c_i    over a >= 0, sum_i a_i = 1

A primal active-set method after Wolfe (1976): points of an affinely independent set are mixed to optimality on their
affine hull, those whose weight would turn negative are dropped, and the most profitable one outside is added. Each
round lowers the value, so that it ends; the answer is exact but for rounding. Cost: O(r^3) a round, few rounds.
"""

from __future__ import annotations

import numpy as np


def nearest_mixture(x: np.ndarray, z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The weights a (m,) for the target x (r,), points z (m, r) and prices c (m,).

    >>> nearest_mixture(np.array([0.25]), np.array([[0.0], [1.0], [5.0]]), np.array([0.0, 0.0, 9.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    apart = z - x
    half = np.sum(apart**2, 1) / 2
    chosen, weights = [int(np.argmin(half + c))], np.ones(1)
    best, least = (chosen, weights), np.inf
    while True:
        mixture = weights @ apart[chosen]
        value = mixture @ mixture / 2 + weights @ c[chosen]
        if not value < least:
            break  # what is left to gain is lost in rounding
        best, least = (chosen, weights), value
        cost = apart @ mixture + c
        cheapest = int(np.argmin(cost))
        if cheapest in chosen or cost[cheapest] >= weights @ cost[chosen]:
            break
        chosen, weights = _mixed([*chosen, cheapest], np.append(weights, 0.0), apart, c)
    full = np.zeros(len(z))
    full[best[0]] = best[1]
    return full


def _mixed(chosen: list[int], weights: np.ndarray, apart: np.ndarray, c: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Weights optimal on the affine hull of the chosen, after dropping those that would be negative."""
    while True:
        target = _on_hull(apart[chosen], c[chosen], weights)
        step = target - weights
        falling = (target <= 0) & (step < 0)
        if not falling.any():
            return chosen, target / target.sum()
        reach = np.full(len(step), np.inf)
        reach[falling] = weights[falling] / -step[falling]
        first = int(np.argmin(reach))
        weights = np.maximum(weights + min(1.0, reach[first]) * step, 0.0)
        chosen, weights = chosen[:first] + chosen[first + 1 :], np.delete(weights, first)
        weights = weights / weights.sum()


def _on_hull(apart: np.ndarray, c: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Where the cost is least on the affine hull; along a line of descent without end, a point beyond the simplex."""
    edges = apart[1:] - apart[0]
    new = edges[-1]
    if len(edges) > 1 or not new.any():
        mix = np.linalg.lstsq(edges[:-1].T, new, rcond=None)[0] if len(edges) > 1 else np.zeros(0)
        rest = new - mix @ edges[:-1]
        if np.sum(rest**2) <= 1e-24 * max(float(np.sum(new**2)), 1e-300):
            line = np.append(np.append(mix.sum() - 1, -mix), 1.0)
            return weights + line * 1e12
    slope = -(edges @ apart[0]) - (c[1:] - c[0])
    shares = np.linalg.lstsq(edges @ edges.T, slope, rcond=1e-15)[0]
    return np.append(1 - shares.sum(), shares)
