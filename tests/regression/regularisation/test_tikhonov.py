"""Tikhonov against the normal equations, scipy's LSQR with damping, scikit-learn's Ridge, and its own certificate.

Direct solutions hold to 1e-10 relative where the systems' condition is below 1e4 (rounding times condition); CGLS to
1e-7, its tolerance of 1e-10 on the gradient times the condition.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import lsqr
from sklearn.linear_model import Ridge as SklearnRidge
from tests.regression.regularisation.systems import F64, normal_equations, random_system

from lemmata.conformance import LeastSquaresConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg.operator import LinearOperator
from lemmata.phantoms.ill_posed import ill_posed
from lemmata.regression.regularisation import StandardForm, tikhonov
from lemmata.regression.regularisation.differences import differences, gradient_operator


class TestDirectConformance(LeastSquaresConformance):
    needs_history = False

    def solve(self, x, y, ridge):
        return tikhonov(x, y, ridge, method="standard form")


class TestCglsConformance(LeastSquaresConformance):
    tolerance = 1e-6

    def solve(self, x, y, ridge):
        return tikhonov(x, y, ridge, method="cgls", tolerance=1e-5 if x.dtype == torch.float32 else 1e-9)


PENALTIES = {
    "identity": torch.eye(7, dtype=F64),
    "first differences": differences(7, 1),
    "second differences": differences(7, 2),
    "one entry": torch.eye(7, dtype=F64)[2:3],
    "more rows than columns": torch.cat([torch.eye(7, dtype=F64), differences(7, 1), differences(7, 2)]),
    "repeated rows": torch.cat([differences(7, 1)] * 2),
}


@pytest.mark.parametrize("L", PENALTIES.values(), ids=PENALTIES.keys())
@pytest.mark.parametrize("lam", [1e-4, 1.0, 1e3])
@pytest.mark.parametrize("method", ["standard form", "cgls"])
def test_any_penalty_gives_the_normal_equations(L, lam, method):
    A, b = random_system(columns=2)
    found = tikhonov(A, b, lam, L=L, method=method, tolerance=1e-11)
    wanted = normal_equations(A, b, lam, L)
    torch.testing.assert_close(found.x, wanted, rtol=1e-7, atol=1e-8)
    assert found.normal_residual < 1e-10
    value = float((A @ wanted - b).square().sum() + lam * (L @ wanted).square().sum())
    assert found.objective == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("shape", [(4, 7), (7, 7), (30, 7)])
def test_wide_and_tall_systems(shape):
    A, b = random_system(*shape)
    for L in (None, differences(7, 1)):
        dense = torch.eye(7, dtype=F64) if L is None else L
        found = tikhonov(A, b, 0.3, L=L)
        torch.testing.assert_close(found.x, normal_equations(A, b, 0.3, dense), rtol=1e-9, atol=1e-10)
        influence = A @ torch.linalg.solve(A.T @ A + 0.3 * dense.T @ dense, A.T)
        assert found.freedom == pytest.approx(float(influence.trace()), rel=1e-10)


@pytest.mark.parametrize("lam", [1e-3, 1.0, 10.0])
def test_agrees_with_lsqr_and_with_scikit_learn(lam):
    A, b = random_system(40, 12)
    x = tikhonov(A, b, lam).x.numpy()
    np.testing.assert_allclose(x, lsqr(A.numpy(), b.numpy(), damp=math.sqrt(lam), atol=1e-14, btol=1e-14)[0], rtol=1e-8)
    np.testing.assert_allclose(x, SklearnRidge(alpha=lam, fit_intercept=False).fit(A, b).coef_, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), log_lam=st.floats(-6, 4), m=st.integers(1, 9), n=st.integers(1, 9), p=st.integers(1, 9)
)
def test_the_generalised_decomposition_diagonalises_both_matrices(seed, log_lam, m, n, p):
    draw = torch.Generator().manual_seed(seed)
    A, L = torch.randn(m, n, generator=draw, dtype=F64), torch.randn(p, n, generator=draw, dtype=F64)
    if m + p < n:  # the null spaces must then intersect
        with pytest.raises(InvalidInput, match="null spaces of A and L intersect"):
            StandardForm.of(A, L)
        return
    form = StandardForm.of(A, L)
    scale = float(form.X.norm() * A.norm()) + 1
    torch.testing.assert_close(A @ form.X, form.U * form.s, rtol=0, atol=1e-12 * scale)
    LX = L @ form.X
    torch.testing.assert_close(LX.T @ LX, torch.eye(len(form.s), dtype=F64), rtol=0, atol=1e-10 * scale)
    torch.testing.assert_close(form.Q.T @ form.U, form.Q.new_zeros(form.null, len(form.s)), rtol=0, atol=1e-12 * scale)
    assert form.null == max(n - p, 0)
    b, lam = torch.randn(m, generator=draw, dtype=F64), 10.0**log_lam
    found = tikhonov(A, b, lam, L=L)
    assert found.normal_residual < 1e-9 * scale**2
    again = tikhonov(2 * A, 2 * b, 4 * lam, L=L)  # the objective is four times as large, the minimiser the same
    torch.testing.assert_close(again.x, found.x, rtol=1e-6, atol=1e-8 * scale**2)


def test_a_badly_conditioned_matrix_does_no_harm():
    problem = ill_posed("shaw", 40)  # condition 1e18 and more
    assert torch.linalg.cond(problem.A) > 1e16
    found = tikhonov(problem.A, problem.b, 1e-10, L=differences(40, 2))
    assert float((found.x - problem.x).norm() / problem.x.norm()) < 0.02
    assert found.normal_residual < 1e-12


def test_a_gradient_on_a_grid_by_products_only():
    """Smoothing of an image by products with the grid's differences, against the dense standard form."""
    draw = torch.Generator().manual_seed(1)
    image = torch.randn(6, 5, generator=draw, dtype=F64)
    D = gradient_operator((6, 5))
    eye = LinearOperator(lambda V: V, (30, 30), symmetric=True, dtype=F64)
    found = tikhonov(eye, image.flatten(), 0.7, L=D, tolerance=1e-12)
    assert found.method == "cgls"
    assert len(found.history) <= 31
    dense = tikhonov(torch.eye(30, dtype=F64), image.flatten(), 0.7, L=D)
    assert dense.method == "cgls"  # an operator L is not made dense unless asked for
    direct = tikhonov(torch.eye(30, dtype=F64), image.flatten(), 0.7, L=D, method="standard form")
    torch.testing.assert_close(found.x, direct.x, rtol=1e-9, atol=1e-10)


