"""Radii against the worst classifier found by quadrature, against mpmath, and by their defining properties.

The oracle of tightness knows no formula of a radius: it cuts the line (or plane) into cells, takes the exact masses of
the noise before and after a shift, and lets the worst classifier choose cells by their likelihood ratio (Neyman and
Pearson). A radius is right if just within it class A keeps the lead over class B, and just beyond it does not.
"""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lemmata.errors import InvalidInput
from lemmata.robustness.smoothing.noise import Gaussian, Laplace, Uniform, require_noise

LAWS = {
    "gaussian": (Gaussian(0.7), stats.norm(scale=0.7)),
    "laplace": (Laplace(0.7), stats.laplace(scale=0.7)),
    "uniform": (Uniform(0.7), stats.uniform(-0.7, 1.4)),
}
PAIRS = [(0.6, None), (0.9, None), (0.999, None), (0.7, 0.1), (0.9, 0.02), (0.45, 0.2), (0.3, 0.05), (0.5, 0.4)]


def worst_gap(law, p, q, shifts):
    """The least p_A and the largest p_B after a shift, over all classifiers with p_A = p and p_B = q before it."""
    cells = 20_001 if len(shifts) == 1 else 701
    axes = [np.linspace(-12.0 * 0.7, 12.0 * 0.7 + shift, cells) for shift in shifts]
    before = after = np.ones(1)
    for axis, shift in zip(axes, shifts, strict=True):
        before = np.outer(before, np.diff(law.cdf(axis))).ravel()
        after = np.outer(after, np.diff(law.cdf(axis - shift))).ravel()
    kept = (before > 0) | (after > 0)
    before, after = before[kept], after[kept]
    with np.errstate(divide="ignore"):
        order = np.argsort(after / before)  # A gives up where the shifted law is thick, B takes it there
    mass, reached = np.cumsum(before[order]), np.cumsum(after[order])
    least_a = np.interp(p, mass, reached)
    largest_b = reached[-1] - np.interp(mass[-1] - q, mass, reached)
    return least_a - largest_b


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_radius_is_where_the_worst_classifier_loses(name, p, q):
    noise, law = LAWS[name]
    radius = float(noise.radius(p, q))
    q = 1 - p if q is None else q
    if p < q:
        assert radius == 0
        return
    # cells of 8e-4: the gap is wrong by less than 1e-3 of the shift's effect, so 1 % of the radius is resolved
    assert worst_gap(law, p, q, [0.99 * radius]) > 0
    assert worst_gap(law, p, q, [1.01 * radius]) < 0


@pytest.mark.parametrize("name", ["laplace", "uniform"])
@pytest.mark.parametrize(("p", "q"), [(0.9, None), (0.7, 0.1), (0.3, 0.05)])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_shifts_of_two_entries_are_no_worse_than_of_one(name, p, q, share):
    noise, law = LAWS[name]
    radius = float(noise.radius(p, q))
    # within the l1 radius, divided over two entries; 701 x 701 cells of 0.024 blur the ratio by that much
    assert worst_gap(law, p, 1 - p if q is None else q, [share * 0.97 * radius, (1 - share) * 0.97 * radius]) > 0


@given(p=st.floats(0.5, 1 - 1e-15), width=st.floats(0.01, 10))
def test_gaussian_radius_is_that_of_mpmath(p, width):
    with mpmath.workdps(40):
        exact = mpmath.mpf(width) * mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)
    # 1 - p is exact; scipy's inverse is good to 1e-13 of the quantile, and to 1e-15 absolutely near 0
    assert float(Gaussian(width).radius(p)) == pytest.approx(float(exact), rel=1e-11, abs=1e-14 * width)


@pytest.mark.parametrize("logarithm", [-0.7, -10.0, -100.0, -1000.0])
def test_radii_beyond_float64_probabilities(logarithm):
    with mpmath.workdps(50):
        # Phi(-r) = exp(logarithm), solved by bisection on log Phi, itself by mpmath's complementary error function
        low, high = mpmath.mpf(0), mpmath.mpf(60)
        for _ in range(120):
            middle = (low + high) / 2
            tail = mpmath.log(mpmath.erfc(middle / mpmath.sqrt(2)) / 2)
            low, high = (middle, high) if tail > logarithm else (low, middle)
    assert float(Gaussian(2.0).radius(log_failure=logarithm)) == pytest.approx(2 * float(low), rel=1e-12)
    assert float(Laplace(2.0).radius(log_failure=logarithm)) == pytest.approx(-2 * (math.log(2) + logarithm), rel=1e-13)


def test_all_hits_of_a_hundred_thousand():
    # 0.001^(1/n) certifies 3.8115 sigma at n = 100,000: printed by every published log as its largest radius / sigma
    log_failure = math.log(-math.expm1(math.log(0.001) / 100_000))
    assert float(Gaussian(1.0).radius(log_failure=log_failure)) == pytest.approx(3.8115, abs=5e-5)


