"""A layer of one displacement, for one image x against the lanes' images z: the inner loops of the CPU kernel.

Two rows at a time are convolved, then activated:

    convolve    sums of three rows, then of three columns; two rows and two columns share the sum of their middle, and
                E gains a square at each merge (`merges`):    E, T - E  before the ReLU
    activate    D = E / (A B);  E <- E gate_E,  T <- (A B + T - E) gate_T                        (`vector_rectifier`)

The two are apart because a processor looks only some 200 vector results ahead: together, each number would wait for a
chain of 130 cycles. Results are written one row above where the layer was read, for the row there is no longer
needed: state in place, and no copy.

The variant "plain" carries the covariance S instead of E: no merges, the digits of 1 - cos that float32 has.

Instructions on vectors, for a pair of positions and layer: additions 6, merges 9 (0 if plain), D 2, root 1,
polynomials 13, gates 2, E 1 (plain: 3), T 3: 37, of which a core with two vector units takes two a cycle.
"""

# ruff: noqa: PLR0917
# pyright: reportCallIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false
# (types here are Numba's; compiled functions take no keywords)

from __future__ import annotations

from numba import njit

from lemmata.kernels.cntk.vector_rectifier import first_gates, gates
from lemmata.kernels.cntk.vectors import chosen, fma, fnma, load, same, shift, splat, store, width

inner = njit(forceinline=True, error_model="numpy", nogil=True)


@inner
def turn(lanes, x, z, k):
    """Alpha_x beta_z - beta_x alpha_z of the merge whose numbers are k, k + 1."""
    n = width(lanes)
    return fnma(splat(lanes, x, k + 1), load(lanes, z, k * n), splat(lanes, x, k) * load(lanes, z, (k + 1) * n))


@inner
def merged(lanes, x, z, k, total):
    """E of a merge from the sum of the two E."""
    if chosen(lanes, "plain"):
        return total
    t = turn(lanes, x, z, k)
    return fma(t, t, total)


@inner
def vertical(lanes, two, above, here, below, beyond, s, xv, zv):
    """E, T of column s summed over rows r-1 .. r+1, and over r .. r+2."""
    n = width(lanes)
    at, x, z = 2 * n * s, shift(xv, 6 * s), shift(zv, 6 * n * s)
    middle = merged(lanes, x, z, 0, load(lanes, here, at) + load(lanes, below, at))
    middle_t = load(lanes, here, at + n) + load(lanes, below, at + n)
    e0 = merged(lanes, x, z, 2, load(lanes, above, at) + middle)
    t0 = load(lanes, above, at + n) + middle_t
    if not two:
        return e0, t0, e0, t0
    e1 = merged(lanes, x, z, 4, middle + load(lanes, beyond, at))
    return e0, t0, e1, middle_t + load(lanes, beyond, at + n)


@inner
def put(lanes, e, t, row, s):
    """Before the ReLU: E, and T with what of A B - E is not yet in it."""
    n = width(lanes)
    store(e, row, 2 * n * s)
    if chosen(lanes, "plain"):
        store(t + e, row, 2 * n * s + n)
    else:
        store(t - e, row, 2 * n * s + n)


@inner
def two_columns(lanes, left, left_t, e0, t0, e1, t1, right, right_t, xh, zh, s, row):
    """Sums over columns s-1 .. s+1, and over s .. s+2."""
    x, z = shift(xh, 6 * s), shift(zh, 6 * width(lanes) * s)
    middle, middle_t = merged(lanes, x, z, 0, e0 + e1), t0 + t1
    put(lanes, merged(lanes, x, z, 2, left + middle), left_t + middle_t, row, s)
    put(lanes, merged(lanes, x, z, 4, middle + right), middle_t + right_t, row, s + 1)


@inner
def last_column(lanes, left, left_t, e0, t0, xh, zh, s, row):
    """The sum over columns s-1, s, where s+1 lies outside."""
    x, z = shift(xh, 6 * s), shift(zh, 6 * width(lanes) * s)
    put(lanes, merged(lanes, x, z, 2, left + merged(lanes, x, z, 0, e0)), left_t + t0, row, s)


@inner
def convolve(lanes, two, above, here, below, beyond, w, columns, xv, zv, xh, zh):
    """The 3 x 3 sums of row r, into the row above it, and of row r + 1 if there are `two`, into row r."""
    n = width(lanes)
    xh1, zh1, none = shift(xh, 6 * columns), shift(zh, 6 * n * columns), same(lanes, 0.0)
    out = shift(here, -2 * n * w)  # row r-1 is the zero row where r = 0, and not what is above it
    left0, left0_t, left1, left1_t = none, none, none, none
    a0, a0_t, a1, a1_t = vertical(lanes, two, above, here, below, beyond, 0, xv, zv)
    s = 0
    while s + 1 < w:
        b0, b0_t, b1, b1_t = vertical(lanes, two, above, here, below, beyond, s + 1, xv, zv)
        if s + 2 < w:
            c0, c0_t, c1, c1_t = vertical(lanes, two, above, here, below, beyond, s + 2, xv, zv)
        else:
            c0, c0_t, c1, c1_t = none, none, none, none
        two_columns(lanes, left0, left0_t, a0, a0_t, b0, b0_t, c0, c0_t, xh, zh, s, out)
        if two:
            two_columns(lanes, left1, left1_t, a1, a1_t, b1, b1_t, c1, c1_t, xh1, zh1, s, here)
        left0, left0_t, left1, left1_t, a0, a0_t, a1, a1_t = b0, b0_t, b1, b1_t, c0, c0_t, c1, c1_t
        s += 2
    if s < w:
        last_column(lanes, left0, left0_t, a0, a0_t, xh, zh, s, out)
        if two:
            last_column(lanes, left1, left1_t, a1, a1_t, xh1, zh1, s, here)


