"""Which of several minima are joined by what: a minimum spanning tree of the heights of paths between them.

The height of a route over several paths is that of its highest; between two minima the lowest route there is, over all
of the paths, runs along the tree (the minimax property of minimum spanning trees: an edge that is not in the tree is at
least as high as every edge of the tree's route between its ends). So n - 1 paths tell the connectivity of n minima
(Draxler, Veschgini, Salmhofer and Hamprecht, 2018). Cost: that of the n (n - 1) / 2 paths, all relaxed in one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from torch import nn

from lemmata.batches import Data
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Field, Figure, Panel
from lemmata.landscape.paths.band import Band, elastic_bands
from lemmata.landscape.paths.curve import curves
from lemmata.landscape.paths.linear import linear
from lemmata.landscape.paths.path import Path
from lemmata.landscape.states import Place
from lemmata.objective import Loss


@dataclass(frozen=True, eq=False)
class SpanningTree:
    """The tree over n minima: `edges` (n - 1, 2) from the lowest to the highest, with their `heights` (n - 1,).

    `direct` (n, n) are the heights of all direct paths, `lowest` (n, n) those of the lowest routes, NaN on the
    diagonal; `paths` the paths themselves by pair (i, j), i < j, if they were made here.
    """

    edges: np.ndarray
    heights: np.ndarray
    direct: np.ndarray
    lowest: np.ndarray
    paths: dict[tuple[int, int], Path]

    def plot(self) -> Figure:
        """Draw the heights of direct paths beside those of the lowest routes."""
        place = np.arange(float(len(self.direct)))
        panels = [
            Panel(
                x=Axis(label="minimum"), y=Axis(label="minimum"), title=title, equal=True,
                fields=[Field(label="height", x=place, y=place, z=heights, kind="heatmap")],
            )
            for title, heights in (("direct paths", self.direct), ("lowest routes", self.lowest))
        ]  # fmt: skip
        caption = "Largest loss on the way: " + ", ".join(
            f"{i}-{j} {height:.3g}" for (i, j), height in zip(self.edges.tolist(), self.heights, strict=True)
        )
        title = "Lowest routes between minima"
        return Figure(name="spanning_tree", title=title, caption=f"{caption}.", panels=panels, one_scale=True)


def minimum_spanning_tree(heights: np.ndarray, paths: dict[tuple[int, int], Path] | None = None) -> SpanningTree:
    """The tree of symmetric heights (n, n), whose diagonal is not read (Kruskal's algorithm).

    Raises `InvalidInput` for what is not square and symmetric, or has NaN; infinity stands for no path.

    >>> tree = minimum_spanning_tree(np.array([[0, 1.0, 5.0], [1.0, 0, 2.0], [5.0, 2.0, 0]]))
    >>> tree.edges.tolist(), float(tree.lowest[0, 2])
    ([[0, 1], [1, 2]], 2.0)
    """
    direct = np.array(heights, dtype=float)
    n = len(direct)
    if direct.shape != (n, n) or n < 2:
        raise InvalidInput(f"heights of shape {direct.shape}; give those of n minima with each other, (n, n), n >= 2")
    np.fill_diagonal(direct, np.nan)
    off = ~np.eye(n, dtype=bool)
    if np.isnan(direct[off]).any() or not np.array_equal(direct, direct.T, equal_nan=True):
        raise InvalidInput("the heights are not symmetric, or hold NaN; the height of a path is that of its reverse")
    group, lowest, edges = [{i} for i in range(n)], np.full((n, n), np.nan), []
    for i, j in sorted(combinations(range(n), 2), key=lambda pair: direct[pair]):
        if j in group[i]:
            continue
        edges.append((i, j))
        for one in group[i]:
            for other in group[j]:  # their lowest route is closed by this path, the highest of it
                lowest[one, other] = lowest[other, one] = direct[i, j]
        merged = group[i] | group[j]
        for k in merged:
            group[k] = merged
    order = np.array(edges)
    return SpanningTree(order, direct[order[:, 0], order[:, 1]], direct, lowest, paths or {})


def spanning_tree(
    model: nn.Module,
    places: Sequence[Place],
    *,
    by: Literal["line", "curve", "band"] = "band",
    loss: Loss = "cross_entropy",
    data: Data,
    **options: Any,
) -> SpanningTree:
    """Join all pairs of several networks by lines, curves or elastic bands, and find the tree of lowest routes.

    The height of a path is the largest loss on it, on the data. `options` are those of `linear`, `curves` or
    `elastic_bands`; seeds count the pairs. Memory: that of the n (n - 1) / 2 paths at once.

    >>> import torch
    >>> model, x = nn.Linear(1, 1, bias=False), torch.ones(1, 1)
    >>> minima = [{"weight": torch.tensor([[w]])} for w in (-1.0, 1.0, 2.0)]
    >>> wells = lambda z, y: ((z + 1) * (z - 1) * (z - 2)).square().mean()
    >>> spanning_tree(model, minima, by="line", loss=wells, data=(x, x)).edges.tolist()
    [[1, 2], [0, 1]]
    """
    if by not in ("line", "curve", "band"):
        raise UnknownName("kind of path", by, ("line", "curve", "band"))
    pairs = list(combinations(range(len(places)), 2))
    if not pairs:
        raise InvalidInput(f"{len(places)} networks; give at least two")
    if by == "line":
        paths = [linear(model, places[i], places[j], loss=loss, data=data, **options) for i, j in pairs]
    else:
        starts, ends = [places[i] for i, _ in pairs], [places[j] for _, j in pairs]
        train = curves if by == "curve" else elastic_bands
        paths = [
            found.path if isinstance(found, Band) else found.path()
            for found in train(model, starts, ends, loss=loss, data=data, **options)
        ]
    heights = np.zeros((len(places), len(places)))
    for (i, j), path in zip(pairs, paths, strict=True):
        heights[i, j] = heights[j, i] = path.loss.max()
    return minimum_spanning_tree(heights, dict(zip(pairs, paths, strict=True)))
