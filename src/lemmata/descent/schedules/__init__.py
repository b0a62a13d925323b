"""Step sizes and methods of the literature, one family a file, each with what is proven of it as a function of n."""

from lemmata.descent.schedules.bnb_pep import bnb_pep, shortfall
from lemmata.descent.schedules.composed import dominant, gradient_dominant, primitive
from lemmata.descent.schedules.constant import constant
from lemmata.descent.schedules.grimmer import grimmer
from lemmata.descent.schedules.heavy_ball import heavy_ball
from lemmata.descent.schedules.long_steps import accelerated_long_steps, long_steps
from lemmata.descent.schedules.nesterov import nesterov
from lemmata.descent.schedules.optimised_gradient import ogm
from lemmata.descent.schedules.polyak import polyak
from lemmata.descent.schedules.silver import silver
from lemmata.descent.schedules.straightforward import straightforward

__all__ = [
    "accelerated_long_steps",
    "bnb_pep",
    "constant",
    "dominant",
    "gradient_dominant",
    "grimmer",
    "heavy_ball",
    "long_steps",
    "nesterov",
    "ogm",
    "polyak",
    "primitive",
    "shortfall",
    "silver",
    "straightforward",
]