@inner
def distance(lanes, e, xn, zn, s):
    """1 - cos before the ReLU."""
    over = splat(lanes, xn, 2 * s) * load(lanes, zn, 2 * width(lanes) * s)
    if chosen(lanes, "plain"):
        return fnma(over, e, same(lanes, 1.0))
    return over * e


@inner
def norms(lanes, xn, zn, s):
    """A B."""
    return splat(lanes, xn, 2 * s + 1) * load(lanes, zn, width(lanes) * (2 * s + 1))


@inner
def behind(lanes, e, d, gate_t, gate_e, xn, zn, s, row):
    """E (plain: S) and T behind the ReLU, in place."""
    n = width(lanes)
    at = 2 * n * s
    if chosen(lanes, "plain"):
        store(norms(lanes, xn, zn, s) * fnma(d, gate_e, same(lanes, 1 / 9)), row, at)
        store(load(lanes, row, at + n) * gate_t, row, at + n)
    else:
        store(e * gate_e, row, at)
        a, b = splat(lanes, xn, 2 * s + 1), load(lanes, zn, n * (2 * s + 1))
        store(fma(a, b, load(lanes, row, at + n)) * gate_t, row, at + n)


@inner
def activate(lanes, row, w, xn, zn):
    """The ReLU on a row of w positions, four at a time."""
    n, s = width(lanes), 0
    while s + 3 < w:
        e0, e1 = load(lanes, row, 2 * n * s), load(lanes, row, 2 * n * (s + 1))
        e2, e3 = load(lanes, row, 2 * n * (s + 2)), load(lanes, row, 2 * n * (s + 3))
        d0, d1 = distance(lanes, e0, xn, zn, s), distance(lanes, e1, xn, zn, s + 1)
        d2, d3 = distance(lanes, e2, xn, zn, s + 2), distance(lanes, e3, xn, zn, s + 3)
        t0, t1, t2, t3, q0, q1, q2, q3 = gates((d0, d1, d2, d3))
        behind(lanes, e0, d0, t0, q0, xn, zn, s, row)
        behind(lanes, e1, d1, t1, q1, xn, zn, s + 1, row)
        behind(lanes, e2, d2, t2, q2, xn, zn, s + 2, row)
        behind(lanes, e3, d3, t3, q3, xn, zn, s + 3, row)
        s += 4
    while s < w:
        e = load(lanes, row, 2 * n * s)
        d = distance(lanes, e, xn, zn, s)
        t, q = gates((d,))
        behind(lanes, e, d, t, q, xn, zn, s, row)
        s += 1


@inner
def activate_first(lanes, row, w, xn, zn, trained):
    """The first ReLU: patches of any correlation, and T = S if the first layer is `trained`, else 0."""
    n = width(lanes)
    for s in range(w):
        e, product = load(lanes, row, 2 * n * s), norms(lanes, xn, zn, s)
        gate, d = first_gates(distance(lanes, e, xn, zn, s))
        if chosen(lanes, "plain"):
            store(product * (same(lanes, 1 / 9) - d), row, 2 * n * s)
            store(e * gate * same(lanes, trained), row, 2 * n * s + n)
        else:
            store(product * d, row, 2 * n * s)
            store((product - e) * gate * same(lanes, trained), row, 2 * n * s + n)


@inner
def two_rows(lanes, first, trained, here, zeros, r, h, w, columns, xv, zv, xh, zh, xn, zn):
    """A layer of rows r and r + 1, if there is one: `here` is row r, and all results go one row up."""
    n = width(lanes)
    down, two = 2 * n * w, r + 1 < h
    above = shift(here, -down) if r > 0 else zeros
    below = shift(here, down) if two else zeros
    beyond = shift(here, 2 * down) if r + 2 < h else zeros
    if two:
        convolve(lanes, True, above, here, below, beyond, w, columns, xv, zv, xh, zh)
    else:
        convolve(lanes, False, above, here, below, beyond, w, columns, xv, zv, xh, zh)
    for t in range(2 if two else 1):
        row, xn_t, zn_t = shift(here, (t - 1) * down), shift(xn, 2 * columns * t), shift(zn, 2 * n * columns * t)
        if first:
            activate_first(lanes, row, w, xn_t, zn_t, trained)
        else:
            activate(lanes, row, w, xn_t, zn_t)
