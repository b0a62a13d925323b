import pytest
import scipy.sparse.linalg
import torch

from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator


def matrix(m=5, n=4, seed=0):
    return torch.randn(m, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_acts_as_its_matrix():
    A, v, V = matrix(), matrix(4, 1)[:, 0], matrix(4, 3)
    operator = LinearOperator.of(A)
    assert torch.equal(operator @ v, A @ v)
    assert torch.equal(operator @ V, A @ V)
    assert torch.equal(operator.dense(), A)
    assert torch.equal(operator.T.dense(), A.T)


def test_scipy_sees_the_same_matrix():
    A = matrix(8, 8)
    A = A @ A.T
    operator = LinearOperator.of(A).to_scipy()
    values = scipy.sparse.linalg.eigsh(operator, k=2, return_eigenvectors=False)
    torch.testing.assert_close(torch.tensor(sorted(values)), torch.linalg.eigvalsh(A)[-2:], rtol=1e-10, atol=0)
    assert operator.rmatvec(A[:, 0].numpy()) == pytest.approx((A.T @ A[:, 0]).numpy(), rel=1e-12)


def test_shapes_and_missing_adjoints_are_refused():
    operator = LinearOperator(lambda V: V, (3, 3))
    with pytest.raises(InvalidInput, match="shape \\(3, 3\\) cannot be applied to a tensor \\(4,\\)"):
        operator @ torch.ones(4)
    with pytest.raises(InvalidInput, match="no adjoint"):
        _ = operator.T
    with pytest.raises(InvalidInput, match="cannot be symmetric"):
        LinearOperator(lambda V: V, (3, 4), symmetric=True)
