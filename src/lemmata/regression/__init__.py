"""Regression that can be solved in closed form: interpolating networks, kernels, least squares."""

from lemmata.regression.finite_sample import InterpolatingNet, interpolating_net, misfit_by_units
from lemmata.regression.kernel import KernelInterpolant, fit_gaussian_kernel

__all__ = ["InterpolatingNet", "KernelInterpolant", "fit_gaussian_kernel", "interpolating_net", "misfit_by_units"]
