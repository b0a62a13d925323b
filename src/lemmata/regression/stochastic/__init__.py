"""Minimising expectations by samples: stochastic approximation, sample averages, and sampled Tikhonov problems."""

from lemmata.regression.stochastic.finite_sum import finite_sum
from lemmata.regression.stochastic.moments import Moments, exact_moments
from lemmata.regression.stochastic.network import network
from lemmata.regression.stochastic.problem import StochasticProblem, linear_regression, noisy_quadratic
from lemmata.regression.stochastic.rates import (
    constant_gap_bound,
    harmonic_gap_bound,
    limit_covariance,
    limit_gap,
    mean_square_bound,
)
from lemmata.regression.stochastic.sample_average_approximation import SampleAverage, sample_average_approximation
from lemmata.regression.stochastic.sampled_tikhonov import RecursiveTikhonov, SampledTikhonov, sampled_tikhonov
from lemmata.regression.stochastic.slim_train import SlimFit, slim_train
from lemmata.regression.stochastic.step_sizes import StepSizes
from lemmata.regression.stochastic.stochastic_approximation import StochasticRun, stochastic_approximation

__all__ = [
    "Moments",
    "RecursiveTikhonov",
    "SampleAverage",
    "SampledTikhonov",
    "SlimFit",
    "StepSizes",
    "StochasticProblem",
    "StochasticRun",
    "constant_gap_bound",
    "exact_moments",
    "finite_sum",
    "harmonic_gap_bound",
    "limit_covariance",
    "limit_gap",
    "linear_regression",
    "mean_square_bound",
    "network",
    "noisy_quadratic",
    "sample_average_approximation",
    "sampled_tikhonov",
    "slim_train",
    "stochastic_approximation",
]
