"""Robustness of classifiers: certificates by randomised smoothing and by bounds, and attacks to hold beside them."""

from lemmata.robustness.certificates import Certificates
from lemmata.robustness.ensemble import ensemble
from lemmata.robustness.noise import Gaussian, Laplace, Noise, Uniform
from lemmata.robustness.recount import Recount, recount
from lemmata.robustness.sequential import schedule
from lemmata.robustness.smoothed import Smoothed
from lemmata.robustness.smoothing import Predictions, predict
from lemmata.robustness.votes import Votes

__all__ = [
    "Certificates",
    "Gaussian",
    "Laplace",
    "Noise",
    "Predictions",
    "Recount",
    "Smoothed",
    "Uniform",
    "Votes",
    "ensemble",
    "predict",
    "recount",
    "schedule",
]
