import curvlinops.diagonal.epperly2024xtrace as peer
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator, hutchinson_diagonal, xdiag
from lemmata.linalg.probes import generator_of, random_vectors


def decaying(n=60, power=-1.5, seed=0):
    Q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    return (Q * torch.arange(1, n + 1, dtype=torch.float64) ** power) @ Q.T


def by_definition(A, Omega):
    """The leave-one-out estimates, each with a projection of its own: (n, k)."""
    k, estimates = Omega.shape[1], []
    for i in range(k):
        Q = torch.linalg.qr(A @ Omega[:, [j for j in range(k) if j != i]])[0]
        rest = A - Q @ (Q.T @ A)
        estimates.append((Q @ (Q.T @ A)).diag() + Omega[:, i] * (rest @ Omega[:, i]))
    return torch.stack(estimates, 1)


@pytest.mark.parametrize("symmetric", [True, False])
def test_it_is_the_mean_of_the_estimates_of_the_definition(symmetric):
    A = decaying(40) if symmetric else torch.randn(40, 40, generator=generator_of(9), dtype=torch.float64)
    slow = by_definition(A, random_vectors(LinearOperator.of(A), 8, generator=generator_of(4)))
    estimate = xdiag(A, products=16, seed=4)
    assert torch.allclose(estimate.value, slow.mean(1), rtol=1e-10, atol=1e-12)
    assert torch.allclose(estimate.stderr, slow.std(1) / 8**0.5, rtol=1e-8)
    assert (estimate.n, estimate.cost) == (8, 16.0)


def test_it_agrees_with_curvlinops_on_the_same_test_vectors(monkeypatch):
    A = decaying(40)
    vectors = iter(random_vectors(LinearOperator.of(A), 8, generator=generator_of(5)).T)
    monkeypatch.setattr(peer, "random_vector", lambda *_: next(vectors))
    assert torch.allclose(xdiag(A, products=16, seed=5).value, peer.xdiag(A, 16), rtol=1e-9, atol=1e-12)


def test_every_entry_is_unbiased_and_its_interval_covers():
    A, repetitions = decaying(40), 400
    estimates = [xdiag(A, products=16, seed=seed) for seed in range(repetitions)]
    values = torch.stack([estimate.value for estimate in estimates])
    # 40 entries at 5 standard errors: fails by chance once in 43,000
    assert ((values.mean(0) - A.diag()).abs() < 5 * values.std(0) / repetitions**0.5).all()
    # exchangeable samples: coverage of 90 % within a tenth, mean over the entries
    intervals = [estimate.interval(0.9) for estimate in estimates]
    hits = torch.stack([(low < A.diag()) & (A.diag() < high) for low, high in intervals]).double()
    assert 0.8 < float(hits.mean()) < 0.98


def test_it_is_exact_where_the_rank_is_below_the_number_of_vectors():
    B = torch.randn(80, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    A = B @ B.T
    for products in (12, 40):
        estimate = xdiag(A, products=products, seed=0)
        assert torch.allclose(estimate.value, A.diag(), atol=1e-9)
        assert float(estimate.stderr.max()) < 1e-9


def test_it_beats_hutchinson_where_the_spectrum_decays():
    A = decaying(200, power=-2)
    errors = {
        "xdiag": [xdiag(A, products=40, seed=s).value - A.diag() for s in range(20)],
        "hutchinson": [hutchinson_diagonal(A, draws=40, seed=s).value - A.diag() for s in range(20)],
    }
    rms = {name: torch.stack(values).square().mean().sqrt() for name, values in errors.items()}
    assert 3 * rms["xdiag"] < rms["hutchinson"]


def test_enough_products_give_the_diagonal_itself():
    A = decaying(20)
    assert torch.allclose(xdiag(A, products=20, seed=0).value, A.diag(), rtol=1e-12)


def test_bad_questions_are_refused():
    with pytest.raises(InvalidInput, match="products = 3"):
        xdiag(torch.eye(9), products=3, seed=0)
    with pytest.raises(InvalidInput, match="no adjoint"):
        xdiag(LinearOperator(lambda V: V, (50, 50)), products=10, seed=0)
    with pytest.raises(InvalidInput, match="more memory"):
        xdiag(torch.eye(100), products=20, memory=1000, seed=0)
