"""Output weights by least squares, beside scipy's and numpy's dense solutions in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.regression.single_layer.projection import LeastSquares

F64 = torch.float64


def problem(n=30, M=6, k=2, seed=0, scale=0.0):
    """Z with singular values spread over some 10^scale in no coordinate's direction, and targets."""
    g = torch.Generator().manual_seed(seed)
    turned = torch.linalg.qr(torch.randn(M, M, generator=g, dtype=F64))[0]
    Z = torch.randn(n, M, generator=g, dtype=F64) * torch.logspace(0, -scale, M, dtype=F64) @ turned
    return Z, torch.randn(n, k, generator=g, dtype=F64)


def stacked(Z, Y, ridge):
    """[Z / sqrt n; sqrt(ridge) I] and [Y / sqrt n; 0]: the same problem without a ridge."""
    n, M = Z.shape
    A = np.vstack([Z.numpy() / np.sqrt(n), np.sqrt(ridge) * np.eye(M)])
    return A, np.vstack([Y.numpy() / np.sqrt(n), np.zeros((M, Y.shape[1]))])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0, 5), ridge=st.sampled_from([0.0, 1e-8, 1e-2]))
def test_weights_are_as_good_as_those_of_an_orthogonal_factorisation(seed, scale, ridge):
    """One step of refinement leaves errors of order eps cond(A) (A scaled by up to 1e5), as QR does."""
    Z, Y = problem(seed=seed, scale=scale)
    A, c = stacked(Z, Y, ridge)
    found = LeastSquares(Y, ridge).best(Z)
    wanted = np.linalg.lstsq(A, c, rcond=None)[0]
    error = np.linalg.norm(found.weights.numpy() - wanted) / np.linalg.norm(wanted)
    assert error < 1e2 * np.finfo(float).eps * np.linalg.cond(A)
    assert found.value == pytest.approx(0.5 * np.square(A @ wanted - c).sum(), rel=1e-12)


def test_slope_is_the_derivative_by_the_outputs():
    Z, Y = problem()
    found = LeastSquares(Y, 0.1).best(Z)
    outputs = (Z @ found.weights).requires_grad_()
    (0.5 * (outputs - Y).square().sum() / len(Y)).backward()
    torch.testing.assert_close(found.slope, outputs.grad, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(
        Z.T @ found.slope + 0.1 * found.weights, torch.zeros(6, 2, dtype=F64), rtol=0, atol=1e-15
    )


def test_solve_and_whiten_are_the_inverse():
    Z, Y = problem()
    found = LeastSquares(Y, 0.1).best(Z)
    S = Z.T @ Z / len(Z) + 0.1 * torch.eye(6, dtype=F64)
    C = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(1), dtype=F64)
    torch.testing.assert_close(found.solve(C[..., 0]), torch.linalg.solve(S, C[..., 0]), rtol=1e-12, atol=1e-14)
    white = found.whiten(C)
    wanted = sum(C[:, o].T @ torch.linalg.solve(S, C[:, o]) for o in range(2))
    torch.testing.assert_close(white.T @ white, wanted, rtol=1e-12, atol=1e-13)


def test_repeated_features_without_a_ridge_get_the_weights_of_least_norm():
    Z, Y = problem(M=3)
    twice = torch.cat([Z, Z[:, :2]], 1)
    found = LeastSquares(Y, 0.0).best(twice)
    np.testing.assert_allclose(found.weights, np.linalg.pinv(twice.numpy()) @ Y.numpy(), rtol=1e-7, atol=1e-9)
    assert found.value == pytest.approx(LeastSquares(Y, 0.0).best(Z).value, rel=1e-10)
    assert found.whiten(torch.zeros(5, 2, 1, dtype=F64)).shape == (6, 1)  # rank 3, two outputs


def test_loss_at_other_weights():
    Z, Y = problem()
    value, slope = LeastSquares(Y, 0.1).loss(Z, torch.zeros(6, 2, dtype=F64))
    assert value == pytest.approx(float(Y.square().sum()) / 60)
    torch.testing.assert_close(slope, -Y / 30)
