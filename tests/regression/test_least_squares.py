"""Linear least squares against dense float64 solves, scipy and scikit-learn, the rates of theory, and its refusals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import lsqr as scipy_lsqr
from sklearn.linear_model import Ridge

from lemmata.conformance import LeastSquaresConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg import LinearOperator, cgls, lsqr
from lemmata.regression import least_squares
from lemmata.regression.linear_steepest_descent import linear_steepest_descent

ALL = ("auto", "cholesky", "qr", "svd", "cgls", "lsqr", "steepest-descent")


def problem(m=30, p=12, k=3, *, condition=10.0, seed=0):
    """A matrix with singular values spread geometrically from 1 to 1 / condition, and right-hand sides."""
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(m, p, generator=draw, dtype=torch.float64)
    U, _, V = torch.linalg.svd(A, full_matrices=False)
    S = torch.logspace(0, -math.log10(condition), min(m, p), dtype=torch.float64)
    return U * S @ V, torch.randn(m, k, generator=draw, dtype=torch.float64), S


def dense(A, b, ridge=0.0):
    """The minimiser by numpy's gelsd on [A; sqrt(ridge) I]."""
    stacked = np.vstack([A.numpy(), math.sqrt(ridge) * np.eye(A.shape[1])])
    return torch.from_numpy(np.linalg.lstsq(stacked, np.vstack([b, np.zeros((A.shape[1], b.shape[1]))]), rcond=None)[0])


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_every_method_agrees_with_numpy(method, ridge):
    A, b, S = problem()
    found = least_squares(A, b, ridge=ridge, method=method, tolerance=1e-11, singular_values=S)
    # |x - x*| <= |(A'A + ridge)^-1| * 1e-11 |A'b|, and |(A'A)^-1| = 100
    assert (found.x - dense(A, b, ridge)).norm() <= 100 * 1e-11 * (A.T @ b).norm() + 1e-12
    assert found.converged
    assert found.residual_norms == pytest.approx((b - A @ found.x).norm(dim=0).numpy(), rel=1e-12)
    assert found.solution_norms == pytest.approx(found.x.norm(dim=0).numpy(), rel=1e-12)


@pytest.mark.parametrize("method", ALL)
def test_weights_are_rows_repeated(method):
    A, b, _ = problem()
    weights = torch.tensor([1.0, 2.0, 0.0] * 10, dtype=torch.float64)
    repeated = torch.repeat_interleave(torch.arange(30), weights.long())
    found = least_squares(A, b, weights=weights, ridge=0.1, method=method, tolerance=1e-10)
    assert torch.allclose(found.x, dense(A[repeated], b[repeated], 0.1), atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 25), st.integers(1, 25), st.integers(1, 3)),
    ridge=st.sampled_from([0.0, 0.1, 10.0]),
    method=st.sampled_from(["auto", "svd", "cgls", "lsqr"]),
    seed=st.integers(0, 1000),
)
def test_solves_any_shape_and_of_many_solutions_the_shortest(shape, ridge, method, seed):
    (m, p, k) = shape
    A, b, _ = problem(m, p, k, condition=5.0, seed=seed)
    found = least_squares(A, b, ridge=ridge, method=method, tolerance=1e-11)
    assert torch.allclose(found.x, dense(A, b, ridge), atol=1e-8)
    assert found.unique is not (p > m and ridge == 0)


def test_a_vector_comes_back_as_a_vector():
    A, b, _ = problem()
    assert torch.equal(least_squares(A, b[:, 0]).x, least_squares(A, b[:, :1]).x[:, 0])


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")  # torch says so once a process
@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta")  # torch says so once a process
def test_operators_and_sparse_matrices():
    A, b, _ = problem()
    kept = torch.where(A.abs() > 0.05, A, 0.0)
    wanted = dense(kept, b, 0.01)
    for other in (LinearOperator.of(kept), kept.to_sparse_csr(), kept.to_sparse_coo()):
        found = least_squares(other, b, ridge=0.01, tolerance=1e-11)
        assert found.method == "cgls"
        assert torch.allclose(found.x, wanted, atol=1e-8)
    weighted = least_squares(kept.to_sparse_csr(), b, weights=torch.arange(30).double(), tolerance=1e-11)
    assert torch.allclose(weighted.x, least_squares(kept, b, weights=torch.arange(30).double()).x, atol=1e-8)


