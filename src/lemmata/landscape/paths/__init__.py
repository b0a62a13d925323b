"""Paths between two sets of weights: straight, curved, relaxed; and the barrier along them."""

from lemmata.landscape.paths.barrier import Barrier, barrier
from lemmata.landscape.paths.curve import Curve, curve, curves
from lemmata.landscape.paths.linear import linear
from lemmata.landscape.paths.path import Path, along

__all__ = ["Barrier", "Curve", "Path", "along", "barrier", "curve", "curves", "linear"]
