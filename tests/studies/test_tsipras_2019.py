"""The study of robustness at odds with accuracy: its distribution, the exact accuracies, the theorem, its verdicts."""

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lemmata.robustness.attacks import linear_worst_case
from lemmata.studies import _tsipras_2019_features as features
from lemmata.studies import tsipras_2019 as study
from lemmata.studies._tsipras_2019_digits import Digits, pairs
from lemmata.studies._tsipras_2019_features import Features, accuracy, classifiers, draw
from lemmata.studies._tsipras_2019_population import Population, minimisers
from lemmata.verdicts import Outcome

TINY = {"d": 16, "n": 200, "n_test": 500, "training.epochs": 3, "width": 8}


def test_samples_follow_the_distribution():
    """40,000 samples: four standard errors."""
    config = Features(d=9, p=0.8, strength=1.5)
    x, y = draw(config, 40_000, "samples")
    sign = 2.0 * y - 1
    assert float((x[:, 0] == sign).double().mean()) == pytest.approx(0.8, abs=0.008)
    torch.testing.assert_close((x[:, 1:] * sign[:, None]).mean(0), torch.full((9,), 0.5), rtol=0, atol=0.02)
    assert float(x[:, 1:].var(0).mean()) == pytest.approx(1 + 0.25, abs=0.02)
    moved, _ = draw(config, 40_000, "samples", shift=1.0)
    torch.testing.assert_close(moved[:, 1:], x[:, 1:] - sign[:, None])
    assert moved[:, 0].equal(x[:, 0])


def test_exact_accuracies_agree_with_counting():
    """100,000 samples, their worst changes by `linear_worst_case`: four standard errors are at most 0.0064."""
    config = Features(d=5, p=0.85, strength=2.0)
    w, b, eps = np.array([0.7, 0.4, -0.1, 0.5, 0.2, 0.3]), 0.2, 0.3
    x, y = draw(config, 100_000, "test")
    weight = torch.tensor(np.stack([0 * w, w]))
    offset = torch.tensor([0.0, b], dtype=torch.float64)
    for given_eps, exact in (
        (0.0, accuracy(w, b, 0.85, config.eta)), (eps, accuracy(w, b, 0.85, config.eta, robust=eps)),
    ):  # fmt: skip
        found = linear_worst_case(weight, offset, x.double(), y, eps=given_eps, clip=None)
        assert float(found.robust_accuracy) == pytest.approx(exact, abs=0.0064)
    moved, y = draw(config, 100_000, "attacked", shift=eps)
    counted = float(((moved.double() @ torch.tensor(w) + b > 0).long() == y).double().mean())
    assert counted == pytest.approx(accuracy(w, b, 0.85, config.eta, attacked=eps), abs=0.0064)


def test_the_numbers_of_the_study_are_those_of_the_distribution():
    """The faint features' sum, and Bayes' rule: as it is and under eps = 2 eta, d = 400 and eta = 3 / sqrt(d)."""
    eta = 3 / sqrt(400)
    faint, bayes = np.array([0.0, *[1.0] * 400]), np.array([np.log(19), *[2 * eta] * 400])
    assert accuracy(faint, 0.0, 0.95, eta) == pytest.approx(norm.cdf(3))
    assert accuracy(faint, 0.0, 0.95, eta, robust=2 * eta) == pytest.approx(norm.cdf(-3))
    found = [accuracy(w, 0.0, 0.95, eta, robust=eps) for w in (faint, bayes) for eps in (0.0, 2 * eta)]
    assert [round(each, 4) for each in found] == [0.9987, 0.0013, 0.9995, 0.0038]
    text = " ".join(str(study.__doc__).split())
    assert "0.9987 and 0.0013" in text
    assert "0.9995 and 0.0038" in text


def test_no_number_is_shown_as_the_papers():
    assert not [claim.name for claim in study.study.claims if claim.paper is not None or claim.quoted]


