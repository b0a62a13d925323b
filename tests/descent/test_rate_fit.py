"""Rates of sequences whose law is known: exact ones to rounding, noisy ones by coverage of their intervals.

Coverage: with 20 curves a bootstrap of means covers a little below its level; of 200 intervals at 95 % fewer than 170
would cover with probability below 1e-9 if coverage were 93 %, and the seeds are fixed.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemmata.descent import fit_rate
from lemmata.errors import InvalidInput, UnknownName

N = np.arange(1, 2001)


@given(p=st.floats(0.2, 4), C=st.floats(1e-6, 1e6))
def test_a_power_law_is_found_to_rounding(p, C):
    fit = fit_rate(N, C * N**-p)
    assert fit.model == "power"
    assert fit.decided
    assert fit.value == pytest.approx(p, rel=1e-9)
    assert fit.constant == pytest.approx(C, rel=1e-8)
    assert fit.low - 1e-9 <= p <= fit.high + 1e-9
    assert fit.ends == pytest.approx((p, p), rel=1e-8)
    np.testing.assert_allclose(fit.predict(N), C * N**-p, rtol=1e-8)


@given(rho=st.floats(0.9, 0.9999), C=st.floats(1e-6, 1e6))
def test_a_geometric_law_is_found_to_rounding(rho, C):
    fit = fit_rate(N, C * rho**N)
    assert fit.model == "geometric"
    assert fit.decided
    assert fit.value == pytest.approx(rho, rel=1e-10)
    np.testing.assert_allclose(fit.predict(N), C * rho**N, rtol=1e-7)


def noisy(seed: int, curves: int = 20) -> np.ndarray:
    """Curves with exponents of their own around 1.27, and noise along each."""
    draw = np.random.default_rng(seed)
    p = 1.27 + 0.1 * draw.standard_normal((curves, 1))
    return N**-p * np.exp(0.05 * draw.standard_normal((curves, len(N))))


def test_intervals_over_curves_cover_the_exponent():
    fits = [fit_rate(N, noisy(seed), resamples=500) for seed in range(200)]
    assert 170 <= sum(fit.low <= 1.27 <= fit.high for fit in fits) <= 200
    widths = np.array([fit.high - fit.low for fit in fits])
    assert widths.mean() == pytest.approx(2 * 1.96 * 0.1 / 20**0.5, rel=0.1)  # not 100 times narrower: curves count
    assert fits[0].n == 20
    assert fits[0].each.shape == (20,)
    assert fits[0].stderr == pytest.approx(0.1 / 20**0.5, rel=0.5)


def test_correlated_residuals_widen_the_interval_of_one_curve():
    """Noise that persists over steps says less than white noise of the same size."""
    draw = np.random.default_rng(0)
    steps = np.unique(np.geomspace(10, 10000, 60).round())
    hits = {"white": 0, "red": 0}
    widths = {"white": [], "red": []}
    for _ in range(200):
        white = 0.1 * draw.standard_normal(len(steps))
        red = np.zeros(len(steps))
        for i in range(len(steps)):
            red[i] = 0.8 * red[i - 1] + 0.6 * white[i] if i else white[0]
        for kind, noise in (("white", white), ("red", red)):
            fit = fit_rate(steps, steps**-1.0 * np.exp(noise), window=(10, 10000), model="power")
            hits[kind] += fit.low <= 1 <= fit.high
            widths[kind].append(fit.high - fit.low)
    assert hits["white"] >= 165  # Newey and West's intervals are somewhat too narrow in small samples: about 90 %
    assert hits["red"] >= 130
    assert np.mean(widths["red"]) > 1.3 * np.mean(widths["white"])


def test_what_lies_between_the_models_is_not_decided():
    fit = fit_rate(N, np.exp(-np.sqrt(N) / 5))  # half-way between a line in n and one in log n
    assert not fit.decided
    assert "NOT told apart" in fit.plot().caption
    assert fit_rate(N, 1 / N).plot().panels[0].x.log
    assert not fit_rate(N, 0.99**N).plot().panels[0].x.log


def test_local_values_at_both_ends_show_a_rate_that_has_not_settled():
    """1/(n + 100): the local exponent is n / (n + 100), 1 only in the limit."""
    fit = fit_rate(N, 1 / (N + 100.0), model="power")
    assert fit.ends[0] < fit.value < fit.ends[1] < 1
    assert fit.ends[1] > 0.85


def test_window_and_floor():
    y = np.maximum(N**-2.0, 1e-5)  # rounding sets in at n = 316
    assert fit_rate(N, y, floor=1.0001e-5).value == pytest.approx(2, rel=1e-9)
    assert fit_rate(N, y, floor=1.0001e-5).window[1] <= 317
    assert fit_rate(N, y).value < 1
    fit = fit_rate(N, np.where(N < 50, 1.0, 50 / N), window=(100, 1000))
    assert fit.value == pytest.approx(1, rel=1e-9)
    assert (fit.window[0], fit.window[1]) == (100, 1000)
    assert len(fit.steps) <= 60
    assert fit_rate(np.arange(0, 50), 1 / (1 + np.arange(0, 50.0)), window=(1, 50)).window[0] == 1  # step 0 has no log


def test_intervals_keep_their_level():
    fit = fit_rate(N, noisy(0), level=0.5)
    assert fit.interval(0.5) == (fit.low, fit.high)
    wide = fit_rate(N, noisy(0), level=0.99)
    assert wide.low < fit.low < fit.high < wide.high
    with pytest.raises(InvalidInput, match="computed at level"):
        fit.interval(0.9)
    geometric = fit_rate(N, 0.99 ** (N * np.array([[1.0], [1.1], [0.9]])))
    assert geometric.low < geometric.value < geometric.high < 1
    assert fit_rate(N, noisy(3), seed=1).interval() == fit_rate(N, noisy(3), seed=1).interval()


BAD = [
    ({"steps": N, "error": 1 / N[:5]}, "shape"),
    ({"steps": N[::-1], "error": 1 / N}, "increase"),
    ({"steps": N, "error": 1 / N - 0.001, "window": (500, 2000)}, "not finite"),
    ({"steps": N, "error": np.full(2000, np.nan)}, r"not finite|points"),
    ({"steps": N, "error": 1 / N, "window": (10, 12)}, "3 points"),
    ({"steps": N, "error": 1 / N, "level": 1.0}, "level"),
    ({"steps": N, "error": noisy(3), "resamples": 0}, "resamples = 0"),
    ({"steps": N, "error": np.where(N == 1001, np.nan, 1 / N)}, "not finite"),
]


@pytest.mark.parametrize(("given", "says"), BAD)
def test_refuses(given, says):
    with pytest.raises(InvalidInput, match=says):
        fit_rate(**given)


def test_refuses_another_model():
    with pytest.raises(UnknownName, match="power"):
        fit_rate(N, 1 / N, model="powr")  # type: ignore[arg-type]
