"""Ridge paths and the rules that choose on them, against dense definitions, brute force, and other libraries.

Closed forms hold to 1e-10 relative (rounding; the systems' condition is below 1e4), leave-one-out against m fits with
a row removed too. The rules' optima are held against scipy's minimisers on the dense definitions to 1e-5 in log lam,
the square root of rounding that a minimiser leaves.
"""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import make_smoothing_spline
from scipy.optimize import minimize_scalar
from sklearn.linear_model import RidgeCV
from tests.regression.regularisation.systems import F64, normal_equations, random_system

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.phantoms.ill_posed import ill_posed
from lemmata.regression.regularisation import (
    StandardForm,
    bias_variance,
    ridge_path,
    tikhonov,
    truncated_svd,
    truncated_svd_path,
)
from lemmata.regression.regularisation.differences import differences
from lemmata.regression.regularisation.gcv import gcv_function
from lemmata.regression.regularisation.l_curve import curvature
from lemmata.regression.regularisation.leave_one_out import left_out_residuals
from lemmata.regression.regularisation.unbiased_risk import estimated_parts

SHAPES = [(12, 7), (7, 7), (5, 7)]


def influence(A, lam, L):
    return A @ torch.linalg.solve(A.T @ A + lam * L.T @ L, A.T)


def dense_gcv(A, b, lam, L):
    I_H = torch.eye(len(A), dtype=F64) - influence(A, lam, L)
    return float(len(A) * (I_H @ b).square().sum() / I_H.trace() ** 2)


# ---- what belongs to each value --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("columns", [None, 3])
def test_norms_solutions_and_freedom_are_those_of_the_definition(shape, order, columns):
    A, b = random_system(*shape, columns=columns)
    L = differences(7, order) if order else torch.eye(7, dtype=F64)
    path = ridge_path(A, b, torch.logspace(-3, 3, 20, dtype=F64), L=L if order else None)
    every = path.solutions()
    for i, lam in enumerate(path.values.tolist()):
        x = normal_equations(A, b, lam, L)
        torch.testing.assert_close(every[..., i], x, rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(path.solution(lam), x, rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(path.residual(lam), b - A @ x, rtol=1e-9, atol=1e-10)
        assert float(path.residual_norms[i]) == pytest.approx(float((A @ x - b).norm()), rel=1e-9, abs=1e-11)
        assert float(path.solution_norms[i]) == pytest.approx(float((L @ x).norm()), rel=1e-9, abs=1e-11)
        assert float(path.freedom[i]) == pytest.approx(float(influence(A, lam, L).trace()), rel=1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(2, 9), n=st.integers(2, 9))
def test_more_regularisation_fits_less_and_is_smaller(seed, m, n):
    path = ridge_path(*random_system(m, n, seed=seed), 50)
    slack = 1e-10 * float(path.b.norm())
    assert (path.residual_norms.diff() >= -slack).all()
    assert (path.solution_norms.diff() <= 1e-9 * path.solution_norms[:-1]).all()
    assert (path.freedom.diff() <= 0).all()


def test_a_decomposition_can_be_shared():
    A, b = random_system(columns=3)
    form = StandardForm.of(A, differences(7, 1))
    for j in range(3):
        shared, own = ridge_path(form, b[:, j]), ridge_path(A, b[:, j], L=differences(7, 1))
        assert torch.equal(shared.residual_norms, own.residual_norms)
        assert shared.gcv().value == own.gcv().value
    with pytest.raises(InvalidInput, match="has its L already"):
        ridge_path(form, b, L=differences(7, 1))


def test_single_precision_follows():
    A, b = random_system()
    single, double = ridge_path(A.float(), b.float()), ridge_path(A, b)
    assert single.solution(0.1).dtype == torch.float32
    torch.testing.assert_close(single.solution(0.1).double(), double.solution(0.1), rtol=1e-4, atol=1e-5)
    assert single.gcv().value == pytest.approx(double.gcv().value, rel=1e-3)


# ---- generalised cross-validation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_gcv_is_the_definition_and_its_minimum_is_found(shape, order):
    A, b = random_system(*shape, seed=3)
    L = differences(7, order) if order else torch.eye(7, dtype=F64)
    path = ridge_path(A, b, L=L)
    for lam in (0.01, 1.0, 100.0):
        assert float(gcv_function(path, torch.tensor([lam]).double())[0]) == pytest.approx(
            dense_gcv(A, b, lam, L), rel=1e-7
        )
    choice = path.gcv()
    around = math.log(choice.value)
    if not choice.at_end:
        found = minimize_scalar(
            lambda t: dense_gcv(A, b, math.exp(t), L), bounds=(around - 0.5, around + 0.5), method="bounded",
            options={"xatol": 1e-9},
        )  # fmt: skip
        assert around == pytest.approx(found.x, abs=1e-5)
    torch.testing.assert_close(choice.x, tikhonov(A, b, choice.value, L=L).x, rtol=1e-8, atol=1e-9)
    assert choice.score.shape == path.values.shape


def test_robust_gcv_weighs_the_trace_of_the_squared_influence():
    A, b = random_system()
    for lam in (0.01, 1.0, 100.0):
        H = influence(A, lam, torch.eye(7, dtype=F64))
        wanted = dense_gcv(A, b, lam, torch.eye(7, dtype=F64)) * (0.3 + 0.7 * float((H @ H).trace()) / 12)
        found = gcv_function(ridge_path(A, b), torch.tensor([lam], dtype=F64), robust=0.3)
        assert float(found[0]) == pytest.approx(wanted, rel=1e-7)
    for gamma in (0.0, -1.0, 1.1, math.nan):
        with pytest.raises(InvalidInput, match="gamma lies above 0"):
            ridge_path(A, b).gcv(robust=gamma)


def test_gcv_of_a_smoothing_spline_is_scipys():
    """A natural cubic spline through n points is A = I and a root of Reinsch's matrix as L; scipy works with B-splines.

    scipy minimises with its default tolerance, which leaves lam to 1 % and the fits to 1e-3 of the data's size.
    """
    draw = np.random.default_rng(0)
    t = np.sort(draw.uniform(0, 1, 40))
    y = np.sin(7 * t) + 0.2 * draw.standard_normal(40)
    h = np.diff(t)
    R = np.diag((h[:-1] + h[1:]) / 3) + np.diag(h[1:-1] / 6, 1) + np.diag(h[1:-1] / 6, -1)
    D = np.zeros((38, 40))
    for i in range(38):
        D[i, i : i + 3] = 1 / h[i], -1 / h[i] - 1 / h[i + 1], 1 / h[i + 1]
    L = np.linalg.solve(np.linalg.cholesky(R), D)  # L'L = D' R^-1 D
    choice = ridge_path(torch.eye(40, dtype=F64), torch.as_tensor(y), 400, L=torch.as_tensor(L)).gcv()
    np.testing.assert_allclose(choice.x.numpy(), make_smoothing_spline(t, y)(t), atol=1e-3)
    fixed = tikhonov(torch.eye(40, dtype=F64), torch.as_tensor(y), 1e-4, L=torch.as_tensor(L))
    np.testing.assert_allclose(fixed.x.numpy(), make_smoothing_spline(t, y, lam=1e-4)(t), atol=1e-8)


def test_gcv_does_not_change_under_rotations_of_the_data_but_leave_one_out_does():
    A, b = random_system(12, 7, seed=4)
    Q = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0), dtype=F64))[0]
    plain, turned = ridge_path(A, b), ridge_path(Q @ A, Q @ b)
    torch.testing.assert_close(turned.gcv().score, plain.gcv().score, rtol=1e-10, atol=0)
    left_out = turned.leave_one_out().score / plain.leave_one_out().score
    assert (left_out - 1).abs().max() > 0.1


