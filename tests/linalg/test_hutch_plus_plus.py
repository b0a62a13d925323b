import curvlinops.trace.meyer2020hutch as peer
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator, hutch_plus_plus, hutchinson
from lemmata.linalg.probes import generator_of, random_vectors


def decaying(n=60, power=-1.5, seed=0):
    """A symmetric matrix with eigenvalues i^power, the last third of them negative."""
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    values = torch.arange(1, n + 1, dtype=torch.float64) ** power
    values[2 * n // 3 :] *= -1
    return (Q * values) @ Q.T


def test_it_is_unbiased_and_its_standard_error_is_right():
    A = decaying()
    truth, repetitions = float(A.trace()), 400
    estimates = [hutch_plus_plus(A, products=24, seed=seed) for seed in range(repetitions)]
    values = torch.tensor([estimate.value for estimate in estimates])
    # five standard errors of the mean: fails by chance once in 1.7 million
    assert abs(float(values.mean()) - truth) < 5 * float(values.std()) / repetitions**0.5
    # E stderr^2 is the variance; its ratio over 400 repetitions has deviation about 0.1 (0.07 from the sample variance)
    ratio = sum(estimate.stderr**2 for estimate in estimates) / repetitions / float(values.var())
    assert 0.6 < ratio < 1.6
    # coverage of 90 % has deviation 0.015; five of them
    hits = [low < truth < high for low, high in (estimate.interval(0.9) for estimate in estimates)]
    assert abs(sum(hits) / repetitions - 0.9) < 0.075


def test_it_is_exact_where_the_rank_is_at_most_the_sketch():
    B = torch.randn(80, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    A = B @ torch.diag(torch.tensor([3.0, 2.0, 1.0, -1.0, -2.0], dtype=torch.float64)) @ B.T
    estimate = hutch_plus_plus(A, products=15, seed=0)
    # rounding only: products of size |A| ~ 300
    assert estimate.value == pytest.approx(float(A.trace()), abs=1e-9)
    assert estimate.stderr < 1e-9
    assert abs(hutch_plus_plus(A, products=12, seed=0).value - float(A.trace())) > 1e-3


def test_it_beats_hutchinson_where_the_spectrum_decays():
    # with eigenvalues i^-2 and 30 products the errors differ by a factor over 10; a factor 3 is never missed by chance
    n = 200
    A = torch.diag(torch.arange(1, n + 1, dtype=torch.float64) ** -2)
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
    A = Q @ A @ Q.T
    errors = {
        "hutch++": [hutch_plus_plus(A, products=30, seed=s).value - A.trace() for s in range(50)],
        "hutchinson": [hutchinson(A, draws=30, seed=s).value - A.trace() for s in range(50)],
    }
    rms = {name: torch.stack(values).square().mean().sqrt() for name, values in errors.items()}
    assert 3 * rms["hutch++"] < rms["hutchinson"]


def test_it_agrees_with_curvlinops_on_the_same_test_vectors(monkeypatch):
    A = decaying(40)
    operator = LinearOperator.of(A)
    generator = generator_of(5)
    vectors = iter([v for _ in range(2) for v in random_vectors(operator, 6, generator=generator).T])
    monkeypatch.setattr(peer, "random_vector", lambda *_: next(vectors))
    theirs = float(peer.hutchpp_trace(A, 18))
    assert hutch_plus_plus(A, products=18, seed=5).value == pytest.approx(theirs, rel=1e-10)


def test_the_operator_need_not_be_symmetric():
    A = torch.randn(40, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    values = torch.tensor([hutch_plus_plus(A, products=12, seed=seed).value for seed in range(300)])
    assert abs(float(values.mean() - A.trace())) < 5 * float(values.std()) / 300**0.5


def test_enough_products_give_the_trace_itself_at_the_cost_of_n():
    A = decaying(20)
    estimate = hutch_plus_plus(A, products=30, seed=0)
    assert estimate.value == pytest.approx(float(A.trace()), rel=1e-12)
    assert (estimate.stderr, estimate.cost, estimate.n) == (0.0, 20.0, 1)


def test_memory_is_bounded_and_does_not_change_the_answer():
    A = decaying()
    least = 4 * 8 * 8 * 60
    little, much = (hutch_plus_plus(A, products=24, memory=memory, seed=0) for memory in (least, 2**30))
    assert little.value == pytest.approx(much.value, rel=1e-12)
    with pytest.raises(InvalidInput, match="take fewer products, more memory"):
        hutch_plus_plus(A, products=24, memory=least - 1, seed=0)


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="products = 5"):
        hutch_plus_plus(torch.eye(9), products=5, seed=0)
    with pytest.raises(InvalidInput, match="square operator, not one of shape \\(2, 3\\)"):
        hutch_plus_plus(torch.ones(2, 3), seed=0)
