"""Runs against exact moments, against torch.optim and against theory; statistical tests with stated failure odds."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective
from lemmata.regression.stochastic import (
    StepSizes,
    StochasticProblem,
    exact_moments,
    finite_sum,
    limit_covariance,
    linear_regression,
    network,
    noisy_quadratic,
    stochastic_approximation,
)

H = torch.tensor([[1.0, 0.3], [0.3, 0.5]], dtype=torch.float64)
START = torch.tensor([2.0, -1.0])
QUADRATIC = noisy_quadratic(H, torch.tensor([[1.0, -0.4], [-0.4, 0.6]]), torch.tensor([1.0, 1.0]))
STREAM = linear_regression(H, torch.tensor([1.0, 1.0]), noise=0.8)


@pytest.mark.parametrize("problem", [QUADRATIC, STREAM], ids=["quadratic", "stream"])
@pytest.mark.parametrize("batch", [1, 3])
def test_runs_have_the_exact_moments(problem, batch):
    """A mean of 2,000 runs lies within 6 standard errors: each comparison fails with odds below 1e-8 if normal.

    Squares are skewed; with 2,000 runs the odds stay below 1e-6 each, 1e-4 for all of this test.
    """
    steps, marks = StepSizes(2.0, 4, 0.9), [1, 10, 100]
    run = stochastic_approximation(
        problem, START, step=steps, iterations=100, batch=batch, repeats=2000, marks=marks, seed=1
    )
    exact = exact_moments(problem, START, steps, marks=marks, batch=batch)
    for name in ("distance", "gap", "averaged_distance", "averaged_gap"):
        measured, truth = getattr(run, name).numpy(), getattr(exact, name)
        error = measured.std(0, ddof=1) / np.sqrt(2000)
        assert (np.abs(measured.mean(0) - truth) < 6 * error).all(), name
        np.testing.assert_allclose(getattr(run.moments, name), truth)
    off = (run.theta.mean(0) - exact.mean[-1]).abs() / (run.theta.std(0) / 2000**0.5)
    assert float(off.max()) < 6


def test_averages_have_the_covariance_of_polyak_and_juditsky():
    """That is, k Cov of the average over H^-1 S H^-1, for steps that know nothing of mu.

    Entries of a sample covariance of 3,000 normal vectors are known to 2.6 % (one standard error); 6 of them, and 5 %
    for the bias at n = 3,000 (exact moments: 3 %), leave odds below 1e-8.
    """
    n = 3000
    run = stochastic_approximation(QUADRATIC, START, step=StepSizes(1.5, 1, 0.6), iterations=n, repeats=3000, marks=[n])
    found = n * torch.cov(run.averaged.T)
    truth = limit_covariance(QUADRATIC)
    scale = truth.diagonal().sqrt()
    off = (found - truth) / (scale[:, None] * scale)
    assert float(off.abs().max()) < 6 * 0.026 + 0.05


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adagrad", "adam"])
def test_rules_are_those_of_torch_run_one_by_one(name):
    """Three repeats together, and each alone with its own optimiser on the same draws: equal to rounding."""
    optimisers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
        "adam": lambda p: torch.optim.Adam(p, lr=0.05),
    }
    seeds = [3, 5, 8]
    run = stochastic_approximation(STREAM, START, step=0.05, iterations=30, batch=2, method=name, seed=seeds)
    own = stochastic_approximation(
        STREAM, START, step=0.05, iterations=30, batch=2, method=optimisers[name], seed=seeds
    )
    torch.testing.assert_close(run.theta, own.theta)
    for i, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        theta = nn.Parameter(START.double().clone())
        optimiser, total = optimisers[name]([theta]), torch.zeros(2).double()
        x, y = STREAM.draw(60, generator)
        for k in range(30):
            rows = slice(2 * k, 2 * k + 2)
            theta.grad = ((x[rows] @ theta - y[rows])[:, None] * x[rows]).mean(0).detach()
            optimiser.step()
            total += theta.detach()
        torch.testing.assert_close(run.theta[i], theta.detach())
        torch.testing.assert_close(run.averaged[i], total / 30)


def test_a_run_does_not_depend_on_its_company_or_on_how_far_ahead_is_drawn():
    together = stochastic_approximation(STREAM, START, step=0.1, iterations=50, seed=[1, 2, 3])
    alone = stochastic_approximation(STREAM, START, step=0.1, iterations=50, seed=[2])
    torch.testing.assert_close(together.theta[1], alone.theta[0], rtol=1e-12, atol=0)
    again = stochastic_approximation(STREAM, START, step=0.1, iterations=50, seed=[1, 2, 3])
    assert torch.equal(again.theta, together.theta)
    assert len({float(v) for v in together.theta[:, 0]}) == 3


def test_step_sizes_may_differ_from_repeat_to_repeat():
    c = torch.tensor([0.5, 2.0])
    both = stochastic_approximation(QUADRATIC, START, step=StepSizes(c, 5), iterations=40, seed=[7, 7])
    for i in range(2):
        one = stochastic_approximation(QUADRATIC, START, step=StepSizes(float(c[i]), 5), iterations=40, seed=[7])
        torch.testing.assert_close(both.theta[i], one.theta[0])
    assert both.bound is None


def test_averages_may_begin_late():
    late = stochastic_approximation(QUADRATIC, START, step=0.1, iterations=20, average_from=19, seed=[4])
    torch.testing.assert_close(late.averaged, late.theta)


@pytest.mark.parametrize("loss", ["mse", "logistic", "cross_entropy"])
def test_gradients_and_constants_of_finite_sums_are_what_they_say(loss):
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(40, 3, generator=draw, dtype=torch.float64)
    labels = torch.randint(0, 2 if loss == "logistic" else 4, (40,), generator=draw)
    y = torch.randn(40, generator=draw, dtype=torch.float64) if loss == "mse" else labels
    problem = finite_sum(x, y, loss=loss, ridge=0.2, intercept=True)
    theta = torch.randn(5, problem.size, generator=draw, dtype=torch.float64)
    rows = torch.randint(0, 40, (5, 6), generator=draw)
    by_autograd = torch.func.vmap(torch.func.grad(lambda t, r: problem.loss(t[None], (r[None],))[0]))(theta, rows)
    torch.testing.assert_close(problem.gradient(theta, (rows,)), by_autograd)
    everything = torch.arange(40).expand(5, 40)
    torch.testing.assert_close(problem.loss(theta, (everything,)), problem.expected(theta))
    # at the minimiser: the gradient vanishes, the Hessian is that of autograd, the noise the mean square of gradients
    star = problem.minimiser
    hessian = torch.func.hessian(problem.expected)(star)
    torch.testing.assert_close(problem.hessian, hessian)
    each = torch.cat([problem.gradient(star[None], (torch.tensor([[i]]),)) for i in range(40)])
    assert float(each.mean(0).norm()) < 1e-8
    assert problem.noise == pytest.approx(float(each.square().sum(1).mean()), rel=1e-6)
    torch.testing.assert_close(problem.covariance, each.T @ each / 40)
    # mu <= H <= L here, and L_each bounds the Hessian of every sample, anywhere
    values = torch.linalg.eigvalsh(hessian)
    assert problem.mu <= float(values[0]) * (1 + 1e-9)
    assert float(values[-1]) <= problem.L * (1 + 1e-9)
    for i in range(40):
        one = torch.func.hessian(lambda t, i=i: problem.loss(t[None], (torch.tensor([[i]]),))[0])(theta[0])
        assert float(torch.linalg.eigvalsh(one)[-1]) <= problem.L_each * (1 + 1e-9)


@pytest.mark.parametrize("loss", ["mse", "logistic"])
def test_proven_bound_is_held_by_runs_on_data(loss):
    """A mean over 300 runs less 6 standard errors stays below the bound: odds below 1e-6 for each of 20 marks."""
    draw = torch.Generator().manual_seed(4)
    x = torch.randn(100, 3, generator=draw, dtype=torch.float64)
    z = x @ torch.tensor([1.0, -2.0, 0.5]).double() + torch.randn(100, generator=draw)
    problem = finite_sum(x, z if loss == "mse" else (z > 0).long(), loss=loss, ridge=0.1)
    c = 1.5 / problem.mu
    marks = np.unique(np.geomspace(1, 1500, 20).astype(int)).tolist()
    run = stochastic_approximation(
        problem, torch.zeros(3), step=StepSizes(c, c * problem.L_each), iterations=1500, repeats=300, marks=marks
    )
    values = run.distance.numpy()
    assert (values.mean(0) - 6 * values.std(0) / 300**0.5 <= run.bound).all()
    assert run.bound[-1] < run.bound[0] / 20
    assert "proven bound, iterate" in {series.label for series in run.plot().panels[0].series}


def test_a_network_is_trained_by_samples():
    x = torch.linspace(-2, 2, 60, dtype=torch.float64)[:, None]
    model = nets.mlp(1, [10], 1, activation="tanh", seed=0).double()
    objective = Objective(model, loss="mse", data=[(x[:20], x[:20].sin()), (x[20:], x[20:].sin())])
    problem = network(objective)
    theta = objective.vector(objective.parameters)
    rows = torch.tensor([[0, 30, 59], [1, 1, 2]])
    gradients = problem.gradient(theta.expand(2, -1), (rows,))
    for i in range(2):
        part = Objective(model, loss="mse", data=(x[rows[i]], x[rows[i]].sin()))
        torch.testing.assert_close(gradients[i], part.vector(part.gradient()))
    assert float(problem.expected(theta)) == pytest.approx(float(objective.value()))
    run = stochastic_approximation(problem, theta, step=0.02, iterations=300, batch=10, method="adam", repeats=3)
    assert run.distance is None
    assert float(run.gap[:, -1].max()) < 0.2 * float(objective.value())
    assert run.final().cost == 3000
    with pytest.raises(InvalidInput, match="not measured"):
        run.final("distance")
    with pytest.raises(InvalidInput, match="mode='eval'"):
        network(Objective(model, loss="mse", data=(x, x), mode="train"))


def test_a_run_that_overflows_has_infinite_distance():
    run = stochastic_approximation(STREAM, START, step=1e3, iterations=300, repeats=2)
    assert bool(run.distance[:, -1].isinf().all())
    assert not run.final().converged
    assert stochastic_approximation(STREAM, START, step=1e-3, iterations=3, repeats=2).final().converged


def test_figure_draws_measurement_and_theory():
    figure = stochastic_approximation(QUADRATIC, START, step=StepSizes(3.0, 3), iterations=100).plot()
    assert [panel.y.label for panel in figure.panels] == ["squared distance to the minimiser", "f - f*"]
    assert {series.role for series in figure.panels[0].series} == {"measured", "theory"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations = 0"),
        ({"iterations": 10.5}, "iterations = 10.5; it must be an integer"),
        ({"repeats": 2.5}, "repeats = 2.5; it must be an integer"),
        ({"marks": 3}, "give a list of steps"),
        ({"marks": []}, "at least one is wanted"),
        ({"marks": [1.5]}, "integers"),
        ({"start": [0.0, 1.0]}, "start is a list; give a torch tensor"),
        ({"step": [0.1, 0.2]}, "c a list; give a number"),
        ({"batch": 0}, "batch = 0"),
        ({"repeats": 0}, "repeats = 0"),
        ({"seed": []}, "no seeds"),
        ({"average_from": 1.5}, "average_from = 1.5; it must be an integer"),
        ({"average_from": 10}, "average_from = 10"),
        ({"marks": [11]}, "between 0 and 10"),
        ({"start": torch.zeros(3)}, "expected \\(2,\\) or \\(20, 2\\)"),
        ({"start": torch.full((2,), torch.nan)}, "finite"),
        ({"step": -0.1}, "finite numbers above 0"),
        ({"step": StepSizes(torch.ones(3))}, "another number of repeats"),
        ({"step": StepSizes(torch.ones(20)), "method": "adam"}, "one step size for all"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        stochastic_approximation(QUADRATIC, **{"step": 0.1, "iterations": 10, **options})


def test_unknown_rules_and_losses_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'adam'"):
        stochastic_approximation(QUADRATIC, step=0.1, iterations=10, method="adamm")
    with pytest.raises(UnknownName, match="unknown loss"):
        finite_sum(torch.ones(2, 1), torch.ones(2), loss="hinge")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 2)), torch.ones(3)), "x is a ndarray; give a torch tensor"),
        ((torch.ones(0, 2), torch.ones(0)), "expected \\(n, d\\)"),
        ((torch.ones(3, 2), torch.ones(2)), "expected \\(n, d\\)"),
        ((torch.ones(3, 2) * torch.nan, torch.ones(3)), "NaN or infinity"),
        ((torch.ones(3, 2), torch.ones(3), "logistic"), "integer labels from 0 to 1"),
        ((torch.ones(3, 2), torch.tensor([0, 1, 2]), "logistic"), "integer labels from 0 to 1"),
        ((torch.ones(3, 2), torch.tensor([0, -1, 2]), "cross_entropy"), "integer labels from 0;"),
        ((torch.ones(3, 2), torch.ones(3), "mse", -1.0), "ridge = -1.0"),
    ],
)
def test_bad_data_are_refused(arguments, message):
    names = ("x", "y", "loss", "ridge")
    with pytest.raises(InvalidInput, match=message):
        finite_sum(**dict(zip(names, arguments, strict=False)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: noisy_quadratic(torch.tensor([1.0, 0.0])), "must be positive definite"),
        (lambda: noisy_quadratic(torch.tensor([[1.0, 2.0], [0.0, 1.0]])), "symmetric"),
        (lambda: noisy_quadratic(torch.ones(2), torch.tensor([1.0, -1.0])), "positive semidefinite"),
        (lambda: noisy_quadratic(torch.ones(2), torch.ones(3)), "S of shape \\(3,\\) beside H 2 x 2"),
        (lambda: noisy_quadratic([1.0, 2.0]), "H is a list"),
        (lambda: noisy_quadratic(torch.ones(2), 1.0, torch.ones(3)), "expected \\(2,\\)"),
        (lambda: linear_regression(torch.ones(2), torch.ones(2), noise=-1.0), "not a standard deviation"),
    ],
)
def test_impossible_problems_are_refused(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()


@pytest.mark.gpu
def test_on_a_gpu_the_same():
    there = noisy_quadratic(H.cuda(), 1.0)
    run = stochastic_approximation(there, START.cuda(), step=0.1, iterations=20, seed=[1])
    here = stochastic_approximation(noisy_quadratic(H, 1.0), START, step=0.1, iterations=20, seed=[1])
    torch.testing.assert_close(run.theta.cpu(), here.theta)


def test_a_seed_may_serve_several_repeats():
    many = stochastic_approximation(STREAM, START, step=0.1, iterations=40, batch=2, seed=[1, 2], each=3)
    first = stochastic_approximation(STREAM, START, step=0.1, iterations=40, batch=2, seed=[1], each=3)
    torch.testing.assert_close(many.theta[:3], first.theta, rtol=1e-12, atol=0)
    assert many.theta.shape == (6, 2)
    assert len({float(v) for v in many.theta[:, 0]}) == 6


def test_repeats_of_one_seed_share_their_draws():
    c = torch.tensor([0.5, 1.0, 2.0]).double().repeat_interleave(2)
    run = stochastic_approximation(STREAM, START, step=StepSizes(c, 9), iterations=30, seed=[4, 7, 4], each=2)
    for i, (seed, rate) in enumerate(((4, 0.5), (7, 1.0), (4, 2.0))):
        alone = stochastic_approximation(STREAM, START, step=StepSizes(rate, 9), iterations=30, seed=[seed], each=2)
        torch.testing.assert_close(run.theta[2 * i : 2 * i + 2], alone.theta, rtol=1e-12, atol=0)


def _problems() -> Iterator[tuple[str, StochasticProblem]]:
    draw = torch.Generator().manual_seed(4)
    x = torch.randn(40, 3, generator=draw, dtype=torch.float64)
    three = torch.randint(3, (40,), generator=draw)
    yield "quadratic", noisy_quadratic(x[:20].mT @ x[:20] / 20, 0.5, torch.ones(3).double())
    yield "stream", linear_regression(torch.tensor([1.0, 2.0, 0.5]).double(), torch.ones(3).double())
    yield "mse", finite_sum(x, x @ torch.ones(3).double() + 1, ridge=0.1, intercept=True)
    yield "logistic", finite_sum(x, (three > 0).long(), loss="logistic", ridge=0.1)
    yield "cross-entropy", finite_sum(x, three, loss="cross_entropy", ridge=0.1, intercept=True)
    yield "sparse", finite_sum(x * (x > 1), three, loss="cross_entropy", ridge=0.1)


@pytest.mark.parametrize(("name", "problem"), list(_problems()), ids=lambda part: part if isinstance(part, str) else "")
@pytest.mark.parametrize("batch", [1, 3])
def test_compiled_steps_are_those_of_the_gradient(name, problem, batch):
    """Two seeds, the first with two rules and shared draws; averages from step 7; only the order of sums differs."""
    c, power = torch.tensor([[0.1, 0.1, 0.1, 0.1, 0.3, 0.3], [0, 1, 1, 0, 1, 1]], dtype=torch.float64)
    steps = StepSizes(c, k0=2.0, power=power)
    runs = [
        stochastic_approximation(
            one, step=steps, iterations=50, batch=batch, seed=[3, 5, 3], each=2, average_from=7, marks=[0, 5, 7, 20],
            theory=False, memory=2**14,
        )
        for one in (problem, replace(problem, plain_steps=None))
    ]  # fmt: skip
    for part in ("theta", "averaged", "gap", "averaged_gap", "distance"):
        torch.testing.assert_close(getattr(runs[0], part), getattr(runs[1], part), rtol=1e-11, atol=1e-13)
    assert (runs[0].theta[0] - runs[0].theta[4]).abs().max() > 1e-6
    assert runs[0].theta.unique(dim=0).shape == runs[0].theta.shape, name
