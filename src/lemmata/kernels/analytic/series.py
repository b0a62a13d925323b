"""The loop over the entries of a tile, compiled: from cosines (or deficits) to kernel values, in place.

Rows are short enough for the first-level cache. Four terms of Clenshaw's recurrence are taken at a pass, so that what a
pass loads is used twelve times, and the loop over entries is the innermost: compilers turn it into vector instructions.
Cost: about 3 k + 15 operations an entry for k coefficients, one square root.
"""

import numpy as np
from numba import njit


@njit(nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy", cache=True)
def evaluate(tile, left, right, near, change, start, sign):
    """Replace `tile` (n, m), with D = start + sign tile, by left_i right_j f(D).

    `near` (k,) and `change` = far - near are coefficients, highest first, k a multiple of 4; all of one dtype.
    """
    first, second = np.empty_like(right), np.empty_like(right)
    node, side = np.empty_like(right), np.empty_like(right)
    for i in range(len(left)):
        _row(tile[i], left[i], right, near, change, start, sign, first, second, node, side)


@njit(nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy", cache=True)
def _row(row, left, right, near, change, start, sign, first, second, node, side):
    zero, one, two = row.dtype.type(0), row.dtype.type(1), row.dtype.type(2)
    for j in range(len(row)):
        deficit = min(max(start + sign * row[j], zero), two)
        far = one if deficit > one else zero
        s = np.sqrt(min(deficit, two - deficit))
        row[j], side[j], node[j] = s, far, two * s - one
        first[j] = second[j] = zero
    for k in range(0, len(near), 4):
        a, b, c, d = near[k], near[k + 1], near[k + 2], near[k + 3]
        e, f, g, h = change[k], change[k + 1], change[k + 2], change[k + 3]
        for j in range(len(row)):
            twice, far, p, q = two * node[j], side[j], first[j], second[j]
            q = twice * p - q + (a + far * e)
            p = twice * q - p + (b + far * f)
            q = twice * p - q + (c + far * g)
            first[j] = twice * q - p + (d + far * h)
            second[j] = q
    for j in range(len(row)):
        series, far = first[j] - node[j] * second[j], side[j]
        row[j] = (far * series + (one - far) * (one - row[j] * series)) * (left * right[j])
