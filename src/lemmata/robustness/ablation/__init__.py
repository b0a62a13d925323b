"""Certificates against changes of few pixels and against patches, from classifiers that see parts of an image."""

from lemmata.robustness.ablation.bands import band_votes, certified_sides, certify_patch
from lemmata.robustness.ablation.encoding import ablate, encode
from lemmata.robustness.ablation.random_pixels import RandomAblation, ablation_distance, certify_by_ablation

__all__ = [
    "RandomAblation",
    "ablate",
    "ablation_distance",
    "band_votes",
    "certified_sides",
    "certify_by_ablation",
    "certify_patch",
    "encode",
]
