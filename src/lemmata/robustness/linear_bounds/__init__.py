"""Bounds of networks on balls of inputs, and the certificates that follow: intervals, CROWN, auto_LiRPA."""

from lemmata.robustness.linear_bounds.auto_lirpa import through_auto_lirpa
from lemmata.robustness.linear_bounds.bounds import LogitBounds, crown, interval_bounds, margin_bounds
from lemmata.robustness.linear_bounds.certify_by_bounds import certify_by_bounds
from lemmata.robustness.linear_bounds.enclosure import Enclosure, enclosure

__all__ = [
    "Enclosure",
    "LogitBounds",
    "certify_by_bounds",
    "crown",
    "enclosure",
    "interval_bounds",
    "margin_bounds",
    "through_auto_lirpa",
]
