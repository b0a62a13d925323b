"""First-order methods and what is proven of them: schedules, worst cases, certificates, rates on real problems."""

from lemmata.descent import problems
from lemmata.descent.constants import Constant, smoothness, strong_convexity
from lemmata.descent.method import Guarantee, Method, Schedule
from lemmata.descent.problems import Problem
from lemmata.descent.problems.of_objective import problem
from lemmata.descent.rate_fit import RateFit, fit_rate
from lemmata.descent.rates import Rate, Rates, compare
from lemmata.descent.run import Run, run
from lemmata.descent.schedules import (
    accelerated_long_steps,
    constant,
    dominant,
    gradient_dominant,
    grimmer,
    heavy_ball,
    long_steps,
    nesterov,
    ogm,
    polyak,
    primitive,
    silver,
    straightforward,
)
from lemmata.descent.worst_case import WorstCase, worst_case

__all__ = [
    "Constant",
    "Guarantee",
    "Method",
    "Problem",
    "Rate",
    "RateFit",
    "Rates",
    "Run",
    "Schedule",
    "WorstCase",
    "accelerated_long_steps",
    "compare",
    "constant",
    "dominant",
    "fit_rate",
    "gradient_dominant",
    "grimmer",
    "heavy_ball",
    "long_steps",
    "nesterov",
    "ogm",
    "polyak",
    "primitive",
    "problem",
    "problems",
    "run",
    "silver",
    "smoothness",
    "straightforward",
    "strong_convexity",
    "worst_case",
]
