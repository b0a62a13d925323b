"""The study of Kaplan et al.: its model against an explicit teacher and closed forms, and its verdicts."""

import numpy as np
import pytest
import torch
from scipy.special import zeta

from lemmata.studies import _kaplan_2020_frontier as frontier
from lemmata.studies import _kaplan_2020_regression as regression
from lemmata.studies._kaplan_2020_frontier import Frontier
from lemmata.studies._kaplan_2020_regression import PowerLaw
from lemmata.verdicts import Outcome


@pytest.mark.parametrize("features", [6, 40])
def test_loss_is_that_of_a_teacher_written_out(features: int):
    """A teacher of 3,000 features, 4,000 draws of what the student does not see: 4.5 standard errors and its end."""
    config = PowerLaw(n=15, features=features, b=1.0, noise=0.3, rows=15, seed=2)
    found = regression.measure([config])[0].scalars["loss"]
    random = torch.Generator().manual_seed(2)
    x = (
        torch.randn(15, features, generator=random, dtype=torch.float64) * torch.tensor(config.variances).sqrt()
    ).numpy()
    rest = np.arange(features + 1.0, 3001.0) ** -2.0  # the unseen signal's variances i^-(1 + b)
    draws = np.random.default_rng(0).standard_normal((4000, 15)) * np.sqrt(rest.sum() + 0.09)
    weights = (x @ config.truth + draws) @ np.linalg.pinv(x).T
    losses = ((weights - config.truth) ** 2 * config.variances).sum(1) + rest.sum()
    end = float(zeta(2.0, 3001))
    assert config.unseen == pytest.approx(rest.sum() + end, rel=1e-9)
    assert abs(losses.mean() - found) < 4.5 * losses.std() / 4000**0.5 + end * (1 + 2 * found)


def test_unseen_features_act_as_independent_noise():
    """Literally drawn features beyond the student's: 400 samples each way, 4.5 standard errors of the difference."""
    config = PowerLaw(n=15, features=6, b=1.0)
    wide = PowerLaw(n=15, features=300, b=1.0)
    random = np.random.default_rng(1)
    losses = []
    for _ in range(400):
        x = random.standard_normal((15, 300)) * np.sqrt(wide.variances)
        weights = np.linalg.pinv(x[:, :6]) @ (x @ wide.truth)
        seen = (weights - wide.truth[:6]) ** 2 * wide.variances[:6]
        losses.append(seen.sum() + (wide.truth[6:] ** 2 * wide.variances[6:]).sum())
    unseen = config.unseen - wide.unseen
    expected = unseen * 14 / 8  # (n - 1) / (n - N - 1), exactly
    assert abs(np.mean(losses) - expected) < 4.5 * np.std(losses) / 20


def test_loss_of_a_small_student_has_an_exact_mean():
    """(unseen + noise^2) (n - 1) / (n - N - 1) - noise^2 by 4.5 standard errors of 300 samples."""
    config = PowerLaw(n=20, features=5, b=2.0, noise=0.4, rows=20)
    losses = np.array([one.scalars["loss"] for one in regression.measure([
        config.model_copy(update={"seed": seed}) for seed in range(300)
    ])])  # fmt: skip
    expected = (config.unseen + 0.16) * 19 / 14 - 0.16
    assert abs(losses.mean() - expected) < 4.5 * losses.std() / 300**0.5


@pytest.mark.parametrize(("b", "exponent"), [(0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (5.0, 3.0)])
def test_exponents_of_the_limit_are_those_of_theory(b: float, exponent: float):
    """Over n = 200 to 800 with 200,000 features: 2 %, lower powers and the features that are not there."""
    losses = [PowerLaw(n=n, features=200_000, b=b).theory()[0] for n in (200, 800)]
    assert np.log(losses[0] / losses[1]) / np.log(4) == pytest.approx(exponent, rel=0.02)


def test_noise_floor_is_the_decay_less_one():
    """Noise^2 (alpha - 1) as the features become many; 1 % at 2,000,000 of them."""
    assert PowerLaw(n=200, features=2_000_000, b=2.0, noise=0.5).theory()[0] == pytest.approx(0.125, rel=0.01)


def test_frontier_follows_its_closed_form_in_the_mean():
    """From exact means instead of samples: the stated exponents and ratio, within their margins."""
    for b in (0.5, 1.0, 2.0):
        config = Frontier(b=b)
        variances = np.array([[N / (n - N - 1) if n - 1 > N else np.inf for N, n in config.students(C)]
                              for C in config.budgets])  # fmt: skip
        found = frontier._measured(config, np.zeros_like(variances), variances).scalars
        assert found["loss_exponent"] == pytest.approx(-b / 2, abs=0.02)
        assert found["size_exponent"] == pytest.approx(0.5, abs=0.02)
        assert found["ratio"] == pytest.approx(frontier.best_ratio(b), rel=0.1)
    noisy = frontier._measured(Frontier(noise=0.5), np.zeros_like(variances), variances).scalars
    assert noisy["size_exponent"] == pytest.approx(1 / 3, abs=0.05)


def test_students_of_a_seed_are_parts_of_one_matrix():
    config = Frontier(smallest=6, largest=7, draws=1, seed=4)
    biases, variances = frontier.bias_and_variance(config, [1.0])
    most = max(n for _, n in config.students(config.budgets[-1]))
    random = torch.Generator().manual_seed(4)
    x = torch.randn(most, len(config.variances), generator=random, dtype=torch.float64) * config.variances.sqrt()
    for place, (N, n) in enumerate(config.students(64.0)):
        part, v = x[:n, :N].numpy(), config.variances[:N].numpy()
        answer = np.linalg.pinv(part)
        if n != N:  # square matrices may be ill-conditioned
            assert variances[0, place] == pytest.approx(float(v @ (answer**2).sum(1)), rel=1e-6)
        truth = np.arange(1.0, N + 1) ** -0.25
        lost = answer @ part @ truth - truth
        assert biases[0, place, 0] == pytest.approx(float(v @ lost**2), rel=1e-6, abs=1e-6)


def test_members_do_not_see_each_other():
    laws = [PowerLaw(n=20, features=50, rows=40, b=b, seed=seed) for b in (1.0, 2.0) for seed in (0, 3)]
    for config, member in zip(laws, regression.measure(laws), strict=True):
        assert regression.measure([config])[0].scalars == pytest.approx(member.scalars, rel=1e-12)
    frontiers = [Frontier(largest=11, draws=1, b=b, seed=seed) for b in (1.0, 2.0) for seed in (0, 1)]
    for config, member in zip(frontiers, frontier.measure_frontiers(frontiers), strict=True):
        assert frontier.measure_frontiers([config])[0].scalars == pytest.approx(member.scalars, rel=1e-9)


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_smoke_run(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("kaplan-2020").verdicts.items()}
    assert not {Outcome.VOID} & set(outcomes.values())
    assert outcomes["language-models"] is Outcome.NOT_TESTABLE


@pytest.mark.slow
def test_every_claim_is_reproduced_at_laptop_scale_and_every_control_refuted(laptop):
    laptop("kaplan-2020").assert_outcomes({"language-models": Outcome.NOT_TESTABLE})
