"""The walk of the hits: exact rationals where all paths can be followed, and the audit's own walk at full size."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binom

from lemmata.bernoulli import crossing_probability, looks
from lemmata.bernoulli.walk import Walk, increments, walk


def exactly(counts: list[int], accept: list[int], p: Fraction) -> Fraction:
    """The probability of crossing, by all walks in rational arithmetic."""
    states, crossed, before = {0: Fraction(1)}, Fraction(0), 0
    for n, boundary in zip(counts, accept, strict=True):
        m, before = n - before, n
        arrived: dict[int, Fraction] = {}
        for h, weight in states.items():
            for d in range(m + 1):
                arrived[h + d] = arrived.get(h + d, Fraction(0)) + weight * comb(m, d) * p**d * (1 - p) ** (m - d)
        crossed += sum((weight for h, weight in arrived.items() if h >= boundary), Fraction(0))
        states = {h: weight for h, weight in arrived.items() if h < boundary}
    return crossed


@pytest.mark.parametrize("p", [Fraction(1, 2), Fraction(9, 10), Fraction(1, 7)])
@pytest.mark.parametrize("accept", [[6, 9, 13, 25], [5, 11, 18, 26], [4, 8, 12, 16]])
def test_crossing_is_that_of_exact_rational_arithmetic(p: Fraction, accept: list[int]) -> None:
    counts = [5, 10, 20, 30]
    found = walk(np.array(counts), np.array(accept), float(p)).crossed
    assert found == pytest.approx(float(exactly(counts, accept, p)), rel=1e-12)  # some hundred roundings


@pytest.mark.parametrize("p", [0.5, 0.97, 0.99865])
def test_at_full_size_two_independent_walks_agree(p: float) -> None:
    counts = looks(100_000)
    accept = np.ceil(counts * p + 3.2 * np.sqrt(counts * p * (1 - p)) + 2).astype(np.int64)
    oracle = crossing_probability(counts, accept, p=p)
    assert walk(counts, accept, p).crossed == pytest.approx(oracle.rate, rel=1e-8)  # log-gamma of 10^4: 1e-11 a look


@pytest.mark.parametrize(("samples", "p"), [(1, 0.3), (25, 0.5), (8000, 0.99865), (50_000, 0.9)])
def test_increments_are_binomial_and_say_what_they_leave_out(samples: int, p: float) -> None:
    first, chance, beyond = increments(samples, p)
    d = np.arange(first, first + len(chance))
    assert chance == pytest.approx(binom.pmf(d, samples, p), rel=1e-8, abs=1e-20)
    assert chance.sum() + beyond == pytest.approx(1, abs=1e-14)
    assert beyond < 1e-15


def test_the_least_boundary_spends_no_more_than_the_level() -> None:
    for level in (0.2, 0.01, 1e-5):
        state = walk(np.array([40]), np.array([41]), 0.6).step(0, 0.6)
        h = state.least_accept(level)
        assert binom.sf(h - 1, 40, 0.6) <= level < binom.sf(h - 2, 40, 0.6)


def test_what_is_cut_off_counts_as_crossed() -> None:
    stopped = Walk(7, np.array([4e-19, 0.25, 0.5, 0.125, 3e-19]), 0.125).stop(10)
    assert (stopped.first, stopped.weight.tolist()) == (8, [0.25, 0.5])
    assert stopped.crossed == 0.125 + (0.125 + 3e-19) + 4e-19
    tiny = Walk(0, np.array([4e-19, 1.0]), 0.0).stop(2)
    assert tiny.crossed == 4e-19
