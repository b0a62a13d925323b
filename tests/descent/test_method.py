"""The recursion of three numbers a step, against the matrix, plain loops, and the definition of each method."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lemmata import descent
from lemmata.descent.method import Coefficients, Method, Schedule
from lemmata.errors import InvalidInput

STEPS = st.lists(st.floats(-3, 30), min_size=1, max_size=12)


@given(STEPS, st.integers(0, 2**16))
def test_schedule_is_gradient_descent(steps, seed):
    """Against a plain loop on a random quadratic, to the bit: the same operations in the same order."""
    draw = np.random.default_rng(seed)
    curve, x, L = draw.random(4), draw.normal(size=4), 2.0
    schedule = Schedule("any", np.array(steps))
    state = schedule.start(x, L=L)
    for h in steps:
        state = schedule.advance(state, curve * state.x)
        x = x - (h / L) * (curve * x)
    assert np.array_equal(state.x, x)
    assert state.output is state.x
    assert state.memory is None


@given(st.lists(st.tuples(*[st.floats(-2, 2)] * 3), min_size=1, max_size=10), st.integers(0, 2**16))
def test_matrix_of_any_recursion(numbers, seed):
    """H of arbitrary step, decay, intake reproduces the run: 1e-12 of the largest size, rounding of 10 steps."""

    class Any(Method):
        def coefficients(self, k):
            return Coefficients(*numbers[k])

    method, n = Any("any"), len(numbers)
    draw = np.random.default_rng(seed)
    curve, x0 = draw.random(3), draw.normal(size=3)
    state, gradients = method.start(x0, L=1.0), []
    for _ in range(n):
        gradients.append(curve * state.x)
        state = method.advance(state, gradients[-1])
    by_matrix = x0 - method.matrix(n)[-1] @ np.array(gradients)
    size = max(np.abs(gradients).max(), 1.0) * max(1.0, np.abs(method.matrix(n)).max())
    np.testing.assert_allclose(state.output, by_matrix, rtol=0, atol=1e-12 * size)


def test_nesterov_by_its_definition():
    """By y and x of Nesterov (1983), written out, on a quadratic; 1e-13: the same numbers in another order."""
    curve, x = np.array([1.0, 0.3, 0.01]), np.ones(3)
    y, theta = x, 1.0
    state = descent.nesterov().start(x)
    for _ in range(30):
        state = descent.nesterov().advance(state, curve * state.x)
        y_next, theta_next = x - curve * x, (1 + np.sqrt(1 + 4 * theta**2)) / 2
        x, y, theta = y_next + (theta - 1) / theta_next * (y_next - y), y_next, theta_next
        np.testing.assert_allclose(state.x, x, atol=1e-13)
        np.testing.assert_allclose(state.output, y, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_optimised_gradient_by_its_definition(n):
    """Kim and Fessler (2016), OGM1, with the last theta, written out; output of a run of n and of a longer one."""
    curve, x = np.array([1.0, 0.3, 0.01]), np.ones(3)
    y, theta, method = x, 1.0, descent.ogm()
    state = method.start(x)
    for k in range(n):
        state = method.advance(state, curve * state.x)
        y_next = x - curve * x
        theta_next = (1 + np.sqrt(1 + (4 if k < n - 1 else 8) * theta**2)) / 2
        x, y, theta = (
            y_next + (theta - 1) / theta_next * (y_next - y) + theta / theta_next * (y_next - x),
            y_next,
            theta_next,
        )
    np.testing.assert_allclose(state.output, x, atol=1e-13)
    assert method.guarantee.bound(n) == pytest.approx(1 / (2 * theta**2), rel=1e-15)


def test_optimised_gradient_has_the_published_matrix():
    """H of two steps by hand: theta = 1, (1 + sqrt 5)/2, (1 + sqrt(1 + 8 theta_1^2))/2 (Kim and Fessler, (4.2))."""
    t1 = (1 + 5**0.5) / 2
    t2 = (1 + (1 + 8 * t1**2) ** 0.5) / 2
    a = 1 + 1 / t1  # (2 theta_0 - 1)/theta_1 above the step of 1
    wanted = [[a, 0], [a + (t1 - 1) / t2 * (a - 1), 1 + (2 * t1 - 1) / t2]]
    np.testing.assert_allclose(descent.ogm().matrix(2), wanted, rtol=1e-14)


def test_heavy_ball_by_its_definition():
    """x_{k+1} = x_k - alpha g + beta (x_k - x_{k-1}), constant and increasing, and the average of all points."""
    curve = np.array([1.0, 0.2])
    for method, alpha, beta in (
        (descent.heavy_ball(0.6, 0.3), lambda k: 0.3, lambda k: 0.6),
        (descent.heavy_ball("increasing", 0.8), lambda k: 0.8 / (k + 2), lambda k: k / (k + 2)),
    ):
        x = before = np.ones(2)
        points, state = [x], method.start(x)
        for k in range(12):
            state = method.advance(state, curve * state.x)
            x, before = x - alpha(k) * curve * x + beta(k) * (x - before), x
            points.append(x)
            np.testing.assert_allclose(state.x, x, atol=1e-14)
        wanted = np.mean(points, axis=0) if "average" in method.name else x
        np.testing.assert_allclose(state.output, wanted, atol=1e-14)


def test_heavy_ball_on_quadratics_reaches_its_rate():
    """The bound for quadratics is of the right order: within a factor 4 of the worst of 2,001 curvatures, n = 30."""
    method, mu, n = descent.heavy_ball(mu=0.01), 0.01, 30
    curve = np.linspace(mu, 1, 2001)
    state = method.start(np.ones(2001))
    for _ in range(n):
        state = method.advance(state, curve * state.x)
    worst = (curve * state.x**2 / 2).max()
    assert worst <= method.guarantee.bound(n) <= 4 * worst


def test_polyak_is_its_formula_and_keeps_the_best():
    method = descent.polyak(1.0, factor=1.5)
    x = torch.tensor([3.0, -1.0], dtype=torch.float64)
    state = method.start(x, L=7.0)
    for _ in range(3):
        value, g = float((state.x**2).sum()) + 1, 2 * state.x
        wanted = state.x - 1.5 * (value - 1) / float((g**2).sum()) * g
        point = state.x
        state = method.advance(state, g, value)
        torch.testing.assert_close(state.x, wanted, rtol=1e-15, atol=0)
        assert state.output is point
    worse = method.advance(state, 2 * state.x, 100.0)
    assert worse.output is state.output


def test_what_cannot_be_is_refused():
    schedule = Schedule("two", [1.0, 2.0])
    for call, told in (
        (lambda: Schedule("none", []), "at least one"),
        (lambda: Schedule("matrix", np.ones((2, 2))), "in a row"),
        (lambda: Schedule("nan", [1.0, np.nan]), "finite"),
        (lambda: schedule.take(3), "has 2 steps, 3 are asked for"),
        (lambda: schedule.matrix(0), "at least 1"),
        (lambda: schedule.start(np.ones(1), L=0.0), "positive"),
        (lambda: descent.polyak(0.0).matrix(3), "no matrix"),
        (lambda: descent.polyak(0.0).coefficients(0), "no coefficients"),
        (lambda: descent.polyak(0.0).advance(descent.polyak(0.0).start(np.ones(1)), np.ones(1)), "by the value"),
        (lambda: descent.polyak(2.0).advance(descent.polyak(0.0).start(np.ones(1)), np.ones(1), 1.0), "minimum 2"),
        (lambda: descent.polyak(float("-inf")), "finite|minimum"),
        (lambda: descent.polyak(0.0, factor=2.5), "factor"),
        (lambda: descent.heavy_ball(1.0), "momentum"),
        (lambda: descent.heavy_ball(0.5, -1.0), "step"),
        (lambda: descent.heavy_ball(0.5, output="best"), "output"),
        (lambda: descent.heavy_ball("increasing", 0.0), "step"),
        (lambda: descent.heavy_ball(mu=0.0), "mu"),
        (lambda: descent.nesterov(mu=1.0), "mu"),
        (lambda: descent.ogm(0), "at least 1"),
        (lambda: descent.ogm(3).matrix(4), "has 3 steps"),
    ):
        with pytest.raises(InvalidInput, match=told):
            call()


def test_steps_cannot_be_changed_afterwards():
    steps = np.array([1.0, 2.0])
    schedule = Schedule("mine", steps)
    steps[0] = 9.0
    assert schedule.steps.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        schedule.steps[0] = 9.0
    schedule.take(2)[0] = 9.0
    assert schedule.steps.tolist() == [1.0, 2.0]
