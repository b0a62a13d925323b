"""The study of Hastie et al.: conditional risks against dense algebra and literal noise, and its verdicts."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.studies import _hastie_2022_minimum as minimum
from lemmata.studies import _hastie_2022_regression as regression
from lemmata.studies._hastie_2022_minimum import SecondDescent
from lemmata.studies._hastie_2022_regression import ConditionalRisk, Regression
from lemmata.studies._theory_curve import near_theory
from lemmata.verdicts import Outcome

SMALL: dict[str, Any] = {"n": 30, "directions": 3, "draws": 2}


def dense(x: np.ndarray, beta: np.ndarray, v: np.ndarray, ridge: float) -> tuple[float, float]:
    """Bias and variance by the pseudo-inverse, or by the inverse of X^T X / n + ridge, written out."""
    n, p = x.shape
    answer = np.linalg.pinv(x) if ridge == 0 else np.linalg.solve(x.T @ x / n + ridge * np.eye(p), x.T / n)
    lost = answer @ x @ beta - beta
    return float((v @ lost**2).mean()), float(np.trace(answer.T @ np.diag(v) @ answer))


@pytest.mark.parametrize("features", [12, 30, 70])
@pytest.mark.parametrize("weak", [1.0, 0.2])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_conditional_risk_is_that_of_dense_algebra(features: int, weak: float, ridge: float):
    """1e-6: eigenvalues of X X^T square the condition number, here below 1e4 (n = p)."""
    config = Regression(features=features, weak=weak, **SMALL)
    random = torch.Generator().manual_seed(3)
    x, beta, v = regression.sample(config, random), regression.truths(config, random), config.variances
    found = ConditionalRisk(x, beta, v)
    bias, variance = dense(x.numpy(), beta.numpy(), v.numpy(), ridge)
    assert found.bias(ridge) == pytest.approx(bias, rel=1e-6, abs=1e-9)
    assert found.variance(ridge) == pytest.approx(variance, rel=1e-6)
    if weak == 1:
        assert float(found.over_ridges(torch.tensor([ridge], dtype=torch.float64))) == pytest.approx(
            found.total(ridge), rel=1e-9
        )


def test_conditional_risk_is_the_mean_over_noise():
    """20,000 draws of the noise: 4.5 standard errors, a false alarm in 100,000."""
    config = Regression(features=50, weak=0.3, **SMALL)
    random = torch.Generator().manual_seed(1)
    x, v = regression.sample(config, random), config.variances
    beta = regression.truths(config, random)[:, :1]
    noise = torch.randn(config.n, 20_000, generator=random, dtype=torch.float64)
    risks = v @ (torch.linalg.pinv(x) @ (x @ beta + noise) - beta).square()
    assert abs(float(risks.mean()) - ConditionalRisk(x, beta, v).total(0.0)) < 4.5 * float(risks.std()) / 20_000**0.5


def test_truths_are_on_their_sphere_and_samples_have_their_law():
    random = torch.Generator().manual_seed(0)
    for signal, empty in (("all", 0), ("strong", 20), ("weak", 20)):
        beta = regression.truths(Regression.build({"features": 40, "signal": signal, **SMALL}), random)
        torch.testing.assert_close(beta.square().sum(0), torch.full((3,), 5.0).double())
        assert int((beta == 0).all(1).sum()) == empty
    for law in ("gaussian", "rademacher", "radial"):
        x = regression.sample(Regression.build({"n": 4000, "features": 40, "weak": 0.25, "law": law}), random)
        moments = x.square().mean(0)  # one entry: deviation 2^(1/2) / 63, or 0.9 / 63 of a radius that all share
        assert float(moments[:20].mean()) == pytest.approx(1.0, abs=0.08)
        assert float(moments[20:].mean()) == pytest.approx(0.25, abs=0.02)
        assert (law == "rademacher") == bool((x[:, :20].abs() == 1).all())
    together = regression.sample(Regression(n=4000, features=2, law="radial"), random).square()
    assert float(torch.corrcoef(together.T)[0, 1]) > 0.1  # features of a sample share its length


def test_mean_over_gaussian_samples_is_wisharts():
    """Exactly p / (n - p - 1) and snr (1 - n/p) + n / (p - n - 1), by 4.5 standard errors of 400 samples."""
    for features, expected in ((12, 12 / 17), (70, 5 * (1 - 30 / 70) + 30 / 39)):
        config = Regression(features=features, n=30, draws=400, directions=8)
        risks = np.array([one.total(0.0) for one in regression.drawn(config)])
        assert abs(risks.mean() - expected) < 4.5 * risks.std() / 20


def test_theory_covers_both_blocks():
    even = Regression(features=400, weak=1.0)
    assert even.theory().total == pytest.approx(regression.isotropic_risk(2.0, 5.0), rel=1e-9)
    one_sided = Regression(features=401, weak=0.1, signal="strong").population()
    assert one_sided.counts.tolist() == [201, 200]
    assert one_sided.signal.tolist() == [5.0, 0.0]


def test_nested_traces_are_those_of_literal_columns():
    """The same draws through numpy's pseudo-inverse; 1e-9, the condition number of X X^T being below 1e4."""
    features = (25, 40, 90)
    found = minimum.inverse_traces(7, 20, 1, features)
    random, x = torch.Generator().manual_seed(7), np.zeros((20, 0))
    for place, p in enumerate(features):
        more = torch.randn(20, p - x.shape[1], generator=random, dtype=torch.float64)
        x = np.hstack([x, more.numpy()])
        assert found[place] == pytest.approx(float((np.linalg.pinv(x) ** 2).sum()), rel=1e-9)


