"""The study of Mei and Montanari: its limit against theirs, its exact risks against literal test sets, its verdicts."""

import pytest
import torch

from lemmata.studies import _mei_montanari_2022_features as features
from lemmata.studies import _mei_montanari_2022_theory as theory
from lemmata.studies._mei_montanari_2022_features import FeatureRisk, RandomFeatures
from lemmata.verdicts import Outcome


def coupled_fixed_points(psi1: float, psi2: float, lam: float, zeta2: float, *, signal: float, noise: float) -> float:
    """The formula of Mei and Montanari: nu1, nu2 at i (psi1 psi2 lam)^(1/2) by damped iteration, then B and V.

    `lam` is in units of mu*^2 and `zeta2` = mu1^2 / mu*^2. Nothing of it is in the code under test.
    """
    xi = 1j * (psi1 * psi2 * lam) ** 0.5
    nu1, nu2 = psi1 / -xi, psi2 / -xi
    for _ in range(20_000):
        new1 = psi1 / (-xi - nu2 - zeta2 * nu2 / (1 - zeta2 * nu1 * nu2))
        new2 = psi2 / (-xi - nu1 - zeta2 * nu1 / (1 - zeta2 * nu1 * nu2))
        moved = abs(new1 - nu1) + abs(new2 - nu2)
        nu1, nu2 = (nu1 + new1) / 2, (nu2 + new2) / 2
        if moved < 1e-14:
            break
    chi, z4, z6 = (nu1 * nu2).real, zeta2**2, zeta2**3
    product = psi1 * psi2
    E0 = (
        -(chi**5) * z6 + 3 * chi**4 * z4 + (product - psi2 - psi1 + 1) * chi**3 * z6 - 2 * chi**3 * z4
        - 3 * chi**3 * zeta2 + (psi1 + psi2 - 3 * product + 1) * chi**2 * z4 + 2 * chi**2 * zeta2 + chi**2
        + 3 * product * chi * zeta2 - product
    )  # fmt: skip
    E1 = psi2 * chi**3 * z4 - psi2 * chi**2 * zeta2 + product * chi * zeta2 - product
    E2 = (
        chi**5 * z6 - 3 * chi**4 * z4 + (psi1 - 1) * chi**3 * z6 + 2 * chi**3 * z4 + 3 * chi**3 * zeta2
        + (-psi1 - 1) * chi**2 * z4 - 2 * chi**2 * zeta2 - chi**2
    )  # fmt: skip
    return (signal * E1 + noise * E2) / E0


@pytest.mark.parametrize(
    ("psi1", "psi2", "ridge"),
    [(0.5, 3.0, 0.01), (1.0, 2.0, 0.3), (2.0, 3.0, 0.01), (3.0, 3.0, 0.1), (6.0, 3.0, 0.02), (10.0, 0.5, 0.5)],
)
@pytest.mark.parametrize("mu1", [0.5, 0.9])
def test_the_limit_is_that_of_the_papers_coupled_fixed_points(psi1: float, psi2: float, ridge: float, mu1: float):
    """1e-9: polynomials of degree five that cancel; features on both sides of samples and of the dimension."""
    mu_rest, noise = 0.3, 0.2
    ours, _ = theory.limiting_risk(psi1, psi2, ridge, mu1=mu1, mu_rest=mu_rest, signal=1.5, noise=noise)
    theirs = coupled_fixed_points(psi1, psi2, ridge / mu_rest**2, (mu1 / mu_rest) ** 2, signal=1.5, noise=noise)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_nodes_are_enough_and_the_dimension_drops_out(monkeypatch):
    for psi1 in (0.5, 1.0, 4.0):
        arguments = {"mu1": 0.5, "mu_rest": 0.3, "signal": 1.0, "noise": 0.1}
        found = theory.limiting_risk(psi1, 3.0, 1e-3, **arguments)[0]
        assert theory.limiting_risk(psi1, 3.0, 1e-3, d=100, **arguments)[0] == pytest.approx(found, rel=1e-9)
        with monkeypatch.context() as context:
            context.setattr(theory, "NODES", 3000)
            assert theory.limiting_risk(psi1, 3.0, 1e-3, **arguments)[0] == pytest.approx(found, rel=1e-9)


