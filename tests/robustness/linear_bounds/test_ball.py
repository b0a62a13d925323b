"""The least value of linear functions on balls within a range, by convex solvers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.linear_bounds import interval_bounds
from lemmata.robustness.linear_bounds.affine import Convolution, Dense, Reshape
from lemmata.robustness.linear_bounds.ball import Ball


def least_by_solver(a, x, eps, norm):
    """The exact minimum of a . (x + d) over the norm's ball with 0 <= x + d <= 1."""
    n = len(x)
    if norm == "l1":  # d = p - q, sum p + q <= eps
        bounds = [(0, 1 - v) for v in x] + [(0, v) for v in x]
        found = linprog(np.r_[a, -a], A_ub=np.ones((1, 2 * n)), b_ub=[eps], bounds=bounds)
        return float(found.fun + a @ x)
    found = minimize(
        lambda d: a @ d, np.zeros(n), jac=lambda d: a, bounds=list(zip(-x, 1 - x, strict=True)), method="SLSQP",
        constraints={"type": "ineq", "fun": lambda d: eps**2 - d @ d, "jac": lambda d: -2 * d},
        options={"maxiter": 300, "ftol": 1e-12},
    )  # fmt: skip
    return float(found.fun + a @ x)


@settings(max_examples=30, deadline=None)
@given(norm=st.sampled_from(["l1", "l2"]), n=st.integers(1, 8), seed=st.integers(0, 1000), eps=st.floats(0.01, 2.0))
def test_least_value_is_that_of_a_solver(norm, n, seed, eps):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, n, generator=generator).double()
    A = torch.randn(1, 3, n, generator=generator).double()
    found = Ball.of(x, eps, norm, (0.0, 1.0), torch.float64).least(A)
    for j in range(3):
        exact = least_by_solver(A[0, j].numpy(), x[0].numpy(), eps, norm)
        assert float(found[0, j]) <= exact + 1e-7  # a bound, but for the solver's tolerance
        assert float(found[0, j]) >= exact - 1e-4 * (1 + abs(exact))  # 24 steps for the multiplier


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_without_a_range_it_is_the_dual_norm(norm):
    dual = {"linf": 1, "l2": 2, "l1": torch.inf}[norm]
    x, A = torch.randn(2, 7).double(), torch.randn(2, 4, 7).double()
    eps = torch.tensor([0.1, 2.0]).double()
    found = Ball.of(x, eps, norm, None, torch.float64).least(A)
    exact = (A * x[:, None]).sum(2) - eps[:, None] * torch.linalg.vector_norm(A, dual, dim=2)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-11)
    assert (found <= exact).all()


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_the_first_layer_is_bounded_by_its_rows_norms(norm):
    torch.manual_seed(0)
    x = torch.rand(2, 2, 4, 4).double()
    ball = Ball.of(x, 0.3, norm, None, torch.float64)
    weight = torch.randn(3, 2, 3, 3).double()
    step = Convolution(weight, None, stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)
    step.shape = x.shape[1:]
    eye = torch.eye(32).double().reshape(32, 2, 4, 4)
    rows = torch.nn.functional.conv2d(eye, weight, padding=1).flatten(1).T  # the matrix of the convolution
    size = torch.linalg.vector_norm(rows, 2 if norm == "l2" else torch.inf, dim=1)
    box = ball.image(step, ball.box)
    exact = 0.3 * size.reshape(1, 3, 4, 4).expand(2, -1, -1, -1)
    width = (box.high - box.low) / 2
    assert (width >= exact * (1 - 1e-12)).all()
    if norm == "l2":
        torch.testing.assert_close(width, exact, rtol=1e-9, atol=0)
    else:  # at the border the kernel's largest weight may fall outside the image
        torch.testing.assert_close(width[:, :, 1:3, 1:3], exact[:, :, 1:3, 1:3], rtol=1e-9, atol=0)
    dense = Dense(rows)
    dense.shape = torch.Size([32])
    flat = Ball.of(x.flatten(1), 0.3, norm, None, torch.float64)
    found = flat.image(dense, flat.box)
    torch.testing.assert_close((found.high - found.low) / 2, exact.flatten(1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_reshaped_ball_is_the_same_ball(norm):
    """Its rows have one entry, so that the box is that of the input, in the new shape."""
    ball = Ball.of(
        torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0)).double(), 0.3, norm, None, torch.float64
    )
    step = Reshape(torch.Size([6]))
    step.shape = torch.Size([2, 3])
    assert step.row_norms(2.0).tolist() == [[1.0] * 6]
    found = ball.image(step, ball.box)
    assert torch.equal(found.low, ball.box.low.flatten(1))
    assert torch.equal(found.high, ball.box.high.flatten(1))


