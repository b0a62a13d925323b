import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.linalg.leading_pair import leading_pairs


def matrices(m, n, seed):
    A = torch.randn(m, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (A + A.mT) / 2


class Counted:
    """Products with matrices (M, n, n), counted member by member."""

    def __init__(self, A):
        self.A, self.counts = A, torch.zeros(len(A), dtype=torch.long)

    def __call__(self, V, members):
        self.counts[members] += 1
        return (self.A[members] @ V[..., None])[..., 0]


@given(m=st.integers(1, 4), n=st.integers(1, 80), s=st.integers(1, 3), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_agrees_with_a_dense_eigensolver(m, n, s, seed):
    A, s = matrices(m, n, seed), min(s, n)
    start = torch.randn(m, s, n, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    product = Counted(A)
    found = leading_pairs(product, start, tolerance=1e-8)
    dense = torch.linalg.eigvalsh(A)
    norm = dense.abs().amax(1)
    # a Ritz value is within its residual of an eigenvalue; that it is the last one is what is tested
    assert ((found.values - dense[:, -1]).abs() <= 2e-8 * norm).all()
    v = found.vectors[:, 0]
    true = ((A @ v[..., None])[..., 0] - found.values[:, None] * v).norm(dim=1)
    assert (true <= 2e-8 * norm).all()
    torch.testing.assert_close(true, found.residuals, rtol=1e-3, atol=1e-13 * float(norm.max()))
    assert torch.equal(found.products, product.counts)


def test_a_member_that_has_converged_costs_nothing_more():
    A = matrices(3, 60, 0)
    v = torch.linalg.eigh(A)[1][:, :, -1]
    start = torch.stack([v[0], torch.randn(60, generator=torch.Generator().manual_seed(0)).double(), v[2]])[:, None]
    found = leading_pairs(Counted(A), start, tolerance=1e-6)
    assert found.products.tolist()[::2] == [1, 1]
    assert int(found.products[1]) > 10


def test_two_eigenvalues_that_swap_are_seen():
    A = torch.diag(torch.cat([torch.tensor([1.001, 1.0], dtype=torch.float64), torch.linspace(0, 0.5, 48).double()]))[
        None
    ]
    start = torch.eye(50).double()[[1, 0]][None]  # the second eigenvector first
    found = leading_pairs(Counted(A), start, tolerance=1e-6)
    assert found.values.item() == pytest.approx(1.001, rel=1e-9)
    assert found.products.item() == 2


def test_the_vectors_given_back_are_ritz_vectors():
    A = matrices(2, 40, 3)
    start = torch.randn(2, 1, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = leading_pairs(Counted(A), start, keep=3, tolerance=1e-6)
    gram = found.vectors @ found.vectors.mT
    torch.testing.assert_close(gram, torch.eye(3).double().expand(2, 3, 3), rtol=0, atol=1e-10)
    projected = found.vectors @ A @ found.vectors.mT
    off = projected - torch.diag_embed(torch.diagonal(projected, dim1=1, dim2=2))
    assert off.abs().max() < 1e-10
    assert (torch.diagonal(projected, dim1=1, dim2=2).diff(dim=1) < 0).all()


def test_zero_and_dependent_start_vectors_do_no_harm():
    A = matrices(1, 30, 1)
    v = torch.randn(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = leading_pairs(Counted(A), torch.stack([v, 2 * v, torch.zeros(30).double()])[None], tolerance=1e-8)
    assert found.values.item() == pytest.approx(float(torch.linalg.eigvalsh(A)[0, -1]), rel=1e-9)


def test_a_broken_member_is_nan_and_the_others_go_on():
    A = matrices(2, 20, 2)
    A[0, 3, 3] = torch.nan
    found = leading_pairs(Counted(A), torch.ones(2, 1, 20).double(), tolerance=1e-8)
    assert found.values[0].isnan()
    assert found.values[1].item() == pytest.approx(float(torch.linalg.eigvalsh(A[1])[-1]), rel=1e-9)


def test_refuses_rather_than_guesses():
    A = matrices(2, 200, 0)
    with pytest.raises(NotConverged, match="largest eigenvalue of member 0"):
        leading_pairs(Counted(A), torch.ones(2, 1, 200).double(), tolerance=1e-9, max_products=5)
    with pytest.raises(InvalidInput, match=r"give \(M, s, n\)"):
        leading_pairs(Counted(A), torch.ones(2, 0, 200).double())
