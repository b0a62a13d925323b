"""Successive approximations against Riccati, their exact contraction factors, and dense optimisation."""

import pytest
import torch

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.flows import control

F64 = torch.float64


def _known(tikhonov: float, steps: int = 12, seed: int = 0) -> control.LinearQuadratic:
    draw = torch.Generator().manual_seed(seed)
    A = 0.5 * torch.randn(3, 3, generator=draw, dtype=F64)
    B = torch.linalg.qr(torch.randn(3, 2, generator=draw, dtype=F64)).Q
    starts, targets = (torch.randn(5, 3, generator=draw, dtype=F64) for _ in range(2))
    return control.LinearQuadratic(A, B, starts, targets, tikhonov=tikhonov, steps=steps)


def _problem(known):
    penalty = control.TimePenalty(tikhonov=known.tikhonov)
    return control.Problem(known.flow(), known.starts, known.targets, loss=control.half_square, penalty=penalty)


def test_riccati_is_the_minimum():
    """Against the normal equations of the same quadratic, solved densely."""
    known = _known(0.3)
    R, h = known.reach(), known.h
    d = (known.targets - known.starts @ known.powers()[-1].mT).mean(0)
    dense = torch.linalg.solve(R.mT @ R + known.tikhonov * h * torch.eye(R.shape[1], dtype=F64), R.mT @ d)
    torch.testing.assert_close(known.solution().flatten(), dense, rtol=1e-11, atol=1e-12)
    assert known.value() <= known.value(dense.reshape(12, 2) + 1e-3)


def test_the_gramian_is_that_of_continuous_time_in_the_limit():
    """A = a: int_0^1 e^{2 a t} dt b^2, first order in h."""
    one = torch.ones(1, 1, dtype=F64)
    exact = (torch.tensor(2.0 * 0.7, dtype=F64).exp() - 1) / 1.4
    errors = [
        abs(control.LinearQuadratic(0.7 * one, one, one, one, tikhonov=1.0, steps=n).gramian().item() - exact.item())
        for n in (100, 200)
    ]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)


def test_basic_and_extended_agree_with_riccati():
    """A price above the Gramian's eigenvalue: both converge; tolerance 1e-8, the inner problems' is 1e-12."""
    known = _known(8.0)
    assert torch.linalg.eigvalsh(known.gramian())[-1] < 8.0
    for rho in (0.0, 0.5):
        found = control.successive_approximations(_problem(known), iterations=40, rho=rho, inner=20, tolerance=1e-12)
        torch.testing.assert_close(found.coefficients["theta"][0], known.solution(), rtol=0, atol=1e-8)
        assert found.objective[0, -1].item() == pytest.approx(known.value(), abs=1e-12)
        assert control.pontryagin(_problem(known), found.coefficients).residual.item() < 1e-7


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_errors_contract_as_the_operator_says(rho):
    """e_{k+1} = (rho beta - R^* R) / (lambda + rho beta) e_k, at each iteration, to the inner tolerance."""
    known = _known(1.0)
    R, h = known.reach(), known.h
    operator = (rho * torch.eye(R.shape[1], dtype=F64) - R.mT @ R / h) / (1.0 + rho)
    error = -known.solution().flatten()
    for k in range(1, 4):
        found = control.successive_approximations(_problem(known), iterations=k, rho=rho, inner=40, tolerance=1e-13)
        error = operator @ error
        actual = found.coefficients["theta"][0].flatten() - known.solution().flatten()
        torch.testing.assert_close(actual, error, rtol=0, atol=1e-9)


@pytest.mark.parametrize("side", ["below", "above"])
def test_the_threshold_of_rho(side):
    """Convergence at 1.2 times the threshold, divergence at 0.8 times, from the same start."""
    known = _known(0.2)
    assert known.threshold() > 0
    factor = {"below": 0.8, "above": 1.2}[side]
    found = control.successive_approximations(
        _problem(known), iterations=25, rho=factor * known.threshold(), inner=30, tolerance=1e-12
    )
    gap = found.objective[0] - known.value()
    assert (gap[-1] > 3 * gap[0]) if side == "below" else (gap[-1] < 0.1 * gap[0])