def test_bad_balls_are_refused():
    x = torch.rand(2, 3)
    for eps, match in ((-0.1, "radius >= 0"), (torch.ones(3), "one an image"), (float("nan"), "radius >= 0")):
        with pytest.raises(InvalidInput, match=match):
            Ball.of(x, eps, "l2", (0.0, 1.0), torch.float64)
    with pytest.raises(UnknownName, match="linf"):
        Ball.of(x, 0.1, "inf", (0.0, 1.0), torch.float64)
    with pytest.raises(InvalidInput, match="outside clip"):
        Ball.of(x * 255, 0.1, "l2", (0.0, 1.0), torch.float64)
    with pytest.raises(InvalidInput, match="NaN"):
        Ball.of(x * float("nan"), 0.1, "l2", None, torch.float64)
    with pytest.raises(InvalidInput, match="leading axis"):
        Ball.of(x[0], 0.1, "l2", None, torch.float64)


@pytest.mark.parametrize(("norm", "order"), [("linf", math.inf), ("l2", 2.0), ("l1", 1.0)])
def test_a_ball_in_float32_holds_that_around_the_images_as_given(norm, order):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(20, 50, generator=generator, dtype=torch.float64)
    for eps in (0.0, 1e-9, 0.1):
        ball = Ball.of(x, eps, norm, None, torch.float32)
        moved = torch.linalg.vector_norm(ball.x.double() - x, order, dim=1)
        assert (ball.eps.double() >= eps + moved).all()
        assert (ball.eps.double() <= (eps + moved) * (1 + 1e-6) + 1e-30).all()
        assert (ball.box.low.double() <= x - eps * (norm == "linf")).all()
        assert (ball.box.high.double() >= x + eps * (norm == "linf")).all()
    same = Ball.of(x.float(), 0.0, norm, None, torch.float32)
    assert (same.eps == 0).all()  # nothing is rounded, and nothing widened


def test_bounds_in_float32_hold_at_the_image_as_given():
    model = nn.Sequential(nn.Linear(1, 2, bias=False))
    model[0].weight.data = torch.tensor([[1.0], [-1.0]])
    x = torch.tensor([[0.3]], dtype=torch.float64)  # no number of float32
    found = interval_bounds(model, x, 0.0, dtype=torch.float32)
    assert float(found.low[0, 0]) <= 0.3 <= float(found.high[0, 0])
    assert float(found.low[0, 1]) <= -0.3 <= float(found.high[0, 1])


@pytest.mark.parametrize("clip", [5, ("a", "b"), (0,), (0, 1, 2), "ab", (1, 0), (0, 0), (float("nan"), 1)])
def test_ranges_that_are_none_are_refused(clip):
    with pytest.raises(InvalidInput, match="clip"):
        Ball.of(torch.rand(2, 3), 0.1, "l2", clip, torch.float64)


def test_radii_that_are_not_finite_and_whole_numbers_are_refused():
    for eps in (math.inf, torch.tensor([0.1, math.inf])):
        with pytest.raises(InvalidInput, match="finite"):
            Ball.of(torch.rand(2, 3), eps, "l2", None, torch.float64)
    with pytest.raises(InvalidInput, match="int64"):
        Ball.of(torch.ones(2, 3, dtype=torch.int64), 0.1, "l2", None, torch.float64)
