"""Regression in a kernel's space: one solve, all ridges from one decomposition, what is said of samples held out."""

from lemmata.kernels.kernel_matrix import Kernel
from lemmata.kernels.regression.elementary import Gaussian, Laplace, Polynomial
from lemmata.kernels.regression.held_out import HeldOut
from lemmata.kernels.regression.kernel_fit import KernelFit
from lemmata.kernels.regression.kernel_ridge import kernel_ridge
from lemmata.kernels.regression.one_vs_all import one_vs_all
from lemmata.kernels.regression.ridge_path import KernelRidgePath, kernel_ridge_path

__all__ = [
    "Gaussian",
    "HeldOut",
    "Kernel",
    "KernelFit",
    "KernelRidgePath",
    "Laplace",
    "Polynomial",
    "kernel_ridge",
    "kernel_ridge_path",
    "one_vs_all",
]
