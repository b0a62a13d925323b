"""Signals and gradients through the layers of a network: measured by hooks, and as mean-field theory has them."""

from lemmata.propagation.activations import Nonlinearity
from lemmata.propagation.edge_of_chaos import edge_of_chaos
from lemmata.propagation.mean_field import MeanField, mean_field

__all__ = ["MeanField", "Nonlinearity", "edge_of_chaos", "mean_field"]
