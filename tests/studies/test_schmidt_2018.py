"""The study of Schmidt et al.: its errors against the models sampled literally, and its verdicts at smoke scale."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm as normal

from lemmata.studies import _schmidt_2018_bernoulli as bernoulli
from lemmata.studies import _schmidt_2018_gaussian as gaussian
from lemmata.studies import schmidt_2018 as schmidt
from lemmata.studies._schmidt_2018_bernoulli import Bernoulli
from lemmata.studies._schmidt_2018_gaussian import Draw, Gaussian
from lemmata.verdicts import Outcome


def within(hits: int, n: int, p: float, errors: float = 4.5) -> bool:
    """Whether a count agrees with a probability: false alarm below 1e-5 at 4.5 standard errors."""
    return abs(hits / n - p) < errors * math.sqrt(p * (1 - p) / n) + 1 / n


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.0), ("linf", 0.3), ("l2", 1.5)])
def test_the_averages_error_given_the_data_is_that_of_sampled_attacks(norm, eps):
    """40,000 samples of the model at d = 60, each moved against its label as far as the ball lets it."""
    config = Gaussian(d=60, noise=0.8, eps=eps, norm=norm, seed=4)
    draw, n = Draw.of(config.d, config.seed), 5
    theta = (draw.theta * (config.d**0.5 / draw.theta.norm())).numpy().astype(float)
    w = theta + config.sigma / n**0.5 * draw.g.numpy()
    x = theta + config.sigma * np.random.default_rng(0).standard_normal((40_000, config.d))  # y = 1, by symmetry
    push = np.sign(w) if norm == "linf" else w / np.linalg.norm(w)
    hits = int(((x - eps * push) @ w <= 0).sum())
    assert within(hits, 40_000, normal.sf(gaussian.margin(config, draw, n)))
    assert 0.005 < hits / 40_000 < 0.9


def test_the_mean_of_samples_has_the_law_of_the_draw():
    """Sufficiency: mean of y_i x_i over n literal samples against theta + s g; first two moments of <w, theta>."""
    d, n, runs = 30, 4, 3000
    rng = np.random.default_rng(1)
    theta = rng.standard_normal(d)
    y = rng.choice([-1, 1], (runs, n, 1))
    x = y * theta + 2.0 * rng.standard_normal((runs, n, d))
    products = (y * x).mean(1) @ theta
    length = np.linalg.norm(theta)
    assert abs(products.mean() - length**2) < 4.5 * (2.0 / n**0.5 * length) / runs**0.5
    assert products.std() == pytest.approx(2.0 / n**0.5 * length, rel=4.5 / (2 * runs) ** 0.5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_best_learners_error_is_attained_on_average_over_theta(norm):
    """Bayes: theta, data and test samples drawn literally, the learner sign <(|m| - eps)_+ sign m, x> attacked."""
    config = Gaussian(d=40, noise=0.6, eps=0.4 if norm == "linf" else 1.5, norm=norm, learner="best")
    n, rng, expected, hits, tests = 3, np.random.default_rng(2), [], 0, 50
    for _ in range(400):
        theta, g = rng.standard_normal((2, config.d))
        draw = Draw(torch.tensor(theta), torch.tensor(g))
        expected.append(normal.sf(gaussian.margin(config, draw, n)))
        m = n / (n + config.sigma**2) * (theta + config.sigma / n**0.5 * g)
        if norm == "linf":
            w = np.sign(m) * np.maximum(np.abs(m) - config.eps, 0)
            push = config.eps * np.sign(w)
        else:
            w = m * max(1 - config.eps / np.linalg.norm(m), 0)
            push = config.eps * m / np.linalg.norm(m)
        x = theta + config.sigma * rng.standard_normal((tests, config.d))
        hits += int(((x - push) @ w <= 0).sum())
    # tests of one theta are correlated: their effective number is at least that of thetas times a few
    assert within(hits, 400 * tests, float(np.mean(expected)), errors=12)
    assert 0.02 < np.mean(expected) < 0.45


@given(seed=st.integers(0, 10**6), eps=st.floats(0.0, 1.0))
@settings(max_examples=40, deadline=None)
def test_no_linear_classifier_beats_the_best_learner_given_the_data(seed, eps):
    """Robust error of any w under y x ~ N(m, (sigma^2 + v) I), by the closed form, is at least the best learner's."""
    config = Gaussian(d=25, eps=eps, learner="best", seed=seed)
    draw, n = Draw.of(config.d, seed), 2.0
    best = gaussian.margin(config, draw, n)
    shrink = n / (n + config.sigma**2)
    m = shrink * (draw.theta + config.sigma / n**0.5 * draw.g).double()
    deviation = (config.sigma**2 + config.sigma**2 / (n + config.sigma**2)) ** 0.5
    rivals = torch.randn(200, 25, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rivals = torch.cat([rivals, m[None], m.sign()[None], m + 0.1 * rivals])
    z = (rivals @ m - eps * rivals.abs().sum(1)) / (deviation * rivals.norm(dim=1))
    assert float(z.max()) <= best + 1e-5
    own = m.sign() * (m.abs() - eps).clamp(min=0)
    if bool(own.any()):
        attained = (own @ m - eps * own.abs().sum()) / (deviation * own.norm())
        assert float(attained) == pytest.approx(best, rel=1e-4, abs=1e-5)  # the draw is float32


@pytest.mark.parametrize("fields", [{}, {"norm": "l2"}, {"eps": 0.0}, {"noise": 1.0}])
def test_theorys_number_of_samples_is_the_formula(fields):
    config = Gaussian(d=10**7, **fields)
    radius = config.eps * ((2 / math.pi) ** 0.5 if config.norm == "linf" else 1 / config.d**0.5)
    a = radius + normal.isf(0.01) * config.sigma / config.d**0.5
    found = gaussian.samples_needed(lambda n: gaussian.predicted_margin(config, n))
    assert found == pytest.approx(max(1.0, config.sigma**2 / (1 / a**2 - 1)), rel=1e-4)


@pytest.mark.parametrize(
    "fields", [{}, {"learner": "best"}, {"norm": "l2", "eps": 30.0}, {"learner": "best", "norm": "l2"}]
)
def test_large_dimensions_follow_theory(fields):
    config = Gaussian(d=10**6, noise=0.5, **fields)
    for n in (2.0, 8.0, 30.0):  # z is of order 10, and a sum of 10^6 terms is within a few in a thousand of its mean
        found = gaussian.margin(config, Draw.of(config.d, 0), n)
        assert found == pytest.approx(gaussian.predicted_margin(config, n), rel=0.02, abs=0.3)


def test_seeds_do_not_see_each_other():
    configs = [Gaussian(d=1000, seed=s, eps=e) for s in (3, 1) for e in (0.1, 0.2)]
    together = gaussian.learn(configs)
    for config, member in zip(configs, together, strict=True):
        (alone,) = gaussian.learn([config])
        assert alone.scalars == member.scalars
    assert together[0].scalars["robust_error"] != together[2].scalars["robust_error"]


def literal_signs(config, rng, shape):
    """The products y x of the model with theta = 1, by symmetry."""
    return np.where(rng.random((*shape, config.d)) < 0.5 + config.tau, 1.0, -1.0)


@pytest.mark.parametrize("learner", ["average", "majority"])
@pytest.mark.parametrize(("bias", "taus"), [(0.4, 0.0), (0.4, 1.0), (2.2, 1.96)])
def test_bernoulli_errors_are_those_of_sampled_attacks(learner, bias, taus):
    """In dimension 2,000, 20,000 literal test samples; the normal law errs by its skewness and lattice, below 0.015."""
    config = Bernoulli(d=2000, bias=bias, taus=taus, learner=learner)
    rng = np.random.default_rng(3)
    n = 9
    w = literal_signs(config, rng, (n,)).mean(0)
    k = np.round((w + 1) * n / 2).astype(int)
    v, N = (2 * np.arange(n + 1) - n) / n, np.bincount(k, minlength=n + 1).astype(float)
    weights = np.sign(w) if learner == "majority" else w
    hits = 0
    for _ in range(20):
        x = literal_signs(config, rng, (1000,))
        hits += int(((x - config.radius * np.sign(weights)) @ weights <= 0).sum())
    expected = normal.sf(bernoulli.margin(config, v, N, robust=True))
    assert abs(hits / 20_000 - expected) < 0.015 + 4.5 * (0.25 / 20_000) ** 0.5


def test_counts_have_the_law_of_the_samples():
    """A multinomial of binomial classes: sum of counts, and the mean agreement within 4.5 standard errors."""
    config = Bernoulli(d=10_000, seed=5)
    v, N = bernoulli.counts(config, 7)
    assert N.sum() == config.d
    spread = ((1 - 4 * config.tau**2) / 7 / config.d) ** 0.5
    assert abs(N @ v / config.d - 2 * config.tau) < 4.5 * spread


def test_a_threshold_undoes_every_change_below_one():
    """Rounding x + change gives x back for eps < 1 (Section 2.2), and not beyond; the study says the same."""
    x = np.random.default_rng(0).choice([-1.0, 1.0], 500)
    for eps, same in ((0.0, True), (0.99, True), (1.01, False)):
        assert np.array_equal(np.sign(x - eps * x), x) == same
        config = Bernoulli(d=10_000, taus=0.0, eps=eps, learner="threshold")
        (found,) = bernoulli.learn([config])
        robust, standard = found.scalars["robust_error"], found.scalars["standard_error"]
        assert robust == (standard if same else 1.0)


def test_no_number_of_samples_makes_a_linear_classifier_robust_beyond_two_taus():
    (found,) = bernoulli.learn([Bernoulli(d=10_000, taus=2.5)])
    assert found.scalars["samples"] == math.inf
    theta_itself = bernoulli.margin(Bernoulli(d=10_000, taus=2.5), np.array([1.0]), np.array([1e4]), robust=True)
    assert theta_itself < 0


def test_one_sample_errs_at_one_percent_at_the_edge():
    """Phi(-4 c^2) for d -> infinity; at d = 10^6 the draw moves 4 c^2 by 2 c d^(-1/4) N(0, 1): five times that."""
    z = [bernoulli.drawn_margin(Bernoulli(bias=schmidt.EDGE, seed=s), 1, robust=False) for s in range(30)]
    assert normal.sf(4 * schmidt.EDGE**2) == pytest.approx(0.01)
    assert np.mean(z) == pytest.approx(4 * schmidt.EDGE**2, abs=5 * 2 * schmidt.EDGE / 10**1.5 / 30**0.5)
    assert np.std(z) == pytest.approx(2 * schmidt.EDGE / 10**1.5, rel=0.6)
    assert {x > normal.isf(0.01) for x in z} == {True, False}


def test_the_region_of_exponents_is_that_of_the_bounds():
    low, high = schmidt.between_the_bounds([10**5, 10**7])
    d = np.array([1e5, 1e7])
    slope = np.diff(np.log(d**0.5 / np.log(d))) / np.diff(np.log(d))
    assert low == pytest.approx(float(slope[0]), abs=1e-4)
    assert high == 0.5


SURE = ["one-sample", "one-sample-not-robust", "upper-bound", "lower-bound", "bernoulli-one-sample", "threshold"]


@pytest.mark.parametrize("name", [*SURE, "bernoulli-not-robust", "bernoulli-exponent-average", "bernoulli-closed-form"])
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("schmidt-2018").assert_outcome(name)


def test_nothing_is_contradicted(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("schmidt-2018").verdicts.values()}