# ---- leave-one-out ---------------------------------------------------------------------------------------------------


def brute_force(A, b, lam, L):
    """b_i - a_i' x from a fit to the other rows, for every i."""
    rows = []
    for i in range(len(A)):
        others = [j for j in range(len(A)) if j != i]
        rows.append(b[i] - A[i] @ normal_equations(A[others], b[others], lam, L))
    return torch.stack(rows)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("shape", [(12, 7), (8, 8), (5, 7)])
def test_leave_one_out_equals_brute_force_to_1e_10(shape, columns, order):
    n = shape[1]
    A, b = random_system(*shape, columns=columns, seed=1)
    L = differences(n, order) if order else torch.eye(n, dtype=F64)
    path = ridge_path(A, b, torch.logspace(-2, 2, 9, dtype=F64), L=L)
    choice = path.leave_one_out()
    for i, lam in enumerate(path.values.tolist()):
        wanted = brute_force(A, b, lam, L)
        torch.testing.assert_close(left_out_residuals(path, lam), wanted, rtol=1e-10, atol=1e-10)
        assert float(choice.score[i]) == pytest.approx(float(wanted.square().mean()), rel=1e-10)


def test_leave_one_out_is_that_of_scikit_learn():
    A, b = random_system(30, 8, seed=2)
    alphas = np.logspace(-2, 3, 40)
    sklearn = RidgeCV(alphas, fit_intercept=False, store_cv_results=True).fit(A.numpy(), b.numpy())
    choice = ridge_path(A, b, torch.as_tensor(alphas)).leave_one_out()
    np.testing.assert_allclose(choice.score.numpy(), sklearn.cv_results_.mean(0), rtol=1e-9)
    assert alphas[int(choice.score.argmin())] == sklearn.alpha_
    assert choice.value == pytest.approx(sklearn.alpha_, rel=0.4)  # refined beyond the grid, whose step is 34 %


