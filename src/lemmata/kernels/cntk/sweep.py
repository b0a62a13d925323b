"""All layers of one displacement, for a few images x against the lanes' images z: the inner loops of the CPU kernel.

A displacement needs of the state (E, T) only its own rectangle (`reference`), which stays in the cache through all
layers. A layer takes two rows of all images at a time, so that what it reads of z is read once:

    convolve    sums of three rows, then of three columns; two rows and two columns share the sum of their middle, and
                E gains a square at each merge (`merges`):    E, T - E  before the ReLU
    activate    D = E / (A B);  E <- E gate_E,  T <- (A B + T - E) gate_T                        (`vector_rectifier`)

The two are apart because a processor looks only some 200 vector results ahead: together, each number would wait for a
chain of 130 cycles. Results are written one row above where the layer was read, for the row there is no longer
needed: state in place, and no copy. Behind the last layer the readout's weights sum T, in float64 across rows.

The variant "plain" carries the covariance S instead of E: no merges, the digits of 1 - cos that float32 has.

Instructions on vectors, for a pair of positions and layer: additions 6, merges 9 (0 if plain), D 2, guard 1, root
5, polynomials 12, gates 2, E 1 (plain: 3), T 3: 41, of which a core with two vector units takes two a cycle.
"""

# ruff: noqa: PLR0917
# pyright: reportCallIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false
# (types here are Numba's; compiled functions take no keywords)

from __future__ import annotations

from typing import Any

from numba import njit

from lemmata.kernels.cntk.vector_rectifier import first_gates, gates
from lemmata.kernels.cntk.vectors import (
    chosen,
    fma,
    fnma,
    load,
    pointer,
    prefetch,
    same,
    shift,
    splat,
    store,
    weighted_add,
    width,
)

inner = njit(forceinline=True, error_model="numpy", nogil=True)


def outer(function: Any) -> Any:
    """Compile, and keep the code on disk where a folder for it can be written."""
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # numba found no folder: an installation that cannot be written, and no home
        return njit(nogil=True, error_model="numpy")(function)


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
def start(lanes, state, w, h, channels, plane, columns, xu, xp, zu, zp):
    """E = U V |x - z|^2 / 2 (plain: S = U V x z) with unit vectors x, z of the pixels of one image; T = 0."""
    n = width(lanes)
    for r in range(h):
        for s in range(w):
            total, at = same(lanes, 0.0), r * columns + s
            for c in range(channels):
                here, there = splat(lanes, xp, c * plane + at), load(lanes, zp, (c * plane + at) * n)
                if chosen(lanes, "plain"):
                    total = fma(here, there, total)
                else:
                    total = fma(here - there, (here - there) * same(lanes, 0.5), total)
            to = 2 * n * (r * w + s)
            store(total * splat(lanes, xu, at) * load(lanes, zu, at * n), state, to)
            store(same(lanes, 0.0), state, to + n)