def _sine(members=3, steps=10, width=5, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = (2 * torch.rand(members, 40, 1, generator=draw, dtype=F64) - 1) * torch.pi
    own = [
        flows.Flow(
            flows.Plain(width, flows.PiecewiseConstant(steps, T=5.0), seed=s, gain=0.3, dtype=F64),
            steps=steps, method="forward-euler",
        )
        for s in range(members)
    ]  # fmt: skip
    penalty = control.TimePenalty(tikhonov=1e-3)
    return control.Problem(
        own, x.expand(-1, -1, width), x.sin(), head=lambda y: y.sum(-1, keepdim=True), penalty=penalty, own_data=True
    )


def test_extended_approximations_learn_and_never_rise_with_enough_rho():
    problem = _sine()
    found = control.successive_approximations(problem, iterations=30, rho=20.0)
    assert (found.objective.diff(dim=1) <= 1e-12).all()
    assert (found.objective[:, -1] < 0.5 * found.objective[:, 0]).all()
    assert (found.raised >= found.hamiltonian).all()
    assert found.constant[:, 5:].nan_to_num().max() < 10.0  # rho / 2, the constant under which nothing may rise
    again = control.pontryagin(
        control.Problem(found.flows, problem.x, problem.y, head=problem.head, penalty=problem.penalty, own_data=True)
    )
    torch.testing.assert_close(again.objective, found.objective[:, -1])
    assert "<svg" in str(static.render(found.plot()))


def test_members_do_not_see_each_other():
    problem = _sine()
    together = control.successive_approximations(problem, iterations=4, rho=5.0)
    alone = control.successive_approximations(
        control.Problem(
            problem.flows[1], problem.x[1], problem.y[1], head=problem.head, penalty=problem.penalty
        ),
        iterations=4, rho=5.0,
    )  # fmt: skip
    torch.testing.assert_close(alone.objective[0], together.objective[1], rtol=1e-9, atol=0)


def test_fixed_points_are_stationary():
    """A tiny net at the minimum that dense optimisation finds: approximations stay there."""
    draw = torch.Generator().manual_seed(3)
    x, y = (torch.randn(6, 2, generator=draw, dtype=F64) for _ in range(2))
    flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(3), dtype=F64), steps=3, method="forward-euler")
    penalty = control.TimePenalty(tikhonov=0.05)
    rule = torch.optim.LBFGS(flow.parameters(), max_iter=500, tolerance_grad=1e-11, line_search_fn="strong_wolfe",
                             tolerance_change=1e-16)  # fmt: skip

    def closure():
        rule.zero_grad()
        J = (flow(x) - y).square().mean() + penalty(flow)
        J.backward()
        return J

    rule.step(closure)
    problem = control.Problem(flow, x, y, penalty=penalty)
    assert control.pontryagin(problem).residual.item() < 1e-8
    found = control.successive_approximations(problem, iterations=5, rho=10.0)
    torch.testing.assert_close(found.coefficients["K"][0], flow.field.coefficients["K"].detach(), rtol=0, atol=1e-7)


def test_bad_input():
    x, y = torch.zeros(2, 2), torch.zeros(2, 2)
    shared = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(2)), steps=4)
    with pytest.raises(InvalidInput, match=r"PiecewiseConstant\(4"):
        control.successive_approximations(control.Problem(shared, x, y), iterations=1, rho=1.0)
    own = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4)
    with pytest.raises(InvalidInput, match="rho = -1"):
        control.successive_approximations(control.Problem(own, x, y), iterations=1, rho=-1.0)
    smooth = control.Problem(own, x, y, penalty=control.TimePenalty(smoothness=1.0))
    with pytest.raises(InvalidInput, match="couples the layers"):
        control.successive_approximations(smooth, iterations=1, rho=1.0)
    B = torch.diag(torch.tensor([1.0, 2.0]))
    with pytest.raises(InvalidInput, match="multiple of the identity"):
        control.LinearQuadratic(torch.eye(2), B, x, y, tikhonov=1.0, steps=2).threshold()
