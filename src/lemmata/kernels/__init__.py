"""Kernels of networks: the infinite-width limit, the empirical tangent kernel, and what a kernel says of training."""

from lemmata.kernels.analytic import FullyConnected, analytic_nngp, analytic_ntk
from lemmata.kernels.cntk import Convolutional, cnn_gp, cntk
from lemmata.kernels.dynamics import ActivationFlips, Distance, activation_flips, distance_from_initialisation
from lemmata.kernels.empirical import EmpiricalNTK, empirical_ntk
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.kernels.regression import (
    Gaussian,
    HeldOut,
    KernelFit,
    KernelRidgePath,
    Laplace,
    Polynomial,
    kernel_ridge,
    kernel_ridge_path,
    one_vs_all,
)

__all__ = [
    "ActivationFlips",
    "Convolutional",
    "Distance",
    "EmpiricalNTK",
    "FullyConnected",
    "Gaussian",
    "HeldOut",
    "KernelFit",
    "KernelMatrix",
    "KernelRidgePath",
    "Laplace",
    "Polynomial",
    "activation_flips",
    "analytic_nngp",
    "analytic_ntk",
    "cnn_gp",
    "cntk",
    "distance_from_initialisation",
    "empirical_ntk",
    "kernel_ridge",
    "kernel_ridge_path",
    "one_vs_all",
]
