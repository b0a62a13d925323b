"""A figure as a description, drawn once and rendered by several back ends."""

from lemmata.figures.animation import Animation, film
from lemmata.figures.field import Field
from lemmata.figures.figure import Axis, Figure, Panel, Reference, Series, mean_and_band

__all__ = ["Animation", "Axis", "Field", "Figure", "Panel", "Reference", "Series", "film", "mean_and_band"]
