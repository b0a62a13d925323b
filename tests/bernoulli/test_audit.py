"""Audits against enumeration in exact rationals, closed forms, the other walk, and each other."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from lemmata.bernoulli import (
    Audit,
    FixedSample,
    FixedSequence,
    GroupSequential,
    crossing_probability,
    false_certificate_probability,
    false_certificate_rate,
)
from lemmata.bernoulli.audit_boundary import boundary
from lemmata.bernoulli.walk import walk
from lemmata.errors import InvalidInput
from lemmata.phantoms.unsound_procedures import NaivePeeking, ReusedSelection


def enumerated(looks, accept, reject, p):
    """By all 2^n sequences of tosses, in exact rationals: crossed by each look, and the mean number of tosses."""
    p, crossed, samples = Fraction(p), [Fraction(0)] * len(looks), Fraction(0)
    for tosses in product((0, 1), repeat=looks[-1]):
        weight = p ** sum(tosses) * (1 - p) ** (looks[-1] - sum(tosses))
        end = looks[-1]
        for k, n in enumerate(looks):
            hits = sum(tosses[:n])
            if hits >= accept[k]:
                crossed[k:] = [c + weight for c in crossed[k:]]
            if hits >= accept[k] or hits <= reject[k]:
                end = n
                break
        samples += weight * end
    return [float(c) for c in crossed], float(samples)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([0.25, 0.5, 0.7, 0.97]))
def test_agrees_with_enumeration(data, p):
    """All boundaries, also those that cross at once, never, or meet: to rounding."""
    looks = sorted(data.draw(st.sets(st.integers(1, 11), min_size=1, max_size=4)))
    accept = [data.draw(st.integers(0, n + 1)) for n in looks]
    reject = [data.draw(st.integers(-1, top - 1)) for top in accept]
    audit = crossing_probability(looks, accept, p=p, reject=reject)
    crossed, samples = enumerated(looks, accept, reject, p)
    np.testing.assert_allclose(audit.crossed, crossed, rtol=1e-12, atol=1e-15)
    assert audit.samples == pytest.approx(samples, rel=1e-12)
    assert audit.low[-1] <= audit.rate <= audit.high[-1]


def test_one_look_is_a_binomial_tail():
    """At n = 100,000, far into the tail: SciPy's, to 1e-10 relative."""
    for p, accept in ((0.5, 50_600), (0.999, 99_940), (0.01, 1_200)):
        audit = crossing_probability([100_000], [accept], p=p)
        assert audit.rate == pytest.approx(binom.sf(accept - 1, 100_000, p), rel=1e-10)


