"""Worst functions: what they promise of themselves, and that the method's run on them attains the value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.descent import nesterov, worst_case
from lemmata.descent.worst_case.simplex import nearest_mixture
from lemmata.descent.worst_case.worst_function import Envelope, OnALine, worst_on_a_line
from lemmata.errors import InvalidInput

NESTEROV = np.array([[1.0, 0, 0, 0], [1.0, 1.28175352, 0, 0], [1.0, 1.40409, 1.43404, 0], [1.0, 1.47, 1.66, 1.53]])


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 4), st.booleans())
def test_nearest_mixture_is_optimal(seed, m, r, on_a_grid):
    """Karush-Kuhn-Tucker: no point is cheaper at the margin than the mixture; also where points coincide or align."""
    rng = np.random.default_rng(seed)
    z, c, x = rng.normal(size=(m, r)), rng.normal(size=m), rng.normal(size=r)
    if on_a_grid:
        z, c = np.round(z), np.round(c)
    a = nearest_mixture(x, z, c)
    cost = (z - x) @ (a @ z - x) + c
    assert a.min() >= 0
    assert a.sum() == pytest.approx(1, abs=1e-12)
    assert a @ cost - cost.min() < 1e-11


@pytest.mark.parametrize("mu", [0.0, 0.4])
def test_envelope_is_convex_smooth_and_differentiable_whatever_the_data(mu):
    """Taylor, Hendrickx and Glineur's inequality between random points; the gradient against central differences."""
    rng = np.random.default_rng(0)
    L = 2.0
    f = Envelope.of(rng.normal(size=(7, 2)), rng.normal(size=(7, 2)), rng.normal(size=7), start=1, L=L, mu=mu)
    x, y = rng.normal(size=(2, 300, 2)) * 3
    (fx, gx), (fy, gy) = f.value_and_gradient(x), f.value_and_gradient(y)
    dx, dg = x - y, gx - gy
    least = np.sum(gy * dx, 1) + (
        np.sum(dg**2, 1) / L + mu * np.sum(dx**2, 1) - 2 * mu / L * np.sum(dg * dx, 1)
    ) / (2 * (1 - mu / L))  # fmt: skip
    assert (fx - fy - least).min() > -1e-12 * np.abs(fx).max()
    h = 1e-6
    slopes = np.stack([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(2)], 1)
    assert slopes == pytest.approx(gx, abs=1e-7)
    assert fx.min() >= f.minimum - 1e-12
    assert f(f.minimiser) == pytest.approx(f.minimum, abs=1e-12)
    assert np.abs(f.gradient(f.minimiser)).max() < 1e-7


def test_envelope_interpolates_the_data_of_a_smooth_function():
    """Values and gradients of sqrt(1 + |x|^2), which is convex and 1-smooth."""
    x = np.random.default_rng(1).normal(size=(9, 3)) * 2
    root = np.sqrt(1 + np.sum(x**2, 1))
    f = Envelope.of(x, x / root[:, None], root, start=0, L=1.0, mu=0.0)
    values, gradients = f.value_and_gradient(x)
    assert values == pytest.approx(root, abs=1e-12)
    assert gradients == pytest.approx(x / root[:, None], abs=1e-7)


@pytest.mark.parametrize("mu", [0.0, 0.2])
@pytest.mark.parametrize(("of", "given"), [("gap", "distance"), ("gradient", "distance"), ("gradient", "gap")])
def test_the_run_attains_the_value(of, given, mu):
    found = worst_case(NESTEROV, of=of, given=given, mu=mu, L=3.0)
    f = found.function()
    run = f.run(found.H)
    asked = run.gaps[-1] if of == "gap" else np.sum(run.gradients[-1] ** 2)
    granted = np.sum((f.x0 - f.minimiser) ** 2) if given == "distance" else run.gaps[0]
    assert asked / granted == pytest.approx(found.value, rel=1e-6)
    assert found.lower == pytest.approx(asked / granted, rel=1e-12)
    x = f.x0  # the recursion of gradient steps, followed without the matrix, on the first step at least
    assert run.points[1] == pytest.approx(x - NESTEROV[0, 0] / 3.0 * f.gradient(x))
    assert run.gaps.min() > -1e-9


def test_a_worst_function_that_is_not_on_a_line():
    """Nesterov's gradient norm at mu > 0 wants two dimensions: no function on a line does as much harm."""
    found = worst_case(nesterov(mu=0.1), 10, mu=0.1, of="gradient", given="gap")
    function = found.function()
    assert isinstance(function, Envelope)
    assert function.dimension == 2
    assert worst_on_a_line(found.H, 0.1, "gradient", "gap")[0] < found.lower * (1 - 1e-3)
    assert found.gap < 1e-6


def test_huber_and_quadratic_balance_on_dominant_steps():
    """One step of 3/2: the Huber function of bend 1/4 and the quadratic both leave L D^2/8."""
    H = np.array([[1.5]])
    for bend in (1 / 4, np.inf):
        assert OnALine.of(bend=bend, L=1.0, mu=0.0).ratio(H, "gap", "distance") == pytest.approx(1 / 8, abs=1e-15)


def test_points_of_another_shape_are_refused():
    f = worst_case([1.0]).function()
    with pytest.raises(InvalidInput, match=r"shape \(2,\).*\(1,\)"):
        f(np.zeros(2))
    with pytest.raises(InvalidInput, match="finite"):
        f.gradient(np.array([np.nan]))


def test_where_nothing_attains_the_value_the_function_is_one_that_comes_near():
    found = worst_case([1.0, 1.0], given="gap")
    assert found.function().run(found.H).gaps[-1] / found.function().run(found.H).gaps[0] == pytest.approx(1, abs=1e-8)
