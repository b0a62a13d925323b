"""Rules for the parameter against the best there is, bias and variance against simulation: parts of `ruthotto_linear`.

A seed is a batch of independent draws of the noise. Of the ratios it reports the median: theory says that they tend to
1 in probability, and a mean would be governed by the rare draws in which a rule fails altogether.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.phantoms.ill_posed import IllPosed, ill_posed
from lemmata.regression.regularisation import Path, StandardForm, bias_variance, ridge_path
from lemmata.regression.regularisation.bias_variance import BiasVariance
from lemmata.studies._ruthotto_linear_iterations import Problem
from lemmata.study import Config, Curve, Measurements

Rule = Literal["gcv", "unbiased risk", "discrepancy", "l-curve"]


class Choice(Config):
    """A batch of draws, each with its path of 200 solutions and the one that a rule takes."""

    problem: Problem = "heat"
    n: int = Field(default=128, ge=8)
    noise: float = Field(default=0.01, gt=0, description="standard deviation of the noise, as a share of the data's")
    rule: Rule = "gcv"
    stated: float = Field(default=1.0, gt=0, description="noise told to the rule, over the true one")
    correlation: float = Field(default=0.0, ge=0, lt=1, description="of the noise at neighbouring points")
    draws: int = Field(default=25, ge=1, description="that one seed takes the median of")


def choose(configs: Sequence[Choice]) -> list[Measurements]:
    """All draws of all seeds; they share one decomposition."""
    problem = ill_posed(configs[0].problem, configs[0].n)
    form = StandardForm.of(problem.A)
    return [_chosen(config, problem, form) for config in configs]


def noisy(problem: IllPosed, noise: float, draws: int, *, correlation: float, seed: int) -> Tensor:
    """Data (n, draws) with Gaussian noise whose correlation is `correlation` to the power of the distance."""
    b = problem.noisy(noise, draws, seed=seed)
    if not correlation:
        return b
    apart = (torch.arange(len(b))[:, None] - torch.arange(len(b))).abs().double()
    return problem.b[:, None] + torch.linalg.cholesky(correlation**apart) @ (b - problem.b[:, None])


def _chosen(config: Choice, problem: IllPosed, form: StandardForm) -> Measurements:
    b = noisy(problem, config.noise, config.draws, correlation=config.correlation, seed=config.seed)
    ratios = np.array([_ratios(config, problem, ridge_path(form, column)) for column in b.T])
    shown = _curves(config, problem, ridge_path(form, b[:, 0]))
    prediction, solution = np.median(ratios, axis=0)
    return Measurements.of(prediction=prediction, solution=solution, within=(ratios[:, 1] <= 1.1).mean(), **shown)


def _ratios(config: Choice, problem: IllPosed, path: Path) -> tuple[float, float]:
    """The predictive error and the solution's at the choice, over the least on the path; infinite if none is made."""
    wrong = path.solutions() - problem.x[:, None]
    try:
        chosen = _rule(config, problem, path)
    except InvalidInput:
        return math.inf, math.inf
    own = path.solution(chosen) - problem.x
    prediction = (problem.A @ own).norm() / (problem.A @ wrong).norm(dim=0).min()
    return float(prediction), float(own.norm() / wrong.norm(dim=0).min())


def _rule(config: Choice, problem: IllPosed, path: Path) -> float:
    if config.rule == "gcv":
        return path.gcv().value
    if config.rule == "l-curve":
        return path.l_curve().value
    if config.rule == "unbiased risk":
        return path.unbiased_risk(config.stated * problem.noise_level(config.noise)).value
    return path.discrepancy(config.stated * float((path.b - problem.b).norm())).value


def _curves(config: Choice, problem: IllPosed, path: Path) -> dict[str, Any]:
    """The first draw's errors along the path, and where the rule stands."""
    wrong = path.solutions() - problem.x[:, None]
    lam, scale = path.values.numpy(), float(problem.x.norm())
    found: dict[str, Any] = {
        "error_along_path": Curve(lam, (wrong.norm(dim=0) / scale).numpy()),
        "residual_along_path": Curve(lam, (path.residual_norms / path.b.norm()).numpy()),
        "norm_along_path": Curve(lam, (path.solution_norms / scale).numpy()),
    }
    try:
        found["chosen"] = _rule(config, problem, path)
    except InvalidInput:
        return found
    return found


# ---- bias and variance -----------------------------------------------------------------------------------------------


class Spread(Config):
    """A batch of draws solved at one parameter, and the formula for their mean squared error."""

    problem: Problem = "phillips"
    n: int = Field(default=64, ge=8)
    noise: float = Field(default=0.01, gt=0)
    multiple: float = Field(default=1.0, gt=0, description="the parameter, over the one of least expected error")
    formula: Literal["both", "bias", "variance"] = "both"
    correlation: float = Field(default=0.0, ge=0, lt=1)
    draws: int = Field(default=2000, ge=2)


def spread(configs: Sequence[Spread]) -> list[Measurements]:
    """Every seed's draws at every parameter of the path; the formula is the same for all."""
    first = configs[0]
    problem = ill_posed(first.problem, first.n)
    sigma = problem.noise_level(first.noise)
    whole = bias_variance(problem.A, problem.x, sigma)
    at = bias_variance(problem.A, problem.x, sigma, torch.tensor([first.multiple * whole.best]))
    parts = {"both": at.total, "bias": at.bias, "variance": at.variance}
    expected = float(parts[first.formula][0])
    return [_simulated(config, problem, whole, at, expected) for config in configs]


def _simulated(
    config: Spread, problem: IllPosed, whole: BiasVariance, at: BiasVariance, expected: float
) -> Measurements:
    b = noisy(problem, config.noise, config.draws, correlation=config.correlation, seed=config.seed)
    form = whole.path.form
    x = form.solution(b, at.path.factors(at.values).inverse[0])
    mean = float((x - problem.x[:, None]).square().sum(0).mean())
    near = (whole.values - whole.best).abs().argmin()
    some = slice(max(int(near) - 60, 0), int(near) + 61, 6)
    every = form.solution(b[:, :200], whole.path.factors(whole.values[some]).inverse) - problem.x[:, None, None]
    return Measurements.of(
        off=mean / expected - 1,
        simulated=Curve(whole.values[some].numpy(), every.square().sum(0).mean(0).numpy()),
        bias=Curve(whole.values.numpy(), whole.bias.numpy()),
        variance=Curve(whole.values.numpy(), whole.variance.numpy()),
        best=whole.best,
    )
