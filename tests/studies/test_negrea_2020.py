"""The study of Negrea et al.: its closed forms against literal samples, and its verdicts at smoke scale."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.studies import _negrea_2020_regression as regression
from lemmata.studies import _noise_classifier as classifier
from lemmata.studies._negrea_2020_regression import Regression
from lemmata.studies._noise_classifier import NoiseClassifier
from lemmata.verdicts import Outcome

# ---- the classifier --------------------------------------------------------------------------------------------------


@given(k=st.lists(st.integers(0, 9), min_size=1, max_size=10).filter(any), least=st.integers(-6, 20))
@settings(max_examples=150, deadline=None)
def test_the_law_of_a_sum_of_signs_is_that_of_all_signs(k: list[int], least: int):
    """Against all 2^D sums; 1e-12, the rounding of a transform of some hundred points."""
    sums = np.array([np.dot(k, signs) for signs in itertools.product([-1, 1], repeat=len(k))])
    above, at = classifier.sum_of_signs(np.array(k), float(least))
    assert above == pytest.approx(float(np.mean(sums > least)), abs=1e-12)
    assert at == pytest.approx(float(np.mean(sums == least)), abs=1e-12)


@pytest.mark.parametrize("noise", ["hypercube", "gaussian"])
def test_errors_are_those_of_literal_vectors(noise: str):
    """The sample drawn as the study does, written out in 1 + D dimensions; 200,000 fresh samples for the risk."""
    config = NoiseClassifier(m=12, ratio=3.0, noise=noise, seed=5)
    random = torch.Generator().manual_seed(5)
    y = torch.where(torch.rand(config.m, generator=random) < 0.5, -1.0, 1.0)
    shape = config.m, config.D
    if noise == "gaussian":
        g = torch.randn(shape, generator=random)
    else:
        g = 2.0 * torch.randint(2, shape, generator=random, dtype=torch.int8) - 1
    scale = (config.P / config.D) ** 0.5
    x = torch.cat([2 * y[:, None] / config.m**0.5, scale * g], 1).double()
    w = (y.double()[:, None] * x).sum(0)
    turned = torch.cat([torch.ones(1), -torch.ones(config.D)]).double()
    found = classifier.measured(config).scalars
    assert found["train_error"] == float((y * (x @ w) <= 0).double().mean())
    assert found["turned_error"] == float((y * (x * turned @ w) <= 0).double().mean())
    fresh = torch.Generator().manual_seed(6)
    h = torch.randn(200_000, config.D, generator=fresh, dtype=torch.float64)
    noise_part = scale * (h.sign() if noise == "hypercube" else h) @ w[1:]
    rate = float((4 + noise_part <= 0).double().mean()) / 2 + float((4 + noise_part < 0).double().mean()) / 2
    assert abs(rate - found["test_error"]) < 4.5 * (0.25 / 200_000) ** 0.5  # false alarm below 1e-5
    assert 0.1 < found["test_error"] < 0.5


def test_theory_is_the_limit_of_the_risk():
    """D = 128 m, m = 100: the length of w fluctuates by (2 / D)^(1/2) / 2 = 0.6 %, five times that."""
    for noise in ("hypercube", "gaussian"):
        found = classifier.measured(NoiseClassifier(m=100, ratio=128, noise=noise)).scalars
        assert found["z"] == pytest.approx(np.sqrt(128) / 8, rel=0.03)
        assert found["predicted"] == pytest.approx(0.0786, abs=1e-4)


@pytest.mark.parametrize("noise", ["hypercube", "gaussian"])
def test_redrawn_weights_and_fresh_projections_have_their_laws(noise: str):
    """Means and variances by 4.5 standard errors; the redrawn k has the law of a sample's."""
    config = NoiseClassifier(m=9, ratio=3000.0, noise=noise)
    random = torch.Generator().manual_seed(0)
    for k in (classifier.redrawn_sum(config, random), classifier.drawn(config, random).k):
        assert abs(float(k.mean())) < 4.5 * (9 / config.D) ** 0.5
        assert float(k.square().mean()) == pytest.approx(9, rel=4.5 * (2 / config.D) ** 0.5)
        values = classifier.projections(config, k, 20_000, random)
        spread = config.P / config.D * float(k.norm())
        assert abs(float(values.mean())) < 4.5 * spread / 20_000**0.5
        assert float(values.std()) == pytest.approx(spread, rel=4.5 / 40_000**0.5)


