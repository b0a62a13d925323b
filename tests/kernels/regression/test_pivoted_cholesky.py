"""Randomly pivoted Cholesky: exactness at full rank, the law of its pivots, its error beside the best; what uses it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.kernels import Gaussian
from lemmata.kernels.regression import pivoted_cholesky as module
from lemmata.kernels.regression.entries import Entries
from lemmata.kernels.regression.pivoted_cholesky import pivoted_cholesky
from lemmata.kernels.regression.preconditioner import Preconditioner


def points(n: int, d: int = 3, seed: int = 0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def generator(seed: int = 0):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 60), rank=st.integers(1, 60), seed=st.integers(0, 2**31))
def test_what_is_left_is_positive_semidefinite_and_its_diagonal_told(n, rank, seed):
    K = Gaussian(1.0)(points(n, seed=seed))
    F, pivots, left = pivoted_cholesky(Entries(K, None), rank, generator=generator(seed))
    rest = K - F @ F.T
    assert float(torch.linalg.eigvalsh(rest)[0]) > -1e-10  # rounding, amplified by the smallest pivot
    np.testing.assert_allclose(left, rest.diagonal(), atol=1e-10)
    assert len(pivots.unique()) == len(pivots) == F.shape[1] <= min(n, rank)
    np.testing.assert_allclose(rest[pivots], 0, atol=1e-10)  # the pivots' columns are met exactly


def test_a_matrix_of_low_rank_is_found_exactly():
    x = points(50, d=3)
    F, _, left = pivoted_cholesky(Entries(x @ x.T, None), 20, generator=generator())
    assert F.shape[1] == 3
    np.testing.assert_allclose(F @ F.T, x @ x.T, atol=1e-12)
    assert float(left.max()) < 1e-12


def test_pivots_drawn_in_lots_have_the_law_of_one_by_one(monkeypatch):
    """The second pivot's law is known from a small matrix; 1,500 draws, chi-squared at 1e-4 on 5 degrees of freedom."""
    K = torch.tensor([[4.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]], dtype=torch.float64)
    expected = torch.zeros(3, 3)
    for i in range(3):
        d = (K.diagonal() - K[:, i] ** 2 / K[i, i]).clamp(min=0)
        d[i] = 0
        expected[i] = K[i, i] / K.trace() * d / d.sum()
    draw, seen = generator(), torch.zeros(3, 3)
    monkeypatch.setattr(module, "DRAWN", 5)
    for _ in range(1500):
        _, pivots, _ = pivoted_cholesky(Entries(K, None), 2, generator=draw)
        seen[pivots[0], pivots[1]] += 1
    off = ~torch.eye(3, dtype=torch.bool)
    chi2 = ((seen[off] - 1500 * expected[off]).square() / (1500 * expected[off])).sum()
    assert float(chi2) < 25.7


def test_the_error_is_near_the_best():
    K = Gaussian(2.0)(points(300))
    _, _, left = pivoted_cholesky(Entries(K, None), 60, generator=generator())
    best = torch.linalg.eigvalsh(K)[:-30].sum()  # of rank 30: the theorem grants 60 columns a factor near 2
    assert float(left.sum()) < 2 * float(best)


def test_blocks_of_a_kernel_and_its_matrix_give_the_same():
    x = points(80)
    one, two = (
        pivoted_cholesky(entries, 20, generator=generator())
        for entries in (Entries(Gaussian(1.0), x), Entries(Gaussian(1.0)(x), None))
    )
    np.testing.assert_array_equal(one[1], two[1])
    np.testing.assert_allclose(one[0], two[0], atol=1e-10)


def test_preconditioner_is_the_inverse_of_what_it_says():
    K = Gaussian(1.0)(points(60))
    P = Preconditioner(Entries(K, None), 20, ridge=0.01, generator=generator())
    explicit = torch.linalg.inv(P.F @ P.F.T + P.delta * torch.eye(60).double())
    np.testing.assert_allclose(P(torch.eye(60).double()), explicit, rtol=1e-6, atol=1e-8)
    assert P.delta == pytest.approx(0.01 + float((K - P.F @ P.F.T).trace()) / 60)


def test_eigenvalues_lie_where_the_theory_says():
    K, ridge = Gaussian(1.0)(points(80)), 0.05
    P = Preconditioner(Entries(K, None), 30, ridge=ridge, generator=generator())
    top = float(torch.linalg.eigvalsh(K - P.F @ P.F.T)[-1])
    spectrum = torch.linalg.eigvals(P(K + ridge * torch.eye(80).double())).real
    assert float(spectrum.min()) >= min(ridge / P.delta, 1) * (1 - 1e-8)
    assert float(spectrum.max()) <= max((top + ridge) / P.delta, 1) * (1 + 1e-8)


def test_a_negative_diagonal_is_refused():
    with pytest.raises(InvalidInput, match=r"k\(x, x\) = -1.0 at sample 0"):
        pivoted_cholesky(Entries(-torch.eye(2), None), 1, generator=generator())