def test_leave_one_out_in_closed_form_is_refused_for_truncation():
    with pytest.raises(InvalidInput, match="exact for Tikhonov only, not for truncated SVD"):
        truncated_svd_path(*random_system()).leave_one_out()


# ---- discrepancy -----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.99), m=st.integers(2, 9), n=st.integers(2, 9))
def test_discrepancy_meets_every_level_that_there_is(seed, share, m, n):
    A, b = random_system(m, n, seed=seed)
    path = ridge_path(A, b, 20)
    least, most = math.sqrt(path.incompatible), float(b.norm())
    within = math.sqrt(path.incompatible + float(path.power.sum()))
    assert within == pytest.approx(most, rel=1e-12)
    level = least + share * (most - least)
    choice = path.discrepancy(level)
    assert choice.residual_norm == pytest.approx(level, rel=1e-8, abs=1e-10)
    assert path.discrepancy(level / 2, factor=2.0).value == pytest.approx(choice.value)


def test_discrepancy_out_of_reach_says_on_which_side():
    A, b = random_system()
    path = ridge_path(A, b)
    incompatible = float((b - A @ torch.linalg.lstsq(A, b).solution).norm())
    with pytest.raises(InvalidInput, match=r"what x = 0 leaves of b.*sigma sqrt\(m\)"):
        path.discrepancy(1.01 * float(b.norm()))
    with pytest.raises(InvalidInput, match=re.escape(f"cannot fit has norm {incompatible:.4g}")):
        path.discrepancy(0.99 * incompatible)
    assert path.discrepancy(1.001 * incompatible).value > 0
    for noise in (-1.0, 0.0, math.nan, math.inf):
        with pytest.raises(InvalidInput, match=r"noise = .*positive and finite"):
            path.discrepancy(noise)
    with pytest.raises(InvalidInput, match="factor = 0"):
        path.discrepancy(1.0, factor=0.0)
    with pytest.raises(InvalidInput, match="cannot fit"):
        truncated_svd_path(A, b, 3).discrepancy(incompatible)


# ---- the L-curve -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 2])
def test_curvature_is_that_of_the_curve_by_differences(order):
    """Central differences of step 1e-4 in log lam leave about 1e-7."""
    A, b = random_system(12, 7, decay=0.7)
    path = ridge_path(A, b, L=differences(7, order) if order else None)

    def point(t):
        rho, eta, _ = path.squares(torch.tensor([math.exp(t)], dtype=F64))
        return np.array([float(rho.log()) / 2, float(eta.log()) / 2])

    step = 1e-4
    for t in (-12.0, -8.0, -4.0, 0.0):
        first = (point(t + step) - point(t - step)) / (2 * step)
        second = (point(t + step) - 2 * point(t) + point(t - step)) / step**2
        bent = (first[0] * second[1] - second[0] * first[1]) / (first @ first) ** 1.5
        assert float(curvature(path, torch.tensor([math.exp(t)], dtype=F64))[0]) == pytest.approx(
            bent, rel=1e-3, abs=1e-5
        )


def test_the_corner_of_two_components_is_between_them():
    """Beta = (1, 1e-4), s = (1, 1e-6): the corner separates the signal from what would be amplified a million times."""
    A = torch.diag(torch.tensor([1.0, 1e-6]).double())
    corner = ridge_path(A, torch.tensor([1.0, 1e-4]).double()).l_curve()
    assert 1e-12 < corner.value < 1
    torch.testing.assert_close(corner.x[0], torch.tensor(1.0).double(), rtol=1e-2, atol=0)
    discrete = truncated_svd_path(
        torch.diag(10.0 ** -torch.arange(8.0).double()), torch.tensor([1, 1e-1, 1e-2] + [1e-3] * 5).double()
    ).l_curve()
    assert discrete.value == 3  # as many components as stand above the noise


def test_no_corner_is_refused():
    with pytest.raises(InvalidInput, match="no corner"):
        ridge_path(torch.eye(3).double(), torch.ones(3).double()).l_curve()
    with pytest.raises(InvalidInput, match="three points"):
        truncated_svd_path(torch.eye(2).double(), torch.ones(2).double()).l_curve()


# ---- figures, and what is refused ------------------------------------------------------------------------------------


