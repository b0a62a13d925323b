"""The study of Cohen et al.: what it measures, against closed forms and by hand, and its verdicts at smoke scale."""

import math

import numpy as np
import pytest
import torch

from lemmata.objective import Objective
from lemmata.plan import make
from lemmata.studies import cohen_2021 as cohen
from lemmata.studies._cohen_2021_training import Descent, _long_run, examples, loss, network, run
from lemmata.verdicts.verdict import ControlOutcome

TINY = {"n": 60, "network.width": 8, "time": 8.0, "measurements": 8}


def tiny(**values) -> Descent:
    return Descent.build({**TINY, **values})


def dense_sharpness(model, x, y) -> float:
    H = Objective(model, loss=loss, data=(x, y)).hessian().dense()
    return float(torch.linalg.eigvalsh(H)[-1])


def test_every_pixel_is_standardised_and_targets_are_one_hot():
    x, y = examples(tiny())
    assert x.shape == (60, 64)
    torch.testing.assert_close(x.mean(0), torch.zeros(64), rtol=0, atol=1e-6)
    assert (x.std(0) < 1).all()
    assert y.sum(1).eq(1).all()
    assert y.shape == (60, 10)


def test_the_loss_is_half_the_squared_distance():
    assert loss(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])).item() == 3.5


def test_descent_by_hand_gives_the_same_losses_and_sharpness():
    config = tiny(seed=3, step_size=0.5)
    (found,) = run([config])
    x, y = examples(config)
    model = network(config, x, y)
    losses, sharpness = [], [dense_sharpness(model, x, y)]
    for step in range(16):
        value = loss(model(x), y)
        losses.append(value.item())
        gradients = torch.autograd.grad(value, list(model.parameters()))
        with torch.no_grad():
            for weight, slope in zip(model.parameters(), gradients, strict=True):
                weight.sub_(slope, alpha=0.5)
        if step % 2:
            sharpness.append(dense_sharpness(model, x, y))
    np.testing.assert_allclose(found.curves["loss"].y, losses, rtol=1e-4)  # float32, 16 steps
    np.testing.assert_allclose(found.curves["sharpness"].y, sharpness, rtol=1e-3)  # the residual's tolerance
    np.testing.assert_allclose(found.curves["sharpness"].x, np.arange(0, 9))
    assert found.scalars["late_sharpness"] == pytest.approx(np.mean(sharpness[6:]), rel=1e-3)
    assert found.scalars["threshold"] == 4


@pytest.mark.parametrize("dynamics", ["descent", "flow"])
def test_members_do_not_see_each_other(dynamics):
    configs = [tiny(seed=seed, dynamics=dynamics) for seed in range(3)]
    for config, found in zip(configs, run(configs), strict=True):
        (alone,) = run([config])
        for name in ("sharpness", "loss"):
            np.testing.assert_allclose(found.curves[name].y, alone.curves[name].y, rtol=2e-3)


@pytest.mark.parametrize("dynamics", ["descent", "flow"])
def test_step_sizes_of_a_block_are_each_held_against_their_own_threshold(dynamics):
    """A block mixes step sizes and seeds, and gives back each in its place."""
    configs = [
        tiny(seed=seed, step_size=step, dynamics=dynamics) for seed, step in ((1, 0.5), (0, 0.25), (0, 0.5), (1, 0.25))
    ]
    for config, found in zip(configs, run(configs), strict=True):
        (alone,) = run([config])
        assert found.scalars["threshold"] == 2 / config.step_size
        np.testing.assert_allclose(found.curves["sharpness"].y, alone.curves["sharpness"].y, rtol=2e-3)
        np.testing.assert_allclose(found.curves["loss"].y, alone.curves["loss"].y, rtol=2e-3)


def test_the_flow_does_not_depend_on_the_step_size():
    coarse, fine = (run([tiny(dynamics="flow", step_size=step)])[0] for step in (0.5, 0.25))
    np.testing.assert_array_equal(coarse.curves["sharpness"].y, fine.curves["sharpness"].y)
    assert coarse.scalars["largest_ratio"] == 2 * fine.scalars["largest_ratio"]


def test_a_run_that_diverges_is_marked():
    (found,) = run([tiny(step_size=50.0, time=20_000.0)])
    assert found.status == "diverged"


def test_the_long_run_compares_the_ends_of_the_time_at_the_edge():
    times = np.arange(100.0)
    losses = np.where(times < 50, 7.0, np.where(times < 60, 1.0, np.where(times < 90, 5.0, 0.1)))
    moments, ratio = np.array([0.0, 25.0, 50.0, 75.0]), np.array([0.2, 0.9, 1.1, 0.9])
    assert _long_run(moments, ratio, times, losses)["loss_change"] == pytest.approx(-1)
    assert _long_run(moments, 0.5 * ratio, times, losses) == {}


def test_a_linear_model_is_the_quadratic_of_the_theory():
    steady, lost = run([tiny(**{"network.depth": 0})])[0], None
    x, _ = examples(tiny())
    design = torch.cat([x, torch.ones(len(x), 1)], 1)
    largest = float(torch.linalg.eigvalsh(design.T @ design / len(x))[-1])
    np.testing.assert_allclose(steady.curves["sharpness"].y, largest, rtol=1e-3)
    for share, rising in ((0.95, False), (1.05, True)):
        step = share * 2 / largest
        lost = run([tiny(step_size=step, time=100 * step, **{"network.depth": 0})])[0]
        assert (lost.scalars["rises"] > 50) == rising


def test_no_control_passes_at_smoke_scale(smoke):
    for name, verdict in smoke("cohen-2021").verdicts.items():
        assert all(control.outcome is not ControlOutcome.PASSED for control in verdict.controls), name


def test_thresholds_are_those_of_the_paper():
    claims = {claim.name: claim for claim in cohen.study.claims}
    assert [claims[f"plateau-{step}"].paper for step in ("0-25", "0-35", "0-5")] == [8, round(2 / 0.35, 4), 4]
    assert claims["polyak"].paper == 6
    assert claims["nesterov"].paper == pytest.approx((2 + 1.8) / (0.17 * 2.8), abs=1e-4)
    assert claims["plateau-scales"].region == pytest.approx(
        (-1 - math.log(1.1 / 0.98, 2), -1 + math.log(1.1 / 0.98, 2)), abs=1e-3
    )


def test_paper_scale_trains_on_five_thousand_images():
    plan = make(cohen.study, scale="paper", data_dir="/nowhere")
    for name in ("cifar-plateau-0-01", "cifar-plateau-0-02", "cifar-polyak"):
        assert plan.of_claim[name]
    assert {(member.config.n, member.config.network.width) for member in plan.members_of("cifar10-5k")} == {(5000, 200)}


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    laptop("cohen-2021").assert_outcomes()
