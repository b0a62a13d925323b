"""Signals and gradients through the layers of a network: measured by hooks, and as mean-field theory has them."""

from lemmata.propagation.activations import Nonlinearity
from lemmata.propagation.edge_of_chaos import edge_of_chaos
from lemmata.propagation.expected_variances import ExpectedVariances, expected_variances
from lemmata.propagation.mean_field import MeanField, mean_field
from lemmata.propagation.moments import Moments
from lemmata.propagation.signals import Signals, signals
from lemmata.propagation.singular_values import mean_singular_value

__all__ = [
    "ExpectedVariances",
    "MeanField",
    "Moments",
    "Nonlinearity",
    "Signals",
    "edge_of_chaos",
    "expected_variances",
    "mean_field",
    "mean_singular_value",
    "signals",
]
