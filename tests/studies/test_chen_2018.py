"""The study of Chen, Rubanova, Bettencourt and Duvenaud (2018): its pieces against torchdiffeq's, and its verdicts."""

import math

import pytest
import torch
from torch import nn
from torchdiffeq import odeint_adjoint

from lemmata import laboratory
from lemmata.figures import static
from lemmata.studies import _chen_2018_adjoint as solvers
from lemmata.studies import _chen_2018_gradients as parts
from lemmata.studies import _chen_2018_network as network
from lemmata.studies import chen_2018 as chen
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome


def _problem():
    draw = torch.Generator().manual_seed(0)
    field = solvers.Network(3, 5, draw)
    y, wanted = torch.randn(2, 4, 3, generator=draw, dtype=torch.float64)
    return field, y, wanted


class Decay(nn.Module):
    """y' = -k y."""

    def __init__(self):
        super().__init__()
        self.k = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, t, y):
        """Give y'."""
        return -self.k * y


@pytest.mark.parametrize("solver", ["adams", "dopri5"])
def test_the_adjoint_of_a_decay(solver):
    """L = y(T): dL/dk = -T e^{-kT} y(0), and the state comes back; to a hundred tolerances."""
    y = torch.tensor([[2.0]], dtype=torch.float64)
    found = solvers.adjoint(Decay(), y, torch.ones_like, T=2.0, solver=solver, tolerance=1e-8)
    assert found.final.item() == pytest.approx(2 * math.exp(-1), abs=1e-6)
    assert found.gradient.item() == pytest.approx(-4 * math.exp(-1), abs=1e-6)
    assert found.again.item() == pytest.approx(2.0, abs=1e-6)


def test_the_adjoint_is_that_of_torchdiffeq():
    """The same steps (this system has no equation of time, which is a constant of theirs): to rounding."""
    field, y, wanted = _problem()
    found = solvers.adjoint(field, y, lambda z: z - wanted, T=1.0, solver="dopri5", tolerance=1e-5)
    times = torch.tensor([0.0, 1.0], dtype=torch.float64)
    z = odeint_adjoint(field, y, times, rtol=1e-5, atol=1e-5, method="dopri5")[-1]
    theirs = torch.autograd.grad((z - wanted).square().sum() / 2, list(field.parameters()))
    torch.testing.assert_close(found.final, z.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.gradient, solvers.flat(theirs), rtol=1e-10, atol=1e-12)


def test_adams_and_the_solver_differentiated_agree_and_a_wrong_sign_does_not():
    field, y, wanted = _problem()
    right = solvers.through(
        field, y, lambda z: (z - wanted).square().sum() / 2, T=1.0, solver="dopri5", tolerance=1e-9
    )[1]
    by = {
        sign: solvers.adjoint(field, y, lambda z: z - wanted, T=1.0, solver="adams", tolerance=1e-9, sign=sign)
        for sign in (1, -1)
    }
    assert solvers.relative(by[1].gradient, right) < 1e-6
    assert solvers.relative(by[-1].gradient, right) > 0.01


@pytest.mark.parametrize("slow", [0, 2])
def test_contracting_fields_have_the_eigenvalues_said(slow):
    field = solvers.Contracting(4, slow, torch.Generator().manual_seed(1), rate=50.0)
    J = torch.func.jacrev(lambda y: field(0.0, y))(torch.randn(4, dtype=torch.float64))
    real = torch.linalg.eigvals(J).real.sort().values
    torch.testing.assert_close(real[: 4 - slow], torch.full((4 - slow,), -50.0).double(), rtol=0.02, atol=0)
    assert (real[4 - slow :].abs() < 1).all()


def test_what_is_held_is_counted_while_it_lives():
    """The exponential keeps its output, one state; what is thrown away on the way does not count."""
    y = torch.ones(10, dtype=torch.float64, requires_grad=True)

    def run(z):
        z.exp()
        return z.exp()

    assert parts.held(run, y, nn.Identity()) == y.nbytes


def test_members_do_not_meet_and_stay_with_their_seed():
    """A network alone and beside another, to the rounding of batched products."""
    small = {"n": 60, "iterations": 8, "batch": 20, "width": 4, "hidden": 6, "solver": "dopri5"}
    configs = [network.Depth.build({**small, "seed": seed}) for seed in (0, 1)]
    together, alone = network.depths(configs), network.depths(configs[1:])
    assert alone[0].scalars == pytest.approx(together[1].scalars, rel=1e-6)
    assert together[0].scalars["error"] != together[1].scalars["error"]


def test_a_frozen_field_stays_and_the_rest_moves():
    config = network.Depth.build({"n": 60, "iterations": 4, "batch": 20, "width": 4, "hidden": 6, "frozen": True})
    net = network.Members(config, [0], 5)
    before = {name: part.clone() for name, part in net.state_dict().items()}
    x, y = torch.randn(1, 60, 5, dtype=torch.float64), torch.arange(60)[None] % 10
    after = network._train(config, net, (x, y), [torch.Generator().manual_seed(0)], {4})[4]
    assert {name for name in before if torch.equal(before[name], after[name])} == {f"field.{name}" for name in "WVcbe"}


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_smoke_scale_refutes_nothing_and_draws(smoke):
    found = smoke("chen-2018")
    outcomes = {verdict.outcome for verdict in found.verdicts.values()}
    assert not outcomes & {Outcome.CONTRADICTED, Outcome.VOID}
    for name in ("gradient", "work", "memory"):
        for figure in chen.study.experiments[name].figures:
            assert "<svg" in str(static.render(figure(found.tables[name])))


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    found = laboratory.run(chen.study, scale="laptop", store=tmp_path_factory.mktemp("chen-laptop"))
    for name in ("depth", "contraction"):
        for figure in chen.study.experiments[name].figures:
            assert "<svg" in str(static.render(figure(found.tables[name])))
    return {verdict.claim.name: verdict for verdict in found.verdicts}


CLAIMS = {claim.name: Outcome.REPRODUCED for claim in chen.study.claims}
CLAIMS |= dict.fromkeys(("gradient-dopri5", "half-adams"), Outcome.INCONCLUSIVE)  # five seeds, corrected over 17 claims
CLAIMS |= {"half-dopri5": Outcome.CONTRADICTED}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    verdict = laptop[name]
    assert verdict.outcome is CLAIMS[name], verdict.reason
    assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls)
