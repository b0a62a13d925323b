"""Lower bounds over boxes are rigorous, the search proves what is known, and published steps are improved."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.descent import bnb_pep, dominant, gradient_dominant, optimal, shortfall, worst_case
from lemmata.descent.branch_and_bound import _radius
from lemmata.descent.hard_functions import HardFunctions, mesh, varied
from lemmata.descent.nearby import at_least_nearby
from lemmata.descent.worst_case import conic
from lemmata.errors import InvalidInput, UnknownName


def drawn(seed, J=60):
    draw = np.random.default_rng(seed)
    begun = mesh(np.geomspace(0.02, 1.0, 6), np.linspace(0.1, 1, 5))
    return varied(varied(begun.chosen(draw.integers(len(begun), size=J)), draw, 0.5), draw, 0.5), draw


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_functions_are_convex_with_lipschitz_constant_one(seed):
    """Increasing gradients, no faster than x, whose integral the value is (trapezoids, exact up to kinks: 1e-4)."""
    functions, _ = drawn(seed)
    x = np.linspace(-4, 4, 8001)
    g = functions.gradient(x[:, None])
    rise = np.diff(g, axis=0) / np.diff(x)[:, None]
    assert rise.min() >= -1e-9
    assert rise.max() <= 1 + 1e-9
    f = functions.value(x[:, None])
    integral = np.concatenate([np.zeros((1, len(functions))), np.cumsum((g[1:] + g[:-1]) / 2 * np.diff(x)[:, None], 0)])
    np.testing.assert_allclose(f, integral - integral[4000], atol=1e-4)
    assert np.all(f[4000] == 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from(["gap", "gradient"]))
def test_no_steps_of_a_box_fall_below_its_bound(seed, n, of):
    """500 steps in a random box, of any sign and size, ends among them; and a box of one point loses 1e-9 at most."""
    functions, draw = drawn(seed, J=30)
    low = draw.normal(scale=3, size=n)
    high = low + draw.exponential(size=n) * draw.integers(0, 2)
    inside = low + (high - low) * np.concatenate([draw.random((498, n)), np.zeros((1, n)), np.ones((1, n))])
    reached = functions.after(inside, of)
    bound = functions.chosen(np.arange(30)[None]).at_least(low[None], high[None], of)[0]
    assert np.all(bound <= reached.min(0))
    if np.array_equal(low, high):
        size = np.maximum(1.0, np.abs(reached).max(0))
        np.testing.assert_allclose(bound, reached[0], atol=1e-9 * size.max(), rtol=1e-9)


def test_the_bound_is_the_range_where_it_can_be_seen():
    """One quadratic, two steps in [1.2, 1.4] and [1.5, 2]: the least of (1-a)^2 (1-b)^2/2 is at the lower ends."""
    quadratic = mesh(np.array([1e6]), np.array([1.0])).chosen(np.array([[1]]))
    found = quadratic.at_least(np.array([[1.2, 1.5]]), np.array([[1.4, 2.0]]), "gap")
    assert found[0, 0] == pytest.approx(0.2**2 * 0.5**2 / 2, rel=1e-10)


@pytest.mark.parametrize(("low", "kink", "high"), [(0.0, 0.8, 1.0), (3.0, 3.2, 4.0)])
def test_the_kink_where_the_second_rise_ends_counts(low, kink, high):
    """The least |x_2| of the box is where x_1 = 0.6, or -0.6, is that kink: 0.05, where the ends have 0.06."""
    numbers = np.array([1.0, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3])
    bound = HardFunctions(numbers[:, None, None]).at_least(np.array([[low, 1.1]]), np.array([[high, 1.1]]), "gap")
    met = HardFunctions(numbers[:, None]).after(np.array([[kink, 1.1]]), "gap")
    assert bound[0, 0] == pytest.approx(0.05**2 / 2, rel=1e-9)
    assert bound[0, 0] <= met[0, 0] * (1 + 1e-15)


def test_one_step_is_exactly_the_known_optimum():
    """1.5 and 1/8 (gap), 1/2 (gradient), proven to 1e-4."""
    best = optimal(1, tolerance=1e-4)
    assert best.schedule.steps.tolist() == [1.5]
    assert best.upper == 0.125
    assert 0.125 * (1 - 1e-4) <= best.lower <= 0.125
    assert best.converged
    of_gradient = optimal(1, of="gradient", tolerance=1e-4)
    assert of_gradient.upper == 0.5
    assert 0.5 * (1 - 1e-4) <= of_gradient.lower <= 0.5


@pytest.mark.parametrize("of", ["gap", "gradient"])
def test_two_steps_are_proven_optimal_to_a_ten_thousandth(of):
    best = optimal(2, of=of, tolerance=1e-4)
    assert best.converged
    assert best.upper * (1 - 1e-4) <= best.lower <= best.upper
    made = dominant(2) if of == "gap" else gradient_dominant(2)
    assert best.schedule.steps.tolist() == made.steps.tolist()
    assert best.upper == pytest.approx(made.guarantee.bound(2), rel=1e-14)


@pytest.mark.parametrize("of", ["gap", pytest.param("gradient", marks=pytest.mark.slow)])
def test_three_steps_are_proven_optimal_to_one_per_cent(of):
    """By semidefinite programs near the optimum: functions of one variable alone stop at 4 % (gap)."""
    best = optimal(3, of=of, tolerance=1e-2)
    assert best.converged
    assert best.programs > 0
    assert 0 < best.open <= 1e-2
    assert np.all(np.diff(best.history[:, 1]) >= 0)
    assert best.history[-1, 1] == best.lower
    assert len(best.plot().panels) == 1


def test_what_is_not_reached_is_said():
    best = optimal(3, boxes=2_000, programs=0)
    assert not best.converged
    assert best.programs == 0
    assert 0.04 < best.open < 0.5


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from(["gap", "gradient"]))
def test_nearby_steps_are_as_bad_as_said(seed, n, of):
    """Random steps in random boxes about random steps: their worst case by the program, 1e-6 for its solver."""
    draw = np.random.default_rng(seed)
    centre, radius = draw.uniform(0.2, 4, n), draw.exponential(0.05, n)
    bound = at_least_nearby(centre - radius, centre + radius, of)
    steps = centre + radius * draw.uniform(-1, 1, n)
    exact = worst_case(steps, of=of, given="distance" if of == "gap" else "gap").value
    assert bound <= exact * (1 + 1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_box_of_one_point_has_nearly_its_worst_case(n):
    """What mixing with a strict function costs: below 2e-4."""
    for of, schedule in (("gap", dominant(n)), ("gradient", gradient_dominant(n))):
        exact = schedule.guarantee.bound(n)
        assert exact * (1 - 2e-4) <= at_least_nearby(schedule.steps, schedule.steps, of) <= exact


def test_nothing_is_believed_of_the_solver(monkeypatch):
    """Gradients made a thousandth larger, or values: the inequalities fail, and there is no bound."""
    true = conic.solve
    steps = dominant(3).steps
    for spoil in (
        lambda found: replace(found, gram=found.gram * 1.001),
        lambda found: replace(found, f=found.f * 1.001),
        lambda found: replace(found, gram=found.gram * np.nan),
    ):
        monkeypatch.setattr(conic, "solve", lambda *a, spoil=spoil, **k: spoil(true(*a, **k)))
        assert at_least_nearby(steps, steps, "gap") <= dominant(3).guarantee.bound(3)


def test_the_lower_bound_is_below_the_worst_case_of_random_steps():
    """Any two steps, by the semidefinite program: 20 draws around the optimum, none below what is proven."""
    lower, draw = optimal(2, tolerance=1e-4).lower, np.random.default_rng(0)
    for _ in range(20):
        steps = dominant(2).steps + 0.3 * draw.normal(size=2) * draw.random()
        assert worst_case(steps).value >= lower * (1 - 1e-7)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_box_is_that_of_the_chebyshev_polynomial(n):
    """Coefficients of T_{2n+1} in integers; and the schedule lies in the box."""
    upper = dominant(n).guarantee.bound(n)
    T = [[1], [0, 1]]
    for _ in range(2 * n):
        doubled = [0] + [2 * c for c in T[-1]]
        T.append([a - b for a, b in zip(doubled, T[-2] + [0] * (len(doubled) - len(T[-2])), strict=True)])
    odd = [abs(c) for c in T[2 * n + 1][1::2]]
    assert odd[0] == 2 * n + 1
    e = math.sqrt(2 * upper)
    wanted = math.sqrt((e * odd[1]) ** 2 + 2 * e * (odd[2] if n > 1 else 0))
    assert _radius(n, upper) == pytest.approx(wanted, rel=1e-11)
    assert dominant(n).steps.max() < wanted


def test_large_steps_are_worse_on_some_quadratic():
    """Beyond the radius no steps are as good on all quadratics: 2,000 random ones of three, one of them too long."""
    upper = dominant(3).guarantee.bound(3)
    radius, draw = _radius(3, upper), np.random.default_rng(0)
    steps = draw.exponential(3, size=(2000, 3)) * np.sign(draw.normal(size=(2000, 3)) + 1)
    steps[np.arange(2000), draw.integers(3, size=2000)] = radius * (1 + draw.exponential(0.3, size=2000))
    s = np.linspace(0, 1, 4001)[:, None, None]
    worst = (s[..., 0] * np.prod(1 - s * steps, axis=-1) ** 2 / 2).max(0)
    assert np.all(worst > upper)


# what is reached at least on one function, and by the dominant schedule exactly, to the digits printed
IMPROVED = {
    6: ("0.0200983", "0.0195430"),
    15: ("0.0065921", "0.0064793"),
    25: ("0.0034757", "0.0034361"),
    50: ("0.0015414", "0.0014398"),
}


@pytest.mark.parametrize("N", [6, 8, 9, 15, 25, 50])
def test_published_steps_are_improved(N):
    """In rationals: the published decimals on one quadratic or Huber function do worse than the dominant bound."""
    found = shortfall(N)
    assert found.share > 0.005
    if N in IMPROVED:
        assert (f"{found.at_least:.7f}", f"{found.dominant:.7f}") == IMPROVED[N]
    steps = [Fraction(h) for h in bnb_pep(N).steps.tolist()]
    tau = 1 / (2 * sum(steps) + 1)
    x = Fraction(1)
    for h in steps:
        x -= h * max(-tau, min(x, tau))
    huber = x**2 / 2 if abs(x) <= tau else tau * abs(x) - tau**2 / 2
    quadratic = math.prod((1 - h) ** 2 for h in steps) / 2
    worst = max(float(huber), float(quadratic))
    assert worst <= found.at_least * (1 + 1e-9)
    assert worst > found.dominant * 1.005


def test_what_cannot_be_is_refused():
    for arguments, told in (((0,), "1 to 4"), ((2.5,), "n = 2.5"), ((5,), "1 to 4")):
        with pytest.raises(InvalidInput, match=told):
            optimal(*arguments)
    for options, told in (({"tolerance": 0.0}, "tolerance"), ({"boxes": 0}, "boxes"), ({"programs": -1}, "programs")):
        with pytest.raises(InvalidInput, match=told):
            optimal(2, **options)
    with pytest.raises(UnknownName, match="measure"):
        optimal(2, of="distance")
    with pytest.raises(UnknownName, match="length"):
        bnb_pep(7)


@pytest.mark.slow
def test_three_steps_to_a_thousandth_and_four_to_two_per_cent():
    """A minute and a half of processor time."""
    assert optimal(3).open <= 1e-3
    assert optimal(4).open <= 2e-2
