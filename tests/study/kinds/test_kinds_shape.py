"""Bumps and their places: against a search over all triples, scipy's extrema, and a closed-form double descent."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import argrelextrema

from lemmata.errors import InvalidInput
from lemmata.study import Curve, kinds
from lemmata.study.kinds.shape import bump, largest_rise

INF, NAN = math.inf, math.nan
WHOLE = (-INF, INF)


def two_scale_risk(steps, *, s=(1.0, 0.15), theta=(0.45, 3.0), sigma=1.0, n=10, eta=(0.1, 0.1)):
    """Excess risk of gradient descent after k steps with features of two scales: Heckel and Yilmaz (2021), section 2.

    sum_i s_i^2 theta_i^2 (1 - eta_i s_i^2)^(2k) + sigma^2 / n (1 - (1 - eta_i s_i^2)^k)^2
    """
    k = np.asarray(steps, dtype=float)[:, None]
    s, theta, eta = (np.array(v) for v in (s, theta, eta))
    decay = (1 - eta * s**2) ** k
    return ((s * theta * decay) ** 2 + sigma**2 / n * (1 - decay) ** 2).sum(axis=1)


def table(*curves, **more):
    frame = pd.DataFrame({"seed": range(len(curves)), "risk": list(curves)} | more)
    frame.attrs["fields"] = ["seed"]
    return frame


def brute_force(y) -> float:
    """The definition: max over i < j < k of y_j - max(y_i, y_k), and 0."""
    triples = itertools.combinations(range(len(y)), 3)
    return max([0.0, *(y[j] - max(y[i], y[k]) for i, j, k in triples)])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=3, max_size=12))
def test_bump_is_the_highest_of_all_triples(y):
    y = np.array(y, dtype=float)
    found = bump(np.arange(len(y)), y)
    assert found.height == brute_force(y)
    if found.height > 0:
        i, j, k = (int(found[at]) for at in (1, 2, 3))
        assert i < j < k
        assert y[j] - max(y[i], y[k]) == found.height
        assert (y[i], y[k]) == (y[:j].min(), y[j:].min())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=12, unique=True), st.floats(0.1, 9), st.floats(-9, 9))
def test_bump_turns_and_scales_with_the_curve(y, scale, shift):
    x, y = np.arange(len(y)), np.array(y)
    plain, turned, scaled = bump(x, y), bump(x, y[::-1]), bump(x, y * scale + shift)
    assert turned.height == plain.height
    assert scaled.height == pytest.approx(plain.height * scale, rel=1e-9, abs=1e-9)


def test_the_two_scale_risk_has_its_extrema_at_12_30_491():
    """Published setting: minimum .2596 at 12, maximum .2694 at 30, minimum .1669 at 491 steps."""
    steps = np.arange(0, 3001)
    risk = two_scale_risk(steps)
    inner_minima, (inner_maximum,) = (argrelextrema(risk, f)[0] for f in (np.less, np.greater))
    found = bump(steps, risk)
    assert (found.first_minimum, found.peak, found.second_minimum) == (12, 30, 491)
    assert (*inner_minima, inner_maximum) == (12, 491, 30)
    np.testing.assert_allclose(risk[[12, 30, 491]], [0.2596, 0.2694, 0.1669], atol=5e-5)
    assert found.height == pytest.approx(risk[30] - risk[12], rel=1e-12)


def test_steps_chosen_per_feature_leave_one_descent():
    steps = np.arange(0, 3001)
    risk = two_scale_risk(steps, eta=(0.1, 4.3))
    assert bump(steps, risk).height < 1e-12  # rounding of the constant tail
    assert (int(np.argmin(risk)), round(float(risk.min()), 4)) == (11, 0.1340)


def test_the_second_minimum_moves_when_the_slow_group_is_slowed():
    steps = np.arange(0, 6001)
    found = bump(steps, two_scale_risk(steps, eta=(0.1, 0.02)))
    assert (found.first_minimum, found.peak, found.second_minimum) == (11, 45, 2459)


def test_a_flat_top_or_bottom_is_placed_at_its_middle():
    x = np.array([1.0, 2, 4, 8, 16, 32, 64, 128, 256])
    found = bump(x, np.array([5.0, 1, 1, 1, 7, 7, 7, 2, 2]))
    assert found == (5.0, 4.0, 32.0, 128.0)


def test_monotone_u_shaped_and_risen_curves_have_no_bump():
    x = np.arange(9.0)
    for y in (-x, x, (x - 4) ** 2, 0 * x, np.minimum(x, 4)):
        found = bump(x, y)
        assert found.height == 0
        assert all(np.isnan(found[1:]))


def test_infinite_peaks_and_lost_points():
    x = np.arange(5.0)
    assert bump(x, np.array([2.0, 1, INF, 1, 0.5])) == (INF, 1.0, 2.0, 4.0)
    assert bump(x, np.array([INF, 1, 3, 2, INF])) == (1.0, 1.0, 2.0, 3.0)
    assert all(np.isnan(bump(x, np.array([2.0, NAN, 3, 1, 0.5]))))


def test_smoothing_is_a_running_mean_with_repeated_edges():
    y = np.array([4.0, 1, 4, 1, 5, 0])
    padded = np.concatenate([[4.0], y, [0.0]])
    by_hand = np.array([padded[i : i + 3].mean() for i in range(6)])
    assert bump(np.arange(6), y, smooth=3).height == pytest.approx(brute_force(by_hand))
    with pytest.raises(InvalidInput, match="smooth = 4"):
        bump(np.arange(6), y, smooth=4)
    with pytest.raises(InvalidInput, match="want three points, got 2"):
        bump(np.arange(2), y[:2])


def test_largest_rise():
    assert largest_rise(Curve([1, 2, 3, 4], [4.0, 1.0, 3.0, 0.5])) == 0.5
    assert largest_rise(Curve([1, 2], [4.0, 1.0])) == 0.0
    assert largest_rise(Curve([1, 2], [0.0, 0.0])) == 0.0
    assert largest_rise(Curve([1, 2], [0.0, 1.0])) == INF
    assert largest_rise(Curve([1, 2], [1.0, NAN])) == INF


STEPS = np.arange(0, 3001)
OURS = [Curve(STEPS, two_scale_risk(STEPS) + offset) for offset in (0.0, 0.1, 0.2)]


@pytest.mark.parametrize(("place", "at"), [("first_minimum", 12), ("peak", 30), ("second_minimum", 491)])
def test_double_descent_gives_bump_place_and_guard(place, at):
    loss = Curve(STEPS, np.exp(-STEPS / 100))
    kind = kinds.shape.double_descent(of="risk", height=0.005, locate=place, guard="loss")
    heights, where, rise = kind.components(table(*OURS, loss=[loss] * 3), at, (at - 2, at + 2))
    np.testing.assert_allclose(heights.samples, 0.0098, atol=5e-5)
    assert (heights.low, heights.high, heights.null) == (0.005, INF, 0.0)
    assert where.samples.tolist() == [at] * 3
    assert (where.low, where.high, where.resolution) == (at - 2, at + 2, 1.0)
    assert rise.exact
    assert rise.samples.tolist() == [0.0] * 3
    assert len(kind.components(table(*OURS, loss=[loss] * 3), None, WHOLE)) == 2  # no number, no place


def test_a_bump_below_the_height_has_no_place():
    kind = kinds.shape.double_descent(of="risk", height=0.05)
    heights, where = kind.components(table(*OURS), 30, (28, 32))
    assert (heights.n, where.n, where.dropped) == (3, 0, 3)


def test_an_unstable_loss_is_seen_by_the_guard():
    rough = Curve(STEPS, np.where(STEPS == 50, 2.0, np.exp(-STEPS / 100)))
    kind = kinds.shape.double_descent(of="risk", guard="loss", tolerance=0.01)
    *_, rise = kind.components(table(*OURS, loss=[rough] * 3), None, WHOLE)
    assert (rise.samples > rise.high).all()


def test_single_descent_is_bounded_on_one_side_only():
    (part,) = kinds.shape.single_descent(of="risk", height=0.005).components(table(*OURS), None, WHOLE)
    assert (part.low, part.high) == (-INF, 0.005)
    assert (part.samples > part.high).all()


def test_peak_over_a_sweep():
    aspects = [0.5, 0.8, 1.0, 1.2, 2.0]
    heights = {0.5: 1.0, 0.8: 4.0, 1.0: 50.0, 1.2: 5.0, 2.0: 2.0}
    rows = [{"seed": s, "aspect": a, "risk": heights[a] + s} for a in aspects for s in range(3)]
    frame = pd.DataFrame([*rows, {"seed": 3, "aspect": 1.0, "risk": 9.0}]).sample(frac=1, random_state=1)
    kind = kinds.shape.peak(of="risk", over="aspect", height=1.0)
    size, where = kind.components(frame, 1.0, (0.9, 1.1))
    assert size.samples.tolist() == [48.0] * 3  # 50 above the larger side, 2
    assert size.dropped == 1  # seed 3 has only one level
    assert where.samples.tolist() == [1.0] * 3
    assert where.resolution == pytest.approx(0.2)
    with pytest.raises(InvalidInput, match="3 or more"):
        kind.components(frame[frame["aspect"] > 1.1], None, WHOLE)


def test_a_run_without_the_curve_is_dropped_and_a_number_is_refused():
    heights = kinds.shape.double_descent(of="risk").components(table(*OURS[:2], NAN), None, WHOLE)[0]
    assert (heights.n, heights.dropped) == (2, 1)
    with pytest.raises(InvalidInput, match="'risk' is a number a record, and a curve is wanted"):
        kinds.shape.double_descent(of="risk").components(table(1.0, 2.0), None, WHOLE)
