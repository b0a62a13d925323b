"""Robustness of classifiers: certificates by randomised smoothing and by bounds, and attacks to hold beside them."""

from lemmata.robustness.certificates import Certificates
from lemmata.robustness.noise import Gaussian, Laplace, Noise, Uniform
from lemmata.robustness.sequential import schedule
from lemmata.robustness.votes import Votes

__all__ = [
    "Certificates",
    "Gaussian",
    "Laplace",
    "Noise",
    "Uniform",
    "Votes",
    "schedule",
]
