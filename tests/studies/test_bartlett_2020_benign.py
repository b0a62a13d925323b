"""The study of Bartlett et al.: risks against literal features, effective ranks against fractions, and its verdicts."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.studies import _bartlett_2020_benign_regression as regression
from lemmata.studies._bartlett_2020_benign_regression import Interpolation, effective_ranks
from lemmata.verdicts import Outcome


def literal(values: np.ndarray, z: np.ndarray, signal: float, ridge: float) -> tuple[float, float]:
    """Bias and variance of noise 1 by the pseudo-inverse of X = Z S^(1/2), theta along the first feature."""
    x, n = z * np.sqrt(values), len(z)
    answer = np.linalg.pinv(x) if ridge == 0 else x.T @ np.linalg.inv(x @ x.T + n * ridge * np.eye(n))
    theta = signal * np.eye(len(values))[0]
    lost = answer @ x @ theta - theta
    return float(values @ lost**2), float((values[:, None] * answer**2).sum())


@pytest.mark.parametrize("ridge", [0.0, 0.02])
@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_risk_is_that_of_literal_features(ridge: float, alpha: float):
    """All eigenvalues simple: the same normal numbers written out; 1e-7, condition numbers below 1e5."""
    config = Interpolation(n=20, spectrum="power", alpha=alpha, signal=2.0, ridge=ridge, seed=4)
    z = np.random.default_rng(4).standard_normal((20, 400))
    values, _ = config.blocks
    bias, variance, _ = regression.drawn(config, np.random.default_rng(4))
    expected = literal(values, z, 2.0, ridge)
    assert bias == pytest.approx(expected[0], rel=1e-7, abs=1e-12)
    assert variance == pytest.approx(expected[1], rel=1e-7)


def test_blocks_drawn_by_their_triangular_factor_have_the_risk_of_literal_features():
    """Means of 400 samples either way: 4.5 standard errors of their difference."""
    config = Interpolation(n=12, spectrum="isotropic", aspect=4.0, draws=400)
    random = np.random.default_rng(0)
    ours = np.array([sum(regression.drawn(config, random)[:2]) for _ in range(400)])
    values = np.ones(48)
    theirs = np.array([sum(literal(values, random.standard_normal((12, 48)), 1.0, 0.0)) for _ in range(400)])
    assert abs(ours.mean() - theirs.mean()) < 4.5 * np.hypot(ours.std(), theirs.std()) / 20


def test_wisharts_moments():
    """E W = m I and Var W_ij = m (1 + [i = j]), over 4,000 draws: 5 standard errors, 12 numbers."""
    random, m = np.random.default_rng(1), 7
    drawn = np.array([regression.wishart(3, m, random) for _ in range(4000)])
    assert np.abs(drawn.mean(0) - m * np.eye(3)).max() < 5 * (2 * m / 4000) ** 0.5
    np.testing.assert_allclose(drawn.var(0), m * (1 + np.eye(3)), rtol=0.25)
    assert (np.linalg.eigvalsh(drawn)[:, 0] > 0).all()


@given(
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=12),
    counts=st.lists(st.integers(1, 4), min_size=12, max_size=12),
    n=st.integers(1, 12),
)
@settings(max_examples=150, deadline=None)
def test_effective_ranks_are_those_of_rational_arithmetic(weights: list[int], counts: list[int], n: int):
    values = sorted(set(weights), reverse=True)
    counts = counts[: len(values)]
    every = [Fraction(v) for v, count in zip(values, counts, strict=True) for _ in range(count)]
    found = effective_ranks(np.array(values, dtype=float), np.array(counts), n)
    assert found.r0 == pytest.approx(float(sum(every) / every[0]))
    large = [k for k in range(len(every)) if sum(every[k:]) / every[k] >= n]
    assert found.k_star == (large[0] if large else np.inf)
    if large:
        tail = every[large[0] :]
        assert pytest.approx(float(sum(tail) ** 2 / sum(v**2 for v in tail)), rel=1e-6) == found.R


def test_terms_of_the_spike_are_those_the_study_states():
    values, counts = Interpolation(n=400).blocks
    assert counts.sum() == 32_000
    terms = effective_ranks(values, counts, 400).terms(400)
    assert terms == pytest.approx((2 / 400, 1 / 400, 5 / 400), rel=1e-3)


def test_tempered_limit_is_the_decay_less_one():
    """Noise^2 (alpha - 1) for infinitely many features; 20 n of them leave 5 %."""
    for alpha in (2.0, 3.0):
        config = Interpolation(n=400, spectrum="power", alpha=alpha, signal=0.0)
        assert config.theory().total == pytest.approx(alpha - 1, rel=0.05)


def test_members_do_not_see_each_other():
    configs = [Interpolation(n=20, spectrum=s, seed=seed) for s in ("spike", "power") for seed in (0, 3)]
    for config, member in zip(configs, regression.measure(configs), strict=True):
        assert regression.measure([config])[0].scalars == member.scalars


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_smoke_run(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("bartlett-2020-benign").verdicts.items()}
    assert Outcome.CONTRADICTED not in set(outcomes.values())
    assert outcomes["interpolates"] is Outcome.REPRODUCED


@pytest.mark.slow
def test_every_claim_is_reproduced_at_laptop_scale_and_every_control_refuted(laptop):
    laptop("bartlett-2020-benign").assert_outcomes()
