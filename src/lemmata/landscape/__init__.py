"""Loss surfaces: along lines and over planes, around a minimum, between checkpoints and along a trajectory."""

from lemmata.landscape import critical, paths, permutation, symmetry, teacher_student
from lemmata.landscape.between import between
from lemmata.landscape.convexity import Convexity, convexity
from lemmata.landscape.directions import hessian_directions, random_directions
from lemmata.landscape.export import load_npz
from lemmata.landscape.line import Line, line
from lemmata.landscape.projection import project
from lemmata.landscape.samples import Interrupted
from lemmata.landscape.surface import Surface, surface
from lemmata.landscape.trajectory import Trajectory, trajectory

__all__ = [
    "Convexity",
    "Interrupted",
    "Line",
    "Surface",
    "Trajectory",
    "between",
    "convexity",
    "critical",
    "hessian_directions",
    "line",
    "load_npz",
    "paths",
    "permutation",
    "project",
    "random_directions",
    "surface",
    "symmetry",
    "teacher_student",
    "trajectory",
]
