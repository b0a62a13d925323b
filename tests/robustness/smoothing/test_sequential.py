"""The schedule: each image's verdict is that of its own copies alone, whatever shared its rounds.

The voters here are coins of known probability, drawn by numpy from (seed, image, stream) and kept as whole paths, so
that a plain loop over one image at a time is the oracle.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.bernoulli.fixed_sample import FixedSample
from lemmata.bernoulli.fixed_sequence import FixedSequence
from lemmata.bernoulli.group_sequential import GroupSequential
from lemmata.errors import InvalidInput
from lemmata.robustness import schedule
from lemmata.robustness.smoothing.decided import Decided
from lemmata.robustness.smoothing.noise import Gaussian

N = 2_000
PROCEDURES = {
    "fixed": FixedSample(N, alpha=0.001),
    "one threshold": FixedSequence([0.8], n=N, alpha=0.001),
    "thresholds": FixedSequence([0.5, 0.8, 0.95], n=N, alpha=0.001),
    "group": GroupSequential(N, alpha=0.001, tolerance=0.1, scale=Gaussian(1.0).radius),
}


class Coins:
    """Image i falls on class 1 with probability p[i], else on 0 or 2; every toss is fixed by (seed, i, stream)."""

    def __init__(self, p, seed=0):
        self.p, self.seed = p, seed
        self.at, self.paths = {}, {}
        self.calls = []

    def path(self, image, stream, length):
        if (image, stream) not in self.paths:
            draws = np.random.default_rng([self.seed, image, stream == "estimate"]).random(N)
            classes = np.where(draws < (1 + self.p[image]) / 2, 0, 2)
            self.paths[image, stream] = np.where(draws < self.p[image], 1, classes)
        return self.paths[image, stream][:length]

    def count(self, images, draws, stream="estimate"):
        self.calls.append((np.array(images), np.array(draws), stream))
        counts = np.zeros((len(images), 3), dtype=np.int64)
        for row, (image, many) in enumerate(zip(images, draws, strict=True)):
            begin = self.at.get((image, stream), 0)
            self.at[image, stream] = begin + many
            counts[row] = np.bincount(self.path(image, stream, begin + many)[begin:], minlength=3)
        return counts


def alone(coins, procedure, image, n0):
    """One image by itself, as the protocol of a procedure is written: the oracle."""
    votes = np.bincount(coins.path(image, "selection", n0), minlength=3)
    chosen = int(votes.argmax())
    progress = procedure.start(np.array([votes[chosen]]), n0)
    path = np.cumsum(coins.path(image, "estimate", procedure.n) == chosen)
    for k, samples in enumerate(procedure.looks):
        if progress.look(k, np.array([0]), path[samples - 1 : samples])[0]:
            break
    return chosen, progress.lower[0], int(path[samples - 1]), int(samples)


def together(rounds):
    found = Decided.together([each.decided for each in rounds])
    order = np.argsort(found.images)
    return [tuple(row) for row in np.stack([getattr(found, name)[order] for name in ROW], 1)], found


ROW = ("images", "prediction", "lower", "hits", "drawn")
PROBABILITIES = np.concatenate([np.linspace(0.02, 0.98, 37), [0.5, 0.8, 0.81, 0.79, 0.95, 1.0, 0.999]])


@pytest.mark.parametrize("name", PROCEDURES)
def test_every_image_is_decided_as_if_alone(name):
    procedure, coins = PROCEDURES[name], Coins(PROBABILITIES)
    rows, _ = together(schedule(coins, procedure, len(PROBABILITIES), n0=20))
    for image, prediction, lower, hits, drawn in rows:
        assert (prediction, lower, hits, drawn) == alone(coins, procedure, int(image), 20)
    assert [row[0] for row in rows] == list(range(len(PROBABILITIES)))


@pytest.mark.parametrize("name", PROCEDURES)
@pytest.mark.parametrize("seconds", [1e-9, 3600.0], ids=["smallest rounds", "largest rounds"])
def test_the_length_of_a_round_changes_nothing(name, seconds):
    usual, _ = together(schedule(Coins(PROBABILITIES), PROCEDURES[name], len(PROBABILITIES)))
    other, _ = together(schedule(Coins(PROBABILITIES), PROCEDURES[name], len(PROBABILITIES), seconds=seconds))
    assert usual == other


@settings(max_examples=30, deadline=None)
@given(
    images=st.lists(st.integers(0, len(PROBABILITIES) - 1), min_size=1, max_size=30, unique=True),
    n0=st.sampled_from([1, 7, 100, 700]),
    name=st.sampled_from(sorted(PROCEDURES)),
)
def test_neither_order_nor_company_changes_anything(images, n0, name):
    coins = Coins(PROBABILITIES, seed=3)
    rows, _ = together(schedule(coins, PROCEDURES[name], images, n0=n0))
    image = images[-1]
    (only,), _ = together(schedule(Coins(PROBABILITIES, seed=3), PROCEDURES[name], [image], n0=n0))
    assert only in rows
    assert [row[0] for row in rows] == sorted(images)


def test_just_the_copies_that_the_looks_want_are_drawn():
    coins = Coins(PROBABILITIES)
    rounds = list(schedule(coins, PROCEDURES["thresholds"], len(PROBABILITIES), n0=20))
    _, found = together(rounds)
    drawn = {(image, stream): many for (image, stream), many in coins.at.items()}
    for image, many in zip(found.images, found.drawn, strict=True):
        assert drawn[image, "estimate"] == many
        assert drawn[image, "selection"] == 20
    assert sum(each.rows for each in rounds) == found.drawn.sum() + 20 * len(PROBABILITIES)


def test_a_round_holds_no_more_rows_than_its_time_allows():
    # with the shortest time a round is at its smallest, however much one image wants: 2,000 copies at once here
    rounds = schedule(Coins(PROBABILITIES), PROCEDURES["fixed"], len(PROBABILITIES), seconds=1e-9)
    assert max(each.rows for each in rounds) <= 250


def test_images_of_different_stages_share_a_round():
    coins = Coins(np.full(60, 0.8))
    for _ in schedule(coins, PROCEDURES["one threshold"], 60, n0=10, seconds=1e-9):
        pass
    assert any(len(set(draws)) > 1 for _, draws, stream in coins.calls if stream == "estimate")


def test_early_images_leave_before_late_ones_enter():
    # of a fixed sample one image after the other is finished, so that an interruption loses at most a few
    order = [each.decided.images for each in schedule(Coins(np.full(40, 0.9)), PROCEDURES["fixed"], 40, seconds=1e-9)]
    assert list(np.concatenate(order)) == list(range(40))
    assert sum(len(images) > 0 for images in order) > 20


def test_abandoning_loses_only_what_is_in_flight():
    half = []
    for each in schedule(Coins(PROBABILITIES), PROCEDURES["thresholds"], len(PROBABILITIES), seconds=1e-9):
        half.append(each)
        if sum(len(one.decided) for one in half) > 10:
            break
    first, found = together(half)
    rest = np.setdiff1d(np.arange(len(PROBABILITIES)), found.images)
    second, _ = together(schedule(Coins(PROBABILITIES), PROCEDURES["thresholds"], rest))
    whole, _ = together(schedule(Coins(PROBABILITIES), PROCEDURES["thresholds"], len(PROBABILITIES)))
    assert len(first) < len(whole)
    assert sorted(first + second) == whole


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"images": 0}, "no images"),
        ({"images": [1, 2, 1]}, "twice"),
        ({"n0": 0}, "n0 = 0"),
        ({"n0": 2.5}, "n0 = 2.5"),
        ({"seconds": 0.0}, "positive time"),
        ({"seconds": float("nan")}, "positive time"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_at_the_call(change, what):
    options = {"images": 3, "n0": 20, "seconds": 0.5} | change
    with pytest.raises(InvalidInput, match=what):
        schedule(Coins(PROBABILITIES), PROCEDURES["fixed"], **options)


class Counts:
    """Votes that are what a function of the draws gives."""

    def __init__(self, function):
        self.function = function

    def count(self, images, draws, stream="estimate"):
        return self.function(draws)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda draws: draws, "of shape"),
        (lambda draws: None, "object of shape"),
        (lambda draws: np.stack([draws * np.nan, draws], 1), "float64 of shape"),
        (lambda draws: np.stack([draws, draws], 1), r"\[100, 100\] for 100 copies of image 0"),
        (lambda draws: np.stack([2 * draws, -draws], 1), r"\[200, -100\] for 100 copies"),
        (lambda draws: np.stack([draws, 0 * draws], 1)[:1], "for 2 images"),
    ],
)
def test_votes_that_are_none_are_refused(function, what):
    with pytest.raises(InvalidInput, match=what):
        list(schedule(Counts(function), FixedSample(100, alpha=0.001), 3))


def test_what_counts_or_decides_nothing_is_refused():
    with pytest.raises(InvalidInput, match="votes = 3; give an object that has count"):
        schedule(3, FixedSample(100, alpha=0.001), 3)
    with pytest.raises(InvalidInput, match="procedure = 3; give an object that has looks, start"):
        schedule(Counts(lambda draws: draws), 3, 3)
