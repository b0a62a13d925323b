"""Primitive, dominant and gradient-dominant schedules: published numbers, closed forms, and 40-digit worst cases."""

import mpmath
import numpy as np
import pytest

from lemmata.descent import dominant, gradient_dominant, primitive, silver, worst_case
from lemmata.errors import InvalidInput

DOMINANT = {  # worst cases f_N - f* <= value L D^2; computed from the sums in 40 digits, N <= 10 also by BnB-PEP
    1: "0.125",
    2: "0.0659459764",
    3: "0.0428932188",
    5: "0.0240706922",
    7: "0.0163311403",
    10: "0.0106222531",
    15: "0.00647930777",
    31: "0.00263175082",
    63: "0.00107927206",
    127: "4.44760362e-4",
    1000: "3.2394e-5",
    2000: "1.34225e-5",
}


@pytest.mark.parametrize("n", DOMINANT)
def test_dominant_values_to_every_digit(n):
    printed = DOMINANT[n]
    digits = len(printed.split("e")[0].replace(".", "").lstrip("0"))
    assert f"{dominant(n).guarantee.bound(n):.{digits}g}" == f"{float(printed):.{digits}g}"


@pytest.mark.parametrize("k", range(1, 10))
def test_primitive_is_silver_at_its_lengths(k):
    """To 1e-13 of each step: the recursion's and the closed form's rounding."""
    n = 2**k - 1
    np.testing.assert_allclose(primitive(n).steps, silver(n).steps, rtol=1e-13)
    assert primitive(n).guarantee.bound(n) == pytest.approx(silver(n).guarantee.bound(n), rel=1e-13)


def exact_steps(n, kind):
    """The schedule in 40 digits: the same splits as float64's, each step from exact sums."""
    schedule = dominant(n).steps if kind == "dominant" else primitive(n).steps
    root, mpf = mpmath.sqrt, mpmath.mpf

    def phi(x, y):
        return (-x - y + root((x + y + 2) ** 2 + 4 * (x + 1) * (y + 1))) / 2

    def psi(x, y):
        return (3 - 2 * y + root((2 * y + 1) * (2 * y + 8 * x + 9))) / 4

    def build(lo, hi, step):
        if lo == hi:
            return []
        for middle in range(lo, hi):  # the split whose step, of exact sums, is the one that float64 has
            before, after = schedule[lo:middle].sum(), schedule[middle + 1 : hi].sum()
            value = float(step(mpf(before), mpf(after)))
            if abs(value - schedule[middle]) < 1e-9 * value and splits(lo, middle, middle + 1, hi, step):
                first, last = build(lo, middle, phi), build(middle + 1, hi, step)
                return [*first, step(mpmath.fsum(first), mpmath.fsum(last)), *last]
        raise AssertionError("no split explains the schedule")

    def splits(lo, middle, start, hi, step):
        kinds = {phi: primitive, psi: dominant}
        first = primitive(middle - lo).steps if middle > lo else np.zeros(0)
        last = kinds[step](hi - start).steps if hi > start else np.zeros(0)
        return np.allclose(first, schedule[lo:middle], rtol=1e-9) and np.allclose(last, schedule[start:hi], rtol=1e-9)

    return build(0, n, psi if kind == "dominant" else phi)


def on_huber(steps, of="gap"):
    """f(x_N) of the Huber function with the threshold that is worst, from x_0 = 1, and its bound, in 40 digits."""
    S = mpmath.fsum(steps)
    tau, x = 1 / (2 * S + 1), mpmath.mpf(1)
    for h in steps:
        x -= h * (x if abs(x) <= tau else tau * mpmath.sign(x))
    gap = x**2 / 2 if abs(x) <= tau else tau * abs(x) - tau**2 / 2
    return gap, 1 / (2 * (2 * S + 1))


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 31, 63, 127])
def test_dominant_bound_is_attained_to_forty_digits(n):
    """By the Huber function and by the quadratic, computed by running both: within 1e-38 of the bound."""
    with mpmath.workdps(40):
        steps = exact_steps(n, "dominant")
        gap, bound = on_huber(steps)
        quadratic = mpmath.fprod((1 - h) ** 2 for h in steps) / 2
        assert abs(gap - bound) < mpmath.mpf("1e-38")
        assert abs(quadratic - bound) < mpmath.mpf("1e-36") * max(1, n // 16)  # a product of n rounded factors
        assert float(bound) == pytest.approx(dominant(n).guarantee.bound(n), rel=1e-14)


@pytest.mark.parametrize("n", [3, 10, 31, 127])
def test_primitive_bound_is_attained_to_forty_digits(n):
    with mpmath.workdps(40):
        gap, bound = on_huber(exact_steps(n, "primitive"))
        assert abs(gap - bound) < mpmath.mpf("1e-38")


@pytest.mark.parametrize("n", [1, 4, 7, 20])
def test_gradient_bound_is_attained(n):
    """|g_N|^2 = 2 (f_0 - f*)/(2S + 1), on the Huber function of threshold 1/(S + 1) and on the quadratic; 1e-12."""
    steps, bound = gradient_dominant(n).steps, gradient_dominant(n).guarantee.bound(n)
    S = steps.sum()
    tau = 1 / (S + 1)  # stays on the slope: x_N = 1 - S tau = tau
    assert tau**2 / (tau - tau**2 / 2) == pytest.approx(2 / (2 * S + 1), rel=1e-12)
    assert bound == pytest.approx(2 / (2 * S + 1), rel=1e-14)
    assert 2 * np.prod((1 - steps) ** 2) == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 4, 7, 9])
def test_the_semidefinite_program_agrees(n):
    """The exact worst case by performance estimation, to its solver's 1e-6: of the gap and of the gradient norm."""
    for schedule in (dominant(n), primitive(n)):
        assert worst_case(schedule).value == pytest.approx(schedule.guarantee.bound(n), rel=1e-6)
    schedule = gradient_dominant(n)
    found = worst_case(schedule, of="gradient", given="gap").value
    assert found == pytest.approx(schedule.guarantee.bound(n), rel=1e-6)


def test_every_length_sums_to_more_than_the_one_before():
    sums = [dominant(n).steps.sum() for n in range(1, 120)]
    assert all(np.diff(sums) > 1)
    assert all(len(dominant(n)) == n == len(primitive(n)) for n in range(1, 120))


def test_exponent_is_that_of_silver():
    """-log2(1 + sqrt 2) = -1.2716; the slope of N = 63 to 1000 lies within 0.02 of it."""
    N = np.array([63, 127, 255, 511, 1000])
    slope = np.polyfit(np.log(N), np.log([dominant(n).guarantee.bound(n) for n in N]), 1)[0]
    assert slope == pytest.approx(-np.log2(1 + np.sqrt(2)), abs=0.02)


def test_bounds_before_the_end_are_carried():
    """At n < N the start's 1/2, multiplied by (h - 1)^2 of each long step, and infinity beyond the end."""
    bound = dominant(3).guarantee.bound
    h = dominant(3).steps
    assert [bound(0), bound(1)] == [0.5, 0.5]
    assert bound(2) == pytest.approx(0.5 * (h[1] - 1) ** 2)
    assert bound(4) == np.inf


@pytest.mark.parametrize("make", [dominant, primitive, gradient_dominant, silver])
def test_lengths_that_are_none_are_refused(make):
    for n, told in ((0, "at least 1"), (-3, "at least 1"), (2.5, "whole number"), ("7", "whole number")):
        with pytest.raises(InvalidInput, match=told):
            make(n)
    assert len(make(np.int64(5))) == 5
