"""The study of Bartlett et al.: what it trains on, what is measured of a pair, and its verdicts at smoke scale."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr

from lemmata.studies._bartlett_2017_correlations import closer_than_time
from lemmata.studies._bartlett_2017_networks import (
    Pair,
    ahead,
    labelled,
    log_product,
    measure_pairs,
    median_margin,
    network,
    prepared,
)
from lemmata.study import Curve
from lemmata.verdicts import Outcome

TINY = {"n": 60, "n_test": 80, "pool": 4, "network.width": 12, "training.batch": 20, "training.epochs": 30}


def tiny(**values) -> Pair:
    return Pair.build({**TINY, **values})


def test_labels_are_redrawn_and_nothing_else():
    """Images are the same; true labels are; redrawn ones of the two networks differ from each other."""
    setting = tiny()
    whole = prepared(setting)
    true, first, second = (
        labelled(setting, whole, 0, *run, "true") for run in ((0.0, "first"), (1.0, "first"), (1.0, "second"))
    )
    assert true[0].equal(first[0])
    assert true[0].equal(second[0])
    assert true[3].equal(first[3])
    for one, other in ((true, first), (true, second), (first, second)):
        assert 0.7 < float((one[1] != other[1]).float().mean()) <= 1  # 0.9 expected; five standard deviations of 60
    noise = labelled(setting, whole, 0, 0.0, "first", "gaussian")
    assert noise[1].equal(true[1])
    assert not noise[0].equal(true[0])


def test_probability_of_being_smaller():
    """By all pairs, ties half."""
    draw = np.random.default_rng(0)
    a, b = draw.integers(0, 9, 50), draw.integers(2, 12, 50)
    pairs = (a[:, None] < b).mean() + 0.5 * (a[:, None] == b).mean()
    assert ahead(a, b) == pytest.approx(pairs)
    assert ahead(b, b) == pytest.approx(0.5)


def test_what_is_followed_during_training():
    """The product of spectral norms by dense SVD, and the median margin by numpy; to 1e-4 in float32."""
    model = network(tiny(), prepared(tiny()), 0)
    states = {name: p.detach()[None] for name, p in model.named_parameters()}
    exact = sum(np.log(np.linalg.norm(p.detach().double().numpy(), 2)) for p in model.parameters())
    assert float(log_product(states)[0]) == pytest.approx(exact, abs=1e-4)
    outputs, y = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    own = outputs[torch.arange(7), y]
    others = outputs.scatter(1, y[:, None], -torch.inf).amax(1)
    assert float(median_margin(outputs, y)) == pytest.approx(float((own - others).median()))


def test_the_advance_over_time_is_a_difference_of_correlations():
    """Against scipy; of what grows like the logarithm of the epoch there is none, and a constant falls behind."""
    draw, epochs = np.random.default_rng(0), np.arange(1.0, 31.0)
    excess, log = draw.standard_normal((2, 30)).cumsum(1)
    rows = {"seed": [4, 1, 7], "excess_easy": [Curve(epochs, excess)] * 3}
    rows["log_lipschitz_easy"] = [Curve(epochs, y) for y in (log, 3 * np.log(epochs), np.ones(30))]
    (found,) = closer_than_time(runs=("easy",)).components(pd.DataFrame(rows), None, (0.0, np.inf))
    time = pearsonr(excess, np.log(epochs)).statistic
    assert found.seeds == (1, 4, 7)
    np.testing.assert_allclose(found.samples, [0, pearsonr(excess, log).statistic - time, -time], atol=1e-12)
    assert (found.low, found.null) == (0.0, 0.0)


def test_a_run_without_a_course_is_dropped_from_the_advance():
    """Convolutional networks are not followed."""
    one = Curve(np.arange(1.0, 4.0), np.array([0.0, 1.0, 3.0]))
    table = pd.DataFrame({"seed": [0, 1], "excess_hard": [one, one], "log_lipschitz_hard": [one, np.nan]})
    (found,) = closer_than_time(runs=("hard",)).components(table, None, (0.0, np.inf))
    assert (found.seeds, found.dropped) == ((0,), 1)


@pytest.fixture(scope="module")
def pairs():
    settings = ({}, {"norms": "exchanged"}, {"norms": "untrained"}, {"scale": 0.1}, {"margin": "none"}, {"easy": 1.0})
    return dict(zip(map(str, settings), measure_pairs([tiny(**each) for each in settings]), strict=True))


def test_controls_change_what_they_say(pairs: dict):
    """Whose norms divide changes what is divided only; a scale changes the raw margins of its network only."""
    own, exchanged, untrained, scaled, bare, random = pairs.values()
    assert own.scalars["separation"] > 0.8
    for which in ("easy", "hard"):
        ratio = exchanged.curves[f"normalised_{which}"].y / own.curves[f"normalised_{which}"].y
        factor = 10 ** (own.scalars["log_complexity"] - own.scalars["log_complexity_easy"])
        np.testing.assert_allclose(ratio, 1 / factor if which == "easy" else factor, rtol=1e-9)
    assert untrained.scalars["separation"] == own.scalars["separation_raw"]
    assert untrained.scalars.get("growth", 0.0) == 0
    np.testing.assert_allclose(scaled.curves["raw_hard"].y, 0.1 * own.curves["raw_hard"].y, rtol=1e-4)
    assert scaled.curves["raw_easy"].y.tolist() == own.curves["raw_easy"].y.tolist()
    assert bare.scalars.get("share_left", 1.0) == pytest.approx(1)
    assert random.scalars["log_complexity_easy"] != own.scalars["log_complexity_easy"]
    assert random.scalars["log_complexity"] == own.scalars["log_complexity"]


def test_members_do_not_see_each_other(pairs: dict):
    """A pair alone gives what it gives among others: to 0.02, as rounding in float32 grows in training."""
    (alone,) = measure_pairs([tiny()])
    assert alone.scalars == pytest.approx(pairs["{}"].scalars, abs=2e-2)


def test_reproduced_at_smoke_scale(smoke):
    """What needs no many seeds."""
    verdict = smoke("bartlett-2017").verdicts["normalised-margins-lie-left"]
    assert verdict.outcome is Outcome.REPRODUCED, verdict.reason


def test_nothing_is_contradicted(smoke):
    """Every control is refuted, or leaves the claim open."""
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("bartlett-2017").verdicts.values()}
    assert smoke("bartlett-2017").verdicts["alexnet"].outcome is Outcome.NOT_TESTABLE


def test_paper_scale_is_a_convolutional_network():
    """With operator norms of its convolutions and biases: one small pair is measured."""
    values = {"network.kind": "convnet", "network.width": 2, "n": 40, "training.epochs": 2}
    (found,) = measure_pairs([tiny(**values)])
    assert np.isfinite(found.scalars["log_complexity"])
    assert "log_lipschitz_easy" not in found.curves
