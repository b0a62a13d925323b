"""The mixture test: a martingale, monotone, integer boundaries that spend no more than alpha; nothing underflows."""

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr, ndtr
from scipy.stats import binom

from lemmata.bernoulli import crossing_probability, looks
from lemmata.bernoulli.alternatives import alternatives
from lemmata.bernoulli.one_sided_test import Boundaries, boundaries

USUAL = {"alpha": 0.001, "futility": 0.01, "final": 2 / 3}


def usual(p0: float, n: int = 100_000, **options) -> Boundaries:
    return boundaries(p0, tuple(looks(n).tolist()), **{**USUAL, **options})


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize(("p0", "selected"), [(0.5, 60), (0.99, 100), (0.05, 0)])
def test_the_evidence_is_a_martingale_of_mean_1_on_the_boundary(side, p0: float, selected: int) -> None:
    bets = alternatives(p0, n=10_000, alpha=0.001, side=side, selected=selected, n0=100)
    assert np.exp(bets.log_weight).sum() == pytest.approx(1, abs=1e-13)
    for samples in (1, 30, 400):
        h = np.arange(samples + 1)
        mean = np.exp(binom.logpmf(h, samples, p0) + bets.log_evidence(h, samples)).sum()
        assert mean == pytest.approx(1, abs=1e-10)  # pmf and powers, each exact to 1e-13 times the exponent


@pytest.mark.parametrize("side", ["above", "below"])
@settings(max_examples=40, deadline=None)
@given(p0=st.floats(0.001, 0.999), samples=st.integers(1, 100_000), n0=st.integers(0, 200), share=st.floats(0, 1))
def test_more_hits_are_more_evidence_for_more(side, p0: float, samples: int, n0: int, share: float) -> None:
    bets = alternatives(p0, n=100_000, alpha=0.001, side=side, selected=int(share * n0), n0=n0)
    odds = bets.hit - bets.miss
    assert (odds > 0).all() if side == "above" else (odds < 0).all()
    values = bets.log_evidence(np.unique(np.linspace(0, samples, 50).astype(int)), samples)
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all() if side == "above" else (np.diff(values) < 0).all()


