"""The study of Li, Chen, Tai and E: what is measured, that members do not see each other, its verdicts."""

import numpy as np
import pytest
import torch

from lemmata.studies import _li_2018_msa_toy as toy
from lemmata.studies._li_2018_msa_digits import Digits, _samples, recognised
from lemmata.studies._li_2018_msa_linear import Linear, located
from lemmata.studies._li_2018_msa_toy import Toy, trained
from lemmata.studies._li_2018_msa_training import measured
from lemmata.verdicts import Outcome

TINY = {"layers": 3, "n": 8, "iterations": 6, "inner": 3}


@pytest.mark.parametrize("method", ["e-msa", "sgd"])
def test_members_do_not_see_each_other(method):
    """To the rounding of batched products in float32, over six iterations."""
    configs = [Toy.build({**TINY, "method": method, "seed": seed}) for seed in (0, 1)]
    together = trained(configs)
    alone = trained(configs[:1])[0]
    np.testing.assert_allclose(alone.curves["loss"].y[:3], together[0].curves["loss"].y[:3], rtol=1e-2)
    assert together[0].scalars["total"] != together[1].scalars["total"]


def test_methods_start_from_the_same_networks():
    methods = ("e-msa", "adam", "adagrad")
    first = [trained([Toy.build({**TINY, "method": m})])[0].curves["loss"].y[0] for m in methods]
    assert first[1:] == pytest.approx([first[0]] * 2, rel=1e-5)


def test_with_costates_of_the_wrong_sign_the_objective_rises():
    """From the same start, in the iteration in which the right ones let it fall."""
    right, wrong = (trained([Toy.build({**TINY, "sign": sign})])[0].curves["loss"].y for sign in (1, -1))
    assert right[0] == wrong[0]
    assert right[1] < right[0] < wrong[1]


def test_gradient_methods_are_those_of_torch_on_one_network():
    """Adagrad's first step by hand: lr g / (sqrt(0.1 + g^2)), with gradients of the objective by autograd."""
    config = Toy.build({**TINY, "method": "adagrad", "iterations": 1})
    flow, x = toy._member(config)
    parameters = list(flow.parameters())

    def objective() -> torch.Tensor:
        price = sum(theta.square().sum() for theta in parameters) * config.tikhonov / 2
        return (flow(x.expand(-1, 5)).sum(-1, keepdim=True) - x.sin()).square().mean() + price

    J = objective()
    for theta, g in zip(parameters, torch.autograd.grad(J, parameters), strict=True):
        theta.data -= config.adagrad_lr * g / ((0.1 + g.square()).sqrt() + 1e-10)
    found = trained([config])[0].curves["loss"].y
    assert found == pytest.approx([J.item(), objective().item()], rel=1e-4)


def test_hindsight_is_no_worse_than_the_steps_it_chose_from_and_digits_are_apart():
    small = {"layers": 2, "n": 20, "iterations": 3}
    last = {
        method: recognised([Digits.build({**small, "method": method})])[0].scalars["total"]
        for method in ("hindsight", "sgd", "adagrad", "adam")
    }
    assert last["hindsight"] == min(last.values())
    x, _ = _samples([Digits.build({**small, "seed": seed}) for seed in (0, 1)])
    assert (x[0][:, None] != x[1][None]).any(-1).all()
    assert (x[..., -10:] == 0).all()


def test_gradient_methods_are_the_same_whatever_is_done_to_hamiltonians():
    settings = [{}, {"sign": -1}, {"rho": 1e5}, {"seed": 1}]
    found = trained([Toy.build({**TINY, "method": "adam", **setting}) for setting in settings])
    totals = [member.scalars["total"] for member in found]
    assert totals[0] == totals[1] == totals[2] != totals[3]


def test_what_is_read_off_a_curve():
    found = measured(np.array([100.0, 10.0, 20.0, 1.0, 1.0, 1.0, 1.0, 10.0]), np.array([np.nan, 3.0])).scalars
    assert found["late"] == pytest.approx(1.0)
    assert found["early"] == pytest.approx(-2.0)
    assert found["rises"] == pytest.approx(0.2)
    assert found["constant"] == 3.0


def test_the_threshold_is_found_in_one_problem():
    found = located([Linear.build({"layers": 4})])[0]
    assert found.scalars["critical"] == pytest.approx(1.0, abs=0.05)


OUTCOMES = dict.fromkeys(("faster-than-sgd", "faster-than-adagrad", "digits-hindsight"), Outcome.CONTRADICTED)


@pytest.mark.slow
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop):
    laptop("li-2018-msa").assert_outcomes(OUTCOMES)
