"""Signals and gradients through the layers of a network: measured by hooks, and as mean-field theory has them."""

from lemmata.propagation.activations import Nonlinearity
from lemmata.propagation.edge_of_chaos import edge_of_chaos
from lemmata.propagation.mean_field import MeanField, mean_field
from lemmata.propagation.moments import Moments
from lemmata.propagation.signals import Signals, signals

__all__ = ["MeanField", "Moments", "Nonlinearity", "Signals", "edge_of_chaos", "mean_field", "signals"]