@pytest.mark.parametrize(("p0", "hits"), [(0.5, 99_990), (0.5, 0), (0.99865, 99_000), (0.8413, 84_130)])
@pytest.mark.parametrize("side", ["above", "below"])
def test_tails_are_held_in_logarithms(side, p0: float, hits: int) -> None:
    """Against 60 digits: e is as small as 10^-30000; a floor of 1e-300 would make a coin of p = 0.9999 hopeless."""
    bets = alternatives(p0, n=100_000, alpha=0.001, side=side)
    with mpmath.workdps(60):
        terms = zip(bets.log_weight, bets.hit, bets.miss, strict=True)
        exact = mpmath.log(
            mpmath.fsum(
                mpmath.exp(mpmath.mpf(w) + hits * mpmath.mpf(a) + (100_000 - hits) * mpmath.mpf(b)) for w, a, b in terms
            )
        )
    assert float(bets.log_evidence(hits, 100_000)) == pytest.approx(float(exact), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("selected", [0, 50, 84, 100])
@pytest.mark.parametrize("p0", [0.5, 0.8413, 0.99865])
def test_no_coin_above_the_threshold_is_hopeless(p0: float, selected: int) -> None:
    """Giving up asks for a rate below the p1 of the last look, at every look."""
    found = usual(p0, selected=selected, n0=100)
    p1 = found.accept[-1] / found.looks[-1]
    assert (found.reject[:-1] < p1 * found.looks[:-1]).all()
    assert (found.reject < found.accept).all()


@pytest.mark.parametrize("level", ["exact", "ville"])
@pytest.mark.parametrize("selected", [0, 51, 90, 100])
@pytest.mark.parametrize("z", [0.0, 0.5, 1.0, 2.0, 3.0, 3.7])
def test_the_audit_finds_no_more_than_alpha_spent(z: float, selected: int, level) -> None:
    """By the audit's own walk, exactly, at the worst p, n = 100,000, and with no help from giving up."""
    found = usual(float(ndtr(z)), selected=selected, n0=100, level=level)
    audit = crossing_probability(found.looks, found.accept, p=found.p0, alpha=0.001)
    assert audit.interval[1] <= 0.001
    if level == "exact" and z < 3.5:  # beyond, the chance of n hits alone is a third of alpha
        assert audit.rate >= 0.0009


@settings(max_examples=30, deadline=None)
@given(
    p0=st.floats(0.02, 0.995),
    alpha=st.sampled_from([1e-6, 0.001, 0.05, 0.3]),
    final=st.sampled_from([0.0, 0.3, 0.9]),
    counts=st.lists(st.integers(1, 2000), min_size=1, max_size=12, unique=True).map(sorted),
    selected=st.integers(0, 30),
    level=st.sampled_from(["exact", "ville"]),
)
def test_any_setting_keeps_to_alpha(*, p0, alpha, final, counts, selected, level) -> None:
    found = boundaries(
        p0, tuple(counts), alpha=alpha, futility=0.05, final=final, level=level, selected=selected, n0=30
    )
    at_p0 = crossing_probability(found.looks, found.accept, p=p0)
    below = crossing_probability(found.looks, found.accept, p=0.9 * p0)
    assert below.rate <= at_p0.interval[1] <= alpha
    assert ((found.accept >= 0) & (found.accept <= found.looks + 1)).all()
    assert (found.reject < found.accept).all()
    assert found.reject[-1] == found.accept[-1] - 1


@pytest.mark.parametrize(("p0", "selected"), [(0.5, 80), (0.8413, 84), (0.99, 98)])
def test_giving_up_costs_a_good_coin_little(p0: float, selected: int) -> None:
    """At p1, where n tosses accept about every second coin, giving up loses at most 1 % of coins."""
    found = usual(p0, n=10_000, selected=selected, n0=100)
    p1 = found.accept[-1] / found.looks[-1]
    without = crossing_probability(found.looks, found.accept, p=p1)
    with_it = crossing_probability(found.looks, found.accept, p=p1, reject=found.reject)
    assert 0.3 < without.rate < 0.7
    assert without.rate - 0.01 <= with_it.interval[0] <= without.interval[1]
    assert with_it.samples < without.samples


def test_what_is_certain_is_given_up() -> None:
    """By hand: 18 hits of 20 are asked for, so that 2 of 5, or 7 of 10, are too few."""
    found = boundaries(0.5, (5, 10, 20), alpha=0.001, futility=0.0, final=0.25)
    assert found.accept.tolist() == [6, 11, 18]
    assert found.reject.tolist() == [2, 7, 17]


def test_out_of_reach_is_given_up_at_the_first_look() -> None:
    """At p0 = 0.9999 even 10,000 hits of 10,000 are no proof: 0.9999^10,000 = 0.37."""
    found = usual(0.9999, n=10_000)
    assert (found.accept == found.looks + 1).all()
    assert found.reject[0] == found.looks[0]


def test_ville_thresholds_are_those_of_the_martingale() -> None:
    found = usual(0.8, n=5000, level="ville", final=0.0)
    bets = alternatives(0.8, n=5000, alpha=0.001, side="above")
    reached = found.accept <= found.looks
    at, before = found.accept[reached], found.looks[reached]
    assert (bets.log_evidence(at, before) >= math.log(1000)).all()
    assert (bets.log_evidence(at - 1, before) < math.log(1000) + 1e-5).all()


def test_giving_up_is_the_martingale_against_what_the_last_look_asks_for() -> None:
    found = usual(0.8, n=5000, selected=70, n0=100)
    bets = alternatives(found.accept[-1] / 5000, n=5000, alpha=0.001, side="below", selected=70, n0=100)
    evident = (found.reject > found.looks - 5000 + found.accept[-1]) & (found.looks < 4000)  # more than what is certain
    at, before = found.reject[evident], found.looks[evident]
    assert evident.sum() > 10
    assert (bets.log_evidence(at, before) >= math.log(100)).all()
    assert (bets.log_evidence(at + 1, before) < math.log(100)).all()


def test_selected_hits_turn_the_weights_towards_their_share() -> None:
    """The posterior of the base weights, by its formula, and a quarter of the base kept."""
    base, informed = (
        alternatives(0.8, n=5000, alpha=0.001, side="above", selected=h, n0=n0) for h, n0 in ((0, 0), (95, 100))
    )
    q = 0.8 * np.exp(informed.hit)
    posterior = np.exp(base.log_weight) * binom.pmf(95, 100, q)
    weight = 0.75 * posterior / posterior.sum() + 0.25 * np.exp(base.log_weight)
    assert np.exp(informed.log_weight) == pytest.approx(weight, rel=1e-9)


def test_the_exact_boundary_lies_below_that_of_the_martingale() -> None:
    exact, ville = usual(0.8413, selected=90, n0=100), usual(0.8413, selected=90, n0=100, level="ville")
    assert (exact.accept <= ville.accept).all()
    assert (exact.accept < ville.accept).mean() > 0.8


def test_boundaries_narrow_towards_the_threshold() -> None:
    found = usual(0.8413)
    there = found.accept <= found.looks
    rates = found.accept[there] / found.looks[there]
    slack = 2 / found.looks[there][1:]  # whole hits
    assert all(later <= earlier + room for (earlier, later), room in zip(pairwise(rates), slack, strict=True))


@pytest.mark.parametrize("z", [0.5, 2.0])
def test_few_samples_do_where_the_coin_is_good(z: float) -> None:
    """All hits: the bet on 1 doubles like p0^-T, so that log(1/alpha) / log(1/p0) tosses are the least of any test."""
    p0 = float(ndtr(z))
    found = usual(p0, selected=100, n0=100)
    first = found.looks[found.accept <= found.looks][0]
    least = math.log(0.001) / float(log_ndtr(z))
    assert least <= first <= 1.6 * least + 25
