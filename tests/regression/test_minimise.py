"""Minimisers against scipy and closed forms; what they count; what stops them."""

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg import check_gradient, check_jacobian
from lemmata.objective import Objective
from lemmata.regression import NonlinearLeastSquares, SmoothFunction, descent_figure, minimise
from lemmata.regression.minimise import METHODS

FAST = [method for method in METHODS if method != "steepest-descent"]


def residual(x):
    """Rosenbrock's, in p dimensions."""
    return math.sqrt(2) * torch.cat([1 - x[:-1], 10 * (x[1:] - x[:-1] ** 2)])


def rosenbrock(x):
    return residual(x).square().sum() / 2


START = torch.tensor([-1.2, 1.0] * 3, dtype=torch.float64)


@pytest.mark.parametrize("method", FAST)
def test_rosenbrock(method):
    f = NonlinearLeastSquares(residual) if method == "gauss-newton" else rosenbrock
    found = minimise(f, START, method=method, tolerance=1e-9)
    # the Hessian at the minimum is at least 0.4 I there: |x - 1| <= 1e-9 / 0.4
    assert torch.allclose(found.x, torch.ones(6).double(), atol=1e-8)
    assert found.gradient_norm == pytest.approx(float(torch.func.grad(rosenbrock)(found.x).norm()), abs=1e-15)
    assert scipy.optimize.rosen(found.x.numpy()) == pytest.approx(found.value, abs=1e-15)
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, START.numpy(), jac=scipy.optimize.rosen_der, method="BFGS", options={"gtol": 1e-9}
    )
    assert found.cost < 20 * theirs.njev


@pytest.mark.parametrize("method", METHODS)
def test_a_convex_problem_as_scipy_solves_it(method):
    draw = torch.Generator().manual_seed(0)
    Y = torch.randn(60, 5, generator=draw, dtype=torch.float64)

    def f(w):
        return torch.nn.functional.softplus(-(Y @ w)).mean() + 0.01 * w @ w

    class WithProducts:
        value_and_gradient = staticmethod(lambda w: torch.func.grad_and_value(f)(w)[::-1])
        hvp = ggn_vp = staticmethod(lambda v, w: torch.func.hessian(f)(w) @ v)

    start = torch.zeros(5, dtype=torch.float64)
    found = minimise(WithProducts(), start, method=method, tolerance=1e-9)
    theirs = scipy.optimize.minimize(lambda w: float(f(torch.from_numpy(w))), np.zeros(5), tol=1e-12)
    np.testing.assert_allclose(found.x, theirs.x, atol=1e-5)  # theirs by finite differences
    assert found.value <= theirs.fun + 1e-14
    assert minimise(f, start, method=method if method != "gauss-newton" else "lbfgs").value == pytest.approx(
        found.value
    )


def test_newton_solves_a_quadratic_in_one_step_and_conjugate_gradients_in_p(quadratic):
    f, H, b = quadratic()
    x = torch.linalg.solve(H, b)
    once = minimise(f, torch.zeros(20).double(), method="newton-cg", forcing=1e-12, tolerance=1e-8)
    assert once.iterations == 1
    assert torch.allclose(once.x, x, atol=1e-9)
    few, H, b = quadratic(p=6)
    found = minimise(few, torch.zeros(6).double(), method="nonlinear-cg", curvature=1e-3, tolerance=1e-6)
    assert found.iterations <= 2 * 6


@settings(max_examples=20, deadline=None)
@given(p=st.integers(1, 12), seed=st.integers(0, 100), method=st.sampled_from(list(METHODS)))
def test_every_quadratic_is_solved(quadratic, p, seed, method):
    f, H, b = quadratic(p, 10.0, seed)
    g = SmoothFunction(f._value_and_gradient, hessian=f._hessian, gauss_newton=f._hessian)
    found = minimise(g, torch.zeros(p, dtype=torch.float64), method=method, tolerance=1e-8)
    assert torch.allclose(found.x, torch.linalg.solve(H, b), atol=2e-8)


@pytest.mark.parametrize("method", METHODS)
def test_an_objective_on_its_parameters(method):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(30, 3, generator=draw, dtype=torch.float64)
    y = (x[:, 0] + 0.5 * torch.randn(30, generator=draw, dtype=torch.float64) > 0).long()
    objective = Objective(nets.mlp(3, [4], 2, seed=0, dtype=torch.float64, activation="tanh"), data=(x, y), chunk=20)
    before = objective.parameters
    try:
        found = minimise(objective, method=method, tolerance=1e-3, iterations=10, budget=300)
    except NotConverged as stopped:
        found = stopped.best
    assert found.x.keys() == before.keys()
    assert found.value < float(objective.value())
    assert found.value == pytest.approx(float(objective.value(found.x)))
    assert found.gradient_norm == pytest.approx(float(objective.vector(objective.gradient(found.x)).norm()), rel=1e-6)
    assert all(torch.equal(before[name], objective.parameters[name]) for name in before)
    flat = minimise(objective, objective.vector(before), method=method, tolerance=0.5)
    assert flat.x.shape == (objective.size,)


def test_products_of_nonlinear_least_squares_are_derivatives():
    f = NonlinearLeastSquares(residual)
    assert check_gradient(lambda x: f.value_and_gradient(x)[0], lambda x: f.value_and_gradient(x)[1], START).holds
    assert check_jacobian(lambda x: f.value_and_gradient(x)[1], lambda x, v: f.hvp(v, x), START).holds
    J = torch.func.jacrev(residual)(START)
    assert torch.allclose(f.ggn_vp(START, START), J.T @ (J @ START))


