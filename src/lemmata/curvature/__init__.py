"""Curvature of a loss: its Hessian and kin as operators, their spectra, traces and densities, and sharpness."""

from lemmata.curvature.eigenvalues import Eigenvalues, top_eigenvalues
from lemmata.curvature.hessian import hessian

__all__ = ["Eigenvalues", "hessian", "top_eigenvalues"]