@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_lsqr_follows_scipy_step_by_step(ridge):
    A, b, _ = problem(k=1, condition=100.0)
    for steps in (1, 3, 7):
        ours = lsqr(LinearOperator.of(A), b, ridge=ridge, tolerance=0, iterations=steps)
        x, _, _, _, _, _, _, normal, size, _ = scipy_lsqr(
            A.numpy(), b[:, 0].numpy(), damp=math.sqrt(ridge), iter_lim=steps, atol=0, btol=0, conlim=0
        )
        # the same recursion: rounding only. scipy's fourth number is sqrt(|b - A x|^2 + ridge |x|^2) where damped
        np.testing.assert_allclose(ours.x[:, 0], x, rtol=1e-10, atol=1e-12)
        assert float(ours.solution_norms[-1]) == pytest.approx(size, rel=1e-10)
        assert float(ours.residual_norms[-1]) == pytest.approx(
            np.linalg.norm(b[:, 0].numpy() - A.numpy() @ x), rel=1e-10
        )
        told = float(ours.normal_residuals[-1] * (A.T @ b).norm())
        assert told == pytest.approx(normal, rel=1e-8)


@pytest.mark.parametrize("run", [cgls, lsqr, linear_steepest_descent])
@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_the_history_is_what_the_iterates_say(run, ridge):
    A, b, _ = problem(condition=30.0)
    iterates = [torch.zeros(12, 3).double()]
    course = run(
        LinearOperator.of(A), b, ridge=ridge, tolerance=0, iterations=8, callback=lambda _, x: iterates.append(x)
    )
    r = torch.stack([b - A @ x for x in iterates])
    normal = (A.T @ r - ridge * torch.stack(iterates)).norm(dim=1) / (A.T @ b).norm(dim=0)
    objective = r.square().sum(1) + ridge * torch.stack(iterates).square().sum(1)
    # the recursions differ from fresh values by rounding, 1e-15 times the few steps and the condition of 30
    assert torch.allclose(course.residual_norms, r.norm(dim=1), rtol=1e-12)
    assert torch.allclose(course.normal_residuals, normal, rtol=1e-9, atol=1e-13)
    assert torch.allclose(course.falls, objective[:-1] - objective[1:], rtol=1e-9, atol=1e-12)


def test_early_iterates_grow_and_fit_better():
    A, b, _ = problem(condition=1e3)
    history = least_squares(A, b, method="cgls", tolerance=0, iterations=10).history
    assert (np.diff(history.solution_norms, axis=0) > 0).all()
    assert (np.diff(history.residual_norms, axis=0) < 0).all()


@pytest.mark.parametrize("method", ["cgls", "lsqr", "steepest-descent"])
@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_errors_fall_at_least_at_the_rate_of_theory(method, ridge):
    A, b, S = problem(condition=8.0)
    found = least_squares(A, b, ridge=ridge, method=method, tolerance=1e-10, singular_values=S)
    c = float((S.max() ** 2 + ridge) / (S.min() ** 2 + ridge))
    assert found.condition == pytest.approx(c)
    steps = np.arange(len(found.history))
    root, front = (c, 1.0) if method == "steepest-descent" else (math.sqrt(c), 2.0)
    bound = front * ((root - 1) / (root + 1)) ** steps
    errors = found.history.energy_errors / found.history.energy_errors[0]
    assert (errors <= bound[:, None] * (1 + 1e-9) + 1e-9).all()
    wanted = torch.stack([dense(A, b, ridge)])[0]
    energy = math.sqrt(float((A @ wanted).square().sum() + ridge * wanted.square().sum()))
    assert np.linalg.norm(found.history.energy_errors[0]) == pytest.approx(energy, rel=1e-8)