def test_counts(quadratic):
    calls = []
    _, H, b = quadratic(4)

    def value_and_gradient(x):
        calls.append(x)
        return x @ H @ x / 2 - b @ x, H @ x - b

    f = SmoothFunction(value_and_gradient, hessian=lambda x: lambda v: H @ v)
    found = minimise(f, torch.zeros(4).double())
    assert found.evaluations == len(calls)
    assert found.cost == found.evaluations + 2 * found.products
    history = found.history
    assert len(history) == found.iterations + 1
    assert history.costs[-1] == found.cost
    assert history.values[-1] == found.value
    assert (np.diff(history.values) < 1e-12).all()
    assert history.gradient_norms[-1] == found.gradient_norm <= found.tolerance


def test_what_stops_it():
    with pytest.raises(NotConverged, match="minimisation by lbfgs did not converge") as stopped:
        minimise(rosenbrock, START, method="lbfgs", iterations=5)
    best = stopped.value.best
    assert not best.converged
    assert best.gradient_norm == min(best.history.gradient_norms) == stopped.value.residual
    with pytest.raises(NotConverged) as stopped:
        minimise(rosenbrock, START, method="lbfgs", budget=10)
    assert stopped.value.best.cost <= 10 + 31
    seen = []
    early = minimise(rosenbrock, START, callback=lambda point: seen.append(point.value) or point.value < 1)
    assert early.stopped == "stopped by the callback"
    assert early.value == seen[-1] < 1 <= min(seen[:-1])
    with pytest.raises(NotConverged, match="check the gradient"):
        minimise(SmoothFunction(lambda x: (x @ x, -2 * x)), torch.ones(3), method="steepest-descent")


def test_what_cannot_be_minimised_is_named():
    with pytest.raises(UnknownName, match="did you mean 'newton-cg'"):
        minimise(rosenbrock, START, method="newton")
    with pytest.raises(InvalidInput, match="the start is a NoneType"):
        minimise(rosenbrock)
    with pytest.raises(InvalidInput, match="give finite floats"):
        minimise(rosenbrock, START * math.nan)
    with pytest.raises(InvalidInput, match="give finite floats"):
        minimise(rosenbrock, torch.zeros(0))
    with pytest.raises(InvalidInput, match="f is nan at the start"):
        minimise(lambda x: x.log().sum(), -START.abs())
    with pytest.raises(InvalidInput, match="must all be positive"):
        minimise(rosenbrock, START, tolerance=0.0)
    with pytest.raises(InvalidInput, match="cannot minimise a int"):
        minimise(3, START)
    with pytest.raises(InvalidInput, match="needs products with the Hessian"):
        minimise(SmoothFunction(lambda x: (x @ x, 2 * x)), START)
    with pytest.raises(InvalidInput, match="needs products with the Gauss-Newton matrix"):
        minimise(rosenbrock, START, method="gauss-newton")
    with pytest.raises(InvalidInput, match="line_search 'exact'"):
        minimise(rosenbrock, START, line_search="exact")


def test_a_start_of_any_shape_keeps_it():
    found = minimise(lambda X: (X - 2).square().sum(), torch.zeros(2, 3, requires_grad=True))
    assert found.x.tolist() == [[2.0] * 3] * 2
    assert not found.x.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_in_float32_to_what_it_can(quadratic, method):
    _, H, b = quadratic()
    H, b = H.float(), b.float()
    g = SmoothFunction(
        lambda x: (x @ H @ x / 2 - b @ x, H @ x - b),
        hessian=lambda _: H.__matmul__,
        gauss_newton=lambda _: H.__matmul__,
    )
    found = minimise(g, torch.zeros(20), method=method, tolerance=1e-4)
    assert found.x.dtype == torch.float32
    assert (H @ found.x - b).norm() <= 2e-4


def test_under_no_grad():
    with torch.no_grad():
        assert minimise(rosenbrock, START).converged


def test_draws_itself_alone_and_with_others():
    runs = {method: minimise(rosenbrock, START, method=method) for method in ("newton-cg", "lbfgs")}
    figure = runs["lbfgs"].plot(minimum=0.0)
    assert [panel.y.label for panel in figure.panels] == ["f - least value", "gradient norm"]
    both = descent_figure({name: run.history for name, run in runs.items()}, floor=0.0)
    assert [series.label for series in both.panels[0].series] == ["newton-cg", "lbfgs"]


@pytest.mark.gpu
@pytest.mark.parametrize("method", FAST)
def test_on_a_gpu(method):
    found = minimise(NonlinearLeastSquares(residual), START.cuda(), method=method, tolerance=1e-8)
    assert found.x.device.type == "cuda"
    assert torch.allclose(found.x.cpu(), torch.ones(6).double(), atol=1e-6)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: (x.detach() ** 2).sum(), "does not depend on x"),
        (lambda x: torch.tensor(1.0), "does not depend on x"),
        (lambda x: x**2, r"shape \(6,\)"),
        (lambda x: 1.0, "gives a float"),
    ],
)
def test_functions_that_cannot_be_differentiated(function, message):
    with pytest.raises(InvalidInput, match=message):
        minimise(function, START)


def test_a_gradient_of_zero_is_no_independence():
    assert minimise(lambda x: x.square().sum(), 0 * START).converged
