"""How far a surface is from convex, as a number: at which share of midpoints Jensen's inequality fails.

    f is convex on the plane  iff  f((u + v) / 2) <= (f(u) + f(v)) / 2   for all u, v (f continuous)

so the share of pairs of grid points u, v, whose midpoint is a grid point, at which it fails is 0 for every convex
loss, whatever its scale, and needs neither derivatives nor a fit. (The sign of a Hessian by second differences sees the
grid's finest scale only; the number of local minima misses ridges and plateaus; |lambda_min / lambda_max| needs the
Hessian at every point.) Weaker, and the same for every increasing function of the loss, is the share at which
f((u + v) / 2) > max(f(u), f(v)): 0 if all sublevel sets are convex. Contours show the second, their spacing the first.

Cost: n^4 / 8 comparisons on a grid of n by n points, milliseconds for n = 25.
"""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-5  # relative to the values compared: losses are means of float32 numbers


def violations(f: np.ndarray, *, rounding: float = ROUNDING) -> tuple[float, float]:
    """The shares of pairs at which convexity, and at which quasi-convexity, fails on the grid f (ny, nx).

    Infinity is larger than every number; pairs that hold a NaN do not count. Without pairs both are NaN.

    >>> x = np.linspace(-1, 1, 9)
    >>> violations(x**2 + x[:, None] ** 2), violations(-(x**2) - x[:, None] ** 2)[0]
    ((0.0, 0.0), 1.0)
    """
    ny, nx = f.shape
    pairs = convex = quasi = 0
    for dy in range((ny - 1) // 2 + 1):
        for dx in range(-((nx - 1) // 2), (nx - 1) // 2 + 1):
            if dy == 0 and dx <= 0:  # v, u is u, v
                continue
            left, right = max(0, dx), max(0, -dx)
            middle = f[dy : ny - dy, abs(dx) : nx - abs(dx)]
            u = f[2 * dy :, 2 * left : nx - 2 * right]
            v = f[: ny - 2 * dy, 2 * right : nx - 2 * left]
            known = ~(np.isnan(middle) | np.isnan(u) | np.isnan(v))
            middle, u, v = middle[known], u[known], v[known]
            slack = rounding * np.abs(middle)
            slack[~np.isfinite(slack)] = 0.0
            pairs += len(middle)
            convex += int((middle - slack > (u + v) / 2).sum())
            quasi += int((middle - slack > np.maximum(u, v)).sum())
    return (convex / pairs, quasi / pairs) if pairs else (np.nan, np.nan)
