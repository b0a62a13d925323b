"""The two loops against the matrix they stand for, and how many pairs they keep."""

import itertools

import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.regression import minimise
from lemmata.regression.lbfgs import lbfgs, two_loops
from lemmata.regression.minimum import Point


def test_the_two_loops_are_the_bfgs_matrix(quadratic):
    """Against the dense update of the inverse Hessian (Nocedal and Wright, 2006, equation 6.17)."""
    draw = torch.Generator().manual_seed(0)
    _, H, _ = quadratic(6)
    pairs = []
    for _ in range(3):
        s = torch.randn(6, generator=draw, dtype=torch.float64)
        pairs.append((s, H @ s, 1 / float(s @ H @ s)))
    s, y, rho = pairs[-1]
    M = torch.eye(6, dtype=torch.float64) / (rho * (y @ y))
    for s, y, rho in pairs:
        V = torch.eye(6, dtype=torch.float64) - rho * torch.outer(y, s)
        M = V.T @ M @ V + rho * torch.outer(s, s)
    g = torch.randn(6, generator=draw, dtype=torch.float64)
    assert torch.allclose(two_loops(g, pairs), M @ g, rtol=1e-12)


def test_lbfgs_keeps_as_many_pairs_as_it_is_told(quadratic):
    f, _, _ = quadratic(30, 1e3)
    x = torch.zeros(30).double()
    steps = [minimise(f, x, method="lbfgs", memory=memory, tolerance=1e-6).iterations for memory in (1, 5, 40)]
    assert steps[0] > steps[1] > steps[2]
    with pytest.raises(InvalidInput, match="memory = 0"):
        next(lbfgs(f, Point(x, *f(x)), memory=0))


def test_iterates_come_one_by_one(quadratic):
    f, _, _ = quadratic()
    x = torch.zeros(20).double()
    values = [point.value for point in itertools.islice(lbfgs(f, Point(x, *f(x))), 5)]
    assert values == sorted(values, reverse=True)