def test_a_path_draws_gcv_the_l_curve_and_bias_and_variance(tmp_path):
    problem = ill_posed("phillips", 40)
    path = ridge_path(problem.A, problem.noisy(0.01)[:, 0])
    for figure in (path.plot(), path.plot(truth=problem.x, noise=problem.noise_level(0.01))):
        assert [panel.title for panel in figure.panels] == ["GCV", "L-curve", "Bias and variance"]
        assert all(panel.x.label and panel.y.label for panel in figure.panels)
        assert static.render(figure).startswith("<svg")
    for choice in (path.gcv(), path.discrepancy(0.1), path.l_curve(), path.leave_one_out(), path.unbiased_risk(0.1)):
        assert choice.plot().save(tmp_path / "choice.svg").stat().st_size > 1000
    for part in truncated_svd_path(problem.A, path.b).plot().panels:
        assert part.series


@pytest.mark.parametrize("order", [0, 1])
def test_the_estimated_risk_is_unbiased(order):
    """Averaged over 400 draws, within 5 standard errors of the error itself; the variance is exact."""
    problem = ill_posed("phillips", 30)
    sigma, values = problem.noise_level(0.05), torch.logspace(-4, 2, 5, dtype=F64)
    form = StandardForm.of(problem.A, differences(30, order) if order else None)
    found = []
    for b in problem.noisy(0.05, 400, seed=1).T:
        path = ridge_path(form, b, values)
        errors = (problem.A @ path.solutions() - problem.b[:, None]).square().sum(0)
        found.append(sum(estimated_parts(path, sigma, values)) - errors)
    gap = torch.stack(found)
    assert (gap.mean(0).abs() < 5 * gap.std(0) / 20).all()
    exact = bias_variance(path, problem.x, sigma, of="prediction")
    torch.testing.assert_close(estimated_parts(path, sigma, values)[1], exact.variance, rtol=1e-12, atol=0)
    for sigma in (0.0, -1.0, math.nan):
        with pytest.raises(InvalidInput, match="sigma = "):
            path.unbiased_risk(sigma)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (1, "two or more"),
        (torch.tensor([]), "one value or more"),
        (torch.tensor([1.0, -1.0]), "positive, finite, increasing"),
        (torch.tensor([2.0, 1.0]), "positive, finite, increasing"),
        (torch.tensor([1.0, math.nan]), "positive, finite, increasing"),
        (torch.tensor([[1.0]]), r"one axis \(T,\)"),
    ],
)
def test_values_that_make_no_sense(values, message):
    with pytest.raises(InvalidInput, match=message):
        ridge_path(*random_system(), values)


def test_data_that_make_no_sense():
    A, b = random_system()
    for bad in ((A[:0], b[:0]), (A, b[1:]), (A * math.nan, b), (A, b.float()), (A[0], b)):
        with pytest.raises(InvalidInput):
            ridge_path(*bad)
    with pytest.raises(InvalidInput, match="A is zero"):
        ridge_path(0 * A, b)
    with pytest.raises(InvalidInput, match="A is zero"):
        truncated_svd_path(0 * A, b)
    with pytest.raises(InvalidInput, match="intersect"):
        ridge_path(A - A.mean(1, keepdim=True), b, L=differences(7, 1))


@pytest.mark.parametrize(("factor", "low", "high"), [(1.0, 1e3, math.inf), (1.1, 0.0, 0.2)])
def test_a_norm_told_too_small_is_fatal_and_a_factor_mends_it(factor, low, high):
    problem = ill_posed("shaw", 64)
    path = truncated_svd_path(problem.A, problem.noisy(0.01, seed=0)[:, 0])
    found = path.discrepancy(0.01 * float(problem.b.norm()), factor=factor)
    assert low < float((found.x - problem.x).norm() / problem.x.norm()) < high


@pytest.mark.parametrize(
    ("kind", "value"), [("ridge", -1.0), ("ridge", math.nan), ("truncated", 2.5), ("truncated", -1), ("truncated", 99)]
)
def test_a_value_off_the_path_is_refused(kind, value):
    path = (ridge_path if kind == "ridge" else truncated_svd_path)(*random_system())
    with pytest.raises(InvalidInput, match=re.escape(str(value))):
        path.solution(value)
    with pytest.raises(InvalidInput, match=re.escape(str(value))):
        path.residual(value)


@pytest.mark.parametrize("k", [2.5, math.nan, math.inf])
def test_components_are_counted_in_whole_numbers(k):
    A, b = random_system()
    with pytest.raises(InvalidInput, match=f"most = {k}"):
        truncated_svd(A, b, k)
    assert truncated_svd_path(A, b).solution(0).norm() == 0


def test_data_of_zeros_are_not_drawn():
    A, b = random_system()
    with pytest.raises(InvalidInput, match="b is zero"):
        ridge_path(A, 0 * b).plot()
