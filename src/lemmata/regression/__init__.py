"""Regression: least squares, softmax regression, the smooth solvers behind them, and what is known in closed form."""

from lemmata.regression import early_stopping, early_stopping_finite_n, single_layer, stochastic, two_layer_descent
from lemmata.regression.classification_fit import ClassificationFit
from lemmata.regression.finite_sample import InterpolatingNet, interpolating_net, misfit_by_units
from lemmata.regression.least_squares import least_squares
from lemmata.regression.minimise import minimise
from lemmata.regression.minimum import Minimum, descent_figure
from lemmata.regression.regularisation import (
    bias_variance,
    cross_validation,
    iterative,
    ridge_path,
    tikhonov,
    total_variation,
    truncated_svd,
)
from lemmata.regression.smooth_function import NonlinearLeastSquares, SmoothFunction
from lemmata.regression.softmax_regression import logistic_regression, softmax_regression
from lemmata.regression.solution import Solution

__all__ = [
    "ClassificationFit",
    "InterpolatingNet",
    "Minimum",
    "NonlinearLeastSquares",
    "SmoothFunction",
    "Solution",
    "bias_variance",
    "cross_validation",
    "descent_figure",
    "early_stopping",
    "early_stopping_finite_n",
    "interpolating_net",
    "iterative",
    "least_squares",
    "logistic_regression",
    "minimise",
    "misfit_by_units",
    "ridge_path",
    "single_layer",
    "softmax_regression",
    "stochastic",
    "tikhonov",
    "total_variation",
    "truncated_svd",
    "two_layer_descent",
]