def test_steepest_descent_is_as_slow_as_akaike_says():
    # from x0 = (c, 1) every exact step shrinks the error in energy by (c - 1) / (c + 1) exactly
    c = 9.0
    A = torch.diag(torch.tensor([1.0, math.sqrt(c)], dtype=torch.float64))
    start = torch.tensor([c, 1.0], dtype=torch.float64)
    found = least_squares(
        A, torch.zeros(2).double() + 1e-300, method="steepest-descent", start=start, tolerance=0, iterations=30
    )
    errors = np.sqrt(np.square(found.history.energy_errors[:, 0]) + float((A @ found.x).square().sum()))
    np.testing.assert_allclose(errors[1:] / errors[:-1], (c - 1) / (c + 1), rtol=1e-12)


def test_cgls_ends_after_as_many_steps_as_there_are_singular_values():
    A = torch.diag(torch.tensor([1.0, 1, 1, 5, 5, 9]).double())
    assert least_squares(A, torch.ones(6).double(), method="cgls", tolerance=1e-12).iterations == 3


def test_a_preconditioner_helps():
    A, b, _ = problem(200, 50, condition=1.0)
    A = A * torch.logspace(0, 4, 50, dtype=torch.float64)
    scale = A.square().sum(0)[:, None]
    plain = least_squares(A, b, method="cgls", tolerance=1e-10, iterations=5000)
    helped = least_squares(A, b, tolerance=1e-10, preconditioner=lambda s: s / scale)
    assert helped.iterations < 10 < plain.iterations / 3
    assert torch.allclose(helped.x, dense(A, b), rtol=1e-6)


def test_a_start_that_is_the_answer_takes_no_step():
    A, b, _ = problem()
    x = dense(A, b, 0.5)
    for method in ("cgls", "steepest-descent"):
        found = least_squares(A, b, ridge=0.5, method=method, start=x, tolerance=1e-8)
        assert found.iterations == 0
        assert torch.equal(found.x, x)
        assert x is not found.x


def test_agrees_with_sklearn_on_digits():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, targets = x / 16 - (x / 16).mean(0), np.eye(10)[y] - 0.1
    theirs = Ridge(alpha=1.0, fit_intercept=False, solver="cholesky").fit(x, targets)
    for method in ("auto", "cgls", "lsqr"):
        ours = least_squares(torch.from_numpy(x), torch.from_numpy(targets), ridge=1.0, method=method, tolerance=1e-12)
        np.testing.assert_allclose(ours.x.T, theirs.coef_, atol=1e-9)


def test_auto_counts_flops():
    draw = torch.Generator().manual_seed(0)
    tall, b = torch.randn(2000, 40, generator=draw), torch.randn(2000, 1, generator=draw)
    assert least_squares(tall, b).method == "cholesky"
    square = torch.randn(1500, 1500, generator=draw)
    found = least_squares(square, torch.randn(1500, 1, generator=draw), ridge=1e4)
    assert found.method == "cgls"  # c = 1.6, by theory nine steps of 4 m p against 4 / 3 p^3 flops
    assert "flops" in found.why


def test_cholesky_is_refined_to_full_accuracy():
    # the condition of A'A is 1e12: plain normal equations leave a relative error of some 1e-4 in x, refined ones 1e-10
    A = problem(60, 20, condition=1e6)[0]
    exact = dense(A, A @ torch.ones(20, 1).double())
    found = least_squares(A, A @ torch.ones(20, 1).double(), method="cholesky")
    assert (found.x - 1).abs().max() < 1e-8
    assert (exact - 1).abs().max() < 1e-8


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_dependent_columns_are_refused_or_solved_shortest(method):
    A, b, _ = problem()
    twice = torch.cat([A, A[:, :1]], 1)
    with pytest.raises(InvalidInput, match=r"many x are minimisers.*method='svd'"):
        least_squares(twice, b, method=method)
    chosen = least_squares(twice, b)
    assert (chosen.method, chosen.unique, chosen.why) == ("svd", False, "A has dependent columns")
    assert torch.allclose(chosen.x, torch.linalg.pinv(twice) @ b, atol=1e-10)


