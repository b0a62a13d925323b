"""The loops over the entries of a tile, compiled: from cosines (or deficits) to kernel values, in place.

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
def by_angle(tile, left, right, near, change, start, sign):
    """Replace `tile` (n, m), with D = start + sign tile, by left_i right_j f(D).

    `near` (k,) and `change` = far - near are the coefficients of f, highest first, k a multiple of 4; all of one dtype.
    """
    one = tile.dtype.type(1)
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
            row[j] = (far * series[j] + (one - far) * (one - row[j] * series[j])) * (left[i] * right[j])


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def by_layers(tile, left, right, p, q, values, slopes, start, sign, tangent):
    """Replace `tile` (n, m), with D = start + sign tile, by left_i right_j (1 - deficit of the last layer).

    `p` (depth, 4, 2, n) and `q` (depth, 4, 2, m) are the samples' shares in the sums of each layer (`Mixing`), `values`
    and `slopes` (2, k) the series of the dual, near and far - near, highest first. `tangent` asks for the NTK.
    """
    zero, one, m = tile.dtype.type(0), tile.dtype.type(1), len(right)
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
                    slope[j] = far * (one - slope[j]) + (one - far) * value[j] * slope[j]
                    moved[j] = slope[j] + ntk[j] * (one - slope[j])
            _clenshaw(node, side, values[0], values[1], slope, before)
            for j in range(m):
                far = side[j]
                value[j] = max(far * (one - slope[j]) + (one - far) * value[j] * slope[j], zero)
            _add_constant(value, p[layer, 0, :, i], q[layer, 0], value)
            _add(value, moved, p[layer, 1, :, i], q[layer, 1], moved)
            _add(nngp, value, p[layer, 2, :, i], q[layer, 2], nngp)
            _add(ntk, moved, p[layer, 3, :, i], q[layer, 3], ntk)
        last = ntk if tangent else nngp
        for j in range(m):
            nngp[j] = (one - last[j]) * (left[i] * right[j])


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def _split(deficit, node, side):
    """Replace deficits by s, and give 2s - 1 and the side, 1 for D > 1."""
    zero, one, two = deficit.dtype.type(0), deficit.dtype.type(1), deficit.dtype.type(2)
    for j in range(len(deficit)):
        inside = min(max(deficit[j], zero), two)
        s = np.sqrt(min(inside, two - inside))
        side[j] = one if inside > one else zero
        deficit[j], node[j] = s, two * s - one


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def _clenshaw(node, side, near, change, series, before):
    """Sum the Chebyshev series with coefficients near + side change at the nodes."""
    zero, two = node.dtype.type(0), node.dtype.type(2)
    for j in range(len(node)):
        series[j] = before[j] = zero
    for k in range(0, len(near), 4):
        a, b, c, d = near[k], near[k + 1], near[k + 2], near[k + 3]
        e, f, g, h = change[k], change[k + 1], change[k + 2], change[k + 3]
        for j in range(len(node)):
            twice, far, x, y = two * node[j], side[j], series[j], before[j]
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
    half = a.dtype.type(0.5)
    for j in range(len(a)):
        apart, across = p[0] - q[0, j], p[1] - q[1, j]
        out[j] = p[0] * q[0, j] * a[j] + p[1] * q[1, j] * b[j] + half * (apart * apart + across * across)


@njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=True)
def _add_constant(a, p, q, out):
    """The same where the second kernel is a constant one, whose deficit is 0."""
    half = a.dtype.type(0.5)
    for j in range(len(a)):
        apart, across = p[0] - q[0, j], p[1] - q[1, j]
        out[j] = p[0] * q[0, j] * a[j] + half * (apart * apart + across * across)
