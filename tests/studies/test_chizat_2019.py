"""The study of Chizat et al.: one run by hand, exact scalings, and its verdicts at smoke scale."""

import math

import pytest
import torch

from lemmata import kernels
from lemmata.plan import make
from lemmata.studies import chizat_2019 as chizat
from lemmata.studies._chizat_2019_training import Lazy, draw, run_lazy, student
from lemmata.verdicts import Outcome

TINY = {"width": 6, "inputs": 4, "n": 12, "test": 9, "steps": 30}


def tiny(**values) -> Lazy:
    return Lazy.build({**TINY, **values})


def test_the_teacher_has_unit_weights_and_signs():
    x, y, z, v = draw(tiny(teacher=1))
    assert (x.shape, y.shape, z.shape, v.shape) == ((12, 4), (12, 1), (9, 4), (9, 1))
    active = y.flatten() != 0
    sign = y[active].sign()[0]
    weights = torch.linalg.lstsq(x[active], sign * y[active]).solution  # on the active side it is linear
    assert float(weights.norm()) == pytest.approx(1)
    assert torch.equal(draw(tiny())[0], draw(tiny(scale=7.0))[0])
    assert not torch.equal(draw(tiny())[0], draw(tiny(seed=1))[0])


def test_the_student_starts_at_zero_or_not():
    x = draw(tiny())[0]
    assert student(tiny())(x).abs().max() == 0
    assert student(tiny(start="plain"))(x).abs().max() > 0.1


@pytest.mark.parametrize("start", ["antisymmetric", "plain"])
def test_a_run_by_hand_gives_the_same(start):
    config = tiny(scale=3.0, start=start, seed=2)
    (found,) = run_lazy([config])
    x, y, z, v = draw(config)
    net, linear = student(config), kernels.linearise(student(config))
    critical = kernels.LinearisedTraining.of(net, x, y).critical_step()
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    for model in (net, linear):
        rule = torch.optim.SGD(model.parameters(), lr=0.25 * critical / 9)
        for _ in range(30):
            rule.zero_grad()
            (3 * model(x) - y).square().mean().backward()
            rule.step()
    after = torch.cat([p.detach().flatten() for p in net.parameters()])
    gap = (3 * (net(z) - linear(z))).square().mean().sqrt()
    assert found.scalars["test_loss"] == pytest.approx(float((3 * net(z) - v).detach().square().mean()), rel=1e-9)
    assert found.scalars["train_loss"] == pytest.approx(float((3 * net(x) - y).detach().square().mean()), rel=1e-9)
    assert found.scalars["gap"] == pytest.approx(float(gap.detach()), rel=1e-6)
    assert found.scalars["relative_distance"] == pytest.approx(float((after - before).norm() / before.norm()))
    pre = [(x @ w.T > 0) for w in (student(config), net) for w in w.state_dict().values() if w.shape == (6, 4)]
    half = len(pre) // 2
    flips = torch.stack([a != b for a, b in zip(pre[:half], pre[half:], strict=True)]).double().mean()
    assert found.scalars["flips"] == pytest.approx(float(flips))


def test_the_linearised_student_is_the_same_function_at_every_scale():
    found = run_lazy([tiny(student="linearised", scale=scale) for scale in (0.1, 1.0, 100.0)])
    assert len({m.scalars["test_loss"] for m in found}) == 1
    moved = [m.scalars["relative_distance"] * scale for m, scale in zip(found, (0.1, 1.0, 100.0), strict=True)]
    assert moved == pytest.approx([moved[0]] * 3)


def test_the_subtracted_copy_cancels_the_second_order():
    gaps = [m.scalars["gap"] for m in run_lazy([tiny(activation="gelu", scale=s) for s in (30.0, 300.0)])]
    assert math.log10(gaps[0] / gaps[1]) == pytest.approx(2, abs=0.05)


def test_without_scaling_the_scale_does_not_matter():
    a, b = run_lazy([tiny(scaled=False, scale=scale) for scale in (1.0, 50.0)])
    assert a.scalars == b.scalars


def test_members_do_not_see_each_other():
    together = run_lazy([tiny(seed=seed, scale=scale) for seed in range(3) for scale in (0.5, 5.0)])
    (alone,) = run_lazy([tiny(seed=1, scale=5.0)])
    assert together[3].scalars == pytest.approx(alone.scalars, rel=1e-9)


def test_a_run_that_diverges_is_marked():
    assert run_lazy([tiny(step_size=500.0, steps=400)])[0].status == "diverged"


@pytest.mark.parametrize("name", ["parameters-30", "parameters-5", "lazy-is-worse", "monotone"])
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("chizat-2019").assert_outcome(name)


def test_nothing_is_contradicted(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("chizat-2019").verdicts.values()}


def test_the_exponents_are_those_of_the_theorem():
    claims = {claim.name: claim for claim in chizat.study.claims}
    assert claims["parameters-30"].region == (-1.1, -0.9)
    assert claims["gap"].region == (-math.inf, -1.0)


def test_paper_scale_is_declared():
    plan = make(chizat.study, scale="paper", data_dir="/nowhere")
    assert {m.config.inputs for m in plan.members_of("generalisation")} == {100}
