"""Curvature of a loss: its Hessian and kin as operators, their spectra, traces and densities, and sharpness."""

from lemmata.curvature.hessian import hessian

__all__ = ["hessian"]
