"""Paths between two sets of weights: straight, curved, relaxed; and the barrier along them."""

from lemmata.landscape.paths.band import Band, elastic_bands, nudged_elastic_band
from lemmata.landscape.paths.barrier import Barrier, barrier
from lemmata.landscape.paths.curve import Curve, curve, curves
from lemmata.landscape.paths.linear import linear
from lemmata.landscape.paths.path import Path, along
from lemmata.landscape.paths.plane import Plane, plane
from lemmata.landscape.paths.spanning_tree import SpanningTree, minimum_spanning_tree, spanning_tree

__all__ = [
    "Band",
    "Barrier",
    "Curve",
    "Path",
    "Plane",
    "SpanningTree",
    "along",
    "barrier",
    "curve",
    "curves",
    "elastic_bands",
    "linear",
    "minimum_spanning_tree",
    "nudged_elastic_band",
    "plane",
    "spanning_tree",
]