def test_a_look_at_every_toss_is_a_gamblers_ruin():
    """The lead of hits over misses reaching m within n tosses: P(S_n >= m) + P(S_n > m), by reflection."""
    n, m = 400, 30
    looks = np.arange(1, n + 1)
    audit = crossing_probability(looks, (looks + m + 1) // 2, p=0.5)
    wanted = binom.sf((n + m) // 2 - 1, n, 0.5) + binom.sf((n + m) // 2, n, 0.5)
    assert audit.rate == pytest.approx(wanted, rel=1e-11)


def test_agrees_with_the_walk_that_sets_boundaries():
    """Written for another purpose, with other formulas: within what either cuts off, at n = 100,000."""
    test = FixedSequence([0.9], n=100_000, alpha=0.001).boundaries(90, 100)[0]
    audit = crossing_probability(test.looks, test.accept, p=0.9)
    assert audit.rate == pytest.approx(walk(test.looks, test.accept, 0.9).crossed, abs=1e-11)


@given(st.integers(20, 400), st.floats(0.3, 0.95), st.floats(0.0, 0.04))
def test_a_better_coin_crosses_more_often(n, p, more):
    """The rate grows with p whatever the boundary, so that an audit at the threshold is enough."""
    looks = np.array([n // 4 + 1, n // 2 + 2, n + 3])
    accept = np.ceil(looks * 0.9).astype(np.int64)
    worse, better = (crossing_probability(looks, accept, p=q).rate for q in (p, min(p + more, 1.0)))
    assert worse <= better + 1e-13


def test_rejecting_saves_tosses_and_no_certificates_are_gained():
    """Futility never adds to the rate, and cuts the mean number of tosses."""
    looks = np.array([25, 50, 100, 200])
    accept = np.array([26, 45, 83, 160])
    free = crossing_probability(looks, accept, p=0.75)
    futile = crossing_probability(looks, accept, p=0.75, reject=[12, 30, 70, 159])
    assert futile.rate <= free.rate
    assert futile.samples < free.samples <= 200


def test_simulation_agrees_with_the_exact_audit():
    """Four procedures, 20,000 runs at alpha = 0.05, within 1 - 1e-6 intervals: one in 250,000 seeds fails."""
    for procedure, coin in (
        (FixedSample(300, alpha=0.05), 0.8),
        (FixedSequence([0.8], n=300, alpha=0.05), 0.8),
        (NaivePeeking([50, 100, 200], alpha=0.05), 0.8),
        (ReusedSelection(120, n0=40, alpha=0.05), [0.5, 0.5]),
    ):
        exact = false_certificate_probability(procedure, coin, n0=40)
        simulated = false_certificate_rate(procedure, coin, n0=40, runs=20_000, seed=2, level=1 - 1e-6)
        assert simulated.interval[0] <= exact.rate <= simulated.interval[1], (procedure, exact.rate, simulated)


def test_simulated_bound_stays_below_the_exact_one():
    """A bound by looks stops before it can err at all of them, which the exact audit does not count on."""
    procedure = GroupSequential(1000, alpha=0.05, tolerance=0.05)
    exact = false_certificate_probability(procedure, 0.8, n0=40)
    simulated = false_certificate_rate(procedure, 0.8, n0=40, seed=3, level=1 - 1e-6)
    assert simulated.interval[0] <= exact.rate <= 0.05
    assert simulated.samples < 1000


def test_averages_over_the_selection():
    """The mean over h0 of what a given h0 has, weighted by its chance; `by_selection` has each."""
    procedure = FixedSequence([0.75], n=500, alpha=0.01)
    audit = false_certificate_probability(procedure, 0.75, n0=10)
    each = [false_certificate_probability(procedure, 0.75, n0=10, selected=h).rate for h in range(11)]
    assert audit.rate == pytest.approx(float(binom.pmf(np.arange(11), 10, 0.75) @ each), rel=1e-9)
    assert audit.by_selection is not None
    np.testing.assert_allclose(audit.by_selection, each, rtol=1e-12)


def test_two_classes_toss_for_the_winner():
    """The law of who is chosen from classes (0.6, 0.4) by n0 = 3 votes, in closed form for a fixed sample."""
    procedure = FixedSample(20, alpha=0.1)
    audit = false_certificate_probability(procedure, [0.6, 0.4], n0=3)
    first = binom.sf(1, 3, 0.6)
    tails = [binom.sf(boundary(procedure, q)[0] - 1, 20, q) for q in (0.6, 0.4)]
    assert audit.rate == pytest.approx(first * tails[0] + (1 - first) * tails[1], rel=1e-10)


def test_three_classes_are_simulated():
    """Of three equal classes whoever is chosen has 1/3: a fixed sample has its own rate."""
    procedure = FixedSample(90, alpha=0.05)
    thirds = [1 / 3] * 3
    simulated = false_certificate_rate(procedure, thirds, n0=30, seed=4, level=1 - 1e-6)
    exact = false_certificate_probability(procedure, 1 / 3, n0=30)
    assert simulated.interval[0] <= exact.rate <= simulated.interval[1]
    with pytest.raises(InvalidInput, match="two classes"):
        false_certificate_probability(procedure, thirds)


def test_seeds():
    """The same seed gives the same audit, another another."""
    procedure = FixedSample(100, alpha=0.05)
    rates = [false_certificate_rate(procedure, 0.7, runs=5000, seed=seed).rate for seed in (1, 1, 2)]
    assert rates[0] == rates[1] != rates[2]


def test_the_verdict():
    """Sound, unsound, or too few runs to say; nothing promised, nothing said; a float of it is the rate."""
    fixed, peeking = FixedSample(100, alpha=0.05), NaivePeeking([50, 100, 200], alpha=0.05)
    assert false_certificate_probability(fixed, 0.7).sound is True
    assert false_certificate_probability(peeking, 0.7).sound is False
    assert false_certificate_rate(peeking, 0.7, seed=0).sound is False
    few = false_certificate_rate(fixed, 0.7, runs=50)
    assert few.sound is None
    assert crossing_probability([10], [9], p=0.5).sound is None
    assert float(few) == few.rate
    assert repr(few).startswith(f"Audit(rate={few.rate:.6g} in [")
    assert (
        "(50 runs), alpha=0.05, sound=None (alpha lies in the interval), p=0.7, of FixedSample(100, alpha=0.05)"
        in repr(few)
    )
    assert "(exact), p=0.5" in repr(crossing_probability([10], [9], p=0.5))


def test_figures():
    """A line by look, its band and alpha; a point for a single look; labels say what is seen."""
    peeking = NaivePeeking([100, 300, 1000, 10_000], alpha=0.001)
    for audit in (false_certificate_probability(peeking, 0.9, n0=5), false_certificate_rate(peeking, 0.9, runs=2000)):
        (panel,) = audit.plot().panels
        assert panel.x.log
        assert panel.references[0].value == pytest.approx(0.1)
        assert list(panel.series[0].x) == [100, 300, 300, 1000, 1000, 10_000, 10_000]  # to n, and no further
        assert panel.series[0].y[-1] == pytest.approx(100 * audit.rate)
    single = false_certificate_rate(FixedSample(100, alpha=0.05), [0.5, 0.5], runs=100).plot()
    assert single.panels[0].series[0].style == "points"
    assert "(0.5, 0.5)" in single.caption


@pytest.mark.parametrize(
    ("looks", "accept", "p", "message"),
    [
        ([], [], 0.5, "give \\(K,\\)"),
        ([1, 2], [1], 0.5, "give \\(K,\\)"),
        ([2, 2], [1, 1], 0.5, "increase"),
        ([0, 2], [1, 1], 0.5, "increase"),
        ([1.5], [1], 0.5, "whole numbers"),
        ([2], [1], 1.5, "p = 1.5"),
        ([2], [1], float("nan"), "p = nan"),
    ],
)
def test_crossing_probability_refuses(looks, accept, p, message):
    with pytest.raises(InvalidInput, match=message):
        crossing_probability(np.array(looks, dtype=None if looks else int), np.array(accept, dtype=int), p=p)


def test_audits_refuse():
    """Runs, selections and classes that are none, and procedures that tell no boundary."""
    fixed = FixedSample(100, alpha=0.05)
    with pytest.raises(InvalidInput, match="runs = 0"):
        false_certificate_rate(fixed, 0.5, runs=0)
    with pytest.raises(InvalidInput, match="at most 1"):
        false_certificate_rate(fixed, [0.7, 0.7])
    with pytest.raises(InvalidInput, match="p = 2"):
        false_certificate_probability(fixed, 2.0)
    with pytest.raises(InvalidInput, match="two classes"):
        false_certificate_probability(fixed, [0.5, 0.5], selected=3)

    class Silent:
        n, alpha, looks = 10, 0.1, np.array([10])

        def start(self, selected, n0):
            raise AssertionError("it is refused before it starts")

    with pytest.raises(InvalidInput, match="simulate it"):
        false_certificate_probability(Silent(), 0.5)


def test_the_extremes():
    """A coin that always or never hits, and thresholds beyond p, have rates 1 and 0."""
    assert crossing_probability([5, 10], [5, 10], p=1.0).rate == 1.0
    assert crossing_probability([5, 10], [1, 1], p=0.0).rate == 0.0
    assert false_certificate_probability(FixedSequence([0.5, 0.6], n=100, alpha=0.01), 0.7).rate == 0.0
    assert isinstance(crossing_probability([5], [6], p=0.5), Audit)


def test_the_interval_holds_the_truth_to_its_last_digits():
    """P(X >= 36500), X ~ Binomial(100000, 0.37): by 40 digits it is 9.5e-16 above what is computed."""
    import mpmath

    found = crossing_probability([100_000], [36_500], p=0.37)
    with mpmath.workdps(40):
        n, k, p = 100_000, 36_499, mpmath.mpf(0.37)
        term = mpmath.binomial(n, k) * p**k * (1 - p) ** (n - k)
        truth = mpmath.mpf(1)
        while term > 1e-35:
            truth, term = truth - term, term * k / (n - k + 1) * (1 - p) / p
            k -= 1
        low, high = (mpmath.mpf(end) for end in found.interval)
        assert low <= truth <= high
    assert found.high[-1] - found.low[-1] < 1e-11


def test_a_bound_of_nothing_is_never_false():
    """Of a coin without hits the bound is 0, which is true: the two audits agree."""
    procedure = FixedSample(100, alpha=0.001)
    simulated = false_certificate_rate(procedure, 0.0, runs=100)
    exact = false_certificate_probability(procedure, 0.0)
    assert (simulated.rate, exact.rate, exact.sound) == (0.0, 0.0, True)


@pytest.mark.parametrize(
    ("audit", "given", "what"),
    [
        (false_certificate_probability, {"procedure": 3}, "give a procedure"),
        (false_certificate_rate, {"procedure": 3}, "give a procedure"),
        (false_certificate_probability, {"selected": 500}, "selected = 500 hits of n0 = 100"),
        (false_certificate_rate, {"selected": 500}, "selected = 500 hits of n0 = 100"),
        (false_certificate_rate, {"p": []}, "p = "),
        (false_certificate_probability, {"p": []}, "p = "),
        (false_certificate_rate, {"seed": "a"}, "seed = 'a'"),
        (false_certificate_rate, {"seed": -1}, "seed = -1"),
        (false_certificate_rate, {"seed": 1.5}, "seed = 1.5"),
        (false_certificate_rate, {"level": "a"}, "level = 'a'"),
        (false_certificate_rate, {"procedure": ReusedSelection(200, n0=100), "n0": 50}, "give n0=100"),
        (false_certificate_probability, {"procedure": ReusedSelection(200, n0=100), "n0": 50}, "give n0=100"),
    ],
)
def test_audits_refuse_what_is_none(audit, given, what):
    with pytest.raises(InvalidInput, match=what):
        audit(**{"procedure": FixedSample(100, alpha=0.001), "p": 0.75} | given)


@pytest.mark.parametrize("alpha", ["a", -1, 2])
def test_promises_out_of_range_are_refused(alpha):
    with pytest.raises(InvalidInput, match="alpha = "):
        crossing_probability([2, 4], [2, 4], p=0.5, alpha=alpha)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NaivePeeking([]), lambda: NaivePeeking(["a"]), lambda: NaivePeeking([10, 5]),
        lambda: NaivePeeking([5, 10], alpha=2), lambda: ReusedSelection(5, n0=10), lambda: ReusedSelection(5, n0=5),
        lambda: ReusedSelection(100, n0=-1), lambda: ReusedSelection(100, n0=10, alpha=2),
    ],
)  # fmt: skip
def test_unsound_procedures_refuse_what_is_none(make):
    with pytest.raises(InvalidInput):
        make()


def test_an_interval_that_holds_alpha_says_so():
    """At the threshold of alpha = 0.01: some 0.01 of 200 runs, within an interval as wide as ten times that."""
    found = false_certificate_rate(FixedSample(1000, alpha=0.01), 0.75, runs=200, seed=1)
    assert found.sound is None
    assert "sound=None (alpha lies in the interval)" in repr(found)
