"""Attacks: small changes of an image that make a classifier err, to be held beside what is certified."""

from lemmata.robustness.attacks.attack import Attack, VanishingGradients
from lemmata.robustness.attacks.fgsm import fgsm
from lemmata.robustness.attacks.losses import log_mean_softmax, log_odds, margin
from lemmata.robustness.attacks.pgd import pgd, pgd_smoothed

__all__ = [
    "Attack",
    "VanishingGradients",
    "fgsm",
    "log_mean_softmax",
    "log_odds",
    "margin",
    "pgd",
    "pgd_smoothed",
]
