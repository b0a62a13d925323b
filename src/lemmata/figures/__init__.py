"""A figure as a description, drawn once and rendered by several back ends."""

from lemmata.figures.figure import Axis, Figure, Panel, Reference, Series, mean_and_band

__all__ = ["Axis", "Figure", "Panel", "Reference", "Series", "mean_and_band"]
