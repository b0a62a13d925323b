"""Closed forms of held-out predictions against brute-force refits, scikit-learn and rationals; the path's refusals."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeCV

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.figures import static
from lemmata.kernels import Gaussian, Laplace, kernel_ridge, kernel_ridge_path, one_vs_all
from lemmata.kernels.regression import entries
from lemmata.kernels.regression.block_cholesky import inverse_diagonal

RIDGES = [0.0, 1e-3, 0.1, 10.0]


def problem(n: int, d: int = 4, k: int = 2, seed: int = 0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64)
    return x, torch.randn(n, k, generator=draw, dtype=torch.float64)


def refitted(K, y, ridge: float, folds) -> torch.Tensor:
    """Every fold predicted by a dense solve on the others."""
    out = torch.empty_like(y)
    for fold in folds.unique():
        S, T = folds == fold, folds != fold
        alpha = torch.linalg.solve(K[T][:, T] + ridge * torch.eye(int(T.sum())).double(), y[T])
        out[S] = K[S][:, T] @ alpha
    return out


@pytest.mark.parametrize("block", [7, 1000])
@pytest.mark.parametrize("ridge", RIDGES)
def test_leave_one_out_equals_n_refits(monkeypatch, block, ridge):
    monkeypatch.setattr(entries, "BLOCK", block)
    x, y = problem(40)
    found = kernel_ridge(Gaussian(1.0), y, x=x, ridge=ridge).leave_one_out()
    # cond(K) is about 1e3, and each side loses that much of 1e-16
    np.testing.assert_allclose(found.predictions[0], refitted(Gaussian(1.0)(x), y, ridge, torch.arange(40)), rtol=1e-8)


@pytest.mark.parametrize("block", [7, 16, 1000])
def test_diagonal_of_the_inverse(monkeypatch, block):
    monkeypatch.setattr(entries, "BLOCK", block)
    x, y = problem(50)
    found = inverse_diagonal(kernel_ridge(Gaussian(1.0), y, x=x).factor)
    np.testing.assert_allclose(found, np.diag(np.linalg.inv(Gaussian(1.0)(x).numpy())), rtol=1e-9)


def test_path_equals_the_fits():
    x, y = problem(60)
    path = kernel_ridge_path(Laplace(1.0), y, x=x, ridges=RIDGES)
    new = problem(20, seed=1)[0]
    for ridge, alpha in zip(RIDGES, path.coefficients, strict=True):
        single = kernel_ridge(Laplace(1.0), y, x=x, ridge=ridge)
        np.testing.assert_allclose(alpha, single.coefficients, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(path.fit(ridge)(new), single(new), rtol=1e-8, atol=1e-10)
        assert path.fit(ridge).residual < 1e-10


def test_path_leave_one_out_equals_n_refits():
    x, y = problem(40)
    found = kernel_ridge_path(Gaussian(1.0), y, x=x, ridges=RIDGES).leave_one_out()
    for ridge, predictions in zip(RIDGES, found.predictions, strict=True):
        np.testing.assert_allclose(
            predictions, refitted(Gaussian(1.0)(x), y, ridge, torch.arange(40)), rtol=1e-7, atol=1e-9
        )


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(4, 40),
    k=st.integers(1, 3),
    folds=st.integers(2, 4),
    ridge=st.floats(1e-4, 10),
    seed=st.integers(0, 2**31),
)
def test_folds_equal_refits(n, k, folds, ridge, seed):
    x, y = problem(n, k=k, seed=seed)
    found = kernel_ridge_path(Laplace(1.0), y, x=x, ridges=[ridge]).cross_validation(folds, seed=seed)
    assert len(found.folds.unique()) == folds
    sizes = found.folds.bincount()
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_allclose(
        found.predictions[0], refitted(Laplace(1.0)(x), y, ridge, found.folds), rtol=1e-7, atol=1e-9
    )


def test_folds_of_ones_own_and_ridgeless():
    x, y = problem(30)
    folds = torch.arange(30) % 3
    found = kernel_ridge_path(Laplace(1.0), y[:, 0], x=x, ridges=RIDGES).cross_validation(folds)
    for ridge, predictions in zip(RIDGES, found.predictions, strict=True):
        np.testing.assert_allclose(predictions, refitted(Laplace(1.0)(x), y, ridge, folds)[:, 0], rtol=1e-7, atol=1e-9)


def test_ridges_taken_in_several_batches_are_the_same(monkeypatch):
    from lemmata.kernels.regression import ridge_path

    x, y = problem(30)
    path = kernel_ridge_path(Laplace(1.0), y, x=x, ridges=RIDGES)
    whole = path.cross_validation(3).predictions
    monkeypatch.setattr(ridge_path, "AT_ONCE", 1)
    np.testing.assert_allclose(path.cross_validation(3).predictions, whole, rtol=1e-12)


def test_agrees_with_sklearns_ridge_on_a_linear_kernel():
    x, y = problem(50, k=1)
    ridges = [0.01, 0.1, 1.0, 10.0]
    theirs = RidgeCV(alphas=ridges, fit_intercept=False, store_cv_results=True).fit(x.numpy(), y[:, 0].numpy())
    ours = kernel_ridge_path(x @ x.T, y[:, 0], ridges=ridges).leave_one_out()
    np.testing.assert_allclose(ours.squared_errors.T, theirs.cv_results_, rtol=1e-9)
    assert ours.best == theirs.alpha_


def test_leave_one_out_of_a_small_case_in_rationals():
    # K = [[2, 1], [1, 3]], ridge 1/2: without sample 0, f(x_0) = 1 / (3 + 1/2) * y_1, and so for the other
    y = [Fraction(1), Fraction(-2)]
    wanted = [Fraction(1) / (3 + Fraction(1, 2)) * y[1], Fraction(1) / (2 + Fraction(1, 2)) * y[0]]
    K = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    target = torch.tensor([1.0, -2.0])
    for found in (
        kernel_ridge(K, target, ridge=0.5).leave_one_out(),
        kernel_ridge_path(K, target, ridges=[0.5]).leave_one_out(),
    ):
        np.testing.assert_allclose(found.predictions[0], [float(part) for part in wanted], rtol=1e-14)


def test_gcv_is_its_definition():
    x, y = problem(30)
    K = Gaussian(1.0)(x)
    for ridge, score, freedom in zip(RIDGES[1:], *_scores(K, y), strict=True):
        H = K @ torch.linalg.inv(K + ridge * torch.eye(30).double())
        left = (y - H @ y).square().mean() / (1 - H.trace() / 30) ** 2
        assert float(score) == pytest.approx(float(left), rel=1e-6)
        assert float(freedom) == pytest.approx(float(H.trace()), rel=1e-9)


def _scores(K, y):
    path = kernel_ridge_path(K, y, ridges=RIDGES[1:])
    return path.gcv(), path.freedom


def test_the_ridge_chosen_is_near_the_noise():
    """The optimal ridge of a Gaussian process with noise sigma^2 is sigma^2; leave-one-out finds its order."""
    x, _ = problem(400, d=2)
    K = Laplace(1.0)(x)
    draw = torch.Generator().manual_seed(3)
    signal = torch.linalg.cholesky(K + 1e-10 * torch.eye(400).double()) @ torch.randn(
        400, generator=draw, dtype=torch.float64
    )
    y = signal + 0.5 * torch.randn(400, generator=draw, dtype=torch.float64)
    path = kernel_ridge_path(K, y)
    for chosen in (path.leave_one_out().best, path.cross_validation(10).best, float(path.ridges[path.gcv().argmin()])):
        assert 0.05 < chosen < 1.0  # 0.25, within the flat bottom of the error


def test_error_rate_of_classes():
    labels = torch.arange(60) % 3
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).double() + 6 * torch.eye(3)[labels, :2].double()
    y = one_vs_all(labels, 3)
    path = kernel_ridge_path(Gaussian(2.0), y, x=x, ridges=[1e-2, 1.0])
    found = path.cross_validation(4)
    wrong = (found.predictions.argmax(2) != labels).double().mean(1)
    assert found.error_rate().equal(wrong)
    assert found.error_rate(labels).equal(wrong)
    assert float(wrong.min()) < 0.1
    two = kernel_ridge_path(Gaussian(2.0), y[:, 0], x=x, ridges=[1.0]).leave_one_out()
    assert float(two.error_rate()) < 0.2


def test_targets_of_ten_classes_are_the_papers():
    y = one_vs_all(torch.tensor([3]), 10)
    assert y[0].tolist() == pytest.approx([-0.1] * 3 + [0.9] + [-0.1] * 6)
    assert one_vs_all(torch.tensor([0, 1]), 2, shift=0.0).tolist() == [[1, 0], [0, 1]]
    for labels, classes in (
        (torch.tensor([0, 5]), 3),
        (torch.tensor([-1, 0]), 2),
        (torch.tensor([0.0]), 2),
        (torch.tensor([0]), 1),
    ):
        with pytest.raises(InvalidInput, match="labels"):
            one_vs_all(labels, classes)


def test_leave_one_out_needs_a_factor():
    x, y = problem(20)
    for fit in (
        kernel_ridge(Gaussian(1.0), y, x=x, method="iterative"),
        kernel_ridge_path(Gaussian(1.0), y, x=x).fit(0.1),
    ):
        with pytest.raises(InvalidInput, match="needs the Cholesky factor"):
            fit.leave_one_out()


def test_leave_one_out_that_rounding_spoils_is_refused():
    x, y = problem(200, d=2)
    fit = kernel_ridge(Gaussian(1.0), y.float(), x=x.float(), ridge=1e-5)
    with pytest.raises(NotConverged, match="diagonal of the inverse kernel matrix"):
        fit.leave_one_out()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: kernel_ridge_path(Gaussian(1.0), y, x=x, ridges=[-1.0]), "each must be 0 or positive"),
        (lambda x, y: kernel_ridge_path(Gaussian(1.0), y, x=x, ridges=[]), "there must be one at least"),
        (lambda x, y: kernel_ridge_path(torch.tensor([[1.0, 2], [2, 1]]), y[:2]), "eigenvalue -1, below zero"),
        (lambda x, y: kernel_ridge_path(torch.ones(3, 3), y[:3], ridges=[0.0]), "lost in the kernel's rounding"),
        (lambda x, y: kernel_ridge_path(torch.ones(3, 3), y[:3], ridges=[1.0]).fit(0.0), "lost in the kernel's round"),
        (lambda x, y: kernel_ridge_path(torch.zeros(3, 3), y[:3]), "the kernel matrix is zero"),
        (lambda x, y: kernel_ridge_path(Gaussian(1.0), y, x=x, memory=100), "needs .* GB, and 1e-07 GB are free"),
        (lambda x, y: kernel_ridge_path(Gaussian(1.0), y, x=x).cross_validation(1), "1 folds of 20 samples"),
        (lambda x, y: kernel_ridge_path(Gaussian(1.0), y, x=x).cross_validation(torch.zeros(20)), "two folds or more"),
        (lambda x, y: kernel_ridge_path(Gaussian(1.0), y[:5], x=x), r"targets y of shape \(5, 2\) for 20 samples"),
        (lambda x, y: _left_out(x, y[:, 0]).error_rate(y), "leave labels out"),
        (lambda x, y: _left_out(x, y).error_rate(torch.zeros(3)), "labels of shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(call, message):
    with pytest.raises(InvalidInput, match=message):
        call(*problem(20))


def _left_out(x, y):
    return kernel_ridge_path(Gaussian(1.0), y, x=x).leave_one_out()


def test_draw_themselves():
    x, y = problem(30)
    path = kernel_ridge_path(Gaussian(1.0), y, x=x, ridges=[0.0, 0.1, 1.0])
    drawn = [path, path.leave_one_out(), path.cross_validation(3), kernel_ridge(Gaussian(1.0), y, x=x).leave_one_out()]
    for result in drawn:
        assert static.render(result.plot(), None).startswith("<svg")
