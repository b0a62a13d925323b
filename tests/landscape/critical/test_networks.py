"""On networks small enough for it everything is compared with dense computation that shares no code with the search."""

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.landscape import critical
from lemmata.landscape.critical.certificate import lipschitz_estimate
from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.flatness import flatness, flatness_by_products
from lemmata.landscape.critical.gradient_norm import GradientNorm
from lemmata.landscape.critical.newton_mr import NewtonMR
from lemmata.landscape.critical.trust_region import TrustRegionNewton
from lemmata.landscape.critical.walk import walk
from lemmata.objective import Objective

DRAW = torch.Generator().manual_seed(3)
X = torch.randn(12, 2, generator=DRAW, dtype=torch.float64)
Y = torch.randn(12, 1, generator=DRAW, dtype=torch.float64)


def _network(dtype=torch.float64) -> nn.Module:
    return nets.mlp(2, [3], 1, activation="tanh", seed=0, dtype=dtype)


def _by_hand(theta: torch.Tensor) -> torch.Tensor:
    """The same loss, written out: 2-3-1, tanh, mean squared error."""
    W, b, v, c = theta[:6].reshape(3, 2), theta[6:9], theta[9:12], theta[12]
    return ((torch.tanh(X @ W.T + b) @ v + c - Y[:, 0]) ** 2).mean()


def _dense(theta: torch.Tensor) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, gradient and Hessian by reverse mode on the formula above."""
    t = theta.clone().requires_grad_()
    g = torch.autograd.grad(_by_hand(t), t)[0]
    H = torch.autograd.functional.hessian(_by_hand, theta)
    return _by_hand(theta).item(), g.numpy(), np.asarray(H)


@pytest.fixture(scope="module")
def found():
    return critical.search((_network(), "mse", (X, Y)), 20, method="gradient_norm", steps=60, seed=0)


def test_norms_indices_and_eigenvalues_are_those_of_dense_computation(found):
    """Numpy's eigenvalues of the formula's Hessian: within the stated error of each, and that below 1e-9 |H|."""
    assert found.critical.any()
    assert not found.critical.all()
    for i in range(len(found)):
        loss, g, H = _dense(found.theta[i])
        values = np.linalg.eigvalsh(H)
        rounding = 1e-12 * max(1.0, np.abs(values).max())
        assert float(found.loss[i]) == pytest.approx(loss, rel=1e-12)
        assert float(found.gradient_norm[i]) == pytest.approx(np.linalg.norm(g), rel=1e-6, abs=1e-14)
        np.testing.assert_allclose(found.eigenvalues[i], values, atol=rounding)
        error = float(found.eigenvalue_error[i])
        assert (values < -error - rounding).sum() <= found.negative[i] <= (values < -error + rounding).sum()
        assert float(found.index[i]) == pytest.approx(float(found.negative[i]) / 13)


def test_flatness_is_the_formula_with_a_pseudo_inverse(found):
    """Numpy's pinv with the same cutoff; 1e-6, but next to critical points, where g is rounding."""
    for i in (~found.critical).nonzero()[:, 0].tolist():
        _, g, H = _dense(found.theta[i])
        p = -np.linalg.pinv(H, rcond=1e-4, hermitian=True) @ g
        r = np.linalg.norm(H @ p + g) / (np.linalg.norm(H) * np.linalg.norm(p) + np.linalg.norm(g))
        if np.linalg.norm(g) > 1e-7:
            assert float(found.flatness[i]) == pytest.approx(r, rel=1e-5, abs=1e-7)
        if found.kind[i] == "gradient-flat":
            assert r > 0.9


