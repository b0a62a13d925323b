"""Worst cases that are known in closed form, and rigorous bounds beside them."""

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest

from lemmata.descent import worst_case

RHO = 1 + sqrt(2)


def silver(n: int) -> np.ndarray:
    return np.array([1 + RHO ** (((k & -k).bit_length() - 1) - 1) for k in range(1, n + 1)])


def dominant(n: int) -> np.ndarray:
    """Grimmer, Shu and Wang (2024): a primitive and a dominant schedule, joined; the best split of each length."""
    primitive, best = [np.zeros(0)], [np.zeros(0)]
    for length in range(1, n + 1):
        pairs = [(primitive[k], primitive[length - 1 - k]) for k in range(length)]
        middles = [(-a.sum() - b.sum() + sqrt((a.sum() + b.sum() + 2) ** 2 + 4 * (a.sum() + 1) * (b.sum() + 1))) / 2
                   for a, b in pairs]  # fmt: skip
        primitive.append(max((np.r_[a, m, b] for (a, b), m in zip(pairs, middles, strict=True)), key=np.sum))
        pairs = [(primitive[k], best[length - 1 - k]) for k in range(length)]
        middles = [(3 - 2 * b.sum() + sqrt((2 * b.sum() + 1) * (2 * b.sum() + 8 * a.sum() + 9))) / 4 for a, b in pairs]
        best.append(max((np.r_[a, m, b] for (a, b), m in zip(pairs, middles, strict=True)), key=np.sum))
    return best[n]


SCHEDULES = {"silver": silver, "dominant": dominant, "constant": np.ones}


def assert_exact(steps: np.ndarray, within: float) -> None:
    """f_N - f* <= L D^2/(2 (2S + 1)), S the sum of the steps, is tight for all three (Huber function, quadratic)."""
    found, truth = worst_case(steps), 1 / (2 * (2 * steps.sum() + 1))
    assert isinstance(found.bound, Fraction)
    assert 0 <= float(found.bound) / truth - 1 + 1e-15 < within
    assert found.value == float(found.bound)
    assert found.lower == pytest.approx(truth, rel=1e-11)  # a run of N steps in floats
    assert (found.solver, found.support) == ("interior-point", "dyadic")


@pytest.mark.parametrize("n", [1, 3, 7, 15, 31, 63])
@pytest.mark.parametrize("name", SCHEDULES)
def test_gap_of_schedules_to_nine_digits(name, n):
    assert_exact(SCHEDULES[name](n), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEDULES)
def test_gap_of_schedules_of_127_steps_to_eight_digits(name):
    assert_exact(SCHEDULES[name](127), 1e-8)


@pytest.mark.parametrize("n", [1, 4, 20])
@pytest.mark.parametrize("h", [0.4, 1.0])
def test_gap_of_short_constant_steps(n, h):
    """Drori and Teboulle (2014), theorem 3.1: L D^2/(4 N h + 2) for 0 < h <= 1."""
    assert worst_case([h] * n).value == pytest.approx(1 / (4 * n * h + 2), rel=1e-9)


def test_gap_of_a_long_constant_step_is_the_quadratics():
    """Beyond the balance of 1/(2 N h + 1) and (1 - h)^{2N} the quadratic is the worse one."""
    assert worst_case([1.9] * 6).value == pytest.approx(0.9**12 / 2, rel=1e-9)


def test_steps_beyond_two_diverge_by_as_much_as_they_can():
    assert worst_case([3.0] * 5).value == pytest.approx(2.0**10 / 2, rel=1e-8)


@pytest.mark.parametrize("n", [3, 15, 31])
def test_gradient_of_reversed_dominant_steps(n):
    """|g_N|^2 <= 2 L (f_0 - f*)/(2S + 1), tight, by reversing the dominant schedule."""
    steps = dominant(n)[::-1]
    found = worst_case(steps, of="gradient", given="gap")
    assert found.value == pytest.approx(2 / (2 * steps.sum() + 1), rel=1e-8)
    assert found.support == "dyadic"


@pytest.mark.parametrize("n", [2, 9])
def test_gradient_of_constant_steps(n):
    """Taylor, Hendrickx, Glineur (2017): |g_N| <= L D/(N + 1), and |g_N|^2 <= 2 L (f_0 - f*)/(2N + 1), for h = 1."""
    assert worst_case([1.0] * n, of="gradient").value == pytest.approx(1 / (n + 1) ** 2, rel=1e-8)
    assert worst_case([1.0] * n, of="gradient", given="gap").value == pytest.approx(2 / (2 * n + 1), rel=1e-8)


@pytest.mark.parametrize("h", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("mu", [0.1, 0.6])
def test_strongly_convex_contraction(h, mu):
    """Taylor, Hendrickx, Glineur (2018): the gap shrinks by max((1 - mu h)^2, (1 - L h)^2) a step, exactly."""
    rate = max((1 - mu * h) ** 2, (1 - h) ** 2)
    assert worst_case([h] * 3, mu=mu, given="gap").value == pytest.approx(rate**3, rel=1e-8)


def test_optimised_gradient_method():
    """Kim and Fessler (2016): L D^2/(2 theta_N^2), attained; H by following the recursion."""
    for n in (2, 10, 31):
        theta, H = [1.0], np.zeros((n, n))
        for k in range(n):
            theta.append((1 + sqrt(1 + (8 if k == n - 1 else 4) * theta[-1] ** 2)) / 2)
        steps = np.zeros((n, n))  # x_{k+1} = x_k - sum_j steps[k, j] g_j, their proposition 3
        for k in range(n):
            for j in range(k):
                steps[k, j] = (theta[k] - 1) / theta[k + 1] * (steps[k - 1, j] - (j == k - 1))
            steps[k, k] = 1 + (2 * theta[k] - 1) / theta[k + 1]
        H = np.cumsum(steps, axis=0)
        assert worst_case(H).value == pytest.approx(1 / (2 * theta[-1] ** 2), rel=1e-8)


@pytest.mark.parametrize("steps", [[1.0], [0.5, 1.9, 1.2]])
def test_the_gap_given_the_gap_never_shrinks_for_sure(steps):
    """A function that is nearly flat: the value is 1, and approached only."""
    assert worst_case(steps, given="gap").value == pytest.approx(1, abs=1e-8)


def test_units():
    """L D^2, L^2 D^2, L (f_0 - f*), f_0 - f*: the powers of L that a value carries, for mu/L fixed."""
    steps = silver(3)
    for of, given, power in (
        ("gap", "distance", 1),
        ("gradient", "distance", 2),
        ("gradient", "gap", 1),
        ("gap", "gap", 0),
    ):
        one = worst_case(steps, mu=0.125, of=of, given=given)
        four = worst_case(steps, L=4.0, mu=0.5, of=of, given=given)
        assert four.bound == 4**power * one.bound
        assert four.lower == pytest.approx(4**power * one.lower, rel=1e-7)
