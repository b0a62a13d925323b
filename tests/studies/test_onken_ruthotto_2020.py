"""The study of Onken and Ruthotto (2020): its pieces, and its verdicts."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from lemmata.studies import _onken_ruthotto_2020_series as series
from lemmata.studies import onken_ruthotto_2020 as onken
from lemmata.studies._onken_ruthotto_2020_series import Gradient, Members, Training, gradients, misfit, trainings
from lemmata.verdicts import Outcome


def test_the_series_solves_its_equation():
    """To 1e-9, by another solver: u_1' = -0.1 u_1^3 + 2 u_2^3, u_2' = -2 u_1^3 - 0.1 u_2^3."""
    run = solve_ivp(lambda t, u: np.array([[-0.1, 2.0], [-2.0, -0.1]]) @ u**3, (0, 1.5), [2.0, 0.0], method="DOP853",
                    rtol=1e-12, atol=1e-12, t_eval=np.linspace(0, 1.5, 30))  # fmt: skip
    np.testing.assert_allclose(series.series(), run.y.T, atol=1e-9)


def test_members_do_not_meet():
    net, alone = Members([3, 4]), Members([4])
    assert misfit(net, "disc-opt", 1)[1].item() == pytest.approx(misfit(alone, "disc-opt", 1).item(), rel=1e-12)
    found = trainings([Training(seed=s, iterations=3) for s in (3, 4)])[1]
    assert found.scalars == pytest.approx(trainings([Training(seed=4, iterations=3)])[0].scalars)


def test_gradients_of_both_approaches_agree_as_steps_shrink():
    net = Members([0])
    exact = torch.autograd.grad(misfit(net, "disc-opt", 6).sum(), list(net.parameters()))
    for found, right in zip(torch.autograd.grad(misfit(net, "opt-disc", 6).sum(), list(net.parameters())), exact,
                            strict=True):  # fmt: skip
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-8)


def test_costs():
    """RK4: 29 steps of 4 evaluations, and twice that for their products; tighter tolerances cost more."""
    assert gradients([Gradient()])[0].scalars["cost"] == 3 * 4 * 29
    loose, tight = (
        gradients([Gradient(approach="opt-disc", rtol=rtol, atol=rtol)])[0].scalars["cost"] for rtol in (1e-2, 1e-6)
    )
    assert 348 < loose < tight


def test_a_wrong_sign_is_seen_and_climbs():
    assert gradients([Gradient(sign=-1)])[0].scalars["order"] == pytest.approx(1.0, abs=0.1)
    up, down = (
        trainings([Training(iterations=8, wrong=wrong)])[0].scalars["log_loss"] for wrong in ("disc-opt", "none")
    )
    assert up > down + 0.5


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = [claim.name for claim in onken.study.claims]


def test_smoke_scale_refutes_nothing(smoke):
    outcomes = {verdict.outcome for verdict in smoke("onken-ruthotto-2020").verdicts.values()}
    assert not outcomes & {Outcome.CONTRADICTED, Outcome.VOID}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_verdicts_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("onken-ruthotto-2020").assert_outcome(name)
