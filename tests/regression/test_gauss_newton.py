"""Levenberg and Marquardt against scipy, and a damped step against its equations."""

import numpy as np
import pytest
import scipy.optimize
import torch

from lemmata.regression import NonlinearLeastSquares, SmoothFunction, minimise
from lemmata.regression.gauss_newton import gauss_newton
from lemmata.regression.minimum import Point


def test_levenberg_marquardt_dense_and_by_products():
    t = torch.linspace(0, 1, 40, dtype=torch.float64)
    y = 2 * torch.exp(-3 * t) + 0.5

    def misfit(x):
        return x[0] * torch.exp(-x[1] * t) + x[2] - y

    start = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    for dense in (True, False):
        f = NonlinearLeastSquares(misfit, dense=dense)
        found = minimise(f, start, method="gauss-newton", tolerance=1e-10, forcing=1e-4)
        np.testing.assert_allclose(found.x, [2.0, 3.0, 0.5], atol=1e-7)
    theirs = scipy.optimize.least_squares(lambda x: misfit(torch.from_numpy(x)).numpy(), start.numpy(), method="lm")
    np.testing.assert_allclose(found.x, theirs.x, atol=1e-6)
    r, J = f.residual_and_jacobian(start)
    few = NonlinearLeastSquares(lambda x: misfit(x)[:2]).residual_and_jacobian(start)[1]
    assert torch.allclose(J, torch.func.jacrev(misfit)(start))
    assert torch.allclose(few, J[:2])
    assert torch.allclose(r, misfit(start))


@pytest.mark.parametrize("dense", [True, False])
def test_a_damped_step_solves_the_damped_equations(dense):
    draw = torch.Generator().manual_seed(0)
    J = torch.randn(9, 4, generator=draw, dtype=torch.float64)
    d = torch.randn(9, generator=draw, dtype=torch.float64)
    x = torch.zeros(4, dtype=torch.float64)
    f = SmoothFunction.of(NonlinearLeastSquares(lambda x: J @ x - d, dense=dense))
    point = Point(x, *f(x))
    size = float(J.square().sum(0).max()) if dense else float((J.T @ J @ point.gradient).norm() / point.gradient.norm())
    damping = 0.3
    step = next(gauss_newton(f, point, damping=damping, forcing=1e-14)).x
    wanted = torch.linalg.solve(J.T @ J + damping * size * torch.eye(4).double(), J.T @ d)
    assert torch.allclose(step, wanted, atol=1e-10)
