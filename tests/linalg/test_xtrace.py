import math

import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator, hutch_plus_plus, xtrace
from lemmata.linalg.probes import generator_of, random_vectors


def decaying(n=60, power=-1.5, seed=0):
    """A symmetric matrix with eigenvalues i^power, the last third of them negative."""
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    values = torch.arange(1, n + 1, dtype=torch.float64) ** power
    values[2 * n // 3 :] *= -1
    return (Q * values) @ Q.T


def by_definition(A, Omega):
    """The leave-one-out estimates, each with a basis of its own, as the paper defines them (section 2.1)."""
    n, k = Omega.shape
    estimates = []
    for i in range(k):
        others = [j for j in range(k) if j != i]
        Q = torch.linalg.qr(A @ Omega[:, others])[0]
        mu = Omega[:, i] - Q @ (Q.T @ Omega[:, i])
        nu = math.sqrt(n - k + 1) * mu / mu.norm()
        estimates.append((Q.T @ A @ Q).trace() + nu @ A @ nu)
    return torch.stack(estimates)


@pytest.mark.parametrize("symmetric", [True, False])
def test_it_is_the_mean_of_the_estimates_of_the_definition(symmetric):
    A = decaying(40) if symmetric else torch.randn(40, 40, generator=generator_of(9), dtype=torch.float64)
    Omega = random_vectors(LinearOperator.of(A), 8, distribution="sphere", generator=generator_of(4))
    slow = by_definition(A, Omega)
    estimate = xtrace(A, products=16, seed=4)
    assert estimate.value == pytest.approx(float(slow.mean()), rel=1e-10)
    assert estimate.stderr == pytest.approx(float(slow.std()) / math.sqrt(8), rel=1e-8)
    assert (estimate.n, estimate.cost) == (8, 16.0)


def test_it_is_unbiased_and_its_standard_error_is_right():
    A = decaying()
    truth, repetitions = float(A.trace()), 400
    estimates = [xtrace(A, products=24, seed=seed) for seed in range(repetitions)]
    values = torch.tensor([estimate.value for estimate in estimates])
    # five standard errors of the mean: fails by chance once in 1.7 million
    assert abs(float(values.mean()) - truth) < 5 * float(values.std()) / repetitions**0.5
    # the module says 15 to 20 % too small (0.82 in 1000 repetitions here); 400 repetitions know it to 0.04
    ratio = (sum(estimate.stderr**2 for estimate in estimates) / repetitions / float(values.var())) ** 0.5
    assert 0.65 < ratio < 1.0
    # and that 95 % intervals cover 88 to 91 %: deviation 0.015
    hits = [low < truth < high for low, high in (estimate.interval(0.95) for estimate in estimates)]
    assert 0.83 < sum(hits) / repetitions < 0.97


def test_it_is_exact_where_the_rank_is_below_the_number_of_vectors():
    B = torch.randn(80, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    A = B @ torch.diag(torch.tensor([3.0, 2.0, 1.0, -1.0, -2.0], dtype=torch.float64)) @ B.T
    for products in (12, 20, 40):  # at 12 every basis just spans the range; at 40 the sketch has rank 5 of 20
        estimate = xtrace(A, products=products, seed=0)
        assert estimate.value == pytest.approx(float(A.trace()), abs=1e-8)
        assert estimate.stderr < 1e-8
    assert abs(xtrace(A, products=10, seed=0).value - float(A.trace())) > 1e-3


def test_it_beats_hutch_plus_plus_with_the_same_products():
    # figure 1 of the paper: by a factor of about 2 or more where the spectrum decays like i^-2
    n = 200
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
    A = (Q * torch.arange(1, n + 1, dtype=torch.float64) ** -2) @ Q.T
    ours = torch.stack([xtrace(A, products=30, seed=s).value - A.trace() for s in range(100)])
    theirs = torch.stack([hutch_plus_plus(A, products=30, seed=s).value - A.trace() for s in range(100)])
    assert 1.3 * ours.square().mean().sqrt() < theirs.square().mean().sqrt()


def test_enough_products_give_the_trace_itself():
    A = decaying(20)
    estimate = xtrace(A, products=20, seed=0)
    assert estimate.value == pytest.approx(float(A.trace()), rel=1e-12)
    assert (estimate.stderr, estimate.cost) == (0.0, 20.0)


def test_float32_and_a_zero_operator():
    A = decaying().float()
    assert xtrace(A, products=30, seed=0).value == pytest.approx(
        xtrace(A.double(), products=30, seed=0).value, rel=1e-4
    )
    assert xtrace(torch.zeros(30, 30), products=10, seed=0).value == 0.0


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="products = 3"):
        xtrace(torch.eye(9), products=3, seed=0)
    with pytest.raises(InvalidInput, match="square operator"):
        xtrace(torch.ones(2, 3), seed=0)
    with pytest.raises(InvalidInput, match="take fewer products, more memory"):
        xtrace(torch.eye(100), products=20, memory=1000, seed=0)
