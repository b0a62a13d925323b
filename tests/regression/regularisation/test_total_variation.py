"""Total variation against closed forms, against Clarabel's cone programs, and by its own certificate.

Clarabel's relative gap is 1e-8; ours is asked for 1e-8, so objectives agree to 1e-6, and minimisers of the denoising
problem, which is 1-strongly convex, to sqrt(2 gap).
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.regression.regularisation.systems import F64

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.figures import static
from lemmata.linalg.operator import LinearOperator
from lemmata.phantoms.ill_posed import ill_posed
from lemmata.regression.regularisation import tikhonov, total_variation
from lemmata.regression.regularisation.differences import (
    adjoint,
    differences,
    gradient,
    gradient_operator,
    solve_laplacian,
)


def by_clarabel(b, lam, A, shape):
    """The minimum of |A x - b|^2 / 2 + lam sum_i t_i with |(D x)_i| <= t_i, as a second-order cone program."""
    import clarabel
    from scipy import sparse

    n, d = math.prod(shape), len(shape)
    D = gradient_operator(shape).dense().numpy().reshape(d, n, n)
    P = sparse.block_diag([A.T @ A, sparse.csc_matrix((n, n))]).tocsc()
    q = np.concatenate([-A.T @ b, lam * np.ones(n)])
    rows = []
    for i in range(n):
        t = np.zeros((1, 2 * n))
        t[0, n + i] = -1
        rows += [t, np.hstack([-D[:, i], np.zeros((d, n))])]
    G = sparse.csc_matrix(np.vstack(rows))
    options = clarabel.DefaultSettings()
    options.verbose = False
    solver = clarabel.DefaultSolver(
        sparse.triu(P).tocsc(), q, G, np.zeros(G.shape[0]), [clarabel.SecondOrderConeT(d + 1)] * n, options
    )
    solution = solver.solve()
    return solution.obj_val + b @ b / 2, np.array(solution.x[:n]).reshape(shape)


def noisy(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("shape", [(12,), (5, 4)])
@pytest.mark.parametrize("lam", [0.05, 0.5])
def test_denoising_is_clarabels(shape, lam):
    b = noisy(*shape)
    found = total_variation(b, lam, tolerance=1e-8)
    least, x = by_clarabel(b.flatten().numpy(), lam, np.eye(b.numel()), shape)
    assert found.objective == pytest.approx(least, rel=1e-6)
    assert least >= found.objective - found.gap - 1e-8  # the certificate bounds another solver's answer too
    np.testing.assert_allclose(found.x.numpy(), x, atol=1e-3)


@pytest.mark.parametrize("operator", [False, True])
@pytest.mark.parametrize("shape", [(12,), (4, 3)])
def test_deblurring_is_clarabels(shape, operator):
    n = math.prod(shape)
    A = torch.eye(n, dtype=F64) + 0.3 * noisy(n, n, seed=1)
    b = noisy(n, seed=2)
    found = total_variation(b, 0.3, A=LinearOperator.of(A) if operator else A, shape=shape, tolerance=1e-7)
    least, x = by_clarabel(b.numpy(), 0.3, A.numpy(), shape)
    assert found.x.shape == shape
    assert found.objective == pytest.approx(least, rel=1e-6)
    np.testing.assert_allclose(found.x.numpy(), x, atol=5e-3)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 9), lam=st.floats(1e-3, 10))
def test_no_other_point_is_better_by_more_than_the_gap(seed, n, lam):
    b = noisy(n, seed=seed)
    found = total_variation(b, lam, tolerance=1e-6)
    draw = torch.Generator().manual_seed(seed)
    for scale in (1e-3, 1e-1, 1.0):
        for _ in range(20):
            x = found.x + scale * torch.randn(n, generator=draw, dtype=F64)
            value = float((x - b).square().sum() / 2 + lam * x.diff().abs().sum())
            assert value >= found.objective - found.gap
            assert (
                value >= found.objective - found.gap + float((x - found.x).norm() / 2**0.5 - found.gap**0.5) ** 2 - 1e-9
                or float((x - found.x).norm()) < 3 * found.gap**0.5
            )  # strong convexity


def test_two_levels_approach_each_other():
    """Halves of m points at heights 0 and 1 move by lam / m each, until they meet at lam = m / 2."""
    b = torch.cat([torch.zeros(10), torch.ones(10)]).double()
    for lam in (0.5, 2.0, 4.9):
        found = total_variation(b, lam, tolerance=1e-10)
        wanted = torch.cat([torch.full((10,), lam / 10), torch.full((10,), 1 - lam / 10)]).double()
        torch.testing.assert_close(found.x, wanted, rtol=0, atol=1e-4)
    assert total_variation(b, 5.1).x.std() < 1e-3


def test_above_the_largest_dual_the_solution_is_constant():
    """The mean of b is optimal if and only if lam >= max |cumulated sum of b - mean(b)|."""
    b = noisy(30, seed=3)
    edge = float((b - b.mean()).cumsum(0).abs().max())
    assert total_variation(b, 1.001 * edge, tolerance=1e-9).variation < 1e-4
    assert total_variation(b, 0.9 * edge, tolerance=1e-9).variation > 1e-2


def test_constant_data_stay_and_zero_variation_has_no_gap():
    found = total_variation(torch.full((4, 4), 3.0).double(), 1.0)
    assert (found.iterations, found.gap) == (0, 0.0)
    assert (found.x == 3).all()


def test_edges_survive_that_a_quadratic_penalty_blurs():
    """A blurred signal with jumps: the best of four total variations errs by less than half of the best Tikhonov."""
    problem = ill_posed("blur", 64)
    b = problem.noisy(0.01, seed=0)[:, 0]
    jump = [
        float((total_variation(b, lam, A=problem.A, tolerance=1e-3).x - problem.x).norm())
        for lam in (1e-3, 3e-3, 1e-2, 3e-2)
    ]
    D = differences(64, 1)
    smooth = [float((tikhonov(problem.A, b, 10.0**k, L=D).x - problem.x).norm()) for k in np.arange(-5, 1, 0.25)]
    assert min(jump) < 0.5 * min(smooth)


# ---- differences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7,), (4, 6), (1, 5)])
def test_the_adjoint_and_the_laplace_equation(shape):
    x, p = noisy(*shape), noisy(len(shape), *shape, seed=1)
    assert float((gradient(x) * p).sum()) == pytest.approx(float((x * adjoint(p)).sum()), rel=1e-12)
    for shift, weight in ((1.0, 0.3), (0.2, 5.0)):
        torch.testing.assert_close(
            solve_laplacian(shift * x + weight * adjoint(gradient(x)), shift=shift, weight=weight),
            x,
            rtol=1e-10,
            atol=1e-12,
        )
    y = solve_laplacian(adjoint(gradient(x)), shift=0.0)
    torch.testing.assert_close(y, x - x.mean(), rtol=1e-10, atol=1e-12)
    D = gradient_operator(shape)
    torch.testing.assert_close(D.T.dense(), D.dense().T)


def test_differences_annihilate_polynomials():
    t = torch.arange(8.0).double()
    assert differences(8, 3).shape == (5, 8)
    assert (differences(8, 3) @ (t**2 - 3 * t + 1)).abs().max() < 1e-10
    for order in (0, 8):
        with pytest.raises(InvalidInput, match="take an order"):
            differences(8, order)


# ---- figures, and what is refused ------------------------------------------------------------------------------------


def test_it_draws_itself():
    for shape in ((16,), (5, 6)):
        figure = total_variation(noisy(*shape), 0.2).plot()
        assert static.render(figure).startswith("<svg")
    problem = ill_posed("blur", 16)
    assert len(total_variation(problem.b, 0.1, A=problem.A).plot().panels) == 2


def test_what_is_refused():
    b = noisy(6)
    for bad, message in (
        (b * math.nan, "b holds NaN"),
        (b[:0], "not empty"),
        (noisy(2, 2, 2), r"\(n,\) or \(h, w\)"),
        (b.long(), "floating"),
    ):
        with pytest.raises(InvalidInput, match=message):
            total_variation(bad, 1.0)
    for lam in (0.0, -1.0, math.nan):
        with pytest.raises(InvalidInput, match="lam ="):
            total_variation(b, lam)
    with pytest.raises(InvalidInput, match="annihilates constants"):
        total_variation(b[:5], 1.0, A=differences(6, 1))
    with pytest.raises(InvalidInput, match="make them fit"):
        total_variation(b, 1.0, A=torch.eye(5).double())
    with pytest.raises(InvalidInput, match="A holds NaN"):
        total_variation(b, 1.0, A=torch.full((6, 6), math.nan).double())
    with pytest.raises(InvalidInput, match="at least one step"):
        total_variation(b, 1.0, iterations=0)
    with pytest.raises(NotConverged) as stopped:
        total_variation(noisy(50), 0.3, iterations=10, tolerance=1e-14)
    assert stopped.value.best.gap > 0
