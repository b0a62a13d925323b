"""The promises of any kernel, kept by analytic kernels of several laws."""

from typing import Any

import pytest
from torch import Tensor

from lemmata.conformance.kernel import KernelConformance
from lemmata.kernels.analytic import FullyConnected, analytic_nngp, analytic_ntk

LAWS = {
    "relu": FullyConnected(depth=4),
    "relu with bias": FullyConnected(depth=4, bias_variance=0.3),
    "relu, residual": FullyConnected(depth=5, bias_variance=0.1, residual=True),
    "leaky relu, normalised": FullyConnected(depth=4, activation="leaky_relu", layer_norm=True),
    "erf": FullyConnected(depth=3, activation="erf", weight_variance=1.5, bias_variance=0.1),
    "gelu": FullyConnected(depth=3, activation="gelu"),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("function", [analytic_ntk, analytic_nngp])
def test_keeps_the_promises_of_a_kernel(name, function):
    class Conformance(KernelConformance):
        def kernel(self, x: Tensor, z: Tensor | None = None) -> Any:
            return function(x, z, network=LAWS[name])

    Conformance().check()
