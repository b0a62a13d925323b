"""Sharpness: how much the loss rises near the parameters, in the worst case found or on average, by what is near.

| measure | near means | same under rescaling of ReLU layers / of units / of filters before a normalisation |
|---|---|---|
| `epsilon_sharpness` | a box of width epsilon (1 + |w_i|) | no / no / no |
| `sam_sharpness` | a Euclidean ball | no / no / no |
| `adaptive_sharpness` | weights move by a share of themselves; of their filter | yes / yes / yes; yes / no / yes |
| `average_sharpness` | Gaussian noise, of one size; of the weight's; of its filter's | as the two above it |
| `filter_normalised_sharpness` | each filter moves by a share of its length | yes / no / yes |
"""

from lemmata.curvature.sharpness.adaptive import adaptive_sharpness
from lemmata.curvature.sharpness.average import average_sharpness
from lemmata.curvature.sharpness.epsilon import epsilon_sharpness
from lemmata.curvature.sharpness.filter_normalised import filter_normalised_sharpness
from lemmata.curvature.sharpness.result import AverageCase, WorstCase
from lemmata.curvature.sharpness.sam import sam_sharpness

__all__ = [
    "AverageCase",
    "WorstCase",
    "adaptive_sharpness",
    "average_sharpness",
    "epsilon_sharpness",
    "filter_normalised_sharpness",
    "sam_sharpness",
]
