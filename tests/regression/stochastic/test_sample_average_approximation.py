"""Sample averages against the exact moments of ordinary least squares, scipy, and the promised coverage."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import ttest_1samp

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.regression.stochastic import (
    finite_sum,
    limit_gap,
    linear_regression,
    noisy_quadratic,
    sample_average_approximation,
    stochastic_approximation,
)

P, N, NOISE = 4, 30, 0.9
H = torch.diag(torch.tensor([2.0, 1.0, 0.5, 0.25], dtype=torch.float64)) + 0.1
STREAM = linear_regression(H, torch.arange(4.0), noise=NOISE)


def test_least_squares_has_its_exact_moments():
    """Gaussian features: E(f - f*) = s^2 p / (2 (n - p - 1)), E|theta - theta*|^2 = s^2 tr(H^-1) / (n - p - 1) and
    E v_n = s^2 (1 - p/n) / 2 <= f*. Means of 4,000 samples within 6 standard errors: odds below 1e-6.
    """
    found = sample_average_approximation(STREAM, N, replications=4000, seed=3)
    trace = float(torch.linalg.inv(H).trace())
    for values, truth in (
        (found.gap, NOISE**2 * P / (2 * (N - P - 1))),
        (found.distance, NOISE**2 * trace / (N - P - 1)),
        (found.values, NOISE**2 * (1 - P / N) / 2),
    ):
        assert abs(float(values.mean()) - truth) < 6 * float(values.std()) / 4000**0.5
    assert found.value_bound() < STREAM.minimum
    assert found.expected_gap == pytest.approx(NOISE**2 * P / (2 * N))


def test_additive_noise_has_a_gap_of_exactly_the_limit():
    """The minimiser of n samples is theta* - H^-1 times the mean draw: n E(f - f*) = tr(H^-1 S) / 2 at every n."""
    problem = noisy_quadratic(H, 0.7)
    found = sample_average_approximation(problem, 5, replications=4000)
    assert abs(float(found.gap.mean()) - limit_gap(problem) / 5) < 6 * float(found.gap.std()) / 4000**0.5


def test_averaged_approximation_matches_it_sample_for_sample():
    """On a quadratic with H = I and steps 1/k the average of draws and the minimiser of the sample mean coincide."""
    problem = noisy_quadratic(torch.eye(2).double(), 1.0)
    from lemmata.regression.stochastic import StepSizes

    run = stochastic_approximation(problem, torch.ones(2), step=StepSizes(1.0), iterations=50, seed=[5, 6])
    found = sample_average_approximation(problem, 50, candidate=torch.zeros(2), seed=[5, 6])
    torch.testing.assert_close(run.theta, found.solutions)


def test_the_bound_covers_the_gap():
    """300 experiments at 90 %: the gap is biased upwards, so that coverage is at least nominal.

    If it were just 90 %, 246 or fewer of 300 would be covered with odds of 2e-5.
    """
    covered = 0
    for seed in range(300):
        found = sample_average_approximation(STREAM, N, replications=8, seed=seed)
        covered += found.true_gap <= found.gap_bound(0.9)
    assert covered > 246
    assert covered < 300 or found.gap_bound(0.9) < 10 * found.true_gap  # and not by being absurd


def test_gaps_are_never_negative_and_scale_with_the_candidate():
    far = sample_average_approximation(STREAM, N, candidate=torch.full((4,), 10.0))
    near = sample_average_approximation(STREAM, N, candidate=STREAM.minimiser)
    assert float(near.candidate_gaps.min()) >= 0
    assert far.gap_bound() > 100 * near.gap_bound() > 0
    assert near.true_gap == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])
def test_logistic_samples_are_solved_as_by_scipy(method):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=draw, dtype=torch.float64)
    y = (x.sum(1) + torch.randn(200, generator=draw) > 0).long()
    problem = finite_sum(x, y, loss="logistic", ridge=0.05)
    found = sample_average_approximation(problem, 50, replications=3, seed=[1, 2, 3, 4], method=method)
    for place, seed in enumerate([2, 3, 4]):  # the first is the candidate's
        rows = problem.draw(50, torch.Generator().manual_seed(seed))
        value = lambda t, rows=rows: float(problem.loss(torch.tensor(t)[None], (rows[0][None],))[0])  # noqa: E731
        theirs = minimize(value, np.zeros(3), tol=1e-12)
        assert float(found.values[place]) == pytest.approx(theirs.fun, abs=1e-10)
        # scipy's differences leave its gradient at 1e-7 or so, and mu = 0.05
        np.testing.assert_allclose(found.solutions[place], theirs.x, atol=1e-5)
    assert found.cost > 3 * 50


def test_closed_form_is_the_minimum_of_minimise():
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(30, 2, generator=draw).double(), torch.randn(30, generator=draw).double()
    from dataclasses import replace

    problem = finite_sum(x, y, ridge=0.3)
    closed = sample_average_approximation(problem, 20, replications=4)
    solved = sample_average_approximation(replace(problem, solve=None), 20, replications=4)
    torch.testing.assert_close(closed.solutions, solved.solutions, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(closed.candidate, solved.candidate, rtol=1e-6, atol=1e-8)
    pieces = sample_average_approximation(problem, 20, replications=4, memory=1)
    torch.testing.assert_close(pieces.solutions, closed.solutions)


def test_figure_shows_the_bound_and_the_truth():
    figure = sample_average_approximation(STREAM, N).plot()
    lines = {line.label: line.role for line in figure.panels[0].references}
    lines |= {series.label: series.role for series in figure.panels[0].series[1:]}
    assert lines == {"mean": "control", "95 % bound of the gap": "theory", "true gap": "paper"}


def test_what_cannot_be_done_is_refused():
    for options, message in (
        ({"n": 0}, "n = 0"),
        ({"n": 2.5}, "n = 2.5; it must be an integer"),
        ({"replications": 1}, "replications = 1"),
        ({"candidate": torch.zeros(3)}, "candidate of shape"),
        ({"start": torch.full((4,), torch.nan)}, "start of shape"),
    ):
        with pytest.raises(InvalidInput, match=message):
            sample_average_approximation(STREAM, **{"n": 10, **options})
    with pytest.raises(InvalidInput, match="confidence level"):
        sample_average_approximation(STREAM, 10).gap_bound(1.0)
    x = torch.tensor([[1.0], [2.0]]).double()
    separable = finite_sum(x, torch.tensor([1, 1]), loss="logistic", minimiser=False)
    with pytest.raises(NotConverged):
        sample_average_approximation(separable, 2, tolerance=1e-30)


def test_bounds_are_one_sided_t_intervals():
    """The bound at 90 % is the upper end of the two-sided 80 % interval of scipy; that of f* the lower end."""
    found = sample_average_approximation(STREAM, N, replications=7)
    for values, bound, end in (
        (found.candidate_gaps, found.gap_bound(0.9), 1),
        (found.values, found.value_bound(0.9), 0),
    ):
        interval = ttest_1samp(values.numpy(), 0.0).confidence_interval(0.8)
        assert bound == pytest.approx(interval[end], rel=1e-9)