def test_the_true_critical_point_lies_within_the_certified_distance():
    """Minima of a 2-1-1 network, from points moved off by 1e-6: the polished point is nearer than certified."""
    subject = (nets.mlp(2, [1], 1, activation="tanh", seed=0, dtype=torch.float64), "mse", (X, Y))
    found = critical.search(subject, 10, method="trust_region", steps=60, seed=0)
    certain = found.at(found.critical & found.distance.isfinite())
    assert len(certain) >= 1
    noise = torch.randn(certain.theta.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = critical.polish(found.objective, certain.theta + 1e-6 * noise, steps=0, tolerance=1.0)
    held = moved.distance.isfinite()
    assert held.any()
    away = (moved.theta - certain.theta).norm(dim=1)
    assert (away[held] <= moved.distance[held]).all()
    shift = (moved.eigenvalues - certain.eigenvalues).abs().amax(1)
    assert (shift[held] <= moved.eigenvalue_error[held] + certain.eigenvalue_error[held]).all()


def test_beyond_the_dense_limit_extremes_and_index_agree_with_the_dense_ones(found):
    """Lanczos to 1e-6 of |H|. The index is a mean over probes: 0.15 is four standard errors here."""
    few = found.at(torch.arange(2))
    by_products = critical.polish(found.objective, few, steps=0, dense=0)
    k = by_products.eigenvalues.shape[1] // 2
    scale = float(few.eigenvalues.abs().max())
    torch.testing.assert_close(by_products.eigenvalues[:, :k], few.eigenvalues[:, :k], rtol=0, atol=2e-6 * scale)
    torch.testing.assert_close(by_products.eigenvalues[:, k:], few.eigenvalues[:, -k:], rtol=0, atol=2e-6 * scale)
    assert float((by_products.index - few.index).abs().max()) < 0.15
    assert not by_products.distance.isfinite().any()


def test_flatness_by_products_is_that_of_the_matrix():
    """Gradients in the range, in the kernel, and between; 1e-6 with the kernel well apart."""
    H = torch.diag(torch.tensor([3.0, -2.0, 1.0, 0.0, 0.0], dtype=torch.float64))
    g = torch.tensor([[1.0, 1, 1, 0, 0], [0, 0, 0, 1, 2], [1, 0, 0.5, 2, 0]], dtype=torch.float64)
    dense = flatness(H.diagonal().expand(3, 5), g)
    found = flatness_by_products(lambda V, rows: V @ H, g, H.norm().expand(3), most=10)
    torch.testing.assert_close(found, dense, rtol=1e-4, atol=1e-4)
    assert dense[1] == 1.0


def test_without_matrices_the_methods_do_the_same():
    """`made` = 0 forces products: a step of Newton-MR to 1e-6; the trust regions descend, if less exactly."""
    starts = 0.5 * torch.randn(6, 13, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    with_matrices, without = (Field((_network(), "mse", (X, Y)), made=made) for made in (64, 0))
    assert without.products(starts).matrices is None
    ends = [
        walk(NewtonMR(field, 6, most=13), field, starts, steps=1, tolerance=1e-9) for field in (with_matrices, without)
    ]
    torch.testing.assert_close(ends[0].Y, ends[1].Y, rtol=1e-6, atol=1e-6)
    lows = [
        walk(TrustRegionNewton(field, 6, most=13), field, starts, steps=6, tolerance=1e-6).loss
        for field in (with_matrices, without)
    ]
    assert (lows[1] < with_matrices.value(starts)).all()
    norms = [
        walk(GradientNorm(field, 6, most=13), field, starts, steps=10, tolerance=1e-9).g.norm(dim=1)
        for field in (with_matrices, without)
    ]
    before = with_matrices.gradient(starts).norm(dim=1)
    assert (norms[0] < 0.1 * before).all()
    assert (norms[1] < 0.3 * before).all()


def test_third_derivatives_are_those_of_the_formula():
    """The derivative of autograd's dense Hessian of the formula, contracted; rounding."""
    field = Field((_network(), "mse", (X, Y)))
    y, u, v = torch.randn(3, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    T = torch.autograd.functional.jacobian(
        lambda t: torch.autograd.functional.hessian(_by_hand, t, create_graph=True), y
    )
    torch.testing.assert_close(field.third(y[None], u[None], v[None])[0], torch.einsum("ijk,i,j->k", T, u, v))
    torch.testing.assert_close(field.third_matrices(y[None], u[None])[0], torch.einsum("ijk,i->jk", T, u))
    w = _directions()
    norm = float(torch.einsum("ijk,ni,nj,nk->n", T, w, w, w).abs().max())
    estimate = lipschitz_estimate(field, y[None], starts=8, iterations=8, generator=torch.Generator().manual_seed(0))
    assert float(estimate) >= 2 * norm * (1 - 1e-9)


def _directions() -> torch.Tensor:
    drawn = torch.randn(2000, 13, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return drawn / drawn.norm(dim=1, keepdim=True)


def test_the_flow_ends_in_the_minimum_of_its_basin():
    """Against scipy's integrator run on the formula from the same start; 1e-6 where the two stop."""
    from scipy.integrate import solve_ivp

    def slope(_, v):
        x, y = v
        p, q = x**2 + y - 11, x + y**2 - 7
        return [-4 * x * p - 2 * q, -2 * p - 4 * y * q]

    starts = torch.tensor([[0.5, 0.5], [-1.0, 2.0], [-2.0, -2.5], [2.0, -2.0]], dtype=torch.float64)
    surface = critical.function(lambda v: (v[0] ** 2 + v[1] - 11) ** 2 + (v[0] + v[1] ** 2 - 7) ** 2, 2)
    found = critical.flow(surface, starts, first=0.1)
    assert found.points.kind == ("minimum",) * 4
    assert float(found.points.gradient_norm.max()) < 1e-12
    assert float(found.moved.max()) < 1e-5
    for start, end in zip(starts.numpy(), found.points.theta.numpy(), strict=True):
        flown = solve_ivp(slope, (0, 5), start, method="LSODA", rtol=1e-9, atol=1e-10).y[:, -1]
        np.testing.assert_allclose(end, flown, atol=1e-6)
    assert len(found.plot().panels) == 2
    objective = Objective.of((_network(), "mse", (X, Y)))
    short = critical.flow(objective, 2, doublings=2)
    assert set(short.points.kind) <= {"not converged", "gradient-flat"}
