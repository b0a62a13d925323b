"""Nonlinear conjugate gradients where their formula begins again."""

import torch

from lemmata.regression import SmoothFunction
from lemmata.regression.minimum import Point
from lemmata.regression.nonlinear_cg import nonlinear_cg


def test_polak_and_ribiere_is_zero_where_the_gradient_does_not_turn():
    """On a function whose gradient only grows shorter along the line, beta = max(0, negative) = 0: steepest descent."""
    f = SmoothFunction(lambda x: (x @ x, 2 * x))
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    found = next(nonlinear_cg(f, Point(x, *f(x)), curvature=0.9))
    assert torch.allclose(found.x / x, (found.x / x)[0].expand(2))