def test_the_vertex_of_the_limit_is_where_the_paper_puts_it():
    for snr in (2.0, 5.0):
        gamma = SecondDescent(snr=snr).features / 200
        risk = np.array([regression.isotropic_risk(g, snr) for g in gamma])
        place = minimum.vertex(gamma, risk)
        assert place == pytest.approx(minimum.predicted_minimum(snr), rel=6e-3)  # a tenth of the spacing
    assert np.isnan(minimum.vertex(gamma, 1 / gamma))


def test_members_do_not_see_each_other():
    configs = [Regression(features=45, ridge=r, seed=seed, **SMALL) for r in (0.0, 1.0) for seed in (1, 2)]
    for config, member in zip(configs, regression.measure(configs), strict=True):
        assert regression.measure([config])[0].scalars == member.scalars
    descents = [SecondDescent(n=20, snr=snr, seed=seed, draws=1) for snr in (1.0, 5.0) for seed in (0, 1)]
    for config, member in zip(descents, minimum.measure_descents(descents), strict=True):
        assert minimum.measure_descents([config])[0].scalars == member.scalars


def test_near_theory_has_a_component_a_level_with_its_own_margin():
    rows = [
        {"seed": seed, "p": p, "off": p / 1000 + seed / 100, "error": error}
        for p, error in ((10, 0.1), (20, 0.2))
        for seed in (0, 1, 2)
    ]
    parts = near_theory(of="off", over="p", within="error").components(pd.DataFrame(rows), None, (-np.inf, np.inf))
    assert [(part.label, part.low, part.high) for part in parts] == [
        ("off at p = 10", -0.1, 0.1), ("off at p = 20", -0.2, 0.2),
    ]  # fmt: skip
    assert parts[1].samples == pytest.approx([0.02, 0.03, 0.04])
    table = pd.DataFrame([*rows, *({"seed": s, "p": 30, "off": 0.5, "error": np.inf} for s in (0, 1, 2))])
    with pytest.raises(InvalidInput, match=r"infinite at p = \[30.0\]"):
        near_theory(of="off", over="p", within="error").components(table, None, (-np.inf, np.inf))


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_smoke_run(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("hastie-2022").verdicts.items()}
    assert Outcome.CONTRADICTED not in set(outcomes.values())
    assert outcomes["ridge-dominates"] is Outcome.REPRODUCED


@pytest.mark.slow
def test_every_claim_is_reproduced_at_laptop_scale_and_every_control_refuted(laptop):
    laptop("hastie-2022").assert_outcomes()
