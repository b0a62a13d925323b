"""Training of the linearised network: closed forms, ensembles, lazy training, and how far training really went."""

from lemmata.kernels.dynamics.activation_flips import ActivationFlips, activation_flips
from lemmata.kernels.dynamics.distance import Distance, distance_from_initialisation
from lemmata.kernels.dynamics.ensemble_prediction import EnsemblePrediction, KernelBlocks, predict_ensemble
from lemmata.kernels.dynamics.linearised_model import LinearisedModel, linearise
from lemmata.kernels.dynamics.linearised_run import LinearisedRun
from lemmata.kernels.dynamics.linearised_training import LinearisedTraining
from lemmata.kernels.dynamics.scaled_model import Antisymmetric, ScaledModel
from lemmata.kernels.dynamics.sides import NewSamples
from lemmata.kernels.dynamics.spectral_filter import GradientFlow, SpectralFilter, spectral_filter

__all__ = [
    "ActivationFlips",
    "Antisymmetric",
    "Distance",
    "EnsemblePrediction",
    "GradientFlow",
    "KernelBlocks",
    "LinearisedModel",
    "LinearisedRun",
    "LinearisedTraining",
    "NewSamples",
    "ScaledModel",
    "SpectralFilter",
    "activation_flips",
    "distance_from_initialisation",
    "linearise",
    "predict_ensemble",
    "spectral_filter",
]
