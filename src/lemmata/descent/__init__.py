"""First-order methods and what is proven of them: schedules, worst cases, certificates, rates on real problems."""

from lemmata.descent import problems
from lemmata.descent.branch_and_bound import Optimal, optimal
from lemmata.descent.certificate import Certificate, NotStraightforward, certify, verify
from lemmata.descent.constants import Constant, smoothness, strong_convexity
from lemmata.descent.lr_scheduler import lr_scheduler
from lemmata.descent.method import Guarantee, Method, Schedule, State
from lemmata.descent.optimizer import optimizer
from lemmata.descent.problems import Problem
from lemmata.descent.problems.of_objective import problem
from lemmata.descent.rate_fit import RateFit, fit_rate
from lemmata.descent.rates import Rate, Rates, compare
from lemmata.descent.run import Run, run
from lemmata.descent.schedules import (
    accelerated_long_steps,
    bnb_pep,
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
    shortfall,
    silver,
    straightforward,
)
from lemmata.descent.worst_case import WorstCase, worst_case

__all__ = [
    "Certificate",
    "Constant",
    "Guarantee",
    "Method",
    "NotStraightforward",
    "Optimal",
    "Problem",
    "Rate",
    "RateFit",
    "Rates",
    "Run",
    "Schedule",
    "State",
    "WorstCase",
    "accelerated_long_steps",
    "bnb_pep",
    "certify",
    "compare",
    "constant",
    "dominant",
    "fit_rate",
    "gradient_dominant",
    "grimmer",
    "heavy_ball",
    "long_steps",
    "lr_scheduler",
    "nesterov",
    "ogm",
    "optimal",
    "optimizer",
    "polyak",
    "primitive",
    "problem",
    "problems",
    "run",
    "shortfall",
    "silver",
    "smoothness",
    "straightforward",
    "strong_convexity",
    "verify",
    "worst_case",
]
