"""The study of Chen, Rubanova, Bettencourt and Duvenaud (2018): its pieces against torchdiffeq's, and its verdicts."""

import math

import pytest
import torch
from torch import nn
from torchdiffeq import odeint_adjoint

from lemmata.figures import static
from lemmata.studies import _chen_2018_adjoint as solvers
from lemmata.studies import _chen_2018_gradients as parts
from lemmata.studies import _chen_2018_network as network
from lemmata.studies import _chen_2018_spirals as spirals
from lemmata.studies import _chen_2018_table as table
from lemmata.studies import chen_2018 as chen
from lemmata.verdicts import Outcome


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
    net.field.requires_grad_(False)
    after = network.train(config, net, (x, y), [torch.Generator().manual_seed(0)], [4])[4]
    assert {name for name in before if torch.equal(before[name], after[name])} == {f"field.{name}" for name in "WVcbe"}


def test_entries_of_the_table_have_the_weights_they_say():
    """Six blocks, one field or none; and the ODE-Net, trained by the adjoint equation, ends where the RK-Net does."""
    small = {"n": 60, "iterations": 3, "batch": 20, "width": 4, "hidden": 6}
    kinds: list[dict] = [{"net": "resnet"}, {"net": "rk"}, {"net": "ode"}, {"net": "ode", "solved": False}]
    found = [member.scalars for member in table.entries([table.Entry.build({**small, **kind}) for kind in kinds])]
    one = 4 * 6 * 2 + 6 + 6 + 4
    assert [member["between"] for member in found] == [6 * one, one, one, 0]
    assert [member["weights"] - member["between"] for member in found] == [(196 + 10) * 4] * 4
    assert found[1]["wrong"] == pytest.approx(found[2]["wrong"], abs=0.01)


def test_spirals_are_fitted_by_the_gradient_of_what_is_predicted():
    """The adjoint equation's gradient against the one through the steps, to RK4's error in gaps of up to a radian."""
    setting = spirals.Spirals.build({"spirals": 2})
    radius, phase, places = spirals._paths(setting, [5, 6])
    times = 0.1 * places
    seen, model = spirals.at(times, radius, phase), spirals.Fitted(setting, spirals._draws([5, 6], spirals.START))
    stretches = 30 - setting.window
    y, loss = seen[:, :, :stretches].flatten(1, 2), torch.zeros(())
    for j in range(setting.window):
        y = model.step(y, times.diff(dim=2)[..., None][:, :, j : j + stretches].flatten(1, 2))
        missed = y - seen[:, :, j + 1 : j + 1 + stretches].flatten(1, 2)
        loss = loss + missed.square().sum() / (2 * y.shape[1] * setting.window)
    for own, right in zip(model.gradient(seen, times), torch.autograd.grad(loss, model.weights), strict=True):
        assert solvers.relative(own, right) < 1e-3


def test_a_member_of_the_spirals_alone_and_beside_another():
    small = {"iterations": 3, "spirals": 2}
    for model in ("ode", "rnn"):
        configs = [spirals.Spirals.build({**small, "model": model, "seed": seed}) for seed in (0, 1)]
        together, alone = spirals.continued(configs), spirals.continued(configs[1:])
        assert alone[0].scalars == pytest.approx(together[1].scalars, rel=1e-9)
        assert together[0].scalars["rmse"] != together[1].scalars["rmse"]


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_smoke_scale_refutes_nothing(smoke):
    found = smoke("chen-2018")
    outcomes = {verdict.outcome for verdict in found.verdicts.values()}
    assert not outcomes & {Outcome.CONTRADICTED, Outcome.VOID}


CLAIMS = {claim.name: Outcome.REPRODUCED for claim in chen.study.claims if claim.name not in ("error-rk", "error-ode")}
CLAIMS |= {"half-adams": Outcome.DIRECTION_ONLY, "half-dopri5": Outcome.CONTRADICTED}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("chen-2018").assert_outcome(name, CLAIMS[name])


@pytest.mark.slow
def test_figures_that_only_laptop_scale_fills_are_drawn(laptop):
    tables = laptop("chen-2018").tables
    for name in ("depth", "contraction"):
        for figure in chen.study.experiments[name].figures:
            assert "<svg" in str(static.render(figure(tables[name])))
