"""All layers of all displacements, for images x against the lanes' images z: the loops around `rows`.

A displacement needs of the state (E, T) only its own rectangle (`reference`), which stays in the cache through all
layers. A layer takes two rows of all images at a time, so that what it reads of z is read once. Behind the last layer
the readout's weights sum T, in float64 across rows.
"""

# ruff: noqa: PLR0917
# pyright: reportCallIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false
# (types here are Numba's; compiled functions take no keywords)

from __future__ import annotations

from typing import Any

from numba import njit

from lemmata.kernels.cntk.rows import inner, norms, two_rows
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


def outer(function: Any) -> Any:
    """Compile, and keep the code on disk where a folder for it can be written."""
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # numba found no folder: an installation that cannot be written, and no home
        return njit(nogil=True, error_model="numpy")(function)


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


@inner
def start_all(lanes, x, z, begin, end, state, step, h, w, i, j):
    """The first state of images begin .. end - 1, at the lower end of the room each has."""
    sizes, pixels, merges_v, _, _ = x
    sizes_z, pixels_z, _, _, _ = z
    layers, rows, columns = merges_v.shape[1:4]
    channels, plane, n = pixels.shape[1], rows * columns, width(lanes)
    zu, zp = shift(pointer(sizes_z), j * n), shift(pointer(pixels_z), j * n)
    for m in range(begin, end):
        top = shift(pointer(state), (m - begin) * step + layers * w * 2 * n)
        xu, xp = shift(pointer(sizes), m * plane + i), shift(pointer(pixels), m * channels * plane + i)
        start(lanes, top, w, h, channels, plane, columns, xu, xp, zu, zp)


@inner
def layer_of_all(lanes, layer, x, z, begin, end, state, step, h, w, i, j, trained, zeros):
    """A layer, two rows of all images at a time."""
    _, _, merges_v, merges_h, merges_n = x
    _, _, merges_vz, merges_hz, merges_nz = z
    layers, rows, columns = merges_v.shape[1:4]
    plane, n = rows * columns, width(lanes)
    for r in range(0, h, 2):
        right, ahead = r * columns, (layers - layer + r) * w * 2 * n
        there = layer * plane + j + right
        zv, zh = shift(pointer(merges_vz), 6 * n * there), shift(pointer(merges_hz), 6 * n * there)
        zn = shift(pointer(merges_nz), 2 * n * there)
        for m in range(begin, end):
            place = (m * layers + layer) * plane + i + right
            xv, xh = shift(pointer(merges_v), 6 * place), shift(pointer(merges_h), 6 * place)
            xn, here = shift(pointer(merges_n), 2 * place), shift(pointer(state), (m - begin) * step + ahead)
            expect(lanes, w, columns, layers * plane, xv, xh, xn)  # of the next image
            two_rows(lanes, layer == 0, trained, here, pointer(zeros), r, h, w, columns, xv, zv, xh, zh, xn, zn)


@outer
def sweep(lanes, displacements, x, z, row_counts, column_counts, trained, tangent, last, state, zeros, out):
    """Add to out (n, lanes), float64, what the readout sees at `displacements` (., 2) of images x (n, ...).

    x, z are the arrays of `Merges`; `row_counts` (P, P) and `column_counts` (2 Q - 1, Q), by displacement, the weights;
    `trained` 1 or 0, and `tangent`, `last` the factors of T and of the covariance. `state` is room for some images,
    `zeros` a row of zeros.
    """
    merges_n, merges_nz = x[4], z[4]
    images, layers, rows, columns = merges_n.shape[:4]
    plane, n = rows * columns, width(lanes)
    for k in range(len(displacements)):
        a, b = displacements[k, 0], displacements[k, 1]
        h, w = rows - abs(a), columns - abs(b)
        i, j = max(0, -a) * columns + max(0, -b), max(0, a) * columns + max(0, b)
        row_weights = row_counts[a + rows - 1]
        weights = shift(pointer(column_counts), (b + columns - 1) * columns)
        zn = shift(pointer(merges_nz), 2 * n * ((layers - 1) * plane + j))
        step = (h + layers) * w * 2 * n
        at_once = min(images, max(1, len(state) // step))
        for begin in range(0, images, at_once):
            end = min(images, begin + at_once)
            start_all(lanes, x, z, begin, end, state, step, h, w, i, j)
            for layer in range(layers):
                layer_of_all(lanes, layer, x, z, begin, end, state, step, h, w, i, j, trained, zeros)
            for m in range(begin, end):
                xn = shift(pointer(merges_n), 2 * (((m + 1) * layers - 1) * plane + i))
                found, to = shift(pointer(state), (m - begin) * step), shift(pointer(out), m * n)
                read(lanes, found, w, h, columns, xn, zn, row_weights, weights, tangent, last, to)
