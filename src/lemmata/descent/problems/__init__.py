"""Convex problems with their constants, minimum and distance known: what a guarantee is held against."""

from lemmata.descent.problems.huber import huber
from lemmata.descent.problems.least_squares import least_squares
from lemmata.descent.problems.logistic import logistic
from lemmata.descent.problems.problem import Bracket, Problem
from lemmata.descent.problems.quadratic import quadratic
from lemmata.descent.problems.softmax import softmax

__all__ = ["Bracket", "Problem", "huber", "least_squares", "logistic", "quadratic", "softmax"]
