"""The loops over the entries of a tile, compiled: from cosines (or deficits) to kernel values.

Rows are short enough for the first-level cache, and the loop over entries is the innermost everywhere, so that a
compiler turns it into vector instructions. Four terms of Clenshaw's recurrence are taken at a pass, so that what a pass
loads is used twelve times. Cost: about 3 k + 15 operations an entry for a series of k coefficients, one square root; in
`by_layers` twice that and 40 more for each layer.
"""

# ruff: noqa: PLR0917 (compiled functions are called by position)

import numpy as np
from numba import njit

_FAST = {"contract", "nsz", "arcp"}


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def by_angle(tile, start, sign, left, right, near, change, out):
    """Put left_i right_j f(D) into `out` (n, m), with D = start + sign tile; `tile` is used up.

    `near` (k,) and `change` = far - near are the coefficients of f, highest first, k a multiple of 4; all but `out` are
    float64.
    """
    node, side, series, before = (
        np.empty_like(right),
        np.empty_like(right),
        np.empty_like(right),
        np.empty_like(right),
    )
    for i in range(len(left)):
        row = tile[i]
        for j in range(len(row)):
            row[j] = start + sign * row[j]
        _split(row, node, side)
        _clenshaw(node, side, near, change, series, before)
        for j in range(len(row)):
            far = side[j]
            out[i, j] = (far * series[j] + (1.0 - far) * (1.0 - row[j] * series[j])) * (left[i] * right[j])


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def by_layers(tile, start, sign, left, right, p, q, values, slopes, tangent, out):
    """Put left_i right_j (1 - deficit of the last layer) into `out` (n, m); D = start + sign tile, which is used up.

    `p` (depth, 4, 2, n) and `q` (depth, 4, 2, m) are the samples' shares in the sums of each layer (`Mixing`), `values`
    and `slopes` (2, k) the series of the dual, near and far - near, highest first. `tangent` asks for the NTK.
    """
    m = len(right)
    node, side, before, ntk = np.empty_like(right), np.empty_like(right), np.empty_like(right), np.empty_like(right)
    value, slope, moved = np.empty_like(right), np.empty_like(right), np.zeros_like(right)
    for i in range(len(left)):
        nngp = tile[i]
        for j in range(m):
            nngp[j] = start + sign * nngp[j]
        _add_constant(nngp, p[0, 0, :, i], q[0, 0], nngp)
        for j in range(m):
            ntk[j] = nngp[j]
        for layer in range(1, len(p)):
            for j in range(m):
                value[j] = nngp[j]
            _split(value, node, side)
            if tangent:
                _clenshaw(node, side, slopes[0], slopes[1], slope, before)
                for j in range(m):
                    far = side[j]
                    slope[j] = far * (1.0 - slope[j]) + (1.0 - far) * value[j] * slope[j]
                    moved[j] = slope[j] + ntk[j] * (1.0 - slope[j])
            _clenshaw(node, side, values[0], values[1], slope, before)
            for j in range(m):
                far = side[j]
                value[j] = max(far * (1.0 - slope[j]) + (1.0 - far) * value[j] * slope[j], 0.0)
            _add_constant(value, p[layer, 0, :, i], q[layer, 0], value)
            _add(value, moved, p[layer, 1, :, i], q[layer, 1], moved)
            _add(nngp, value, p[layer, 2, :, i], q[layer, 2], nngp)
            _add(ntk, moved, p[layer, 3, :, i], q[layer, 3], ntk)
        last = ntk if tangent else nngp
        for j in range(m):
            out[i, j] = (1.0 - last[j]) * (left[i] * right[j])


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def _split(deficit, node, side):
    """Replace deficits by s, and give 2s - 1 and the side, 1 for D > 1."""
    for j in range(len(deficit)):
        inside = min(max(deficit[j], 0.0), 2.0)
        s = np.sqrt(min(inside, 2.0 - inside))
        side[j] = 1.0 if inside > 1.0 else 0.0
        deficit[j], node[j] = s, 2.0 * s - 1.0


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def _clenshaw(node, side, near, change, series, before):
    """Sum the Chebyshev series with coefficients near + side change at the nodes."""
    for j in range(len(node)):
        series[j] = before[j] = 0.0
    for k in range(0, len(near), 4):
        a, b, c, d = near[k], near[k + 1], near[k + 2], near[k + 3]
        e, f, g, h = change[k], change[k + 1], change[k + 2], change[k + 3]
        for j in range(len(node)):
            twice, far, x, y = 2.0 * node[j], side[j], series[j], before[j]
            y = twice * x - y + (a + far * e)
            x = twice * y - x + (b + far * f)
            y = twice * x - y + (c + far * g)
            series[j] = twice * y - x + (d + far * h)
            before[j] = y
    for j in range(len(node)):
        series[j] -= node[j] * before[j]


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def _add(a, b, p, q, out):
    """The deficit of a sum of two kernels, of shares p (2,) of the row's sample and q (2, m) of the others."""
    for j in range(len(a)):
        apart, across = p[0] - q[0, j], p[1] - q[1, j]
        out[j] = p[0] * q[0, j] * a[j] + p[1] * q[1, j] * b[j] + 0.5 * (apart * apart + across * across)


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def _add_constant(a, p, q, out):
    """The same where the second kernel is a constant one, whose deficit is 0."""
    for j in range(len(a)):
        apart, across = p[0] - q[0, j], p[1] - q[1, j]
        out[j] = p[0] * q[0, j] * a[j] + 0.5 * (apart * apart + across * across)
