"""Kernels of networks: the infinite-width limit, the empirical tangent kernel, and what a kernel says of training."""

from lemmata.kernels.analytic import FullyConnected, analytic_nngp, analytic_ntk
from lemmata.kernels.dynamics import ActivationFlips, Distance, activation_flips, distance_from_initialisation
from lemmata.kernels.empirical import EmpiricalNTK, empirical_ntk
from lemmata.kernels.kernel_matrix import KernelMatrix

__all__ = [
    "ActivationFlips",
    "Distance",
    "EmpiricalNTK",
    "FullyConnected",
    "KernelMatrix",
    "activation_flips",
    "analytic_nngp",
    "analytic_ntk",
    "distance_from_initialisation",
    "empirical_ntk",
]
