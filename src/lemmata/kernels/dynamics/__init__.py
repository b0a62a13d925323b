"""Training of the linearised network: closed forms, ensembles, lazy training, and how far training really went."""

from lemmata.kernels.dynamics.activation_flips import ActivationFlips, activation_flips
from lemmata.kernels.dynamics.distance import Distance, distance_from_initialisation

__all__ = ["ActivationFlips", "Distance", "activation_flips", "distance_from_initialisation"]
