"""Curvature of a loss: its Hessian and kin as operators, their spectra, traces and densities, and sharpness."""

from lemmata.curvature.eigenvalues import Eigenvalues, top_eigenvalues
from lemmata.curvature.hessian import hessian
from lemmata.curvature.sharpness import (
    AverageCase,
    WorstCase,
    adaptive_sharpness,
    average_sharpness,
    epsilon_sharpness,
    filter_normalised_sharpness,
    sam_sharpness,
)

__all__ = [
    "AverageCase",
    "Eigenvalues",
    "WorstCase",
    "adaptive_sharpness",
    "average_sharpness",
    "epsilon_sharpness",
    "filter_normalised_sharpness",
    "hessian",
    "sam_sharpness",
    "top_eigenvalues",
]
