"""Attacks: small changes of an image that make a classifier err, to be held beside what is certified."""

from lemmata.robustness.attacks.attack import Attack, VanishingGradients
from lemmata.robustness.attacks.auto_attack import ToolboxMissing, auto_attack
from lemmata.robustness.attacks.fgsm import fgsm
from lemmata.robustness.attacks.linear import linear_worst_case
from lemmata.robustness.attacks.losses import log_mean_softmax, log_odds, margin
from lemmata.robustness.attacks.pgd import pgd, pgd_smoothed
from lemmata.robustness.attacks.robust_accuracy import RobustAccuracy, robust_accuracy

__all__ = [
    "Attack",
    "RobustAccuracy",
    "ToolboxMissing",
    "VanishingGradients",
    "auto_attack",
    "fgsm",
    "linear_worst_case",
    "log_mean_softmax",
    "log_odds",
    "margin",
    "pgd",
    "pgd_smoothed",
    "robust_accuracy",
]
