"""Attacks: small changes of an image that make a classifier err, to be held beside what is certified."""

from lemmata.robustness.attacks.losses import log_mean_softmax, log_odds, margin

__all__ = ["log_mean_softmax", "log_odds", "margin"]
