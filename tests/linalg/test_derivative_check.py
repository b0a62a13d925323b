"""Derivative and adjoint checks: derivatives that are right pass, at any scale and in rounding; wrong ones fail."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.linalg import LinearOperator, check_adjoint, check_gradient, check_jacobian


def problem(n=30, p=8, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, p, generator=draw, dtype=torch.float64), torch.randn(p, generator=draw, dtype=torch.float64)


def logistic(Y):
    """The mean of log(1 + exp(-Y w)), its gradient and Hessian products, written out."""

    def value(w):
        return torch.nn.functional.softplus(-(Y @ w)).mean()

    def gradient(w):
        return -Y.T @ torch.sigmoid(-(Y @ w)) / len(Y)

    def hvp(w, v):
        s = torch.sigmoid(Y @ w)
        return Y.T @ (s * (1 - s) * (Y @ v)) / len(Y)

    return value, gradient, hvp


def test_orders_of_a_right_gradient_and_hessian():
    Y, w = problem()
    value, gradient, hvp = logistic(Y)
    check = check_gradient(value, gradient, w, hvp=hvp)
    # the rates are those of Taylor's theorem; the fit at the smallest clear steps is off by their noise, 1 / 30
    assert check.orders == pytest.approx((1, 2, 3), abs=0.1)
    assert check.holds
    assert bool(check)
    assert check.error < 1e-6
    assert check.remainders.shape == (3, 3, len(check.steps))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(-8, 8),
    kind=st.sampled_from(["logistic", "quartic", "exp", "linear", "norm"]),
)
def test_right_derivatives_pass_whatever_their_scale(seed, scale, kind):
    Y, w = problem(seed=seed)
    value, gradient, hvp = {
        "logistic": logistic(Y),
        "quartic": (lambda w: (w**4).sum(), lambda w: 4 * w**3, lambda w, v: 12 * w**2 * v),
        "exp": (lambda w: w.exp().sum(), lambda w: w.exp(), lambda w, v: w.exp() * v),
        "linear": (lambda w: Y[0] @ w, lambda w: Y[0].clone(), lambda w, v: 0 * v),
        "norm": (lambda w: w @ w, lambda w: 2 * w, lambda w, v: 2 * v),
    }[kind]
    c = 10.0**scale
    check = check_gradient(lambda w: c * value(w), lambda w: c * gradient(w), w, hvp=lambda w, v: c * hvp(w, v))
    assert check.holds, check.orders


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), power=st.integers(1, 5), entry=st.integers(0, 7))
def test_wrong_derivatives_fail_down_to_one_part_in_a_hundred_thousand(seed, power, entry):
    Y, w = problem(seed=seed)
    value, gradient, _ = logistic(Y)
    error = 10.0**-power
    assert not check_gradient(value, lambda w: (1 + error) * gradient(w), w, seed=seed)
    unit = torch.zeros(8, dtype=torch.float64)
    unit[entry] = error * gradient(w).norm()
    assert not check_gradient(value, lambda w: gradient(w) + unit, w, seed=seed)


def test_a_wrong_hessian_is_told_from_a_wrong_gradient():
    Y, w = problem()
    value, gradient, hvp = logistic(Y)
    check = check_gradient(value, gradient, w, hvp=lambda w, v: 1.01 * hvp(w, v))
    assert check.orders == pytest.approx((1, 2, 2), abs=0.1)
    assert not check.holds
    assert check_jacobian(gradient, hvp, w).holds
    assert not check_jacobian(gradient, lambda w, v: hvp(w, v) + 1e-4 * v, w)


def test_the_sign_in_the_logistic_gradient():
    """A slide has 1 - 1/(1 + exp(w'Y)) where log(1 + exp(-w'Y)) has -1/(1 + exp(w'Y)) for a slope."""
    Y, w = problem()
    value, gradient, _ = logistic(Y)

    def slide(w):
        return Y.T @ (1 - 1 / (1 + torch.exp(Y @ w))) / len(Y)

    assert check_gradient(value, gradient, w).holds
    wrong = check_gradient(value, slide, w)
    assert not wrong.holds
    assert wrong.orders[1] == pytest.approx(1, abs=0.1)
    assert wrong.error > 0.1


def test_noise_in_f_does_not_mislead():
    # f is an inner computation of relative accuracy 1e-9 (seeded by its argument's bits, so it is a function)
    Y, w = problem()
    value, gradient, _ = logistic(Y)

    def noisy(w):
        return value(w) * (1 + 1e-9 * math.sin(1e12 * float(w.sum())))

    check = check_gradient(noisy, gradient, w)
    assert check.holds
    assert (check.rounding > 1e-10).all()
    assert not check_gradient(noisy, lambda w: 1.001 * gradient(w), w)


def test_float32_and_numpy():
    Y, w = problem()
    value, gradient, _ = logistic(Y.float())
    assert check_gradient(value, gradient, w.float()).holds
    assert not check_gradient(value, lambda w: 1.1 * gradient(w), w.float())
    x = w.numpy()
    assert check_gradient(lambda x: (x**4).sum(), lambda x: 4 * x**3, x).holds
    assert not check_gradient(lambda x: (x**4).sum(), lambda x: 4.01 * x**3, x).holds


def test_steps_direction_and_seed():
    Y, w = problem()
    value, gradient, _ = logistic(Y)
    steps = [10.0**-k for k in range(1, 11)]
    one = check_gradient(value, gradient, w, direction=Y[0], steps=steps)
    assert one.remainders.shape == (2, 1, 10)
    h = 1e-2
    by_hand = abs(float(value(w + h * Y[0]) - value(w) - h * gradient(w) @ Y[0]))
    assert one.remainders[1, 0, 1] == pytest.approx(by_hand, rel=1e-9)
    again = [check_gradient(value, gradient, w, seed=torch.Generator().manual_seed(3)).remainders for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_what_can_not_be_checked_is_refused():
    Y, w = problem()
    value, gradient, _ = logistic(Y)
    with pytest.raises(InvalidInput, match=r"the gradient has shape \(7,\) and x \(8,\)"):
        check_gradient(value, lambda w: gradient(w)[1:], w)
    with pytest.raises(InvalidInput, match="must be finite"):
        check_gradient(value, gradient, w * math.nan)
    with pytest.raises(InvalidInput, match="does not change"):
        check_gradient(lambda w: 0 * w.sum() + 1, torch.zeros_like, w)
    with pytest.raises(InvalidInput, match="positive numbers that fall"):
        check_gradient(value, gradient, w, steps=[1e-3, 1e-2, 1e-1])
    with pytest.raises(InvalidInput, match="the direction has shape"):
        check_gradient(value, gradient, w, direction=w[1:])
    with pytest.raises(InvalidInput, match="directions = 0"):
        check_gradient(value, gradient, w, directions=0)


def test_inputs_stay_and_the_global_generator_too():
    Y, w = problem()
    value, gradient, _ = logistic(Y)
    before, state = w.clone(), torch.get_rng_state()
    check_gradient(value, gradient, w)
    check_adjoint(LinearOperator.of(Y))
    assert torch.equal(w, before)
    assert torch.equal(state, torch.get_rng_state())


@settings(max_examples=30, deadline=None)
@given(m=st.integers(1, 20), p=st.integers(1, 20), seed=st.integers(0, 1000), scale=st.floats(-6, 6))
def test_adjoints(m, p, seed, scale):
    A = 10.0**scale * problem(m, p, seed)[0]
    assert check_adjoint(LinearOperator.of(A), seed=seed).holds
    like = A.new_zeros(p), A.new_zeros(m)
    # that 1e-6 hides behind the tolerance of some 1e-13 in all of five trials has a probability below 1e-30
    assert not check_adjoint((lambda v: A @ v, lambda u: (1 + 1e-6) * (A.T @ u)), like=like, seed=seed)


def test_adjoints_of_tensors_in_float32_and_of_arrays():
    kernel = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    forward = lambda image: torch.nn.functional.conv2d(image, kernel, padding=1)  # noqa: E731
    backward = lambda image: torch.nn.functional.conv_transpose2d(image, kernel, padding=1)  # noqa: E731
    like = torch.zeros(1, 2, 8, 8), torch.zeros(1, 3, 8, 8)
    check = check_adjoint((forward, backward), like=like)
    assert check.holds
    np.testing.assert_allclose(check.forward, check.backward, rtol=1e-4)
    flipped = lambda image: backward(image.flip(-1)).flip(-1)  # noqa: E731
    assert not check_adjoint((forward, flipped), like=like)
    D = np.diff(np.eye(6), axis=0)
    assert check_adjoint((lambda v: D @ v, lambda u: D.T @ u), like=(np.zeros(6), np.zeros(5))).holds
    assert check.plot().panels[0].x.label


def test_adjoints_that_do_not_fit_are_refused():
    A = problem(5, 3)[0]
    with pytest.raises(InvalidInput, match="no adjoint"):
        check_adjoint(LinearOperator(lambda V: A @ V, (5, 3), dtype=torch.float64))
    with pytest.raises(InvalidInput, match="like="):
        check_adjoint((lambda v: A @ v, lambda u: A.T @ u))
    with pytest.raises(InvalidInput, match=r"the adjoint product is \(5,\); \(3,\) would fit"):
        check_adjoint((lambda v: A @ v, lambda u: u), like=(A.new_zeros(3), A.new_zeros(5)))
    with pytest.raises(InvalidInput, match="not finite"):
        check_adjoint((lambda v: A @ v / 0, lambda u: A.T @ u), like=(A.new_zeros(3), A.new_zeros(5)))


def test_draws_itself():
    Y, w = problem()
    value, gradient, hvp = logistic(Y)
    figure = check_gradient(value, gradient, w, hvp=hvp).plot()
    assert "right" in figure.caption
    labels = [series.label for series in figure.panels[0].series]
    assert labels[1] == "h^1"
    assert labels[-1] == "rounding of f"
    assert "WRONG" in check_gradient(value, lambda w: 2 * gradient(w), w).plot().caption


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_derivative_that_is_not_finite_is_refused(wrong):
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    bad = torch.tensor([1.0, wrong], dtype=torch.float64)
    with pytest.raises(InvalidInput, match="first derivative along a direction is not finite"):
        check_gradient(lambda x: (x**4).sum(), lambda x: 4 * x**3 * bad, x)
    with pytest.raises(InvalidInput, match="second derivative"):
        check_gradient(lambda x: (x**4).sum(), lambda x: 4 * x**3, x, hvp=lambda x, v: 12 * x**2 * v * bad)
