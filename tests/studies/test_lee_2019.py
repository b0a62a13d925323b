"""The study of Lee et al.: its networks, kernels and ensembles by hand, and its verdicts at smoke scale."""

import math

import numpy as np
import pytest
import torch

from lemmata import kernels
from lemmata.plan import make
from lemmata.studies import lee_2019 as lee
from lemmata.studies._lee_2019_ensembles import Ensembles, prediction, run_ensembles
from lemmata.studies._lee_2019_networks import Beside, critical_step, examples, law, network, run_beside
from lemmata.training import GD
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

TINY = {"n": 12, "test": 8, "width": 16, "steps": 20}


def tiny(**values) -> Beside:
    return Beside.build({**TINY, **values})


def test_inputs_have_the_norm_of_the_root_of_their_number_and_targets_are_signs():
    x, y, z = examples(tiny())
    assert (x.shape, y.shape, z.shape) == ((12, 64), (12, 1), (8, 64))
    torch.testing.assert_close(torch.cat([x, z]).norm(dim=1), torch.full((20,), 8.0))
    assert y.flatten().tolist() == [1.0, -1.0] * 5 + [1.0, -1.0]  # the digits 0, 1, 2, ... are the first of the data


def test_the_law_at_infinite_width_is_that_of_the_networks():
    x, _, _ = examples(tiny())
    limit = kernels.analytic_ntk(x.double(), network=law(tiny())).values
    wide = [network(tiny(width=1024), member) for member in range(6)]
    mean = torch.stack([kernels.empirical_ntk(model, x, outputs="trace").values for model in wide]).mean(0).double()
    # six draws at width 1024 are off by about 1024^-1/2 6^-1/2 each, 1.3 %, times the kernel's own relative spread
    assert float((mean - limit).norm() / limit.norm()) < 0.05
    exact = 2 / (float(torch.linalg.eigvalsh(limit)[-1]) * 2 / 12)
    assert critical_step(tiny(), x) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("parameterisation", ["ntk", "mean-field"])
def test_a_run_by_hand_gives_the_same_gap(parameterisation):
    config = tiny(seed=3, parameterisation=parameterisation, momentum=0.5)
    (found,) = run_beside([config])
    x, y, z = examples(config)
    model, factor = network(config), config.scale
    lr = 0.25 * critical_step(config, x) / factor**2
    linear = kernels.linearise(model)
    ends = []
    for trained in (model, linear):
        rule = torch.optim.SGD(trained.parameters(), lr=lr, momentum=0.5)
        for _ in range(20):
            rule.zero_grad()
            (factor * trained(x) - y).square().mean().backward()
            rule.step()
        ends.append(factor * trained(z).detach())
    by_hand = float((ends[0] - ends[1]).square().mean().sqrt())
    assert found.scalars["gap_at_end"] == pytest.approx(by_hand, rel=1e-3)  # float32, twenty steps
    assert found.scalars["gap"] >= found.scalars["gap_at_end"]
    assert list(found.curves["gaps"].x[[0, -1]]) == [1, 20]


def test_the_mean_field_scaling_moves_farther_by_the_root_of_the_width():
    plain, features = (
        run_beside([tiny(width=256, parameterisation=p, step_size=0.05)])[0] for p in ("ntk", "mean-field")
    )
    share = features.scalars["relative_distance"] / plain.scalars["relative_distance"]
    assert 4 < share < 16 * 1.2  # 16 = sqrt(256) if both had as much to learn


def test_members_do_not_see_each_other():
    together = run_beside([tiny(seed=seed) for seed in range(3)])
    (alone,) = run_beside([tiny(seed=1)])
    for name in ("gap", "kernel_change", "relative_distance"):
        assert together[1].scalars[name] == pytest.approx(alone.scalars[name], rel=1e-3)


def test_where_either_diverges_they_are_infinitely_far_apart():
    (found,) = run_beside([tiny(step_size=30.0, steps=200)])
    assert found.scalars["gap"] == math.inf


def test_an_ensemble_is_measured_against_what_was_predicted():
    config = Ensembles.build({"n": 6, "test": 5, "width": 24, "steps": 12, "members": 5, "seed": 2})
    (found,) = run_ensembles([config])
    x, y, z = examples(config)
    lr = 0.25 * critical_step(config, x)
    ends = []
    for member in range(5):
        model = network(config, member)
        rule = torch.optim.SGD(model.parameters(), lr=lr)
        for _ in range(12):
            rule.zero_grad()
            (model(x) - y).square().mean().backward()
            rule.step()
        ends.append(model(z).detach()[:, 0])
    ends = torch.stack(ends)
    assert found.curves["mean"].y[-1] == pytest.approx(float(ends.mean(0)[0]), rel=1e-3)
    assert found.curves["deviation"].y[-1] == pytest.approx(float(ends.var(0).mean().sqrt()), rel=1e-3)
    expected = prediction(config, [12], GD(lr=lr))
    assert found.curves["predicted_mean"].y[-1] == pytest.approx(float(expected.mean[0, 0, 0]))


def test_an_ensemble_drawn_from_the_prediction_is_found_right(monkeypatch):
    """Outputs drawn from the predicted Gaussian: the statistics are 0 and 1 within their own noise."""
    config = Ensembles.build({"n": 8, "test": 10, "steps": 20, "members": 4000})
    g = torch.Generator().manual_seed(0)

    def drawn(config, times, rule):
        law = prediction(config, times, rule)
        roots = torch.linalg.cholesky(law.covariance + 1e-9 * torch.eye(10))
        noise = torch.randn(config.members, len(times), 10, 1, generator=g, dtype=torch.float64)
        return law.mean[..., 0] + (roots @ noise)[..., 0]

    monkeypatch.setattr("lemmata.studies._lee_2019_ensembles.outputs", drawn)
    (found,) = run_ensembles([config])
    assert found.scalars["variance_ratio"] == pytest.approx(1, abs=0.05)
    assert found.scalars["mean_off"] == pytest.approx(0, abs=0.02)


def test_nothing_is_contradicted_at_smoke_scale(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("lee-2019").verdicts.values()}


@pytest.mark.parametrize("name", ["kernel", "parameters", "momentum"])
def test_features_are_learned_at_every_width_in_the_control(smoke, name):
    assert [control.outcome for control in smoke("lee-2019").verdicts[name].controls] == [ControlOutcome.REFUTED]


def test_the_bounds_are_those_of_the_theorem():
    claims = {claim.name: claim for claim in lee.study.claims}
    for name in ("gap", "kernel", "parameters", "momentum"):
        assert claims[name].region == (-math.inf, -0.5)
    assert claims["variance"].region == (0.85, 1.15)


def test_paper_scale_is_declared():
    plan = make(lee.study, scale="paper", data_dir="/nowhere")
    assert {m.config.width for m in plan.members_of("widths")} >= {64, 4096}
    assert np.all([m.config.data == "cifar10" for m in plan.members_of("widths")])
