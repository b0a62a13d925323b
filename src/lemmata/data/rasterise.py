"""Filling convex shapes on a square grid of pixels, all of them at once, line by line.

A line of pixel centres, y = i + 1/2, meets a convex shape in an interval [l, r] (empty where l > r):

    polygon    each edge from a to b with min(a_y, b_y) <= y < max(a_y, b_y) is met at
               x = a_x + (y - a_y) (b_x - a_x) / (b_y - a_y);  l and r are the least and the largest of these
    ellipse    {c + p : p^T M^-1 p <= 1}:  with v = y - c_y,  l, r = c_x + (m_xy v -+ sqrt(det M (m_yy - v^2))) / m_yy

and the pixels filled are those with l <= j + 1/2 <= r. So a shape costs 32 intervals, and not 1,024 tests against each
of its edges; the intervals become pixels by a table of runs of ones, one row for each pair of ends.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Spans(NamedTuple):
    """The interval [left, right] of each of n shapes on each line of the grid: (n, size); empty where left > right."""

    left: Tensor
    right: Tensor


def polygon_spans(corners: Tensor, size: int) -> Spans:
    """Cut convex polygons, corners (n, k, 2) in order around them, by the `size` lines of pixel centres.

    A corner may stand several times. Cost: n k size divisions.

    >>> left, right = polygon_spans(torch.tensor([[[1.0, 1.0], [3.0, 1.0], [3.0, 2.0], [1.0, 2.0]]]), 4)
    >>> left.tolist(), right.tolist()
    ([[inf, 1.0, inf, inf]], [[-inf, 3.0, -inf, -inf]])
    """
    lines = torch.arange(size, dtype=corners.dtype, device=corners.device) + 0.5
    inf = float("inf")
    left, right = (corners.new_full((len(corners), size), end) for end in (inf, -inf))
    for a, b in zip(corners.unbind(1), corners.roll(-1, 1).unbind(1), strict=True):
        (ax, ay), (bx, by) = a.T[..., None], b.T[..., None]
        met = (torch.minimum(ay, by) <= lines) & (lines < torch.maximum(ay, by))
        slope = (bx - ax) / torch.where(by == ay, 1.0, by - ay)
        x = ax + (lines - ay) * slope
        left = torch.where(met, torch.minimum(left, x), left)
        right = torch.where(met, torch.maximum(right, x), right)
    return Spans(left, right)


def ellipse_spans(moment: Tensor, centre: Tensor, size: int) -> Spans:
    """Cut the ellipses p^T M^-1 p <= 1 around `centre` (n, 2), `moment` (n, 3) = (m_xx, m_xy, m_yy), by the lines.

    >>> left, right = ellipse_spans(torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[2.0, 1.5]]), 3)
    >>> left.tolist(), right.tolist()
    ([[inf, 1.0, inf]], [[-inf, 3.0, -inf]])
    """
    lines = torch.arange(size, dtype=centre.dtype, device=centre.device) + 0.5
    xx, xy, yy = moment.T[..., None]
    v = lines - centre[:, 1:]
    middle = centre[:, :1] + xy / yy * v
    room = yy - v**2
    half = ((xx * yy - xy**2) * room.clamp(min=0)).sqrt() / yy
    inf = float("inf")
    return Spans(torch.where(room > 0, middle - half, inf), torch.where(room > 0, middle + half, -inf))


def paint(layers: Sequence[Spans], levels: Tensor, size: int) -> Tensor:
    """Paint shapes one over the other: images (n, size, size) of `levels` (n, 1 + layers), the background's first.

    >>> row = Spans(torch.tensor([[0.4, 0.4]]), torch.tensor([[1.5, -1.0]]))
    >>> paint([row], torch.tensor([[0.0, 1.0]]), 2).tolist()
    [[[1.0, 1.0], [0.0, 0.0]]]
    """
    runs = _runs(size).to(levels)
    images = levels[:, :1, None].expand(-1, size, size)
    for layer, level in zip(layers, levels[:, 1:].unbind(1), strict=True):
        first = (layer.left - 0.5).ceil().clamp(0, size)
        after = ((layer.right - 0.5).floor() + 1).clamp(0, size)
        length = (after - first).clamp(min=0)
        rows = (first * (size + 1) + length).long().view(-1)
        filled = runs.index_select(0, rows).view(-1, size, size)
        images = torch.lerp(images, level[:, None, None], filled)  # exact at weights 0 and 1
    return images


@cache
def _runs(size: int) -> Tensor:
    """Row (first, length) has ones from `first` on: ((size + 1)^2, size)."""
    place = torch.arange(size + 1)
    first, length = place[:, None, None], place[None, :, None]
    cells = place[None, None, :size]
    return ((cells >= first) & (cells < first + length)).view(-1, size)
