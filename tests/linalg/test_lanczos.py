import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.linalg import LinearOperator, eigenpairs
from lemmata.objective import Objective


def symmetric(n, seed):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (A + A.T) / 2


@given(n=st.integers(1, 60), k=st.integers(1, 5), largest=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_agrees_with_a_dense_eigensolver(n, k, largest, seed):
    A, k = symmetric(n, seed), min(k, n)
    pairs = eigenpairs(A, k, which="largest" if largest else "smallest", tolerance=1e-9, seed=seed)
    dense = torch.linalg.eigvalsh(A)
    expected = dense.flip(0)[:k] if largest else dense[:k]
    # the error of a Ritz value is at most its residual
    assert (pairs.values - expected).abs().max() <= 2e-9 * dense.abs().max()
    assert (A @ pairs.vectors - pairs.vectors * pairs.values).norm(dim=0).max() <= 2e-9 * dense.abs().max()
    torch.testing.assert_close(pairs.vectors.T @ pairs.vectors, torch.eye(k).double(), rtol=0, atol=1e-7)


def test_agrees_with_arpack_on_a_large_sparse_matrix():
    n = 2000
    main = torch.arange(n, dtype=torch.float64) ** 2 / n

    def apply(V):
        out = main[:, None] * V
        out[1:] += V[:-1]
        out[:-1] += V[1:]
        return out

    operator = LinearOperator(apply, (n, n), symmetric=True, dtype=torch.float64)
    ours = eigenpairs(operator, 4, tolerance=1e-9, seed=0)
    theirs = scipy.sparse.linalg.eigsh(
        operator.to_scipy(), k=4, which="LA", return_eigenvectors=False, v0=np.ones(n), tol=1e-12
    )
    assert ours.values.numpy() == pytest.approx(np.sort(theirs)[::-1], rel=1e-10)


def test_multiple_eigenvalues_are_found_once_the_krylov_space_is_exhausted():
    pairs = eigenpairs(torch.diag(torch.tensor([3.0, 3, 3, 1]).double()), 3, seed=0)
    torch.testing.assert_close(pairs.values, torch.full((3,), 3.0, dtype=torch.float64), rtol=0, atol=1e-12)


def test_top_of_the_hessian_of_a_network():
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 5, generator=g).double(), torch.randint(3, (30,), generator=g)
    hessian = Objective(nets.mlp(5, [6], 3, seed=0, dtype=torch.float64), data=(x, y)).hessian()
    dense = torch.linalg.eigvalsh(hessian.dense())
    values = eigenpairs(hessian, 3, seed=1, tolerance=1e-8).values
    torch.testing.assert_close(values, dense.flip(0)[:3], rtol=0, atol=3e-8)


def test_refuses_rather_than_guesses():
    A = symmetric(200, 0)
    with pytest.raises(NotConverged, match="Lanczos did not converge") as caught:
        eigenpairs(A, 2, tolerance=1e-10, max_products=6, seed=0)
    best = caught.value.best
    assert caught.value.residual == pytest.approx(
        float((A @ best.vectors - best.vectors * best.values).norm(dim=0).max()), rel=1e-9
    )


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("needs a symmetric operator", lambda: eigenpairs(torch.ones(2, 2).triu(), seed=0)),
        ("k must be between 1 and 3", lambda: eigenpairs(torch.eye(3), 4, seed=0)),
    ],
)
def test_bad_questions_are_refused(message, call):
    with pytest.raises(InvalidInput, match=message):
        call()
