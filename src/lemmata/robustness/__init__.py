"""Robustness of classifiers: certificates by randomised smoothing and by bounds, and attacks to hold beside them."""

from lemmata.robustness import training
from lemmata.robustness.ablation import RandomAblation, certify_by_ablation, certify_patch
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
from lemmata.robustness.certificates.accuracy_table import AccuracyTable, accuracy_table
from lemmata.robustness.certificates.average_radius import average_certified_radius, radius_difference
from lemmata.robustness.certificates.certificates import Certificates
from lemmata.robustness.certificates.certified_accuracy import CertifiedAccuracy, certified_accuracy
from lemmata.robustness.certificates.logs import read_log, write_log
from lemmata.robustness.certificates.recovered_hits import attainable, recovered_hits
from lemmata.robustness.linear_bounds import (
    Enclosure,
    LogitBounds,
    certify_by_bounds,
    crown,
    enclosure,
    interval_bounds,
    margin_bounds,
    through_auto_lirpa,
)
from lemmata.robustness.lipschitz_bounds.certify_by_lipschitz import certify_by_lipschitz
from lemmata.robustness.lipschitz_bounds.lipschitz import LipschitzBound, lipschitz
from lemmata.robustness.smoothing.certify import Interrupted, LogNotWritten, certify
from lemmata.robustness.smoothing.ensemble import ensemble
from lemmata.robustness.smoothing.noise import Gaussian, Laplace, Noise, Uniform
from lemmata.robustness.smoothing.predict import Predictions, predict
from lemmata.robustness.smoothing.recount import Recount, recount
from lemmata.robustness.smoothing.sequential import schedule
from lemmata.robustness.smoothing.smoothed import Smoothed
from lemmata.robustness.smoothing.votes import Votes

__all__ = [
    "AccuracyTable",
    "Attack",
    "Certificates",
    "CertifiedAccuracy",
    "Enclosure",
    "Gaussian",
    "Interrupted",
    "Laplace",
    "LipschitzBound",
    "LogNotWritten",
    "LogitBounds",
    "Noise",
    "Predictions",
    "RandomAblation",
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
    "certify_by_ablation",
    "certify_by_bounds",
    "certify_by_lipschitz",
    "certify_patch",
    "crown",
    "enclosure",
    "ensemble",
    "fgsm",
    "interval_bounds",
    "linear_worst_case",
    "lipschitz",
    "margin_bounds",
    "pgd",
    "pgd_smoothed",
    "predict",
    "radius_difference",
    "read_log",
    "recount",
    "recovered_hits",
    "robust_accuracy",
    "schedule",
    "through_auto_lirpa",
    "training",
    "write_log",
]