def test_members_do_not_see_each_other():
    configs = [NoiseClassifier(m=20, ratio=ratio, seed=seed) for ratio in (5, 50) for seed in (1, 3)]
    for config, member in zip(configs, classifier.measure_classifiers(configs), strict=True):
        assert classifier.measure_classifiers([config])[0].scalars == member.scalars


# ---- the regression --------------------------------------------------------------------------------------------------

SMALL = {"n": 30, "spiked": 3, "weak": 200}


def test_regression_is_numpys():
    """Weights by numpy's pseudo-inverse on the same draws, 1e-8 relative: the condition number is below 100."""
    config = Regression(**SMALL, seed=2)
    random = torch.Generator().manual_seed(2)
    v = config.variances
    x = torch.randn(30, len(v), generator=random, dtype=torch.float64).numpy() * np.sqrt(v)
    e = 0.5 * torch.randn(30, generator=random, dtype=torch.float64).numpy()
    f, inverse = x @ config.truth, np.linalg.pinv(x)
    h, s = inverse @ (f + e), inverse @ f
    found = regression.measured(config).scalars
    excess, of_surrogate = (float(v @ (w - config.truth) ** 2) for w in (h, s))
    assert found["excess"] == pytest.approx(excess, rel=1e-8)
    assert found["surrogate_excess"] == pytest.approx(of_surrogate, rel=1e-8)
    assert found["surrogate_train"] == pytest.approx(float(np.mean(e**2)), rel=1e-8)
    assert found["turned_error"] == pytest.approx(4 * float(np.mean(e**2)), rel=1e-8)
    assert found["gap"] == pytest.approx(abs(4 * float(np.mean(e**2)) - excess - 0.25), rel=1e-8)


def test_the_uniform_bound_is_the_largest_eigenvalue_and_is_attained():
    """Against numpy's eigenvalues; random truths of norm 1 stay below, the eigenvector reaches it."""
    config = Regression(n=20, spiked=4, weak=60, seed=1)
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = x * torch.tensor(config.variances).sqrt()
    inverse, v = np.linalg.pinv(x.numpy()), config.variances
    Q = np.eye(64) - inverse @ x.numpy()
    values, vectors = np.linalg.eigh(Q @ np.diag(v) @ Q)
    assert regression.uniform_bound(x, torch.tensor(v)) == pytest.approx(values[-1], rel=1e-6)
    truths = np.random.default_rng(0).standard_normal((200, 64))
    truths = np.vstack([truths / np.linalg.norm(truths, axis=1, keepdims=True), vectors[:, -1]])
    excess = (((truths @ Q.T) ** 2) * v).sum(1)
    assert excess[:-1].max() <= values[-1]
    assert excess[-1] == pytest.approx(values[-1], rel=1e-9)


def test_the_uniform_bound_is_zero_where_samples_span_all_dimensions_and_s2_where_all_variances_are_equal():
    x = torch.randn(30, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = torch.linspace(0.5, 1.0, 12, dtype=torch.float64)
    assert regression.uniform_bound(x, v) == 0.0
    assert regression.uniform_bound(x[:5], torch.full_like(v, 0.25)) == 0.25


def test_theory_is_the_mean_over_samples():
    """30 samples of n = 100: 4.5 standard errors and 5 % for what n is not infinite."""
    config = {"n": 100, "spiked": 5, "weak": 1000}
    found = [regression.measured(Regression(**config, seed=seed)).scalars for seed in range(30)]
    for name, expected in zip(
        ("surrogate_excess", "noise_part"), regression.predicted(Regression(**config)), strict=True
    ):
        values = np.array([one[name] for one in found])
        assert abs(values.mean() - expected) < 4.5 * values.std() / 30**0.5 + 0.05 * expected


def test_theory_with_fewer_dimensions_than_samples_is_classical():
    bias, variance = regression.predicted(Regression(n=100, spiked=5, weak=15))
    assert bias == 0.0
    assert variance == pytest.approx(0.25 * 20 / 79)


# ---- verdicts --------------------------------------------------------------------------------------------------------


SURE = [
    "interpolates", "small-risk", "no-uniform-bound", "surrogate-generalises", "bound-through-surrogate",
    "minimum-norm-interpolates", "regression-no-uniform-bound", "regression-surrogate-gap", "uniform-over-truths",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SURE)
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name: str):
    smoke("negrea-2020").assert_outcome(name)


@pytest.mark.slow
def test_nothing_is_contradicted(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("negrea-2020").verdicts.values()}
