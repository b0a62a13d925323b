"""Curvature of a loss: its Hessian and kin as operators, their spectra, traces and densities, and sharpness."""

from lemmata.curvature.density import Density, spectral_density
from lemmata.curvature.diagonal import Diagonal, diagonal
from lemmata.curvature.eigenvalues import Eigenvalues, top_eigenvalues
from lemmata.curvature.gradient_flow import Flow, gradient_flow
from lemmata.curvature.hessian import hessian
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
    "epsilon_sharpness",
    "filter_normalised_sharpness",
    "gradient_flow",
    "hessian",
    "nonlinearity",
    "sam_sharpness",
    "sharpness_probe",
    "spectral_density",
    "stability_threshold",
    "top_eigenvalues",
    "trace",
]