@settings(max_examples=200, deadline=None)
@given(
    p=st.floats(0.5, 0.99), strength=st.floats(0.1, 5), d=st.integers(1, 30), b=st.floats(-2, 2),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_the_theorem_holds_for_any_linear_classifier(*, p, strength, d, b, seed):
    w = np.random.default_rng(seed).normal(size=d + 1)
    eta = strength / sqrt(d)
    error = 1 - accuracy(w, b, p, eta)
    attacked, robust = accuracy(w, b, p, eta, attacked=2 * eta), accuracy(w, b, p, eta, robust=2 * eta)
    assert attacked <= p / (1 - p) * error + 1e-12
    assert w[1:].min() < 0 or robust <= attacked + 1e-12


def test_the_bound_is_attained_where_agreeing_features_are_always_right():
    """x_1 alone: error 1 - p, attacked accuracy p = p / (1 - p) (1 - p)."""
    w = np.array([1.0, 0.0])
    assert accuracy(w, 0.0, 0.9, 1.0, attacked=2.0) == pytest.approx(0.9 / 0.1 * (1 - accuracy(w, 0.0, 0.9, 1.0)))


@pytest.mark.parametrize(("eps", "used"), [(0.9, True), (0.999, True), (1.001, False), (1.3, False)])
def test_the_minimiser_leaves_faint_features_out_from_eta_on(eps, used):
    (found,) = minimisers([Population(p=0.9, d=50, strength=2.0, eps=eps)])
    assert (found.scalars["faint_share"] > 1e-6) == used
    if not used:
        assert found.scalars["standard"] == pytest.approx(0.9)


def test_without_an_adversary_the_minimiser_is_the_rule_of_bayes():
    """The log-odds of y are x_1 log(p / (1 - p)) + 2 eta (x_2 + ... ), so b / a = 2 eta / log(p / (1 - p))."""
    config = Population(p=0.9, d=50, strength=2.0, eps=0.0)
    (found,) = minimisers([config])
    eta = 2 / sqrt(50)
    share = 50 * 2 * eta / (50 * 2 * eta + np.log(9))
    assert found.scalars["faint_share"] == pytest.approx(share, abs=1e-5)


def test_members_do_not_see_each_other():
    configs = [
        Features.build({**TINY, **one})
        for one in ({}, {"seed": 1}, {"defence": "adversarial"}, {"p": 0.8, "defence": "adversarial"}, {"eps": 0.5})
    ]
    for network in ("linear", "relu"):
        block = [config.model_copy(update={"network": network}) for config in configs]
        for config, found in zip(block, classifiers(block), strict=True):
            (alone,) = classifiers([config])
            assert found.scalars == pytest.approx(alone.scalars, abs=1e-4)


def test_a_pair_without_an_adversary_is_one_network_twice():
    tiny = {"n": 60, "n_test": 50, "pool": 4, "width": 32, "samples": 200}
    still, hard = pairs([Digits.build({**tiny, "eps": eps}) for eps in (0.0, 0.2)])
    assert still.scalars["cost"] == 0
    assert still.scalars["standard_usual"] == hard.scalars["standard_usual"]
    assert hard.scalars["robust_usual"] <= hard.scalars["standard_usual"]
    (alone,) = pairs([Digits.build({**tiny, "eps": 0.2})])
    assert hard.scalars == pytest.approx(alone.scalars, abs=0.021)  # one digit of fifty


def test_purposes_have_streams_of_their_own():
    seeds = {features.STREAMS.seed(seed, purpose) for seed in range(5) for purpose in features.STREAMS.purposes}
    assert len(seeds) == 5 * len(features.STREAMS.purposes)


@pytest.mark.slow
def test_verdicts_at_smoke_scale(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("tsipras-2019").verdicts.items()}
    for name in (
        "faint-features-left-out",
        "faint-features-used",
        "trade-off-theorem",
        "trade-off",
        "standard-is-not-robust",
    ):
        assert outcomes[name] is Outcome.REPRODUCED
