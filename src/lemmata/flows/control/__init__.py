"""Training as optimal control: penalties over time, Pontryagin's conditions, successive approximations, cascades."""

from lemmata.flows.control.batched_lbfgs import batched_lbfgs
from lemmata.flows.control.cascade import Cascade, Level, cascade, prolonged
from lemmata.flows.control.linear_quadratic import LinearQuadratic, Steered, half_square
from lemmata.flows.control.penalty import TimePenalty
from lemmata.flows.control.pontryagin import Conditions, pontryagin
from lemmata.flows.control.problem import Problem
from lemmata.flows.control.signs import Signs, binary_approximations
from lemmata.flows.control.successive import Approximations, successive_approximations

__all__ = [
    "Approximations",
    "Cascade",
    "Conditions",
    "Level",
    "LinearQuadratic",
    "Problem",
    "Signs",
    "Steered",
    "TimePenalty",
    "batched_lbfgs",
    "binary_approximations",
    "cascade",
    "half_square",
    "pontryagin",
    "prolonged",
    "successive_approximations",
]
