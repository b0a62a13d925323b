"""Proven bounds of a dense matrix's norm: against exact arithmetic, singular values, and the way by products."""

import pytest
import torch
from flint import arb, arb_mat, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.bounds.norms.dense_norm import dense_norm
from lemmata.linalg import matrix_norm


def normal(m: int, n: int, seed: int) -> torch.Tensor:
    return torch.randn(m, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (30, 12), (12, 30), (10, 128)])
def test_bounds_enclose_the_largest_singular_value(shape: tuple[int, int]):
    """LAPACK's to 1e-13; `high` within the tolerance, `low` within rounding; the vector reaches it."""
    matrix = normal(*shape, seed=0)
    top = float(torch.linalg.matrix_norm(matrix, 2))
    found = dense_norm(matrix, tolerance=1e-8)
    assert top * (1 - 1e-12) <= found.low <= top * (1 + 1e-13)
    assert top * (1 - 1e-13) <= found.high <= top * (1 + 1.1e-8)
    assert found.reshaped == pytest.approx(top, rel=1e-12)
    assert float((matrix @ found.vector).norm() / found.vector.norm()) >= found.low
    other = matrix_norm(matrix, tolerance=1e-8)
    assert found.low <= other.high
    assert other.low <= found.high


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 4), st.floats(-150, 150))
def test_bounds_are_proven_at_any_scale(seed: int, m: int, n: int, exponent: float):
    """Interval arithmetic decides whether high^2 I - T^T T is positive definite: by all leading minors, in 400 bits."""
    matrix = normal(m, n, seed) * 10.0**exponent
    found = dense_norm(matrix)
    ctx.prec = 400
    T = arb_mat([[arb(float(value)) for value in row] for row in matrix])
    gram, high = T.transpose() * T, arb(found.high)
    gap = arb_mat([[(high * high if i == j else arb(0)) - gram[i, j] for j in range(n)] for i in range(n)])
    for k in range(1, n + 1):
        assert arb_mat([[gap[i, j] for j in range(k)] for i in range(k)]).det() > 0
    v = arb_mat([[arb(float(value))] for value in found.vector])
    image = T * v
    assert (image.transpose() * image)[0, 0] >= arb(found.low) ** 2 * (v.transpose() * v)[0, 0]


def test_equal_singular_values_and_zero():
    found = dense_norm(3 * torch.eye(5))
    assert found.low <= 3 <= found.high <= 3 * (1 + 1.1e-6)
    nothing = dense_norm(torch.zeros(2, 3))
    assert (nothing.low, nothing.high, nothing.gap) == (0.0, 0.0, 0.0)
