"""Minimisers against scipy, closed forms and each other; their invariances; what stops them."""

import contextlib
import itertools
import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import nets
from lemmata.conformance import MinimiserConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg import check_gradient, check_jacobian
from lemmata.objective import Objective
from lemmata.regression import NonlinearLeastSquares, SmoothFunction, descent_figure, minimise
from lemmata.regression.gauss_newton import gauss_newton
from lemmata.regression.lbfgs import lbfgs, two_loops
from lemmata.regression.minimise import METHODS
from lemmata.regression.minimum import Point
from lemmata.regression.newton_cg import eisenstat_walker, truncated_cg
from lemmata.regression.nonlinear_cg import nonlinear_cg

FAST = [method for method in METHODS if method != "steepest-descent"]


def residual(x):
    """Rosenbrock's, in p dimensions."""
    return math.sqrt(2) * torch.cat([1 - x[:-1], 10 * (x[1:] - x[:-1] ** 2)])


def rosenbrock(x):
    return residual(x).square().sum() / 2


START = torch.tensor([-1.2, 1.0] * 3, dtype=torch.float64)


def quadratic(p=20, condition=50.0, seed=0):
    draw = torch.Generator().manual_seed(seed)
    Q = torch.linalg.qr(torch.randn(p, p, generator=draw, dtype=torch.float64))[0]
    H = Q * torch.logspace(0, math.log10(condition), p, dtype=torch.float64) @ Q.T
    b = torch.randn(p, generator=draw, dtype=torch.float64)
    return SmoothFunction(lambda x: (x @ H @ x / 2 - b @ x, H @ x - b), hessian=lambda x: lambda v: H @ v), H, b


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


def test_newton_solves_a_quadratic_in_one_step_and_conjugate_gradients_in_p():
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
def test_every_quadratic_is_solved(p, seed, method):
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


def test_negative_curvature_is_left():
    # a saddle at 0: from beside it, the Hessian diag(2, -2) is indefinite; the minima are at x_2 = +-1
    def saddle(x):
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 2

    found = minimise(saddle, torch.tensor([1.0, 1e-3], dtype=torch.float64))
    assert found.x.abs() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert truncated_cg(lambda v: -v, torch.ones(2), eta=0.1, products=9).tolist() == [-1, -1]


def test_levenberg_marquardt_dense_and_by_products():
    t = torch.linspace(0, 1, 40, dtype=torch.float64)
    y = 2 * torch.exp(-3 * t) + 0.5

    def misfit(x):
        return x[0] * torch.exp(-x[1] * t) + x[2] - y

    start = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    for dense in (True, False):
        f = NonlinearLeastSquares(misfit, dense=dense)
        found = minimise(f, start, method="gauss-newton", tolerance=1e-10, forcing=1e-4)
        np.testing.assert_allclose(found.x, [2.0, 3.0, 0.5], atol=1e-7)
    theirs = scipy.optimize.least_squares(lambda x: misfit(torch.from_numpy(x)).numpy(), start.numpy(), method="lm")
    np.testing.assert_allclose(found.x, theirs.x, atol=1e-6)
    r, J = f.residual_and_jacobian(start)
    few = NonlinearLeastSquares(lambda x: misfit(x)[:2]).residual_and_jacobian(start)[1]
    assert torch.allclose(J, torch.func.jacrev(misfit)(start))
    assert torch.allclose(few, J[:2])
    assert torch.allclose(r, misfit(start))


@pytest.mark.parametrize("dense", [True, False])
def test_a_damped_step_solves_the_damped_equations(dense):
    draw = torch.Generator().manual_seed(0)
    J = torch.randn(9, 4, generator=draw, dtype=torch.float64)
    d = torch.randn(9, generator=draw, dtype=torch.float64)
    x = torch.zeros(4, dtype=torch.float64)
    f = SmoothFunction.of(NonlinearLeastSquares(lambda x: J @ x - d, dense=dense))
    point = Point(x, *f(x))
    size = float(J.square().sum(0).max()) if dense else float((J.T @ J @ point.gradient).norm() / point.gradient.norm())
    damping = 0.3
    step = next(gauss_newton(f, point, damping=damping, forcing=1e-14)).x
    wanted = torch.linalg.solve(J.T @ J + damping * size * torch.eye(4).double(), J.T @ d)
    assert torch.allclose(step, wanted, atol=1e-10)


def test_products_of_nonlinear_least_squares_are_derivatives():
    f = NonlinearLeastSquares(residual)
    assert check_gradient(lambda x: f.value_and_gradient(x)[0], lambda x: f.value_and_gradient(x)[1], START).holds
    assert check_jacobian(lambda x: f.value_and_gradient(x)[1], lambda x, v: f.hvp(v, x), START).holds
    J = torch.func.jacrev(residual)(START)
    assert torch.allclose(f.ggn_vp(START, START), J.T @ (J @ START))


