"""A figure as a description, drawn once and rendered by several back ends."""

from lemmata.figures.field import Field
from lemmata.figures.figure import Axis, Figure, Panel, Reference, Series, mean_and_band

__all__ = ["Axis", "Field", "Figure", "Panel", "Reference", "Series", "mean_and_band"]
