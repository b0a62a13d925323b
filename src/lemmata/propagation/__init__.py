"""Signals and gradients through the layers of a network: measured by hooks, and as mean-field theory has them."""

from lemmata.propagation.activations import Nonlinearity
from lemmata.propagation.edge_of_chaos import edge_of_chaos
from lemmata.propagation.expected_spectrum import ExpectedSpectrum, expected_spectrum
from lemmata.propagation.expected_variances import ExpectedVariances, expected_variances
from lemmata.propagation.input_output_jacobian import InputOutputJacobian, input_output_jacobian
from lemmata.propagation.layer_jacobians import LayerJacobians, layer_jacobians
from lemmata.propagation.mean_field import MeanField, mean_field
from lemmata.propagation.moments import Moments
from lemmata.propagation.phase_diagram import PhaseDiagram, phase_diagram
from lemmata.propagation.signals import Signals, signals
from lemmata.propagation.singular_values import mean_singular_value

__all__ = [
    "ExpectedSpectrum",
    "ExpectedVariances",
    "InputOutputJacobian",
    "LayerJacobians",
    "MeanField",
    "Moments",
    "Nonlinearity",
    "PhaseDiagram",
    "Signals",
    "edge_of_chaos",
    "expected_spectrum",
    "expected_variances",
    "input_output_jacobian",
    "layer_jacobians",
    "mean_field",
    "mean_singular_value",
    "phase_diagram",
    "signals",
]