def test_the_two_loops_are_the_bfgs_matrix():
    """Against the dense update of the inverse Hessian (Nocedal and Wright, 2006, equation 6.17)."""
    draw = torch.Generator().manual_seed(0)
    _, H, _ = quadratic(6)
    pairs = []
    for _ in range(3):
        s = torch.randn(6, generator=draw, dtype=torch.float64)
        pairs.append((s, H @ s, 1 / float(s @ H @ s)))
    s, y, rho = pairs[-1]
    M = torch.eye(6, dtype=torch.float64) / (rho * (y @ y))
    for s, y, rho in pairs:
        V = torch.eye(6, dtype=torch.float64) - rho * torch.outer(y, s)
        M = V.T @ M @ V + rho * torch.outer(s, s)
    g = torch.randn(6, generator=draw, dtype=torch.float64)
    assert torch.allclose(two_loops(g, pairs), M @ g, rtol=1e-12)


def test_lbfgs_keeps_as_many_pairs_as_it_is_told():
    f, _, _ = quadratic(30, 1e3)
    x = torch.zeros(30).double()
    steps = [minimise(f, x, method="lbfgs", memory=memory, tolerance=1e-6).iterations for memory in (1, 5, 40)]
    assert steps[0] > steps[1] > steps[2]
    with pytest.raises(InvalidInput, match="memory = 0"):
        next(lbfgs(f, Point(x, *f(x)), memory=0))


def test_polak_and_ribiere_is_zero_where_the_gradient_does_not_turn():
    """On a function whose gradient only grows shorter along the line, beta = max(0, negative) = 0: steepest descent."""
    f = SmoothFunction(lambda x: (x @ x, 2 * x))
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    found = next(nonlinear_cg(f, Point(x, *f(x)), curvature=0.9))
    assert torch.allclose(found.x / x, (found.x / x)[0].expand(2))


def test_forcing_terms_of_eisenstat_and_walker():
    assert eisenstat_walker(0.5, 1.0, 0.1) == pytest.approx(0.9 * 0.25)  # safeguarded: 0.9 * 0.5^2 > 0.1
    assert eisenstat_walker(0.1, 1.0, 0.1) == pytest.approx(0.9 * 0.01)
    assert eisenstat_walker(0.1, 1.0, 10.0) == 0.5


def test_counts():
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
def test_in_float32_to_what_it_can(method):
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
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", FAST)
def test_on_a_gpu(method):
    found = minimise(NonlinearLeastSquares(residual), START.cuda(), method=method, tolerance=1e-8)
    assert found.x.device.type == "cuda"
    assert torch.allclose(found.x.cpu(), torch.ones(6).double(), atol=1e-6)


class _Ours(MinimiserConformance):
    method = ""
    options: dict = {}  # noqa: RUF012
    invariances = ("rotation",)

    def run(self, function, start, steps):
        iterates = []
        with contextlib.suppress(NotConverged):
            minimise(
                function, start, method=self.method, tolerance=1e-12, iterations=steps,
                callback=lambda point: iterates.append(point.x), **self.options,
            )  # fmt: skip
        return iterates


class TestNewton(_Ours):
    method = "newton-cg"
    options = {"forcing": 1e-10}  # noqa: RUF012
    invariances = ("scale of f", "rotation", "affine map")


class TestGaussNewton(_Ours):
    method = "gauss-newton"
    invariances = ("scale of f", "rotation")


class TestLBFGS(_Ours):
    method = "lbfgs"


class TestNonlinearCG(_Ours):
    method = "nonlinear-cg"


class TestSteepestDescent(_Ours):
    method = "steepest-descent"


def adagrad(function, start, steps, *, rate=0.5, slip=False):
    """AdaGrad (Duchi, Hazan and Singer, 2011), and a slide's version, which sums x^2 and leaves out the root."""
    if not bool(start.isfinite().all()):
        raise InvalidInput("the start is not finite")
    x, total, iterates = start.clone(), torch.zeros_like(start), []
    for _ in range(steps):
        g = function.value_and_gradient(x)[1]
        total = total + (x**2 if slip else g**2)
        x = x - rate * g / (total if slip else total.sqrt())
        iterates.append(x)
    return iterates


class TestAdaGrad(MinimiserConformance):
    invariances = ("scale of f",)

    def run(self, function, start, steps):
        return adagrad(function, start, steps)


def test_the_slip_in_adagrad_breaks_its_invariance():
    class Slide(TestAdaGrad):
        def run(self, function, start, steps):
            return adagrad(function, start, steps, slip=True)

    with pytest.raises(AssertionError, match="1000 f moves them: at step 1"):
        Slide().test_scale_of_f()
    TestAdaGrad().test_scale_of_f()


def test_adagrad_is_not_invariant_to_rotations():
    class Claims(TestAdaGrad):
        invariances = ("rotation",)

    with pytest.raises(AssertionError, match="changes the iterates"):
        Claims().test_rotation()


def test_iterates_come_one_by_one():
    f, _, _ = quadratic()
    x = torch.zeros(20).double()
    values = [point.value for point in itertools.islice(lbfgs(f, Point(x, *f(x))), 5)]
    assert values == sorted(values, reverse=True)


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
