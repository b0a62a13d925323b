"""Line searches: their conditions hold on functions of many kinds, the exact step is exact, and failure is said."""

import math

import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.regression.line_search import LineSearchFailed, armijo, exact_step, strong_wolfe
from lemmata.regression.minimum import Point

FUNCTIONS = {
    "quadratic": lambda x: x @ x,
    "quartic": lambda x: (x**4).sum() + x @ x,
    "log": lambda x: torch.log(1 + x @ x),
    "wiggly": lambda x: x @ x + 0.3 * torch.sin(7 * x).sum(),
    "steep": lambda x: torch.exp(3 * x).sum() + torch.exp(-x).sum(),
    "barrier": lambda x: -torch.log(4 - x @ x) + x.sum(),  # not a number beyond |x| = 2
}


def problem(name, seed=0, p=4):
    def function(x):
        gradient, value = torch.func.grad_and_value(FUNCTIONS[name])(x)
        return float(value), gradient

    x = torch.randn(p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = 1.2 * x / x.norm()
    return function, Point(x, *function(x))


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(list(FUNCTIONS)),
    seed=st.integers(0, 500),
    log_first=st.floats(-3, 3),
    curvature=st.sampled_from([0.1, 0.4, 0.9]),
)
def test_the_strong_wolfe_conditions_hold(name, seed, log_first, curvature):
    function, start = problem(name, seed)
    direction = -start.gradient
    found = strong_wolfe(function, start, direction, first=10.0**log_first, curvature=curvature)
    slope, there = float(start.gradient @ direction), float(found.gradient @ direction)
    assert found.value <= start.value + 1e-4 * found.step * slope
    assert abs(there) <= curvature * abs(slope)
    assert torch.allclose(found.x, start.x + found.step * direction)
    assert function(found.x)[0] == found.value


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(list(FUNCTIONS)), seed=st.integers(0, 500), log_first=st.floats(-3, 3))
def test_armijos_condition_holds(name, seed, log_first):
    function, start = problem(name, seed)
    first = 10.0**log_first
    found = armijo(function, start, -start.gradient, first=first)
    assert found.value <= start.value - 1e-4 * found.step * float(start.gradient @ start.gradient)
    assert found.step <= first


def test_scipy_finds_a_step_under_the_same_conditions():
    function, start = problem("wiggly")
    p = -start.gradient
    theirs = scipy.optimize.line_search(
        lambda x: function(torch.from_numpy(x))[0], lambda x: function(torch.from_numpy(x))[1].numpy(),
        start.x.numpy(), p.numpy(), c1=1e-4, c2=0.4,
    )  # fmt: skip
    ours = strong_wolfe(function, start, p, curvature=0.4)
    assert theirs[0] is not None
    assert ours.value <= theirs[3] + 0.1 * (start.value - theirs[3])  # no worse by a tenth of the fall


def test_the_exact_step_is_where_the_slope_vanishes():
    function, start = problem("quadratic")
    slope = float(start.gradient @ -start.gradient)
    t = exact_step(slope, 2 * float(start.gradient @ start.gradient))
    assert t == 0.5
    assert function(start.x - t * start.gradient)[1].norm() < 1e-15
    for curvature in (0.0, -1.0, math.nan):
        with pytest.raises(InvalidInput, match="needs it positive"):
            exact_step(-1.0, curvature)


def test_near_the_minimum_slopes_decide():
    # f = 1 + x^2 at x = 1e-9: f does not change in floating point, its gradient does
    def function(x):
        return 1 + float(x @ x), 2 * x

    x = torch.tensor([1e-9], dtype=torch.float64)
    start = Point(x, *function(x))
    for search in (armijo, strong_wolfe):
        assert search(function, start, -start.gradient, first=0.5).x == 0


@pytest.mark.parametrize("search", [armijo, strong_wolfe])
def test_failure_is_said(search):
    function, start = problem("quadratic")
    with pytest.raises(LineSearchFailed, match="does not descend"):
        search(function, start, start.gradient)
    wrong = Point(start.x, start.value, -start.gradient)
    with pytest.raises(LineSearchFailed, match="check_gradient"):
        search(lambda x: (function(x)[0], -function(x)[1]), wrong, start.gradient)
    with pytest.raises(InvalidInput, match="decrease = 2"):
        search(function, start, -start.gradient, decrease=2.0)
    with pytest.raises(InvalidInput, match=r"first = -1.0"):
        search(function, start, -start.gradient, first=-1.0)
