"""Curvature of a loss: its Hessian and kin as operators, their spectra, traces and densities, and sharpness."""

from lemmata.curvature.density import Density, spectral_density
from lemmata.curvature.diagonal import Diagonal, diagonal
from lemmata.curvature.eigenvalues import Eigenvalues, top_eigenvalues
from lemmata.curvature.fisher import empirical_fisher, fisher
from lemmata.curvature.gauss_newton import ggn
from lemmata.curvature.gradient_flow import Flow, gradient_flow
from lemmata.curvature.hessian import hessian
from lemmata.curvature.jacobian import jacobian
from lemmata.curvature.linear.operator import CurvatureOperator
from lemmata.curvature.not_exact import NotExact
from lemmata.curvature.piecewise_linear import Nonlinearity, nonlinearity
from lemmata.curvature.sharpness import (
    AverageCase,
    WorstCase,
    adaptive_sharpness,
    average_sharpness,
    epsilon_sharpness,
    filter_normalised_sharpness,
    sam_sharpness,
)
from lemmata.curvature.sharpness_probe import (
    Sharpness,
    SharpnessProbe,
    SharpnessTracker,
    sharpness_probe,
)
from lemmata.curvature.sharpness_track import SharpnessTrack
from lemmata.curvature.stability import stability_threshold
from lemmata.curvature.trace import Trace, trace

__all__ = [
    "AverageCase",
    "CurvatureOperator",
    "Density",
    "Diagonal",
    "Eigenvalues",
    "Flow",
    "Nonlinearity",
    "NotExact",
    "Sharpness",
    "SharpnessProbe",
    "SharpnessTrack",
    "SharpnessTracker",
    "Trace",
    "WorstCase",
    "adaptive_sharpness",
    "average_sharpness",
    "diagonal",
    "empirical_fisher",
    "epsilon_sharpness",
    "filter_normalised_sharpness",
    "fisher",
    "ggn",
    "gradient_flow",
    "hessian",
    "jacobian",
    "nonlinearity",
    "sam_sharpness",
    "sharpness_probe",
    "spectral_density",
    "stability_threshold",
    "top_eigenvalues",
    "trace",
]
