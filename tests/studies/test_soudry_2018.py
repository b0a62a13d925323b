"""The study of Soudry et al.: its machine, flow and steps against other solvers and closed forms, and its verdicts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC

from lemmata.errors import InvalidInput
from lemmata.studies import _soudry_2018_descent as descent
from lemmata.studies import _soudry_2018_flow as flow
from lemmata.studies import soudry_2018 as soudry
from lemmata.studies._soudry_2018_descent import Descent
from lemmata.studies._soudry_2018_flow import Flow
from lemmata.studies._soudry_2018_margin import Sample, examples, fresh, machine
from lemmata.verdicts import Outcome

# ---- the machine -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [5, 20])
def test_the_machine_is_scikit_learns(d: int):
    """Rows and their negatives as two classes; libsvm stops at a violation of 1e-8, which w follows within 1e-5."""
    z, own = examples(Sample(d=d, seed=3))
    other = SVC(kernel="linear", C=1e10, tol=1e-8).fit(np.vstack([z, -z]), np.repeat([1, -1], len(z)))
    np.testing.assert_allclose(own.w, other.coef_[0], rtol=0, atol=1e-5 * np.linalg.norm(own.w))
    assert own.margin == pytest.approx((z @ own.w).min() / np.linalg.norm(own.w), rel=1e-9)


@given(seed=st.integers(0, 10_000), d=st.integers(2, 8), n=st.integers(4, 40), gap=st.floats(0.0, 2.0))
@settings(max_examples=40, deadline=None)
def test_the_conditions_of_the_optimum_hold(seed: int, d: int, n: int, gap: float):
    """Feasible, dual feasible, complementary and stationary, to rounding: these prove the optimum."""
    z, own = examples(Sample(seed=seed, d=d, n=n, gap=gap))
    slack = z @ own.w - 1
    assert slack.min() > -1e-7
    assert (own.alpha >= 0).all()
    assert np.abs(slack[own.support]).max() < 1e-7
    np.testing.assert_allclose(own.alpha @ z, own.w, rtol=0, atol=1e-7 * np.linalg.norm(own.w))
    assert own.alpha.sum() == pytest.approx(own.w @ own.w, rel=1e-6)


def test_what_no_plane_separates_is_refused():
    with pytest.raises(InvalidInput, match="no plane"):
        machine(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]))


def test_two_support_vectors_by_hand():
    """Rows (2, 1), (2, -1) and one beyond: w = (1/2, 0), alpha = 1/8 each, so rho = (log(8) / 2, 0) and no gap."""
    own = machine(np.array([[2.0, 1.0], [2.0, -1.0], [5.0, 0.0]]))
    np.testing.assert_allclose(own.alpha, [1 / 8, 1 / 8, 0], atol=1e-12)
    np.testing.assert_allclose(own.rho, [np.log(8) / 2, 0], atol=1e-12)
    assert own.gap_constant == pytest.approx(0, abs=1e-12)
    assert own.spanning
    assert own.margin == pytest.approx(2)


def test_a_degenerate_data_set_lies_on_its_margin():
    z, own = examples(Sample(law="degenerate", scale=2.0, seed=1))
    np.testing.assert_allclose(z @ own.w, 1, atol=1e-12)
    assert own.support.sum() == 1
    np.testing.assert_allclose(own.alpha @ z, own.w, atol=1e-12)


def test_classes_overlap_by_a_tenth_and_fresh_examples_have_the_law():
    (z, own), (turned, same) = (examples(Sample(law=law, seed=2)) for law in ("separable", "overlapping"))
    assert (z != turned).any(1).sum() == 6
    np.testing.assert_array_equal(own.w, same.w)
    with pytest.raises(InvalidInput):
        machine(turned)
    more = fresh(Sample(seed=2, d=3, gap=0.5), 40_000)
    u = np.random.default_rng(2).standard_normal(3)
    along = more @ u / np.linalg.norm(u)
    assert along.min() >= 0.5
    assert abs(along.mean() - 0.5 - (2 / np.pi) ** 0.5) < 4.5 * (1 - 2 / np.pi) ** 0.5 / 200  # false alarm below 1e-5


# ---- the flow --------------------------------------------------------------------------------------------------------

LOSSES = ["logistic", "exponential", "polynomial", "squared"]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_pull_is_the_derivative_of_the_loss(loss: flow.Loss):
    u = torch.tensor([[-2.0, -0.3, 0.4, 3.0, 40.0]], dtype=torch.float64, requires_grad=True)
    value = {
        "logistic": torch.nn.functional.softplus(-u),
        "exponential": torch.exp(-u),
        "polynomial": torch.where(u > 0, 1 / (1 + u), 1 - u),
        "squared": (1 - u).square() / 2,
    }[loss].sum()
    value.backward()
    margins = u.detach().numpy()
    assert flow.log_loss(loss, margins)[0] == pytest.approx(float(value.detach().log()), rel=1e-12)
    assert u.grad is not None
    np.testing.assert_allclose(flow.pull(loss, 1.5, margins), -np.exp(1.5) * u.grad.numpy(), rtol=1e-9)


def test_the_loss_does_not_underflow():
    assert flow.log_loss("logistic", np.array([[1000.0, 2000.0]]))[0] == pytest.approx(-1000, abs=1e-12)


def test_flows_of_one_weight_have_their_closed_forms():
    """One example, z = 1: log(1 + t), (1 + 3t)^(1/3) - 1, 1 - exp(-t); 1e-6 is what tolerances of 1e-9 add up to."""
    s, z = np.array([0.0, 0.5, 1.0, 3.0, 8.0]), np.ones((1, 1, 1))
    t = np.expm1(s)
    exact = {"exponential": s, "polynomial": np.cbrt(1 + 3 * t) - 1, "squared": -np.expm1(-t)}
    for loss, w in exact.items():
        np.testing.assert_allclose(flow.integrate(z, loss, s)[0, :, 0], w, rtol=0, atol=1e-6)
    w = flow.integrate(z, "logistic", s)[0, :, 0]
    np.testing.assert_allclose(w + np.expm1(w), t, rtol=1e-6)  # w + exp(w) - 1 = t


def test_the_limit_is_that_of_the_dual_variables():
    """The two examples by hand, at log t = 200: the third one, of margin 2.5, has left exp(-300)."""
    z = np.array([[2.0, 1.0], [2.0, -1.0], [5.0, 0.0]])
    own = machine(z)
    w = flow.integrate(z[None], "logistic", np.array([0.0, 200.0]))[0, 1]
    np.testing.assert_allclose(w - 200 * own.w, own.rho, atol=1e-7)


def test_angles_and_gaps_are_those_of_the_arc_cosine():
    z, own = examples(Sample(seed=4))
    w = np.random.default_rng(0).standard_normal((6, 5)) + 3 * own.w
    norm, angle, gap = flow.geometry(w, z, own)
    cosine = w @ own.w / np.linalg.norm(w, axis=1) / np.linalg.norm(own.w)
    np.testing.assert_allclose(angle, np.arccos(cosine), rtol=1e-9)
    np.testing.assert_allclose(gap, 1 - (w @ z.T).min(1) / norm * np.linalg.norm(own.w), rtol=1e-12)


def test_flows_do_not_see_each_other():
    """They share the steps of the integrator: what each gets agrees to its tolerance."""
    configs = [Flow(seed=seed, log_time=20.0) for seed in range(3)]
    for config, found in zip(configs, flow.run_flows(configs), strict=True):
        (alone,) = flow.run_flows([config])
        np.testing.assert_allclose(found.curves["norm"].y, alone.curves["norm"].y, rtol=1e-6)
        assert found.scalars["loss_slope"] == pytest.approx(alone.scalars["loss_slope"], rel=1e-6)


# ---- the steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["descent", "normalised", "adam"])
def test_steps_are_those_of_torch(rule):
    """30 steps in float64, to rounding."""
    config = Descent(rule=rule, steps=100, seed=1)
    z, _ = examples(config)
    eta = 4 / np.linalg.norm(z, 2) ** 2
    path = descent.iterates(z[None], np.array([eta]), config)
    w = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([w], lr=0.01) if rule == "adam" else torch.optim.SGD([w], lr=eta)
    for _, found in zip(range(30), path, strict=False):
        loss = torch.nn.functional.softplus(-torch.tensor(z) @ w).sum()
        optimiser.zero_grad()
        (loss.log() if rule == "normalised" else loss).backward()
        optimiser.step()
        np.testing.assert_allclose(found[0], w.detach().numpy(), rtol=1e-9)


def test_descents_do_not_see_each_other():
    configs = [Descent(seed=seed, steps=100) for seed in range(2)]
    for config, found in zip(configs, descent.run_descents(configs), strict=True):
        (alone,) = descent.run_descents([config])
        np.testing.assert_allclose(found.curves["angle"].y, alone.curves["angle"].y, rtol=1e-6)


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_only_the_validation_error_may_be_contradicted_at_smoke_scale(smoke):
    found = smoke("soudry-2018").verdicts
    assert {name for name, v in found.items() if v.outcome is Outcome.CONTRADICTED} <= {"validation-error"}


def test_support_vectors_fix_the_direction_in_five_dimensions_and_not_in_twenty():
    for seed in range(10):
        assert examples(Descent(seed=seed))[1].support.sum() == 5
        assert examples(Descent(seed=seed, **soudry.WIDE))[1].support.sum() <= 10


@pytest.mark.parametrize("name", ["norm-slope", "loss-slope", "loss-constant", "angle-exponent", "gap-constant"])
def test_limits_are_reproduced_at_smoke_scale(smoke, name: str):
    smoke("soudry-2018").assert_outcome(name)


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    not_reproduced = {"cifar-validation": Outcome.NOT_TESTABLE, "validation-error": Outcome.CONTRADICTED}
    laptop("soudry-2018").assert_outcomes(not_reproduced)
