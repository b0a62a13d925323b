import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator, exact_diagonal, hutchinson_diagonal


def matrix(n=30, seed=0):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return A @ A.T / n


@pytest.mark.parametrize("memory", [1, 3 * 2 * 8 * 30, 2**30])
def test_the_exact_diagonal_is_that_of_the_matrix(memory):
    A = matrix()
    exact = exact_diagonal(A, memory=memory)
    assert torch.equal(exact.value, A.diag())
    assert not exact.stderr.any()
    assert exact.cost == 30.0


def test_every_entry_is_unbiased_with_the_variance_of_theory():
    A, draws = matrix(), 20_000
    estimate = hutchinson_diagonal(A, draws=draws, seed=1)
    variance = A.square().sum(1) - A.diag().square()
    # 30 entries at 5 standard errors: fails by chance once in 58,000
    assert ((estimate.value - A.diag()).abs() < 5 * (variance / draws).sqrt()).all()
    # the sample variance of 20,000 draws is within a few % of the true one
    assert torch.allclose(estimate.stderr**2 * draws, variance, rtol=0.1)
    assert (estimate.n, estimate.cost) == (draws, draws)


def test_intervals_cover_the_diagonal():
    # 200 repetitions of 30 entries at 90 %: entries of a repetition are dependent; deviation below 0.021
    A = matrix()
    hits = torch.zeros(30)
    for seed in range(200):
        low, high = hutchinson_diagonal(A, draws=40, seed=seed).interval(0.9)
        hits += (low < A.diag()) & (A.diag() < high)
    assert abs(float(hits.mean()) / 200 - 0.9) < 0.03


def test_the_memory_allowed_does_not_change_the_answer():
    A = matrix().float()
    few, many = (hutchinson_diagonal(A, draws=11, memory=memory, seed=3) for memory in (4 * 4 * 30 * 3, 2**30))
    # float32 products in other groups
    assert torch.allclose(few.value, many.value, rtol=1e-5, atol=1e-6)
    assert torch.allclose(few.stderr, many.stderr, rtol=1e-4)
    assert few.value.dtype == torch.float32


def test_a_large_mean_does_not_spoil_the_spread():
    # diagonal 1e6 with off-diagonal entries of 1: sums of squares would lose all digits in float32 and most in float64
    A = 1e6 * torch.eye(20, dtype=torch.float64) + matrix(20, seed=5)
    estimate = hutchinson_diagonal(A, draws=4000, seed=0, memory=4 * 8 * 20 * 100)
    variance = A.square().sum(1) - A.diag().square()
    assert torch.allclose(estimate.stderr**2 * 4000, variance, rtol=0.15)


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="draws = 1"):
        hutchinson_diagonal(torch.eye(3), draws=1, seed=0)
    with pytest.raises(InvalidInput, match="the diagonal needs a square operator"):
        exact_diagonal(LinearOperator.of(torch.ones(2, 3)))
