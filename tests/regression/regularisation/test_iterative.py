"""Iterations as regularisation: filter factors against the iterates, CGLS against its definition by Krylov spaces.

Filter factors of CGLS are compared with s v'x / u'b while the recursion keeps its orthogonality (6 steps on a matrix
of condition 6): 1e-7 relative.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.regression.regularisation.systems import F64, random_system

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.linalg.operator import LinearOperator
from lemmata.phantoms.ill_posed import ill_posed
from lemmata.regression.regularisation import cross_validation, iterative, ridge_path, tikhonov, total_variation


@pytest.mark.parametrize("method", ["cgls", "landweber"])
def test_filter_factors_are_those_of_the_iterates(method):
    A, b = random_system(12, 9, columns=2, decay=0.1)
    U, s, Vh = torch.linalg.svd(A, full_matrices=False)
    found = iterative(A, b, method=method, iterations=6)
    factors = found.filter_factors(s)
    assert factors.shape == (7, 9, 2)
    for k in range(7):
        wanted = s[:, None] * (Vh @ found.x[k]) / (U.T @ b)
        torch.testing.assert_close(factors[k], wanted, rtol=1e-7, atol=1e-7)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 5))
def test_cgls_minimises_the_residual_over_the_krylov_space(seed, k):
    A, b = random_system(9, 6, seed=seed)
    basis, v = [], A.T @ b
    for _ in range(k):
        basis.append(v / v.norm())
        v = A.T @ (A @ basis[-1])
    Q = torch.linalg.qr(torch.stack(basis, 1))[0]
    y = torch.linalg.lstsq(A @ Q, b[:, None]).solution
    found = iterative(A, b, iterations=k)
    least = float((A @ Q @ y - b[:, None]).norm())
    assert float(found.residual_norms[-1, 0]) == pytest.approx(least, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), method=st.sampled_from(["cgls", "landweber"]))
def test_from_zero_the_residual_falls_and_the_iterate_grows(seed, method):
    """Hestenes and Stiefel (1952): monotone both, in exact arithmetic; 1e-9 relative for rounding."""
    A, b = random_system(9, 6, seed=seed)
    found = iterative(A, b, method=method, iterations=6)
    assert (found.residual_norms.diff(dim=0) <= 1e-9 * found.residual_norms[:-1]).all()
    assert (found.solution_norms.diff(dim=0) >= -1e-9 * found.solution_norms[1:]).all()


def test_columns_do_not_see_each_other_and_operators_do_as_matrices():
    A, b = random_system(12, 7, columns=3)
    together = iterative(A, b, iterations=5)
    for j in range(3):
        alone = iterative(LinearOperator.of(A), b[:, j], iterations=5)
        torch.testing.assert_close(alone.x[..., 0], together.x[..., j], rtol=1e-10, atol=1e-12)


def test_landweber_by_its_definition():
    A, b = random_system(6, 4)
    step, x = 0.5 / float(torch.linalg.matrix_norm(A, 2)) ** 2, torch.zeros(4, dtype=F64)
    found = iterative(A, b, method="landweber", iterations=5, step=step)
    for k in range(5):
        x = x + step * A.T @ (b - A @ x)
        torch.testing.assert_close(found.x[k + 1, :, 0], x, rtol=1e-12, atol=1e-14)
    assert found.residual_norms.shape == (6, 1)
    default = iterative(A, b, method="landweber", iterations=2)
    assert default.step == pytest.approx(1 / float(torch.linalg.matrix_norm(A, 2)) ** 2, rel=0.05)


def test_a_column_that_is_solved_stands_still():
    A, b = random_system(4, 4, columns=2)
    b[:, 0] = 0
    found = iterative(A, b, iterations=9)
    assert found.x[:, :, 0].norm() == 0
    assert found.x.isfinite().all()
    torch.testing.assert_close(A @ found.x[-1], b, rtol=1e-6, atol=1e-6)


def test_the_error_falls_then_rises_with_noise_and_only_falls_without():
    problem = ill_posed("shaw", 48)
    noisy = iterative(problem.A, problem.noisy(0.01, 20, seed=0), iterations=30)
    errors = noisy.errors(problem.x)
    best = errors.argmin(0)
    assert (best > 0).all()
    assert (errors[-1] > 10 * errors.min(0).values).all()
    assert (noisy.residual_norms.diff(dim=0) <= 1e-9 * noisy.residual_norms[0]).all()
    clean = iterative(problem.A, problem.b, iterations=8).errors(problem.x)
    assert (clean.diff(dim=0) <= 0).all()  # Hestenes and Stiefel: the error of CGLS falls at every step


def test_it_stops_by_the_discrepancy_at_nearly_the_best_step():
    problem = ill_posed("heat", 64)
    b = problem.noisy(0.01, 30, seed=1)
    found = iterative(problem.A, b, iterations=60)
    noise = (b - problem.b[:, None]).norm(dim=0)
    stops = found.stop(noise)
    x = found.at(stops)
    for j in range(30):
        assert found.residual_norms[stops[j], j] <= noise[j] < found.residual_norms[stops[j] - 1, j]
        torch.testing.assert_close(x[:, j], found.x[stops[j], :, j])
    ratio = (x - problem.x[:, None]).norm(dim=0) / found.errors(problem.x).min(0).values
    assert ratio.median() < 1.1
    tikhonov = torch.stack(
        [(ridge_path(problem.A, b[:, j]).solutions() - problem.x[:, None]).norm(dim=0).min() for j in range(30)]
    )
    best = found.errors(problem.x).min(0).values
    assert (best / tikhonov).median() < 1.1


def test_gradients_stay_orthogonal_if_they_are_made_to():
    """Without, they lose it all in 25 steps on this matrix of condition 1e6."""
    A, b = random_system(40, 30, columns=2, decay=0.2)
    worst = {}
    for reorthogonalise in (True, False):
        found = iterative(A, b, iterations=25, reorthogonalise=reorthogonalise)
        s = A.T @ (b - A @ found.x)
        s = s / s.norm(dim=1, keepdim=True)
        inner = torch.einsum("ink,jnk->ijk", s, s) - torch.eye(26, dtype=F64)[:, :, None]
        worst[reorthogonalise] = float(inner[:15, :15].abs().max())
    assert worst[True] < 1e-6
    assert worst[False] > 1e-2
    with pytest.raises(InvalidInput, match="without reorthogonalisation only"):
        iterative(A, b, iterations=2, reorthogonalise=True).filter_factors(torch.ones(1))


def test_it_draws_itself():
    problem = ill_posed("gravity", 24)
    found = iterative(problem.A, problem.noisy(0.01, 3), iterations=10)
    assert len(found.plot(problem.x).panels[0].series) == 3
    assert static.render(found.plot()).startswith("<svg")


def test_what_is_refused():
    A, b = random_system()
    found = iterative(A, b, iterations=3)
    for noise in (-1.0, 0.0, math.nan):
        with pytest.raises(InvalidInput, match="positive and finite"):
            found.stop(noise)
    with pytest.raises(InvalidInput, match=r"no less than \|b\|"):
        found.stop(1.01 * float(b.norm()))
    with pytest.raises(InvalidInput, match="3 steps leave a residual"):
        found.stop(1e-9)
    for options, message in (
        ({"iterations": 0}, "whole number of at least 1"),
        ({"iterations": 10**8}, "take fewer steps"),
        ({"method": "landweber", "step": -1.0}, "step = -1"),
        ({"method": "landweber", "step": 100.0, "iterations": 50}, "diverges"),
    ):
        with pytest.raises(InvalidInput, match=message):
            iterative(A, b, **options)
    with pytest.raises(UnknownName, match="'cgls'"):
        iterative(A, b, method="cglss")
    with pytest.raises(InvalidInput, match="NaN"):
        iterative(A * math.nan, b)
    with pytest.raises(InvalidInput, match="zero on the vectors tried"):
        iterative(0 * A, b, method="landweber")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda A, b: iterative(A, b, iterations=2.5), r"iterations = 2\.5"),
        (lambda A, b: iterative(A, b, iterations=5).at(1000), "stops = 1000"),
        (lambda A, b: iterative(A, b, iterations=5).at(-1), "stops = -1"),
        (lambda A, b: iterative(A, b, iterations=5).at(torch.tensor([1, 2])), r"stops of shape \(2,\)"),
        (lambda A, b: iterative(A, b, iterations=5).errors(torch.ones(1)), r"truth has shape \(1,\)"),
        (lambda A, b: iterative(A.numpy(), b), "A is a ndarray"),
        (lambda A, b: iterative(A, b.numpy()), "b is a ndarray"),
        (lambda A, b: tikhonov(A.numpy(), b, 1.0), "A is a ndarray"),
        (lambda A, b: tikhonov(A, b.numpy(), 1.0), "b is a ndarray"),
        (lambda A, b: tikhonov(A, b, 1.0, L=A.numpy()), "L is a ndarray"),
        (lambda A, b: total_variation(b.numpy(), 1.0), "b is a ndarray"),
        (lambda A, b: total_variation(b, 1.0, A=A.numpy()), "A is a ndarray"),
        (lambda A, b: cross_validation(A, b, folds=2.5), r"folds = 2\.5"),
    ],
)
def test_arguments_of_the_wrong_kind(ask, message):
    with pytest.raises(InvalidInput, match=message):
        ask(*random_system())
