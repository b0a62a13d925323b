import math

import pytest
import torch

from lemmata.errors import InvalidInput, UnknownName
from lemmata.linalg import LinearOperator, hutchinson


def matrix(n=30):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return A @ A.T / n


@pytest.mark.parametrize("distribution", ["signs", "gaussian", "sphere"])
def test_estimates_the_trace_with_the_variance_of_theory(distribution):
    A, draws, n = matrix(), 20_000, 30
    estimate = hutchinson(A, draws=draws, distribution=distribution, seed=1)
    variance = {
        "signs": 2 * (A.square().sum() - A.diag().square().sum()),
        "gaussian": 2 * A.square().sum(),
        # fourth moments of the sphere: E z_i^2 z_j^2 = n / (n + 2), E z_i^4 = 3 n / (n + 2)
        "sphere": 2 * n / (n + 2) * (A.square().sum() - A.trace() ** 2 / n),
    }[distribution]
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


@pytest.mark.parametrize("distribution", ["signs", "gaussian", "sphere"])
def test_the_memory_allowed_does_not_change_the_draws(distribution):
    A = matrix()
    few, many = (hutchinson(A, draws=7, distribution=distribution, memory=m, seed=3) for m in (2 * 8 * 30 * 3, 2**30))
    # the same products in other groups: summation order only
    assert few.value == pytest.approx(many.value, rel=1e-13)
    assert few.stderr == pytest.approx(many.stderr, rel=1e-12)


def test_no_more_vectors_are_multiplied_at_once_than_fit():
    A, widths = matrix(), []

    def apply(V):
        widths.append(V.shape[1])
        return A @ V

    operator = LinearOperator(apply, (30, 30), symmetric=True, dtype=torch.float64, cost=2.0)
    estimate = hutchinson(operator, draws=10, memory=2 * 8 * 30 * 4, seed=0)
    assert widths == [4, 4, 2]
    assert estimate.cost == 20.0


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="needs at least two"):
        hutchinson(torch.eye(3), draws=1, seed=0)
    with pytest.raises(InvalidInput, match="square operator, not one of shape \\(2, 3\\)"):
        hutchinson(torch.ones(2, 3), seed=0)
    with pytest.raises(UnknownName, match="did you mean 'signs'"):
        hutchinson(torch.eye(3), distribution="sign", seed=0)
