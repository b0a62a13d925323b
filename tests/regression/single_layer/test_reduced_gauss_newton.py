"""The reduced objective, its gradient and Gauss-Newton matrices, beside autograd through the dense projection."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from lemmata.errors import InvalidInput
from lemmata.linalg.derivative_check import check_gradient
from lemmata.regression.single_layer import gauss_newton
from lemmata.regression.single_layer.gauss_newton import Matrix, Products
from lemmata.regression.single_layer.reduced_problem import reduced_objective

F64 = torch.float64
RIDGE = (1e-2, 1e-3)
TIGHT = {"rtol": 1e-8, "atol": 1e-11}  # a few solves with matrices of condition 1e4 or less


def drawn(net, seed=0):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.7 * torch.randn(p.shape, generator=g))
    return net.double().eval()


def deep(seed=0):
    return drawn(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.SiLU()), seed)


def shallow(seed=0):
    return drawn(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), seed)


def data(loss, n=25):
    g = torch.Generator().manual_seed(4)
    x = torch.randn(n, 3, generator=g, dtype=F64)
    y = torch.randn(n, 2, generator=g, dtype=F64)
    return x, (y if loss == "mse" else torch.cat([y, y.sum(1, keepdim=True).sin()], 1).argmax(1))


def setting(build, loss):
    net = build()
    x, y = data(loss)
    reduced = reduced_objective(net, x, y, loss=loss, ridge=RIDGE)
    return net, x, y, reduced


def stacked_features(net, x, theta, ridge):
    """A(theta) = [Z / sqrt n; sqrt(ridge) I], differentiable by theta (in the module's order of parameters)."""
    parts = theta.split([p.numel() for p in net.parameters()])
    named = {name: part.view(p.shape) for (name, p), part in zip(net.named_parameters(), parts, strict=True)}
    H = functional_call(net, named, (x,))
    Z = torch.cat([H, torch.ones(len(x), 1, dtype=F64)], 1)
    return torch.cat([Z / len(x) ** 0.5, ridge**0.5 * torch.eye(Z.shape[1], dtype=F64)])


def residual(net, x, y, theta):
    """A A^+ c - c, flat by outputs: the projected residual of Golub and Pereyra."""
    A = stacked_features(net, x, theta, RIDGE[1])
    c = torch.cat([y / len(x) ** 0.5, y.new_zeros(A.shape[1], y.shape[1])])
    return (A @ torch.linalg.solve(A.T @ A, A.T @ c) - c).T.flatten()


@pytest.mark.parametrize("build", [shallow, deep])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_reduced_gradient_is_a_gradient(build, loss):
    _, _, _, reduced = setting(build, loss)
    value_of = lambda theta: reduced.at(theta).value  # noqa: E731
    assert check_gradient(value_of, lambda theta: reduced.at(theta).gradient, reduced.start, seed=0).holds


def test_an_inner_problem_half_solved_has_no_such_gradient():
    """The partial gradient is that of j only where dJ/dW = 0: with a loose inner tolerance the check must fail."""
    net, x, y, _ = setting(shallow, "cross_entropy")
    loose = reduced_objective(net, x, y, loss="cross_entropy", ridge=RIDGE, inner_tolerance=0.3)
    value_of = lambda theta: loose.at(theta).value  # noqa: E731
    assert not check_gradient(value_of, lambda theta: loose.at(theta).gradient, loose.start, seed=0).holds


def test_value_and_gradient_by_autograd_through_the_projection():
    net, x, y, reduced = setting(deep, "mse")
    theta = reduced.start.clone().requires_grad_()
    j = 0.5 * residual(net, x, y, theta).square().sum() + RIDGE[0] / 2 * theta.square().sum()
    (gradient,) = torch.autograd.grad(j, theta)
    value, found = reduced.value_and_gradient(reduced.start)
    assert value == pytest.approx(j.item(), rel=1e-12)
    torch.testing.assert_close(found, gradient, **TIGHT)


def test_full_gauss_newton_matrix_is_the_jacobian_of_the_projected_residual():
    net, x, y, reduced = setting(deep, "mse")
    J = torch.autograd.functional.jacobian(lambda t: residual(net, x, y, t), reduced.start)
    eye = torch.eye(len(reduced.start), dtype=F64)
    found = Matrix(reduced.at(reduced.start), kaufman=False).G
    torch.testing.assert_close(found, J.T @ J + RIDGE[0] * eye, **TIGHT)


def test_kaufmans_matrix_leaves_out_what_lies_in_the_range_of_the_features():
    net, x, _, reduced = setting(deep, "mse")
    A = stacked_features(net, x, reduced.start, RIDGE[1])
    P = torch.eye(len(A), dtype=F64) - A @ torch.linalg.solve(A.T @ A, A.T)
    at = reduced.at(reduced.start)
    dA = torch.autograd.functional.jacobian(lambda t: stacked_features(net, x, t, RIDGE[1]), reduced.start)
    J = torch.einsum("ab,bmp,mk->kap", P, dA, at.inner.weights).flatten(0, 1)
    wanted = J.T @ J + RIDGE[0] * torch.eye(len(at.theta), dtype=F64)
    torch.testing.assert_close(Matrix(at).G, wanted, **TIGHT)


def test_the_whole_jacobian_is_never_below_kaufmans():
    """Their difference Q' S^-1 Q is positive semidefinite."""
    _, _, _, reduced = setting(shallow, "mse")
    at = reduced.at(reduced.start)
    lowest = torch.linalg.eigvalsh(Matrix(at, kaufman=False).G - Matrix(at).G)[0]
    assert lowest > -1e-14


@pytest.mark.parametrize("build", [shallow, deep])
def test_cross_entropy_matrix_is_the_schur_complement_of_the_whole(build):
    _, x, _, reduced = setting(build, "cross_entropy")
    at = reduced.at(reduced.start)
    W = at.inner.weights
    n, k = len(x), 3
    Z = at.inner.Z
    J = at.features.jacobian(W[:-1], slice(None))  # tested beside autograd in test_features
    by_W = torch.einsum("nm,kc->nkmc", Z, torch.eye(k, dtype=F64)).reshape(n, k, -1)
    both = torch.cat([J, by_W], 2)
    p = (Z @ W).softmax(1)
    B = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / n
    G = torch.einsum("nap,nab,nbq->pq", both, B, both)
    inner = len(at.theta)
    G[:inner, :inner] += RIDGE[0] * torch.eye(inner, dtype=F64)
    G[inner:, inner:] += RIDGE[1] * torch.eye(len(G) - inner, dtype=F64)
    wanted = G[:inner, :inner] - G[:inner, inner:] @ torch.linalg.solve(G[inner:, inner:], G[inner:, :inner])
    torch.testing.assert_close(Matrix(at).G, wanted, **TIGHT)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("kaufman", [True, False])
@pytest.mark.parametrize("build", [shallow, deep])
def test_products_are_those_of_the_matrix(build, loss, kaufman):
    if loss == "cross_entropy" and not kaufman:
        pytest.skip("the whole Jacobian is for least squares")
    _, _, _, reduced = setting(build, loss)
    at = reduced.at(reduced.start)
    G, products = Matrix(at, kaufman=kaufman).G, Products(at, kaufman=kaufman)
    v = torch.randn(len(at.theta), generator=torch.Generator().manual_seed(7), dtype=F64)
    torch.testing.assert_close(products.product(v), G @ v, **TIGHT)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_chunks_make_no_difference(loss, monkeypatch):
    _, _, _, reduced = setting(shallow, loss)
    whole = Matrix(reduced.at(reduced.start))
    monkeypatch.setattr(gauss_newton, "BYTES", 1)
    pieces = Matrix(reduced.at(reduced.start))
    torch.testing.assert_close(pieces.G, whole.G, **TIGHT)
    torch.testing.assert_close(pieces.at.gradient, whole.at.gradient, **TIGHT)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("model", [Matrix, Products])
def test_steps_solve_the_damped_system_and_predict_the_models_fall(model, loss):
    _, _, _, reduced = setting(shallow, loss)
    at = reduced.at(reduced.start)
    G, g = Matrix(at).G, reduced.at(reduced.start).gradient
    step = model(at).step(0.1)
    fall = -float(g @ step.d + step.d @ G @ step.d / 2)
    assert step.predicted == pytest.approx(fall, rel=1e-8)
    left = G @ step.d + 0.1 * step.d + g
    assert left.norm() <= (1e-10 if model is Matrix else 0.1) * g.norm()


def test_gradients_from_a_jacobian_and_from_a_pull_agree():
    _, _, _, reduced = setting(shallow, "mse")
    pulled, formed = reduced.at(reduced.start), reduced.at(reduced.start)
    Matrix(formed)
    torch.testing.assert_close(formed.gradient, pulled.gradient, **TIGHT)


def test_a_matrix_too_large_is_refused():
    x = torch.randn(4, 50, generator=torch.Generator().manual_seed(0), dtype=F64)
    reduced = reduced_objective(100, x, x[:, :1])
    with pytest.raises(InvalidInput, match="5100 x 5100"):
        Matrix(reduced.at(reduced.start))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_weights_are_foreseen_to_first_order(loss):
    """A tenth of the step, a hundredth of the error."""
    _, _, _, reduced = setting(shallow, loss)
    at = reduced.at(reduced.start)
    v = torch.randn(len(at.theta), generator=torch.Generator().manual_seed(7), dtype=F64)
    off = [
        float((at.foresee(at.theta + h * v) - reduced.at(at.theta + h * v).inner.weights).norm()) for h in (1e-2, 1e-3)
    ]
    assert off[1] == pytest.approx(off[0] / 100, rel=0.2)
