"""Tables of thresholds: order, claims, what ends a coin, and the level of all claims together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from lemmata.bernoulli import (
    FixedSequence,
    Procedure,
    Progress,
    clopper_pearson,
    false_certificate_probability,
    false_certificate_rate,
    looks,
)
from lemmata.bernoulli.fixed_sequence import centre
from lemmata.errors import InvalidInput, UnknownName

NONE = np.zeros(1, dtype=np.int64)


def run(procedure: FixedSequence, hits: np.ndarray, selected: np.ndarray, n0: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower bounds (N,) and samples (N,) of coins with `hits` (N, K), by the loop that the protocol describes."""
    progress, active = procedure.start(selected, n0), np.arange(len(hits))
    samples = np.zeros(len(hits), dtype=np.int64)
    for k, count in enumerate(procedure.looks):
        samples[active] = count
        active = active[~progress.look(k, active, hits[active, k])]
    assert not len(active)
    return progress.lower, samples


def tossed(p: np.ndarray, procedure: FixedSequence, seed: int) -> np.ndarray:
    more = np.diff(procedure.looks, prepend=0)
    return np.random.default_rng(seed).binomial(more, p[:, None]).cumsum(axis=1)


def test_it_is_a_procedure() -> None:
    procedure = FixedSequence([0.5, 0.9], n=100)
    assert isinstance(procedure, Procedure)
    assert isinstance(procedure.start(NONE, 0), Progress)


def test_coins_get_the_largest_threshold_below_them() -> None:
    """Each p is at least 5 standard deviations of n tosses from each threshold: an answer is wrong with P < 0.02."""
    procedure = FixedSequence([0.5, 0.7, 0.9], n=20_000)
    p = np.repeat([0.3, 0.6, 0.8, 0.95], 25)
    lower, samples = run(procedure, tossed(p, procedure, 0), np.full(100, 60), 100)
    assert (lower == np.repeat([0.0, 0.5, 0.7, 0.9], 25)).mean() >= 0.95
    assert samples.mean() < 2000


def test_a_claim_needs_every_smaller_one() -> None:
    """Boundaries by hand: the second test accepts at once, the first only at the second look."""
    procedure = FixedSequence([0.5, 0.6], n=20, looks=np.array([10, 20]))
    progress = procedure.start(NONE, 0)
    progress.accept = np.array([[[10, 15], [8, 15]]])
    progress.reject = np.array([[[2, 14], [2, 14]]])
    assert not progress.look(0, NONE, np.array([9]))[0]
    assert progress.lower[0] == 0
    assert progress.look(1, NONE, np.array([15]))[0]
    assert progress.lower[0] == 0.6


def test_what_was_accepted_once_stays_accepted() -> None:
    """The second threshold at the first look, after which the hits fall; the first at the second look."""
    procedure = FixedSequence([0.5, 0.6], n=20, looks=np.array([10, 20]))
    progress = procedure.start(NONE, 0)
    progress.accept = np.array([[[10, 12], [8, 18]]])
    progress.reject = np.array([[[2, 11], [2, 17]]])
    assert not progress.look(0, NONE, np.array([9]))[0]
    assert progress.look(1, NONE, np.array([12]))[0]
    assert progress.lower[0] == 0.6


def test_what_is_hopeless_ends_the_larger_thresholds_and_not_the_smaller() -> None:
    procedure = FixedSequence([0.5, 0.6, 0.7], n=30, looks=np.array([10, 20, 30]))
    progress = procedure.start(NONE, 0)
    progress.accept = np.array([[[10, 15, 20], [11, 16, 22], [11, 19, 24]]])
    progress.reject = np.array([[[1, 4, 19], [6, 6, 21], [3, 5, 23]]])
    assert not progress.look(0, NONE, np.array([6]))[0]  # 0.6 is given up; 0.5 is open
    assert progress.look(1, NONE, np.array([15]))[0]  # 0.5 is claimed, and nothing below 0.6 is open
    assert progress.lower[0] == 0.5


def test_an_accepted_threshold_cannot_be_given_up() -> None:
    """0.5 is accepted at once; that its hits fall later ends nothing while 0.6 is open."""
    procedure = FixedSequence([0.5, 0.6], n=30, looks=np.array([10, 20, 30]))
    progress = procedure.start(NONE, 0)
    progress.accept = np.array([[[8, 16, 20], [11, 17, 18]]])
    progress.reject = np.array([[[2, 12, 19], [2, 8, 17]]])
    assert not progress.look(0, NONE, np.array([8]))[0]
    assert not progress.look(1, NONE, np.array([11]))[0]
    assert progress.look(2, NONE, np.array([18]))[0]
    assert progress.lower[0] == 0.6


def test_every_coin_is_done_at_the_last_look() -> None:
    procedure = FixedSequence([0.5], n=1000)
    progress = procedure.start(np.zeros(3, dtype=np.int64), 0)
    last = len(procedure.looks) - 1
    assert progress.look(last, np.arange(3), np.array([0, 500, 1000])).all()
    assert progress.lower.tolist() == [0, 0, 0.5]


@settings(max_examples=25, deadline=None)
@given(
    p=st.floats(0, 1),
    thresholds=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 99),
)
def test_one_table_and_single_decisions_agree(p: float, thresholds: list[float], seed: int) -> None:
    """A threshold is claimed among others exactly where it and all smaller ones are claimed alone."""
    ordered = sorted(thresholds)
    table = FixedSequence(ordered, n=500, futility=0)
    hits = tossed(np.full(8, p), table, seed)
    alone = [run(FixedSequence([each], n=500, futility=0), hits, np.zeros(8, dtype=int), 0)[0] > 0 for each in ordered]
    lower, _ = run(table, hits, np.zeros(8, dtype=np.int64), 0)
    claimed = np.logical_and.accumulate(alone).sum(axis=0)
    assert lower == pytest.approx(np.concatenate([[0], ordered])[claimed])


