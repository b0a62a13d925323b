"""The closed form against descent written out on the linear model, ODE solvers and matrix exponentials."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.figures import static
from lemmata.kernels.dynamics import GradientFlow, LinearisedTraining, NewSamples, ScaledModel, linearise
from lemmata.training import GD, SGD

F64 = torch.float64
N, M, D, C, P = 7, 4, 3, 2, 40
LOSSES = {
    "mse": lambda f, y: (f - y).square().mean(),
    "half_mse": lambda f, y: (f - y).square().mean() / 2,
    "half_mean": lambda f, y: (f - y).square().sum() / (2 * len(y)),
    "half_sum": lambda f, y: (f - y).square().sum() / 2,
    "cross_entropy": nn.functional.cross_entropy,
}


class Problem:
    """A linear model of P parameters with C coupled outputs: Jacobians, kernels, targets."""

    def __init__(self, seed=0, rank=P):
        g = torch.Generator().manual_seed(seed)
        draw = lambda *shape: torch.randn(*shape, generator=g, dtype=F64)  # noqa: E731
        mix = draw(rank, P) / math.sqrt(P)
        self.J, self.J_test = draw(N, C, rank) @ mix, draw(M, C, rank) @ mix
        self.f0, self.f0_test, self.y, self.y_test = draw(N, C), draw(M, C), draw(N, C), draw(M, C)
        self.labels = torch.randint(0, C, (N,), generator=g)
        self.kernel = torch.einsum("iap,jbp->ijab", self.J, self.J)
        self.cross = torch.einsum("iap,jbp->ijab", self.J_test, self.J)

    def training(self, loss, **options):
        labels = loss == "cross_entropy"
        test = NewSamples(self.cross, self.f0_test, None if labels else self.y_test)
        y = self.labels if labels else self.y
        return LinearisedTraining(self.kernel, y, f0=self.f0, loss=loss, test=test, **options)

    def outputs(self, w, J, f0):
        return f0 + torch.einsum("iap,p->ia", J, w)

    def descend(self, rule, loss, steps):
        """Displacements w_t at every step, by torch.optim on the linear model itself."""
        w = torch.zeros(P, dtype=F64, requires_grad=True)
        optimiser = torch.optim.SGD([w], lr=rule.lr, momentum=rule.momentum, nesterov=rule.nesterov)
        path = [w.detach().clone()]
        for _ in range(steps):
            optimiser.zero_grad()
            y = self.labels if loss == "cross_entropy" else self.y
            LOSSES[loss](self.outputs(w, self.J, self.f0), y).backward()
            optimiser.step()
            path.append(w.detach().clone())
        return path


RULES = [GD(lr=0.05), SGD(lr=0.05, momentum=0.9), SGD(lr=0.02, momentum=0.8, nesterov=True)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", RULES, ids=["descent", "heavy ball", "nesterov"])
def test_descent_is_that_of_torch_on_the_linear_model(loss, rule):
    problem, times = Problem(), [0, 1, 5, 60]
    run = problem.training(loss).run(times, rule)
    path = problem.descend(rule, loss, 60)
    y = problem.labels if loss == "cross_entropy" else problem.y
    for place, t in enumerate(times):
        f = problem.outputs(path[t], problem.J, problem.f0)
        # sixty steps of rounding in float64, grown by nothing: 1e-11
        torch.testing.assert_close(run.train_outputs[place], f, rtol=1e-10, atol=1e-11)
        torch.testing.assert_close(
            run.test_outputs[place], problem.outputs(path[t], problem.J_test, problem.f0_test), rtol=1e-10, atol=1e-11
        )
        assert float(run.train_loss[place]) == pytest.approx(float(LOSSES[loss](f, y)), rel=1e-10)
        moved = -torch.einsum("iap,ia->p", problem.J, run.coefficients[place])
        torch.testing.assert_close(moved, path[t], rtol=1e-9, atol=1e-11)
        assert float(run.distance[place]) == pytest.approx(float(path[t].norm()), rel=1e-7, abs=1e-9)
        if loss != "cross_entropy":
            score = LOSSES[loss](problem.outputs(path[t], problem.J_test, problem.f0_test), problem.y_test)
            assert float(run.test_loss[place]) == pytest.approx(float(score), rel=1e-10)


@pytest.mark.parametrize("loss", ["mse", "half_sum"])
def test_the_flow_is_the_matrix_exponential(loss):
    problem, times = Problem(1), [0.0, 0.3, 4.0]
    run = problem.training(loss).run(times)
    J = problem.J.reshape(N * C, P)
    kappa = {"mse": 2 / (N * C), "half_sum": 1.0}[loss]
    for place, t in enumerate(times):
        propagator = expm(-kappa * t * (J @ J.T).numpy())
        error = propagator @ (problem.f0 - problem.y).reshape(-1).numpy()
        np.testing.assert_allclose((run.train_outputs[place] - problem.y).reshape(-1).numpy(), error, atol=1e-12)


@pytest.mark.parametrize("method", ["DOP853", "LSODA"])
def test_the_flow_of_the_cross_entropy_is_that_of_a_tight_solver_in_parameters(method):
    problem, times = Problem(2), [0.0, 1.0, 50.0]
    run = problem.training("cross_entropy").run(times, tolerance=1e-9, method=method)
    J, f0 = problem.J.reshape(N * C, P).numpy(), problem.f0.reshape(-1).numpy()
    onehot = np.eye(C)[problem.labels.numpy()]

    def slope(_, w):
        f = (f0 + J @ w).reshape(N, C)
        p = np.exp(f - f.max(1, keepdims=True))
        return -J.T @ ((p / p.sum(1, keepdims=True) - onehot) / N).reshape(-1)

    theirs = solve_ivp(slope, (0, 50), np.zeros(P), method="Radau", t_eval=times, rtol=1e-11, atol=1e-12).y
    for place in range(3):
        outputs = (f0 + J @ theirs[:, place]).reshape(N, C)
        # tolerance 1e-9 a step, some hundreds of steps
        np.testing.assert_allclose(run.train_outputs[place].numpy(), outputs, atol=3e-6 if method == "LSODA" else 1e-6)
    assert run.evaluations > 10
    assert run.train_loss[2] < run.train_loss[1] < run.train_loss[0]


def test_a_descent_on_the_cross_entropy_with_small_steps_is_the_flow():
    training = Problem(3).training("cross_entropy")
    flow, steps = training.run([2.0]), training.run([2000], GD(lr=1e-3))
    torch.testing.assert_close(flow.train_outputs, steps.train_outputs, rtol=0, atol=2e-3)  # first order in the step


def test_at_infinity_it_is_the_interpolation_of_least_distance():
    problem = Problem(4)
    run = problem.training("mse").run([math.inf])
    J = problem.J.reshape(N * C, P)
    w = torch.linalg.lstsq(J, (problem.y - problem.f0).reshape(-1, 1), driver="gelsd").solution[:, 0]
    torch.testing.assert_close(run.train_outputs[0], problem.y, rtol=0, atol=1e-12)
    torch.testing.assert_close(run.test_outputs[0], problem.outputs(w, problem.J_test, problem.f0_test))
    assert float(run.distance[0]) == pytest.approx(float(w.norm()))
    assert float(run.train_loss[0]) == 0


def test_a_kernel_without_full_rank_leaves_what_it_cannot_see():
    problem = Problem(5, rank=6)  # 14 outputs, 6 directions
    run = problem.training("mse").run([math.inf, 1e12])
    J = problem.J.reshape(N * C, P)
    w = torch.linalg.lstsq(J, (problem.y - problem.f0).reshape(-1, 1), driver="gelsd").solution[:, 0]
    for place in range(2):
        torch.testing.assert_close(run.train_outputs[place], problem.outputs(w, problem.J, problem.f0))
        torch.testing.assert_close(run.test_outputs[place], problem.outputs(w, problem.J_test, problem.f0_test))
    assert (run.rates == 0).sum() == N * C - 6


def test_a_kernel_for_all_outputs_is_the_one_that_couples_none():
    g = torch.Generator().manual_seed(0)
    A, B = torch.randn(N, 9, generator=g, dtype=F64), torch.randn(M, 9, generator=g, dtype=F64)
    y, eye = torch.randn(N, C, generator=g, dtype=F64), torch.eye(C, dtype=F64)
    for loss, targets in (("mse", y), ("cross_entropy", y.argmax(1))):
        one = LinearisedTraining(A @ A.T, targets, loss=loss, test=NewSamples(B @ A.T), f0=torch.zeros(N, C))
        full = LinearisedTraining(
            (A @ A.T)[:, :, None, None] * eye, targets, loss=loss, test=NewSamples((B @ A.T)[:, :, None, None] * eye)
        )
        a, b = one.run([3.0]), full.run([3.0])
        torch.testing.assert_close(a.test_outputs, b.test_outputs, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(a.coefficients, b.coefficients, rtol=1e-6, atol=1e-8)


def test_members_are_those_of_each_alone():
    problems = [Problem(seed) for seed in range(3)]
    stack = lambda name: torch.stack([getattr(p, name) for p in problems])  # noqa: E731
    y, labels = problems[0].y, problems[0].labels
    for loss, rule, targets in (
        ("mse", SGD(lr=0.03, momentum=0.5), y),
        ("mse", GradientFlow(), y),
        ("cross_entropy", GD(lr=0.1), labels),
        ("cross_entropy", GradientFlow(), labels),
    ):
        test = NewSamples(stack("cross"), stack("f0_test"))
        together = LinearisedTraining(stack("kernel"), targets, f0=stack("f0"), loss=loss, test=test).run([0, 9], rule)
        assert together.train_loss.shape == (3, 2)
        for i, p in enumerate(problems):
            alone = LinearisedTraining(
                p.kernel, targets, f0=p.f0, loss=loss, test=NewSamples(p.cross, p.f0_test)
            ).run([0, 9], rule)  # fmt: skip
            torch.testing.assert_close(together.train_outputs[i], alone.train_outputs)
            torch.testing.assert_close(together.test_outputs[i], alone.test_outputs)
            torch.testing.assert_close(together.distance[i], alone.distance)


@given(seed=st.integers(0, 10_000), t=st.floats(0, 100))
@settings(max_examples=25, deadline=None)
def test_the_flow_never_raises_the_loss_and_commutes_with_rotations_of_the_samples(seed, t):
    g = torch.Generator().manual_seed(seed)
    A, y = torch.randn(6, 8, generator=g, dtype=F64), torch.randn(6, 1, generator=g, dtype=F64)
    Q = torch.linalg.qr(torch.randn(6, 6, generator=g, dtype=F64))[0]
    run = LinearisedTraining(A @ A.T, y).run([t, 2 * t])
    turned = LinearisedTraining(Q @ A @ A.T @ Q.T, Q @ y).run([t])
    assert run.train_loss[1] <= run.train_loss[0] * (1 + 1e-9)
    torch.testing.assert_close(turned.train_outputs[0], Q @ run.train_outputs[0], rtol=0, atol=1e-9)


def test_a_step_beyond_the_limit_is_reported_not_hidden():
    training = Problem().training("mse")
    critical = training.critical_step()
    assert critical == pytest.approx(2 / float(training.rates.max()))
    below, above = (training.run([0, 400], GD(lr=share * critical)) for share in (0.99, 1.05))
    assert below.stable
    assert not above.stable
    assert below.train_loss[1] < below.train_loss[0]
    assert above.train_loss[1] > above.train_loss[0]
    assert "diverges" in above.plot().caption
    with pytest.raises(InvalidInput, match="stable below"):
        training.run([math.inf], GD(lr=1.05 * critical))
    assert training.critical_step(0.9) == pytest.approx(1.9 * critical)


# ---- refusals and figures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: LinearisedTraining(torch.diag(torch.tensor([1.0, -0.1])), torch.ones(2)), "not positive semidefinite"),
        (lambda: LinearisedTraining(torch.zeros(2, 2), torch.ones(2)), "not positive semidefinite"),
        (lambda: LinearisedTraining(torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.ones(2)), "not symmetric"),
        (lambda: LinearisedTraining(torch.ones(2, 3), torch.ones(2)), "square"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(3)), "training targets of shape"),
        (lambda: LinearisedTraining(torch.eye(2) / 0, torch.ones(2)), "NaN"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2) / 0), "finite"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2), f0=torch.ones(3)), "f0"),
        (lambda: LinearisedTraining(torch.eye(4).reshape(2, 2, 2, 2), torch.ones(2, 3)), "couples"),
        (lambda: LinearisedTraining(torch.ones(2), torch.ones(2)), "a kernel of shape"),
        (lambda: LinearisedTraining("rbf", torch.ones(2)), "a kernel of shape str"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2), scale=0.0), "scale"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2), test=NewSamples(torch.ones(2, 3))), "columns"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2), loss="cross_entropy"), "integer labels"),
        (
            lambda: LinearisedTraining(torch.eye(2), torch.tensor([0, 5]), loss="cross_entropy", f0=torch.zeros(2, 3)),
            "labels run to 5",
        ),
        (lambda: LinearisedTraining(torch.eye(2), torch.tensor([0, 1]), loss="cross_entropy").run([math.inf]), "limit"),
        (lambda: LinearisedTraining(torch.eye(2), torch.tensor([0, 1]), loss="cross_entropy").run([1], method="Euler"), "take one of"),  # noqa: E501
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2)).run([1.0]).parameters(), "no parameters"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2)).run([-1.0]), "negative"),
        (lambda: LinearisedTraining(torch.eye(2), torch.ones(2)).at_scale(-1.0), "scale"),
        (lambda: linearise(nn.ReLU()), "nothing to linearise"),
        (lambda: ScaledModel(nn.Linear(1, 1), -1.0), "scale"),
    ],
)  # fmt: skip
def test_refuses(call, word):
    with pytest.raises(InvalidInput, match=word):
        call()


def test_unknown_names_and_budgets():
    with pytest.raises(UnknownName, match="did you mean 'mse'"):
        LinearisedTraining(torch.eye(2), torch.ones(2), loss="mses")
    with pytest.raises(UnknownName):
        ScaledModel(nn.Linear(1, 1), 1.0).loss("hinge")
    training = Problem().training("cross_entropy")
    with pytest.raises(NotConverged, match="max_evaluations = 20"):
        training.run([100.0], max_evaluations=20)
    with pytest.raises(NotConverged, match="allow more"):
        training.run([100], GD(lr=0.1), max_evaluations=20)


def test_plots():
    run = Problem().training("mse").run(torch.logspace(-1, 3, 30))
    assert static.render(run.plot(), None).startswith("<svg")
    assert "no place" not in run.plot().caption
    from_start = Problem().training("mse").run([0.0, 1.0, 10.0, 1000.0, 1e5])
    assert "time 0 has no place on the logarithmic axis" in from_start.plot().caption
    members = LinearisedTraining(torch.stack([torch.eye(3), 2 * torch.eye(3)]), torch.ones(3)).run(
        [0, 1, 2], GD(lr=0.1)
    )
    assert static.render(members.plot(), None).startswith("<svg")
