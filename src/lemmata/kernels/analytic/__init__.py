"""Kernels of infinitely wide fully-connected networks, in closed form."""

from lemmata.kernels.analytic.activations import NAMED, Activation, Erf, Gaussian, Gelu, Hermite, Monomial, Rbf, Sine
from lemmata.kernels.analytic.fully_connected import analytic_nngp, analytic_ntk
from lemmata.kernels.analytic.hermite import HermiteExpansion
from lemmata.kernels.analytic.network import FullyConnected, Kernel
from lemmata.kernels.analytic.rectifier import Rectifier

__all__ = [
    "NAMED",
    "Activation",
    "Erf",
    "FullyConnected",
    "Gaussian",
    "Gelu",
    "Hermite",
    "HermiteExpansion",
    "Kernel",
    "Monomial",
    "Rbf",
    "Rectifier",
    "Sine",
    "analytic_nngp",
    "analytic_ntk",
]