def test_what_cannot_be_solved_is_named():
    A, b, _ = problem()
    with pytest.raises(InvalidInput, match=r"A is 30 x 12 and b \(29, 3\); b must be \(30,\) or \(30, k\)"):
        least_squares(A, b[1:])
    with pytest.raises(InvalidInput, match=r"ridge = -1.0 must be a number and not negative"):
        least_squares(A, b, ridge=-1.0)
    with pytest.raises(InvalidInput, match=r"float64 on cpu, b torch.float32"):
        least_squares(A, b.float())
    with pytest.raises(InvalidInput, match="A is 0 x 12"):
        least_squares(A[:0], b[:0])
    with pytest.raises(InvalidInput, match="A holds NaN"):
        least_squares(A * math.nan, b)
    with pytest.raises(InvalidInput, match="b holds NaN"):
        least_squares(A, b / 0)
    with pytest.raises(InvalidInput, match="not negative"):
        least_squares(A, b, weights=-torch.ones(30))
    with pytest.raises(InvalidInput, match="all weights are zero"):
        least_squares(A, b, weights=torch.zeros(30))
    with pytest.raises(InvalidInput, match="does not iterate"):
        least_squares(A, b, method="qr", iterations=3)
    with pytest.raises(InvalidInput, match="takes no preconditioner"):
        least_squares(A, b, method="lsqr", preconditioner=lambda s: s)
    with pytest.raises(InvalidInput, match="starts from zero"):
        least_squares(A, b, method="lsqr", start=torch.zeros(12, 3))
    with pytest.raises(InvalidInput, match=r"the start is \(12,\)"):
        least_squares(A, b, start=torch.zeros(12))
    with pytest.raises(InvalidInput, match="no adjoint"):
        least_squares(LinearOperator(lambda V: A @ V, (30, 12), dtype=torch.float64), b)
    with pytest.raises(UnknownName, match="did you mean 'cgls'"):
        least_squares(A, b, method="cgl")


def test_too_few_steps_are_told_with_the_best():
    A, b, _ = problem(condition=1e4)
    with pytest.raises(NotConverged, match="least squares by cgls did not converge") as stopped:
        least_squares(A, b, method="cgls", iterations=3)
    best = stopped.value.best
    assert best.iterations == 3
    assert best.normal_residual == stopped.value.residual > 1e-8


def test_draws_itself_with_the_rate():
    A, b, S = problem()
    found = least_squares(A, b, method="cgls", singular_values=S)
    labels = [series.label for series in found.plot().panels[0].series]
    assert labels == ["normal equations", "energy norm of the error", f"theory: {9 / 11:.4g} a step"]
    direct = least_squares(A, b).plot().panels
    assert [panel.x.ticks for panel in direct] == [("0", "1", "2")] * 2


@pytest.mark.gpu
@pytest.mark.parametrize("method", ALL)
def test_on_a_gpu(method):
    A, b, _ = problem()
    found = least_squares(A.cuda(), b.cuda(), ridge=0.1, method=method, tolerance=1e-9)
    assert found.x.device.type == "cuda"
    assert torch.allclose(found.x.cpu(), dense(A, b, 0.1), atol=1e-7)


class TestAuto(LeastSquaresConformance):
    needs_history = False
    singular = "minimum norm"
    method = "auto"

    def solve(self, x, y, ridge):
        return least_squares(x, y, ridge=ridge, method=self.method)


class TestCholesky(TestAuto):
    singular = "refused"
    method = "cholesky"


class TestQR(TestCholesky):
    method = "qr"


class TestSVD(TestAuto):
    method = "svd"


class TestCGLS(TestAuto):
    needs_history = True
    method = "cgls"


class TestLSQR(TestCGLS):
    method = "lsqr"


class TestSteepestDescent(TestCGLS):
    method = "steepest-descent"
