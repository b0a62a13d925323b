import math

import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.linalg import hutchinson


def matrix(n=30):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return A @ A.T / n


@pytest.mark.parametrize("gaussian", [False, True])
def test_estimates_the_trace_with_the_variance_of_theory(gaussian):
    A, draws = matrix(), 20_000
    estimate = hutchinson(A, draws=draws, gaussian=gaussian, at_once=500, seed=1)
    variance = 2 * (A.square().sum() - (0 if gaussian else A.diag().square().sum()))
    assert (estimate.n, estimate.cost) == (draws, draws)
    # five standard errors: fails by chance once in 1.7 million
    assert abs(estimate.value - float(A.trace())) < 5 * math.sqrt(variance / draws)
    # the sample variance of 20,000 draws is within 10% of the true one (kurtosis of the form below 15: 5 sd)
    assert estimate.stderr**2 * draws == pytest.approx(float(variance), rel=0.12)


def test_intervals_cover_the_trace():
    # 200 intervals at 90%: coverage has standard deviation 0.021; five of them
    A = matrix(10)
    truth = float(A.trace())
    hits = [low < truth < high for low, high in (hutchinson(A, draws=40, seed=s).interval(0.9) for s in range(200))]
    assert abs(sum(hits) / 200 - 0.9) < 0.106


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="needs at least two"):
        hutchinson(torch.eye(3), draws=1, seed=0)
    with pytest.raises(InvalidInput, match="square operator, not one of shape \\(2, 3\\)"):
        hutchinson(torch.ones(2, 3), seed=0)
