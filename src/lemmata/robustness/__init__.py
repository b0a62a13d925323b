"""Robustness of classifiers: certificates by randomised smoothing and by bounds, and attacks to hold beside them."""

from lemmata.robustness.certificates import Certificates

__all__ = ["Certificates"]
