import pytest
import torch

from lemmata.linalg import LinearOperator
from lemmata.linalg.factorisation import Factorisation

F64 = torch.float64


def symmetric(n, seed=0):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=F64)
    return (A + A.T) / 2


def basis(grown):
    """V and P as they lie in memory, rows."""
    return grown._basis[: grown.m + grown.pending]


def holds(A, grown):
    """The distance of A V from V H + P B, and of [V, P] from orthonormal."""
    rows = basis(grown)
    V, P = rows[: grown.m].T, rows[grown.m :].T
    relation = (A @ V - V @ grown.H - P @ grown.B).norm()
    return float(relation), float((rows @ rows.T - torch.eye(len(rows), dtype=F64)).norm())


@pytest.mark.parametrize("starts", [1, 3])
@pytest.mark.parametrize("turning", [False, True])
def test_the_relation_holds_at_every_step_and_after_restarts(starts, turning):
    A, n = symmetric(80), 80
    start = torch.randn(starts, n, generator=torch.Generator().manual_seed(1), dtype=F64)
    grown = Factorisation(LinearOperator.of(A), start, rows=20)
    for step in range(60):
        if grown.full:
            theta, S = torch.linalg.eigh((grown.H + grown.H.T) / 2)
            grown.restart(theta.flip(0), S.flip(1), keep=7)
            assert max(holds(A, grown)) < 1e-10
        if turning and grown.m:
            grown.turn(torch.linalg.eigh((grown.H + grown.H.T) / 2)[1][:, -1])
        grown.step()
        # rounding: 80 eps |A| a step, |A| = 12, and what restarts add up
        assert max(holds(A, grown)) < 1e-10, step
    assert grown.products == 60


def test_nearly_dependent_start_vectors_are_made_orthogonal():
    # a first pass leaves of the second vector 1e-9 of its length, and in that an error of 1e-7
    A, n = symmetric(50), 50
    g = torch.Generator().manual_seed(1)
    v, w = torch.randn(2, n, generator=g, dtype=F64)
    grown = Factorisation(LinearOperator.of(A), torch.stack([v, v + 1e-9 * w]), rows=100)
    assert grown.pending == 2
    assert holds(A, grown)[1] < 1e-14


def test_dependent_start_vectors_count_once():
    v = torch.randn(1, 30, generator=torch.Generator().manual_seed(1), dtype=F64)
    assert Factorisation(LinearOperator.of(symmetric(30)), torch.cat([v, 2 * v, -v]), rows=100).pending == 1


def test_with_one_pending_direction_it_is_tridiagonal():
    A = symmetric(40)
    grown = Factorisation(LinearOperator.of(A), torch.ones(1, 40, dtype=F64), rows=100)
    for _ in range(12):
        grown.step()
    off = grown.H - grown.H.triu(-1).tril(1)
    assert off.abs().max() < 1e-13
    assert (grown.B[0, :-1] == 0).all()


def test_memory_grows_as_needed_and_not_beyond():
    n = 5000
    operator = LinearOperator(lambda V: torch.linspace(0, 1, n)[:, None] * V, (n, n), symmetric=True)
    grown = Factorisation(operator, torch.ones(1, n), rows=100)
    sizes = set()
    while not grown.full:
        grown.step()
        sizes.add(len(grown._basis))
    assert sizes == {32, 64}  # 64 more would need 64 + 128 at once while it is copied