@pytest.mark.parametrize(("deviations", "most"), [(4.5, 90_000), (8.0, 45_000), (20.0, 12_000)])
def test_nearly_the_power_of_the_fixed_sample_with_fewer_samples(deviations: float, most: int) -> None:
    """Coins that many standard deviations of n tosses above the threshold; the fixed sample accepts 92 % at 4.5."""
    procedure = FixedSequence([float(ndtr(1.0))], n=100_000)
    p = np.full(400, float(ndtr(1.0)) + deviations * 0.001156)
    hits = tossed(p, procedure, 1)
    fixed = clopper_pearson(hits[:, -1], 100_000, alpha=0.001) > procedure.thresholds[0]
    lower, samples = run(procedure, hits, np.full(400, 85), 100)
    assert fixed.mean() - (lower > 0).mean() < 0.05  # of 400 paired runs; 0.02 expected
    assert samples.mean() < most


@pytest.mark.parametrize("thresholds", [[0.8413], [0.5, 0.6915, 0.9332]])
def test_all_claims_together_err_with_probability_alpha(thresholds: list[float]) -> None:
    """Exactly, at each threshold, averaged over the selection: the claims beyond p need its test to accept."""
    procedure = FixedSequence(thresholds, n=20_000)
    for p in thresholds:
        audit = false_certificate_probability(procedure, p)
        assert audit.sound
        assert audit.rate > 0.0009
    for between in (0.3, 0.75):
        assert false_certificate_probability(procedure, between).interval[1] <= 0.001


def test_false_claims_by_simulation() -> None:
    """20,000 coins on the boundary. At a rate of 0.001 more than 45 false claims have probability 1e-6."""
    audit = false_certificate_rate(FixedSequence([0.6, 0.8413, 0.95], n=10_000), 0.8413, runs=20_000, seed=3)
    assert audit.rate <= 45 / 20_000
    assert audit.rate > 1 / 20_000  # below 2 of 20 expected: probability 2e-7


@pytest.mark.slow
@pytest.mark.parametrize("z", [0.5, 1.0, 2.0, 3.0])
def test_false_claims_by_simulation_at_full_size(z: float) -> None:
    """More than 45 of 20,000: probability 1e-6 if the rate is 0.001."""
    audit = false_certificate_rate(FixedSequence([float(ndtr(z))], n=100_000), float(ndtr(z)), runs=20_000, seed=0)
    assert audit.rate <= 45 / 20_000


@settings(max_examples=60, deadline=None)
@given(n0=st.integers(1, 2000))
def test_groups_of_selected_hits_stand_for_themselves(n0: int) -> None:
    selected = np.arange(n0 + 1)
    centres = centre(selected, n0)
    assert (centre(centres, n0) == centres).all()
    assert (np.diff(centres) >= 0).all()
    spread = 2 * np.sqrt(n0) * np.abs(np.arcsin(np.sqrt(selected / n0)) - np.arcsin(np.sqrt(centres / n0)))
    assert spread.max() <= 3  # standard deviations


def test_no_selection_is_the_same_for_all() -> None:
    procedure = FixedSequence([0.5], n=200)
    assert procedure.boundaries()[0].accept.tolist() == procedure.boundaries(0, 0)[0].accept.tolist()
    assert procedure.start(np.zeros(5, dtype=np.int64), 0).accept.shape == (1, 1, len(procedure.looks))


def test_the_figure_has_boundaries_and_paths_that_end_where_the_test_does() -> None:
    figure = FixedSequence([0.5, 0.8], n=2000).plot([0.9, 0.1], seed=1)
    labels = [series.label for series in figure.panels[0].series]
    assert labels[-2:] == ["p = 0.9", "p = 0.1"]
    assert "accept, threshold 0.8" in labels
    assert "give up, threshold 0.5" in labels
    assert len(figure.panels[0].series[-1].x) < len(looks(2000)) / 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"thresholds": []}, "one or more probabilities"),
        ({"thresholds": [0.5, 1.0]}, "neither included"),
        ({"thresholds": [float("nan")]}, "neither included"),
        ({"thresholds": [0.9, 0.5]}, "increasing order"),
        ({"alpha": 0.0}, "alpha"),
        ({"n": 0}, "whole number"),
        ({"futility": 1.0}, "futility"),
        ({"final": -0.1}, "final"),
        ({"looks": np.array([5, 50])}, "last of them"),
        ({"looks": np.array([50, 50, 100])}, "increasing numbers"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        FixedSequence(**{"thresholds": [0.5], "n": 100, **wrong})


def test_an_unknown_level_and_impossible_selections_are_refused() -> None:
    with pytest.raises(UnknownName, match="exact"):
        FixedSequence([0.5], n=10, level="exakt")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="101"):
        FixedSequence([0.5], n=10).start(np.array([101]), 100)


def test_progress_says_where_the_coins_stand() -> None:
    progress = FixedSequence([0.5, 0.9], n=1000, alpha=0.001).start(np.array([99, 50]), 100)
    progress.look(0, np.array([0, 1]), np.array([25, 13]))
    assert repr(progress) == "SequenceProgress(2 coins: 1 at 0, 1 at 0.5, 0 at 0.9)"
