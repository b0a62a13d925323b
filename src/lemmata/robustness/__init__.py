"""Robustness of classifiers: certificates by randomised smoothing and by bounds, and attacks to hold beside them."""

from lemmata.robustness.accuracy_table import AccuracyTable, accuracy_table
from lemmata.robustness.attacks import (
    Attack,
    RobustAccuracy,
    VanishingGradients,
    auto_attack,
    fgsm,
    linear_worst_case,
    pgd,
    pgd_smoothed,
    robust_accuracy,
)
from lemmata.robustness.average_radius import average_certified_radius, radius_difference
from lemmata.robustness.certificates import Certificates
from lemmata.robustness.certified_accuracy import CertifiedAccuracy, certified_accuracy
from lemmata.robustness.certify import Interrupted, certify
from lemmata.robustness.ensemble import ensemble
from lemmata.robustness.logs import read_log, write_log
from lemmata.robustness.noise import Gaussian, Laplace, Noise, Uniform
from lemmata.robustness.recount import Recount, recount
from lemmata.robustness.recovered_hits import attainable, recovered_hits
from lemmata.robustness.sequential import schedule
from lemmata.robustness.smoothed import Smoothed
from lemmata.robustness.smoothing import Predictions, predict
from lemmata.robustness.votes import Votes

__all__ = [
    "AccuracyTable",
    "Attack",
    "Certificates",
    "CertifiedAccuracy",
    "Gaussian",
    "Interrupted",
    "Laplace",
    "Noise",
    "Predictions",
    "Recount",
    "RobustAccuracy",
    "Smoothed",
    "Uniform",
    "VanishingGradients",
    "Votes",
    "accuracy_table",
    "attainable",
    "auto_attack",
    "average_certified_radius",
    "certified_accuracy",
    "certify",
    "ensemble",
    "fgsm",
    "linear_worst_case",
    "pgd",
    "pgd_smoothed",
    "predict",
    "radius_difference",
    "read_log",
    "recount",
    "recovered_hits",
    "robust_accuracy",
    "schedule",
    "write_log",
]
