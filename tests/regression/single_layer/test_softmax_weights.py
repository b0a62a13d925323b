"""Output weights under cross-entropy: beside scikit-learn, dense Hessians of autograd, and what they promise."""

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.regression.single_layer import softmax_weights
from lemmata.regression.single_layer.softmax_weights import CrossEntropy, hessian

F64 = torch.float64


def problem(n=60, M=5, k=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    Z = torch.randn(n, M, generator=g, dtype=F64)
    y = (Z @ torch.randn(M, k, generator=g, dtype=F64) + torch.randn(n, k, generator=g, dtype=F64)).argmax(1)
    return Z, y


def loss(Z, y, W, ridge):
    return torch.nn.functional.cross_entropy(Z @ W, y) + ridge / 2 * W.square().sum()


def dense_hessian(Z, y, W, ridge):
    """(M k, M k), ordered class by class, by autograd."""
    M, k = W.shape
    return torch.autograd.functional.hessian(lambda w: loss(Z, y, w.view(k, M).T, ridge), W.T.flatten())


@pytest.mark.parametrize("ridge", [1e-1, 1e-3, 1e-6])
def test_weights_are_those_of_scikit_learn(ridge):
    """Its newton-cholesky at tolerance 1e-12; both gradients are below 1e-10, so weights agree to 1e-10 / ridge."""
    from sklearn.linear_model import LogisticRegression

    Z, y = problem()
    found = CrossEntropy(y, 3, ridge).best(Z)
    theirs = LogisticRegression(C=1 / (60 * ridge), fit_intercept=False, solver="newton-cg", tol=1e-12, max_iter=500)
    coefficients = torch.as_tensor(theirs.fit(Z.numpy(), y.numpy()).coef_.T.copy())
    assert found.value <= float(loss(Z, y, coefficients, ridge)) + 1e-14
    torch.testing.assert_close(found.weights, coefficients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("start", [None, 0, 1])
def test_gradient_vanishes_from_any_start(start):
    Z, y = problem()
    inner = CrossEntropy(y, 3, 1e-4)
    near = None
    if start is not None:
        near = inner.best(Z + 0.3 * problem(seed=5)[0])
        if start:
            assert near.factor.shape == (15, 15)  # linearised there, as at an accepted point
    found = inner.best(Z, near)
    W = found.weights.clone().requires_grad_()
    value = loss(Z, y, W, 1e-4)
    (g,) = torch.autograd.grad(value, W)
    assert g.norm() < 1e-10
    assert found.value == pytest.approx(value.item(), rel=1e-13)
    torch.testing.assert_close(Z.T @ found.slope, -1e-4 * found.weights, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("limit", [2**27, 1])
def test_hessian_is_that_of_autograd(limit, monkeypatch):
    monkeypatch.setattr(softmax_weights, "BYTES", limit)  # whole, and sample by sample
    Z, y = problem()
    W = torch.randn(5, 3, generator=torch.Generator().manual_seed(2), dtype=F64)
    found = hessian(Z, (Z @ W).softmax(1), 0.01)
    torch.testing.assert_close(found, dense_hessian(Z, y, W, 0.01), rtol=1e-11, atol=1e-14)


def test_solve_whiten_and_bend():
    Z, y = problem()
    found = CrossEntropy(y, 3, 0.01).best(Z)
    H = dense_hessian(Z, y, found.weights, 0.01)
    C = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1), dtype=F64)
    flat = C.transpose(0, 1).reshape(15, 4)
    solved = torch.linalg.solve(H, flat[:, 0]).view(3, 5).T
    torch.testing.assert_close(found.solve(C[..., 0]), solved, rtol=1e-10, atol=1e-12)
    white = found.whiten(C)
    torch.testing.assert_close(white.T @ white, flat.T @ torch.linalg.solve(H, flat), rtol=1e-10, atol=1e-12)
    p = (Z @ found.weights).softmax(1)
    B = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / 60
    T = torch.randn(60, 3, 4, generator=torch.Generator().manual_seed(3), dtype=F64)
    torch.testing.assert_close(found.bend(T), torch.einsum("nab,nbq->naq", B, T), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(found.bend(T[5:9], slice(5, 9)), found.bend(T)[5:9])
    torch.testing.assert_close(found.bend(T[..., 0]), found.bend(T)[..., 0])


def test_separable_data_with_a_small_ridge():
    """The minimum is far away (weights of order 10), and Newton needs its line search."""
    Z = torch.linspace(-1, 1, 40, dtype=F64)[:, None]
    found = CrossEntropy((Z[:, 0] > 0).long(), 2, 1e-8).best(Z)
    assert found.weights.abs().max() > 10
    assert found.value < 1e-3


def test_labels_without_noise_in_one_direction_are_no_trouble():
    """Saturated probabilities: curvatures of 1e-15 beside the ridge."""
    Z, y = problem(n=200)
    found = CrossEntropy(y, 3, 1e-9).best(100 * Z)
    W = found.weights.clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(100 * Z, y, W, 1e-9), W)
    assert g.norm() < 1e-7  # 1e-10 of the gradient at 0, of size 50


def test_giving_up_says_so():
    Z, y = problem()
    with pytest.raises(NotConverged, match="inner Newton iteration did not converge") as stopped:
        CrossEntropy(y, 3, 1e-6, newton=2).best(Z)
    assert stopped.value.best.weights.shape == (5, 3)


def test_a_hessian_too_large_to_write_down_is_refused():
    with pytest.raises(InvalidInput, match="take method='lbfgs-full'"):
        hessian(torch.zeros(2, 700, dtype=F64), torch.full((2, 10), 0.1, dtype=F64), 0.1)


def test_loss_at_other_weights():
    Z, y = problem()
    value, slope = CrossEntropy(y, 3, 0.1).loss(Z, torch.zeros(5, 3, dtype=F64))
    assert value == pytest.approx(np.log(3))
    torch.testing.assert_close(slope.sum(1), torch.zeros(60, dtype=F64), atol=1e-15, rtol=0)
    assert slope[0, y[0]].item() == pytest.approx(-2 / 180)
