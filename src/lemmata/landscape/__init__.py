"""Loss surfaces: along lines and over planes, around a minimum, between checkpoints and along a trajectory."""

from lemmata.landscape.between import between
from lemmata.landscape.directions import hessian_directions, random_directions
from lemmata.landscape.line import Line, line
from lemmata.landscape.samples import Interrupted
from lemmata.landscape.surface import Surface, surface

__all__ = [
    "Interrupted",
    "Line",
    "Surface",
    "between",
    "hessian_directions",
    "line",
    "random_directions",
    "surface",
]