@given(name=st.sampled_from(sorted(LAWS)), share=st.floats(0, 0.99))
def test_threshold_inverts_the_radius(name, share):
    noise, _ = LAWS[name]
    radius = share * 0.7 * (1 if name == "uniform" else 6)
    p = noise.threshold(radius)
    # at 6 sigma 1 - p = 1e-9 is known to 1e-16 / 1e-9
    assert float(noise.radius(p)) == pytest.approx(radius, rel=1e-6, abs=1e-12)
    assert float(noise.radius(log_failure=noise.log_failure(radius))) == pytest.approx(radius, rel=1e-11, abs=1e-14)


@given(
    name=st.sampled_from(sorted(LAWS)),
    p=st.floats(1e-6, 1),
    q=st.floats(1e-6, 1),
    more=st.floats(0, 1),
)
def test_more_probability_never_certifies_less(name, p, q, more):
    noise, _ = LAWS[name]
    q = min(q, 1 - p)
    here = noise.radius(p, q)
    assert noise.radius(p, q * more) >= here * (1 - 1e-12)
    assert noise.radius(p + more * (1 - p - q), q) >= here * (1 - 1e-12)
    assert here >= noise.radius(p) * (1 - 1e-12) - 1e-15  # 1 - p is the worst that q can be


@given(p=st.floats(0.5, 1 - 1e-9), q=st.floats(1e-9, 0.5))
def test_laplace_is_at_least_the_published_radius(p, q):
    q = min(q, 1 - p)
    published = max(0.5 * math.log(p / q), -math.log(1 - p + q))  # Teng, Lee, Yuan (2020), Theorem 2
    assert float(Laplace(1.0).radius(p, q)) >= published - 1e-9


def test_laplace_with_two_classes_is_the_published_radius():
    p = np.array([0.55, 0.9, 0.999])
    assert Laplace(2.0).radius(p, 1 - p) == pytest.approx(-2.0 * np.log(2 * (1 - p)), rel=1e-12)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_follow_their_law(name, dtype):
    noise, law = LAWS[name]
    drawn = noise.sample((100_003,), torch.Generator().manual_seed(1), dtype=dtype)
    # P-value of a right sampler below 1e-3 in one of a thousand seeds; this one was not chosen
    assert stats.kstest(drawn.double().numpy(), law.cdf).pvalue > 1e-3
    assert drawn.dtype == dtype


def test_laplace_is_finite_where_the_uniform_number_is_at_its_end():
    size, seed = 2**21, 3
    plain = torch.empty(size).uniform_(-1.0, 1.0, generator=torch.Generator().manual_seed(seed))
    assert plain.min() == -1.0, "this seed no longer meets the end; search another"
    assert torch.isfinite(Laplace(1.0).sample((size,), torch.Generator().manual_seed(seed))).all()


def test_the_same_generator_gives_the_same_noise():
    first, second = (Gaussian(1.0).sample((3, 4), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("law", [Gaussian, Laplace, Uniform])
@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf"), "1", None])
def test_widths_that_are_none_are_refused(law, width):
    with pytest.raises(InvalidInput, match=r"positive finite|one real number"):
        law(width)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p_lower": 1.5}, "probabilities lie in"),
        ({"p_lower": -0.1}, "probabilities lie in"),
        ({"p_lower": float("nan")}, "NaN"),
        ({"p_lower": 0.9, "p_upper": 0.2}, "sum to 1"),
        ({"p_lower": 0.9, "log_failure": -1.0}, "in place of"),
        ({"log_failure": 0.5}, "at most 0"),
        ({}, "no probability"),
    ],
)
def test_probabilities_that_are_none_are_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        Gaussian(1.0).radius(**arguments)


def test_radii_that_cannot_be_certified_are_refused():
    with pytest.raises(InvalidInput, match="0 or more"):
        Gaussian(1.0).threshold(-0.5)
    with pytest.raises(InvalidInput, match="beyond its half width"):
        Uniform(0.5).threshold([0.2, 0.6])


def test_noise_is_named_once():
    assert require_noise(Laplace(1.0), None) == Laplace(1.0)
    with pytest.raises(InvalidInput, match="not both"):
        require_noise(Laplace(1.0), 0.5)
    with pytest.raises(InvalidInput, match="not both"):
        require_noise(None, None)
    with pytest.raises(InvalidInput, match="give Gaussian"):
        require_noise(0.5, None)


@pytest.mark.parametrize("wrong", ["a", None, [[0.5], [0.5, 0.6]]], ids=str)
def test_probabilities_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(InvalidInput, match=r"give p_lower|give a number, or an array"):
        Gaussian(0.5).radius(wrong)
