import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.linalg import cg


def positive(n, condition, seed):
    """A matrix with eigenvalues spread geometrically from 1 to `condition`, and a right-hand side."""
    g = torch.Generator().manual_seed(seed)
    Q, _ = torch.linalg.qr(torch.randn(n, n, generator=g, dtype=torch.float64))
    A = Q * torch.logspace(0, torch.tensor(condition).log10().item(), n, dtype=torch.float64) @ Q.T
    return (A + A.T) / 2, torch.randn(n, generator=g, dtype=torch.float64)


@given(n=st.integers(1, 40), condition=st.floats(1.5, 1e4), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_solves_like_a_dense_solver(n, condition, seed):
    A, b = positive(n, condition, seed)
    solution = cg(A, b, tolerance=1e-9)
    # |x - x*| <= |A^-1| |r|, |A^-1| = 1; factor 2 for the rounding of the dense solver
    assert (solution.x - torch.linalg.solve(A, b)).norm() <= 2 * 1e-9 * b.norm()
    assert solution.residual == pytest.approx(float((b - A @ solution.x).norm() / b.norm()), abs=1e-15)


def test_takes_as_many_steps_as_there_are_distinct_eigenvalues():
    A = torch.diag(torch.tensor([1.0, 1, 1, 5, 5, 9]).double())
    assert cg(A, torch.ones(6).double(), tolerance=1e-12).products == 3 + 1


def test_a_preconditioner_helps():
    d = torch.logspace(0, 6, 50, dtype=torch.float64)
    A, b = torch.diag(d) + 0.1, torch.ones(50, dtype=torch.float64)
    plain, helped = cg(A, b), cg(A, b, preconditioner=lambda r: r / d)
    assert helped.products < plain.products / 3
    assert helped.residual <= 1e-8


def test_refuses_rather_than_guesses():
    A, b = positive(40, 1e4, 0)
    with pytest.raises(NotConverged, match="conjugate gradients did not converge") as caught:
        cg(A, b, max_iterations=5)
    assert caught.value.residual == caught.value.best.residual > 1e-8
    with pytest.raises(InvalidInput, match="not positive definite"):
        cg(-A, b)


def test_zero_has_solution_zero():
    assert cg(torch.eye(3), torch.zeros(3)).x.tolist() == [0, 0, 0]
