"""The study of Simsek et al.: its losses, flows and paths against autograd and other integrators, and its verdicts."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad, solve_ivp

from lemmata.landscape import symmetry
from lemmata.studies import _simsek_2021_counts as counts
from lemmata.studies import _simsek_2021_flow as flows
from lemmata.studies import _simsek_2021_paths as paths
from lemmata.studies import _simsek_2021_splits as splits
from lemmata.studies import _simsek_2021_students as students
from lemmata.studies import simsek_2021 as simsek
from lemmata.verdicts import Outcome

# ---- the mathematics -------------------------------------------------------------------------------------------------


def task(S: int = 1, neurons: int = 3) -> flows.Task:
    x, weights = flows.plane()
    V, b = students.teacher(neurons, torch.Generator().manual_seed(1))
    return flows.Task(x, weights, flows.outputs(torch.cat([V.flatten(), b])[None], x).expand(S, -1))


def loss(theta: torch.Tensor, own: flows.Task) -> torch.Tensor:
    """The definition, with torch's own functions."""
    n = len(theta) // 3
    z = theta[: 2 * n].reshape(n, 2) @ own.x.T
    f = theta[2 * n :] @ (torch.nn.functional.softplus(z) + torch.sigmoid(z))
    return ((f - own.y[0]) ** 2 * own.weights).sum() / 2


def test_derivatives_are_autograds():
    """Rounding of sums of 120 terms up to 1e3: 1e-11."""
    theta = students.students(2, 4, torch.Generator().manual_seed(0))
    at = flows.local(theta, task(2))
    for k in range(2):
        assert float(at.loss[k]) == pytest.approx(float(loss(theta[k], task())), rel=1e-13)
        slope = torch.func.grad(loss)(theta[k], task())
        torch.testing.assert_close(at.gradient[k], slope, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(flows.slope_at(theta, task(2))[k], slope, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(at.hessian[k], torch.func.hessian(loss)(theta[k], task()), rtol=1e-11, atol=1e-11)


def test_quadrature_is_the_gaussian_mean():
    """An adaptive quadrature over the plane, on a student of moderate weights: to 2e-3 of the loss.

    (Weights up to 4 make the integrand narrower than 14 nodes see in full; the design is the quadrature's own.)
    """
    theta = torch.tensor([0.8, -0.5, 0.3, 1.1, 1.0, -0.7])
    x, weights = flows.plane()
    value = float((flows.outputs(theta[None].double(), x)[0] ** 2) @ weights)

    def integrand(u: float, v: float) -> float:
        f = 0.0
        for w, a in (((0.8, -0.5), 1.0), ((0.3, 1.1), -0.7)):
            z = w[0] * u + w[1] * v
            f += a * (math.log1p(math.exp(z)) + 1 / (1 + math.exp(-z)))
        return f * f * math.exp(-(u * u + v * v) / 2) / (2 * math.pi)

    exact = dblquad(integrand, -8, 8, -8, 8, epsabs=1e-6)[0]
    assert value == pytest.approx(exact, rel=1e-5)


def test_the_flow_ends_where_an_adaptive_integrator_does():
    """Stiff integration (BDF, 1e-6) to time 1e5, where the slowest direction has decayed: to 1e-3; and loss falls."""
    own = task(4, neurons=2)
    starts = students.students(4, 2, torch.Generator().manual_seed(3))
    ends, steps = flows.flow(starts, own, steps=400)
    at = flows.local(ends, own)
    assert (at.loss <= flows.local(starts, own).loss).all()
    settled = int((at.gradient.norm(dim=1) < 1e-10).int().argmax())
    assert at.gradient[settled].norm() < 1e-10
    assert steps[settled] < 400
    one = task(neurons=2)
    found = solve_ivp(
        lambda _, y: -flows.slope_at(torch.tensor(y)[None], one)[0].numpy(),
        (0, 1e5), starts[settled].numpy(), method="BDF", rtol=1e-6, atol=1e-8,
        jac=lambda _, y: -flows.local(torch.tensor(y)[None], one).hessian[0].numpy(),
    ).y[:, -1]  # fmt: skip
    np.testing.assert_allclose(found, ends[settled].numpy(), atol=1e-3)


def test_first_width_is_the_formulas():
    assert [counts.first_width(r) for r in (2, 5, 8, 13)] == [symmetry.neurons_to_win(r) for r in (2, 5, 8, 13)]


def test_enumeration_knows_what_it_leaves_out():
    full, bare, flat = counts.enumerate_subspaces(
        [counts.Count(neurons=2, extra=2, rule=rule) for rule in ("full", "no cancelling", "unlabelled")]
    )
    assert (full.scalars["T_over_listed"], full.scalars["G_over_listed"], full.scalars["pieces"]) == (1, 1, 1)
    assert bare.scalars["T_over_listed"] == 62 / 14
    assert flat.scalars["G_over_listed"] == 14 / 3  # compositions of 4 into 2 parts


def test_paths_reach_every_permutation_and_stay_at_zero():
    found = paths.exchange([paths.Exchange(layers=2, width=2, seed=4)])[0].scalars
    assert found["largest_loss"] < 1e-28
    assert found["ends_over_permutations"] == 1
    assert found["farthest"] > 0.1


def test_split_points_have_the_hessian_that_is_said():
    """The index of the wide Hessian, one zero, and no gradient, at a minimum that the flow finds."""
    for share, neurons, small, index in ((0.5, 5, 4, 1), (0.5, 6, 2, 0), (1.5, 6, 2, 2)):
        found = splits.split([splits.Split(share=share, neurons=neurons, small=small, seed=1)])[0].scalars
        assert found["index"] == index
        assert found["small_gradient"] < 1e-11
        assert found["gradient"] < 1e-9
        assert found["index_off"] == 0
        assert found["zero_directions"] == 1


def test_members_do_not_see_each_other():
    """Starts are the seed's own; rounding of batched products may move a step, not an outcome of a short run."""
    configs = [students.Runs(neurons=3, starts=3, steps=60, seed=seed) for seed in (0, 5)]
    together = students.run(configs)
    for config, member in zip(configs, together, strict=True):
        alone = students.run([config])[0]
        np.testing.assert_allclose(alone.arrays["losses"], member.arrays["losses"], rtol=1e-5, atol=1e-18)


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = [claim.name for claim in simsek.study.claims]


def test_smoke_scale_refutes_nothing(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("simsek-2021").verdicts.items()}
    assert outcomes["minima-counted"] is outcomes["connected"] is outcomes["index"] is Outcome.REPRODUCED
    assert Outcome.CONTRADICTED not in set(outcomes.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_reproduced_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("simsek-2021").assert_outcome(name)