@inner
def expect(lanes, w, columns, further, xv, xh, xn):
    """Fetch what two rows of an image `further` positions on will be multiplied with: too short for the processor."""
    lines = (6 * w + 15) // 16 + 1
    if not chosen(lanes, "plain"):
        for k in range(lines):
            prefetch(xv, 6 * further + 16 * k)
            prefetch(xh, 6 * further + 16 * k)
            prefetch(xh, 6 * (further + columns) + 16 * k)
    for k in range((2 * w + 15) // 16 + 1):
        prefetch(xn, 2 * further + 16 * k)
        prefetch(xn, 2 * (further + columns) + 16 * k)


@inner
def read(lanes, state, w, h, columns, xn, zn, row_weights, column_weights, tangent, last, out):
    """Add the weighted T (`tangent`) and the covariance (`last`) of one image behind the last layer to `out`."""
    n = width(lanes)
    for r in range(h):
        total, covariance = same(lanes, 0.0), same(lanes, 0.0)
        for s in range(w):
            at, weight = 2 * n * (r * w + s), splat(lanes, column_weights, s)
            total = fma(load(lanes, state, at + n), weight, total)
            if last != 0.0:
                e = load(lanes, state, at)
                if not chosen(lanes, "plain"):
                    place = r * columns + s
                    e = fnma(same(lanes, 1.0), e, norms(lanes, xn, zn, place) * same(lanes, 1 / 9))
                covariance = fma(e, weight, covariance)
        weighted_add(total, tangent * row_weights[r], out, 0)
        weighted_add(covariance, last * row_weights[r], out, 0)


@outer
def sweep(lanes, displacements, x, z, row_counts, column_counts, trained, tangent, last, state, zeros, out):
    """Add to out (n, lanes), float64, what the readout sees at `displacements` (., 2) of images x (n, ...).

    x, z are the arrays of `Merges`; `row_counts` (P, P) and `column_counts` (2 Q - 1, Q), by displacement, the weights;
    `trained` 1 or 0, and `tangent`, `last` the factors of T and of the covariance. `state` is room for some images,
    `zeros` a row of zeros.
    """
    sizes, pixels, merges_v, merges_h, merges_n = x
    sizes_z, pixels_z, merges_vz, merges_hz, merges_nz = z
    images, layers, rows, columns = merges_v.shape[:4]
    channels, plane, n = pixels.shape[1], rows * columns, width(lanes)
    for k in range(len(displacements)):
        a, b = displacements[k, 0], displacements[k, 1]
        h, w = rows - abs(a), columns - abs(b)
        i, j = max(0, -a) * columns + max(0, -b), max(0, a) * columns + max(0, b)
        step = (h + layers) * w * 2 * n
        at_once = min(images, max(1, len(state) // step))
        for begin in range(0, images, at_once):
            for m in range(begin, min(images, begin + at_once)):
                top = shift(pointer(state), (m - begin) * step + layers * w * 2 * n)
                xu, xp = shift(pointer(sizes), m * plane + i), shift(pointer(pixels), m * channels * plane + i)
                zu, zp = shift(pointer(sizes_z), j * n), shift(pointer(pixels_z), j * n)
                start(lanes, top, w, h, channels, plane, columns, xu, xp, zu, zp)
            for layer in range(layers):
                there = layer * plane + j
                zv, zh = shift(pointer(merges_vz), 6 * n * there), shift(pointer(merges_hz), 6 * n * there)
                zn = shift(pointer(merges_nz), 2 * n * there)
                for r in range(0, h, 2):
                    right, ahead = r * columns, (layers - layer + r) * w * 2 * n
                    for m in range(begin, min(images, begin + at_once)):
                        place = (m * layers + layer) * plane + i + right
                        xv, xh = shift(pointer(merges_v), 6 * place), shift(pointer(merges_h), 6 * place)
                        xn = shift(pointer(merges_n), 2 * place)
                        expect(lanes, w, columns, layers * plane, xv, xh, xn)  # of the next image
                        here = shift(pointer(state), (m - begin) * step + ahead)
                        down = 2 * n * w
                        above = shift(here, -down) if r > 0 else pointer(zeros)
                        below = shift(here, down) if r + 1 < h else pointer(zeros)
                        beyond = shift(here, 2 * down) if r + 2 < h else pointer(zeros)
                        zv_r, zh_r = shift(zv, 6 * n * right), shift(zh, 6 * n * right)
                        zn_r = shift(zn, 2 * n * right)
                        two = r + 1 < h
                        if two:
                            convolve(lanes, True, above, here, below, beyond, w, columns, xv, zv_r, xh, zh_r)
                        else:
                            convolve(lanes, False, above, here, below, beyond, w, columns, xv, zv_r, xh, zh_r)
                        for t in range(2 if two else 1):
                            row, xn_t = shift(here, (t - 1) * down), shift(xn, 2 * columns * t)
                            zn_t = shift(zn_r, 2 * n * columns * t)
                            if layer == 0:
                                activate_first(lanes, row, w, xn_t, zn_t, trained)
                            else:
                                activate(lanes, row, w, xn_t, zn_t)
            for m in range(begin, min(images, begin + at_once)):
                place, there = ((m + 1) * layers - 1) * plane + i, (layers - 1) * plane + j
                xn, zn = shift(pointer(merges_n), 2 * place), shift(pointer(merges_nz), 2 * n * there)
                weights = shift(pointer(column_counts), (b + columns - 1) * columns)
                found = shift(pointer(state), (m - begin) * step)
                row_weights = row_counts[a + rows - 1]
                read(
                    lanes, found, w, h, columns, xn, zn, row_weights, weights, tangent, last,
                    shift(pointer(out), m * n),
                )  # fmt: skip
