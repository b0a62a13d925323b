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


def test_blocks_are_submatrices():
    A = matrix(5, 4)
    operator = LinearOperator.of(A)
    for rows, columns in (([0, 3], slice(1, 3)), (torch.tensor([4, 1, 2]), [3]), (slice(None), slice(0, 4, 2))):
        i, j = (torch.arange(n)[part] for n, part in ((5, rows), (4, columns)))
        block = operator.block(rows, columns)
        assert torch.equal(block.dense(), A[i][:, j])
        assert torch.equal(block.T.dense(), A[i][:, j].T)
    S = LinearOperator(lambda V: A[:4] @ A[:4].T @ V, (4, 4), symmetric=True, dtype=torch.float64, cost=2.0)
    assert S.block([0, 1], slice(2)).symmetric
    assert not S.block([0, 1], [1, 0]).symmetric
    assert S.block([0], [1]).cost == S.T.cost == 2.0
    for part in ([0, 0], [5], [-1], [0.5], [True, False]):
        with pytest.raises(InvalidInput, match="block"):
            operator.block(part, [0])


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


def test_a_matrix_is_symmetric_to_the_rounding_of_its_entries():
    X = torch.randn(50, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gram = X.mT @ X
    gram = gram.triu() + gram.triu(1).mT
    assert LinearOperator.of(gram).symmetric
    gram[3, 5] *= 1 + 4 * torch.finfo(torch.float64).eps
    assert LinearOperator.of(gram).symmetric
    gram[3, 5] += 1e-9 * gram.abs().max()
    assert not LinearOperator.of(gram).symmetric
    assert not LinearOperator.of(torch.full((2, 2), torch.nan)).symmetric