def test_without_linear_part_features_are_noise():
    """A vanishing mu1: nothing is learned, and the risk is at least that of predicting 0."""
    found, _ = theory.limiting_risk(2.0, 3.0, 1e-3, mu1=1e-9, mu_rest=0.5, signal=1.0, noise=0.0)
    assert found >= 1.0


def test_the_optimal_ridge_is_a_minimum():
    settings = {"mu1": 0.5, "mu_rest": 0.3, "signal": 1.0, "noise": 0.5}
    best = theory.optimal_ridge(2.0, 3.0, **settings)
    risks = [theory.limiting_risk(2.0, 3.0, best * factor, **settings)[0] for factor in (0.9, 1.0, 1.1)]
    assert risks[1] < min(risks[0], risks[2])


@pytest.mark.parametrize(("width", "ridge"), [(15, 0.0), (15, 0.2), (60, 0.0), (60, 0.2)])
def test_the_risk_is_that_of_literal_targets_noise_and_test_inputs(width: int, ridge: float):
    """200 targets with noise and 20,000 fresh inputs: 5 standard errors of the mean over targets, and 2 % of inputs."""
    d, n = 8, 30
    random = torch.Generator().manual_seed(0)
    x, theta = features.sphere(n, d, random), features.sphere(width, d, random)
    phi, test = features.activation(x, theta), features.sphere(20_000, d, random)
    beta = torch.randn(d, 200, generator=random, dtype=torch.float64)
    beta /= beta.norm(dim=0)
    noise = torch.randn(n, 200, generator=random, dtype=torch.float64) * 0.5
    if ridge:
        penalty = n * width / d * ridge * torch.eye(width, dtype=torch.float64)
        weights = torch.linalg.solve(phi.T @ phi + penalty, phi.T @ (x @ beta + noise))
    else:
        weights = torch.linalg.pinv(phi) @ (x @ beta + noise)
    risks = (features.activation(test, theta) @ weights - test @ beta).square().mean(0)
    bias, variance = FeatureRisk(x, theta).bias_and_variance(ridge)
    expected = bias + 0.25 * variance
    assert abs(float(risks.mean()) - expected) < 5 * float(risks.std()) / 200**0.5 + 0.02 * expected


def test_moments_of_features_on_the_sphere():
    """400,000 inputs: E s = 0, E s s^T and E s x^T by 5 standard errors, of at most 0.5 / 400,000^(1/2) an entry."""
    d = 5
    random = torch.Generator().manual_seed(1)
    theta, x = features.sphere(4, d, random), features.sphere(400_000, d, random)
    s = features.activation(x, theta)
    error = 5 / 400_000**0.5
    assert float(s.mean(0).abs().max()) < error
    assert float((s.T @ s / len(s) - features.population_gram(theta)).abs().max()) < error
    assert float((s.T @ x / len(s) - theta / (2 * d**0.5)).abs().max()) < 2 * error


def test_members_do_not_see_each_other():
    configs = [
        RandomFeatures(d=10, n=30, features=20, seed=seed, snr=snr, tuned=tuned)
        for seed in (0, 2) for snr in (1.0, 5.0) for tuned in (False, True)
    ]  # fmt: skip
    for config, member in zip(configs, features.measure(configs), strict=True):
        assert features.measure([config])[0].scalars == member.scalars


def test_weights_in_a_subspace_stay_on_their_sphere_and_miss_half_of_the_signal():
    whole, half = (
        features.measure([RandomFeatures(d=40, n=2000, features=200, ridge=1e-3, snr=100.0)]),
        features.measure([RandomFeatures(d=40, n=2000, features=200, ridge=1e-3, snr=100.0, subspace=0.5)]),
    )
    assert 0.5 < half[0].scalars["bias"] < 0.6  # what is not seen is noise besides
    assert whole[0].scalars["bias"] < 0.2


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_smoke_run(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("mei-montanari-2022").verdicts.items()}
    assert outcomes["interpolation-optimal"] is not Outcome.CONTRADICTED


@pytest.mark.slow
def test_every_claim_is_reproduced_at_laptop_scale_and_every_control_refuted(laptop):
    laptop("mei-montanari-2022").assert_outcomes()
