"""One call on any stream of tosses."""

import numpy as np
import pytest
import torch

from lemmata.bernoulli import decide
from lemmata.errors import InvalidInput, UnknownName


class Coin:
    """A stream of tosses that remembers how many it gave."""

    def __init__(self, p: float, seed: int = 0):
        self.p, self.rng, self.given = p, np.random.default_rng(seed), 0

    def __call__(self, m: int) -> int:
        self.given += m
        return int(self.rng.binomial(m, self.p))


def test_a_good_coin_is_accepted_with_few_tosses() -> None:
    coin = Coin(0.99)
    found = decide(coin, 0.9)
    assert found.accepted
    assert found.proven == 0.9
    assert found.samples == coin.given == found.path_samples[-1] < 300
    assert found.hits == found.path_hits[-1]
    assert found.tests[0].accept[len(found.path_hits) - 1] <= found.hits


def test_a_bad_coin_is_given_up() -> None:
    found = decide(Coin(0.8), 0.9)
    assert (found.ending, found.proven, found.accepted) == ("given up", None, False)
    assert found.samples < 1000


def test_a_coin_on_the_threshold_takes_all_and_is_undecided() -> None:
    found = decide(Coin(0.5, seed=1), 0.5, n=1000, futility=0)
    assert found.ending in ("undecided", "given up")
    assert not found.accepted


def test_below_is_above_of_the_misses() -> None:
    above = decide(Coin(0.97, seed=4), [0.9, 0.95], selected=(90, 100))
    same = Coin(0.97, seed=4)
    below = decide(lambda m: m - same(m), [0.05, 0.1], side="below", selected=(10, 100))
    assert below.thresholds == pytest.approx([0.1, 0.05])
    assert (below.samples, below.ending) == (above.samples, above.ending)
    assert below.hits == above.samples - above.hits
    assert (below.tests[0].accept == above.tests[0].accept).all()
    assert (above.proven, below.proven) == (0.95, 0.05)


def test_selected_hits_inform_and_are_not_evidence() -> None:
    """However many hits come before, no hits after them prove nothing; and good ones shorten the test."""
    assert decide(lambda m: 0, 0.5, selected=(1000, 1000)).proven is None
    informed = np.mean([decide(Coin(0.97, seed), 0.9, selected=(97, 100)).samples for seed in range(40)])
    misled = np.mean([decide(Coin(0.97, seed), 0.9, selected=(50, 100)).samples for seed in range(40)])
    assert informed < misled


def test_false_decisions_are_as_rare_as_promised() -> None:
    """400 coins on the threshold at alpha 0.05: at most 20 expected; more than 42 have probability 2e-6."""
    wrong = sum(decide(Coin(0.7, seed), 0.7, n=500, alpha=0.05).accepted for seed in range(400))
    assert wrong <= 42


@pytest.mark.parametrize("side", ["above", "below"])
def test_the_figure_holds_the_path_in_hits(side) -> None:
    found = decide(Coin(0.9), 0.8 if side == "above" else 0.95, side=side)
    panel = found.plot().panels[0]
    path = panel.series[-1]
    assert path.y == pytest.approx(found.path_hits / found.path_samples)
    accept = panel.series[0]
    assert found.accepted
    assert path.y[-1] >= np.asarray(accept.y).min() if side == "above" else path.y[-1] <= np.asarray(accept.y).max()
    assert panel.references[0].value == pytest.approx(found.thresholds[0])


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"draw\(25\) gave 26"):
        decide(lambda m: m + 1, 0.5)
    with pytest.raises(UnknownName, match="above"):
        decide(Coin(0.5), 0.5, side="beneath")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="give a function"):
        decide(0.5, 0.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="probabilities"):
        decide(Coin(0.5), 1.5)


@pytest.mark.parametrize(
    "gave", [22.5, 22.0, float("nan"), None, "a", True, np.array([3, 4]), np.array([3]), np.float64(3.0), [3], 1j]
)
def test_what_is_no_number_of_hits_is_refused(gave) -> None:
    with pytest.raises(InvalidInput, match=r"draw\(25\) gave"):
        decide(lambda m: gave, 0.5)


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.array, torch.tensor])
def test_whole_numbers_of_any_make_are_taken(kind) -> None:
    assert decide(kind, 0.5).accepted


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"n": 1}, "n = 1 can never prove p > 0.5 .* take n >= 10"),
        ({"thresholds": 0.9999, "n": 100}, "take n >= 69,075"),
        ({"thresholds": 0.0001, "n": 100, "side": "below"}, "can never prove p < 0.0001"),
        ({"n": 10**12}, "at most 1,000,000,000 tosses"),
        ({"n": 10**20}, "at most 1,000,000,000 tosses"),
        ({"thresholds": "a"}, "thresholds = 'a'"),
        ({"thresholds": {0.5}}, "thresholds = "),
        ({"selected": 3}, "selected = 3"),
        ({"selected": None}, "selected = None"),
        ({"selected": ("a", 3)}, "selected hits = 'a'"),
        ({"selected": (5, 3)}, "5 hits in 3 samples"),
        ({"looks": "a"}, "looks = a"),
    ],
)
def test_questions_without_an_answer_are_refused(given, what) -> None:
    with pytest.raises(InvalidInput, match=what):
        decide(**{"draw": Coin(0.9), "thresholds": 0.5} | given)


@pytest.mark.parametrize(
    ("thresholds", "p", "title"),
    [([0.9, 0.96, 0.99], 0.975, "p > 0.96, next given up: "), ([0.9], 0.8, "Given up after ")],
)
def test_the_figure_says_what_was_proven(thresholds, p, title) -> None:
    found = decide(Coin(p), thresholds)
    figure = found.plot()
    assert figure.title.startswith(title)
    if len(thresholds) > 2:
        assert [line.value for line in figure.panels[0].references] == pytest.approx([0.96, 0.99])
        assert len(figure.panels[0].series) <= 5
        assert "Of 3 thresholds the two are drawn" in figure.caption