def test_zero_data_give_zero():
    A, b = random_system()
    for method in ("standard form", "cgls"):
        found = tikhonov(A, 0 * b, 1.0, method=method)
        assert found.x.norm() == 0
        assert found.normal_residual == 0


def test_it_draws_itself():
    A, b = random_system(columns=2)
    assert [len(panel.series) for panel in tikhonov(A, b, 1.0, method="cgls").plot().panels] == [2, 1]
    assert len(tikhonov(A, b, 1.0).plot().panels) == 1


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_intersecting_null_spaces_are_named():
    A, b = random_system()
    A = A - A.mean(1, keepdim=True)  # now A 1 = 0, and so is the difference of a constant
    with pytest.raises(
        InvalidInput, match=r"null spaces of A and L intersect: a unit vector v .* singular for every lam"
    ):
        tikhonov(A, b, 1.0, L=differences(7, 1))
    with pytest.raises(InvalidInput, match="null spaces of A and L intersect"):
        tikhonov(A[:1], b[:1], 1.0, L=differences(7, 2))
    assert tikhonov(A, b, 1.0).normal_residual < 1e-12  # the identity sees every direction


def test_a_common_null_vector_met_by_products_is_named():
    A, L = torch.diag(torch.tensor([1.0, 0.0]).double()), torch.diag(torch.tensor([1.0, 0.0]).double())
    broken = LinearOperator(lambda V: A @ V, (2, 2), adjoint=lambda V: V.flip(0), dtype=F64)  # an adjoint that is wrong
    with pytest.raises(InvalidInput, match="annihilate a common direction"):
        tikhonov(broken, torch.tensor([1.0, 0.0]).double(), 1.0, L=L)


@pytest.mark.parametrize("lam", [0.0, -1.0, math.nan, math.inf])
def test_a_parameter_that_is_not_positive(lam):
    with pytest.raises(InvalidInput, match=r"lam = .*positive and finite"):
        tikhonov(*random_system(), lam)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda A, b: (A[:0], b[:0]), "neither of them 0"),
        (lambda A, b: (A[:, :0], b), "neither of them 0"),
        (lambda A, b: (A, b[:-1]), r"b has shape \(11,\)"),
        (lambda A, b: (A.long(), b), "floating"),
        (lambda A, b: (A.float(), b), "bring them together"),
        (lambda A, b: (A * math.nan, b), "A holds NaN"),
        (lambda A, b: (A, b / 0), "b holds NaN or infinity"),
    ],
)
def test_systems_that_make_no_sense(change, message):
    with pytest.raises(InvalidInput, match=message):
        tikhonov(*change(*random_system()), 1.0)


def test_penalties_that_make_no_sense():
    A, b = random_system()
    for L, message in (
        (torch.eye(6, dtype=F64), "does not fit A"),
        (torch.zeros(3, 7, dtype=F64), "L is zero"),
        (torch.full((2, 7), math.nan, dtype=F64), "L holds NaN"),
    ):
        with pytest.raises(InvalidInput, match=message):
            tikhonov(A, b, 1.0, L=L)
    with pytest.raises(InvalidInput, match="no adjoint"):
        tikhonov(LinearOperator(lambda V: A @ V, (12, 7), dtype=F64), b, 1.0)
    with pytest.raises(InvalidInput, match="wants a dense A"):
        tikhonov(LinearOperator.of(A), b, 1.0, method="standard form")
    with pytest.raises(UnknownName, match="did you mean 'cgls'"):
        tikhonov(A, b, 1.0, method="cgl")


def test_too_few_steps_say_how_far_they_came():
    A, b = random_system()
    with pytest.raises(NotConverged) as stopped:
        tikhonov(A, b, 1e-3, method="cgls", iterations=2)
    assert stopped.value.best.normal_residual == pytest.approx(stopped.value.residual)
    assert len(stopped.value.best.history) == 2


@pytest.mark.gpu
def test_on_the_gpu():
    A, b = random_system(columns=2)
    for L in (None, differences(7, 2)):
        there = tikhonov(A.cuda(), b.cuda(), 0.1, L=None if L is None else L.cuda())
        assert there.x.device.type == "cuda"
        torch.testing.assert_close(there.x.cpu(), tikhonov(A, b, 0.1, L=L).x, rtol=1e-9, atol=1e-10)
