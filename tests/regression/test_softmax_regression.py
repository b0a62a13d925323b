"""Softmax and logistic regression against scikit-learn, dense Newton steps and closed forms; the bound on the gap."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lemmata.conformance import SolverConformance, flat
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg import LinearOperator, check_adjoint, check_gradient, check_jacobian
from lemmata.objective import Objective
from lemmata.regression import logistic_regression, softmax_regression
from lemmata.regression.classification_loss import ClassificationLoss, Logistic, Softmax
from lemmata.regression.minimise import METHODS


def problem(n=60, p=5, k=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=draw, dtype=torch.float64)
    scores = x @ torch.randn(p, k, generator=draw, dtype=torch.float64)
    y = (scores + 2 * torch.randn(n, k, generator=draw, dtype=torch.float64)).argmax(1)
    y[:k] = torch.arange(k)
    return x, y


def value(x, y, W, b, ridge):
    return float(torch.nn.functional.cross_entropy(x @ W + b, y) + ridge / 2 * W.square().sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ridge", [1e-2, 1.0])
def test_every_method_agrees_with_sklearn(method, ridge):
    x, y = problem()
    fit = softmax_regression(x, y, ridge=ridge, method=method, tolerance=1e-8, iterations=20_000)
    theirs = LogisticRegression(C=1 / (60 * ridge), tol=1e-12, max_iter=10_000).fit(x.numpy(), y.numpy())
    # |W - W*| <= |gradient| / ridge = 1e-6, theirs stops on its own criterion
    np.testing.assert_allclose(fit.weights.T, theirs.coef_, atol=3e-6)
    shifted = fit.intercept - fit.intercept.mean()
    np.testing.assert_allclose(shifted, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-5)
    np.testing.assert_allclose(fit.probabilities(x), theirs.predict_proba(x.numpy()), atol=1e-5)
    assert fit.predict(x).tolist() == theirs.predict(x.numpy()).tolist()
    assert fit.accuracy(x, y) == pytest.approx(theirs.score(x.numpy(), y.numpy()))
    assert fit.value == pytest.approx(value(x, y, fit.weights, fit.intercept, ridge), rel=1e-14)


@pytest.mark.parametrize("intercept", [True, False])
def test_logistic_agrees_with_sklearn_and_with_softmax_of_two_classes(intercept):
    x, y = problem(k=2)
    fit = logistic_regression(x, y, ridge=0.05, tolerance=1e-9, intercept=intercept)
    theirs = LogisticRegression(C=1 / (60 * 0.05), tol=1e-12, max_iter=10_000, fit_intercept=intercept)
    theirs.fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(fit.weights.T, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(fit.intercept, theirs.intercept_, atol=1e-6)
    np.testing.assert_allclose(fit.probabilities(x), theirs.predict_proba(x.numpy()), atol=1e-6)
    assert fit.predict(x).tolist() == theirs.predict(x.numpy()).tolist()
    two = softmax_regression(x, y, ridge=0.1, tolerance=1e-9, intercept=intercept)
    assert torch.allclose(two.weights[:, 1] - two.weights[:, 0], fit.weights[:, 0], atol=1e-6)
    assert two.value == pytest.approx(fit.value, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    ridge=st.sampled_from([1e-3, 1e-1, 10.0]),
    tolerance=st.sampled_from([1e-1, 1e-2, 1e-4]),
    method=st.sampled_from(["newton-cg", "lbfgs", "steepest-descent"]),
    intercept=st.booleans(),
)
def test_the_gap_is_never_above_its_bound(seed, ridge, tolerance, method, intercept):
    x, y = problem(seed=seed)
    x = 3 * x + 2  # so that weights and intercept are entangled
    rough = softmax_regression(
        x, y, ridge=ridge, method=method, tolerance=tolerance, intercept=intercept, iterations=20_000
    )
    best = softmax_regression(x, y, ridge=ridge, tolerance=1e-9, intercept=intercept, mixed=False, iterations=20_000)
    assert rough.value - best.value <= rough.gap_bound + 1e-14
    assert rough.gradient_norm <= tolerance
    assert best.gap_bound <= 1e-14


def test_the_bound_is_not_that_of_the_gradient_alone():
    """At weights that are optimal and an intercept that is not, the gradient by the weights can be zero at a gap."""
    x, y = problem()
    x = x - x.mean(0)
    for c in (0, 1, 2):
        x[y == c] -= x[y == c].mean(0)  # features that tell nothing: W = 0 is optimal for the right intercept
    counts = torch.bincount(y).double()
    right = (counts / len(y)).log()
    fit = softmax_regression(x, y, ridge=0.1, start=(torch.zeros(5, 3), right + 0 * counts), tolerance=1e-6)
    assert fit.iterations == 0
    assert fit.gap_bound < 1e-20
    rough = softmax_regression(x, y, ridge=0.1, start=(torch.zeros(5, 3), torch.zeros(3)), tolerance=0.9)
    assert rough.iterations == 0
    assert rough.value == pytest.approx(fit.value, abs=1e-14)  # the intercept was polished
    assert rough.intercept_residual < 1e-15


@pytest.mark.parametrize("link", ["softmax", "logistic"])
@pytest.mark.parametrize("intercept", [True, False])
def test_derivatives(link, intercept):
    x, y = problem(k=3 if link == "softmax" else 2)
    columns = 3 if link == "softmax" else 1
    made = Softmax(y, 3) if link == "softmax" else Logistic(y)
    loss = ClassificationLoss(x, made, ridge=0.3, intercept=intercept, mixed=False)
    v = torch.randn(loss.p * columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    check = check_gradient(
        lambda v: loss.value_and_gradient(v)[0],
        lambda v: loss.value_and_gradient(v)[1],
        v,
        hvp=lambda v, d: loss.hessian(v)(d),
    )
    assert check.holds
    assert check_jacobian(lambda v: loss.value_and_gradient(v)[1], lambda v, d: loss.hessian(v)(d), v).holds
    for product in (loss.hessian(v), loss.preconditioner(v)):
        tolerance = None if product is not loss.preconditioner(v) else 1e-5  # it is made in float32 where mixed
        operator = LinearOperator(
            lambda V, product=product: torch.stack([product(d.contiguous()) for d in V.T], 1),
            (len(v), len(v)), symmetric=True, dtype=torch.float64,
        )  # fmt: skip
        assert check_adjoint(operator, tolerance=tolerance).holds


def test_the_preconditioner_bounds_the_hessian_at_zero():
    """At P = 1/k it is the bound of Boehning, attained on all class differences: the preconditioned H is I there."""
    x, y = problem(200, 4, 3)
    loss = ClassificationLoss(x, Softmax(y, 3), ridge=0.1, intercept=True, mixed=False)
    v = torch.zeros(loss.p * 3, dtype=torch.float64)
    d = torch.randn(loss.p, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    d = (d - d.mean(1, keepdim=True)).reshape(-1)
    back = loss.preconditioner(v)(loss.hessian(v)(d))
    assert torch.allclose(back, d, rtol=1e-4, atol=1e-5)  # but for the shift of 1e-6 that keeps it definite


def test_scores_of_a_thousand_do_not_overflow():
    x, y = problem()
    fit = softmax_regression(1000 * x, y, ridge=1.0, tolerance=1e-5)
    assert math.isfinite(fit.value)
    start = (torch.full((5, 3), 1e3).double(), torch.zeros(3).double())
    assert softmax_regression(x, y, ridge=0.1, start=start).converged
    one = softmax_regression(x, y, ridge=0.1)
    assert torch.allclose(softmax_regression(x, y, ridge=0.1, start=start).weights, one.weights, atol=1e-4)
    two = logistic_regression(x, (y > 0).long(), ridge=0.1, start=(1e3 * torch.ones(5, 1), torch.zeros(1)))
    assert two.converged


def test_features_that_do_not_vary_get_no_weight():
    x, y = problem()
    padded = torch.cat([torch.full((60, 2), 0.7).double(), x, torch.zeros(60, 1).double()], 1)
    fit, plain = softmax_regression(padded, y, ridge=0.1, tolerance=1e-8), softmax_regression(x, y, ridge=0.1)
    assert fit.weights[[0, 1, 7]].abs().max() == 0
    assert torch.allclose(fit.weights[2:7], plain.weights, atol=1e-5)
    theirs = LogisticRegression(C=1 / 6.0, tol=1e-12, max_iter=10_000).fit(padded.numpy(), y.numpy())
    np.testing.assert_allclose(fit.weights.T, theirs.coef_, atol=1e-5)
    bare = softmax_regression(padded, y, ridge=0.1, intercept=False, tolerance=1e-8)
    assert bare.weights[:2].abs().min() > 1e-6  # without an intercept a constant feature is one, penalised
    assert bare.intercept.tolist() == [0, 0, 0]


def test_a_feature_that_varies_late_is_not_dropped():
    x, y = problem(400)
    late = torch.zeros(400, 1, dtype=torch.float64)
    late[300:] = 1.0
    assert softmax_regression(torch.cat([x, late], 1), y, ridge=0.1).weights[-1].abs().max() > 1e-3


def test_is_the_minimum_of_the_objective():
    x, y = problem()
    fit = softmax_regression(x, y, ridge=1e-9, tolerance=1e-7)
    model = torch.nn.Linear(5, 3).double()
    moved = Objective(model, data=(x, y)).at({"weight": fit.weights.T.contiguous(), "bias": fit.intercept})
    assert float(moved.vector(moved.gradient()).norm()) < 1e-6


def test_warm_starts_save_work():
    x, y = problem(500, 20, 4)
    near = softmax_regression(x, y, ridge=0.011)
    cold = softmax_regression(x, y, ridge=0.01)
    warm = softmax_regression(x, y, ridge=0.01, start=(near.weights, near.intercept))
    assert warm.cost < cold.cost
    assert warm.value == pytest.approx(cold.value, abs=1e-12)


def test_separable_classes_need_a_ridge():
    x = torch.tensor([[-2.0], [-1.0], [1.0], [2.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1])
    for fit in (softmax_regression, logistic_regression):
        with pytest.raises(InvalidInput, match="linearly separable"):
            fit(x, y, ridge=0.0)
        assert fit(x, y, ridge=1e-3).unique
    overlapping = torch.tensor([0, 1, 0, 1])
    free = logistic_regression(x, overlapping, ridge=0.0)
    assert free.unique is None
    assert free.gap_bound == math.inf
    assert "above the minimum" not in free.plot().caption


def test_what_cannot_be_fitted_is_named():
    x, y = problem()
    with pytest.raises(InvalidInput, match="class 1 has no samples"):
        softmax_regression(x, 2 * (y > 0).long(), ridge=0.1)
    assert softmax_regression(x, 2 * (y > 0).long(), ridge=0.1, intercept=False).converged
    with pytest.raises(InvalidInput, match="labels run from 0 to 2 and there are 2 classes"):
        softmax_regression(x, y, ridge=0.1, classes=2)
    with pytest.raises(InvalidInput, match="two classes at least"):
        softmax_regression(x, 0 * y, ridge=0.1)
    with pytest.raises(InvalidInput, match="they must be 0 and 1"):
        logistic_regression(x, y, ridge=0.1)
    with pytest.raises(InvalidInput, match=r"labels are torch.float64 \(60,\)"):
        softmax_regression(x, y.double(), ridge=0.1)
    with pytest.raises(InvalidInput, match="ridge = -1"):
        softmax_regression(x, y, ridge=-1)
    with pytest.raises(InvalidInput, match="the start is"):
        softmax_regression(x, y, ridge=1, start=(torch.zeros(5, 2), torch.zeros(3)))
    with pytest.raises(UnknownName, match="unknown method 'adam'"):
        softmax_regression(x, y, ridge=1, method="adam")


def test_too_few_steps_are_told_with_the_best_and_its_bound():
    x, y = problem()
    with pytest.raises(NotConverged, match="softmax regression by lbfgs did not converge") as stopped:
        softmax_regression(x, y, ridge=0.01, method="lbfgs", iterations=3)
    best = stopped.value.best
    truth = softmax_regression(x, y, ridge=0.01, tolerance=1e-9)
    assert 0 <= best.value - truth.value <= best.gap_bound
    assert not best.converged


def test_draws_itself():
    x, y = problem()
    figure = softmax_regression(x, y, ridge=0.1).plot()
    assert "above the minimum" in figure.caption
    assert len(figure.panels) == 2


@pytest.mark.gpu
def test_on_a_gpu():
    x, y = problem()
    there, here = softmax_regression(x.cuda(), y.cuda(), ridge=0.1), softmax_regression(x, y, ridge=0.1)
    assert there.weights.device.type == "cuda"
    assert torch.allclose(there.weights.cpu(), here.weights, atol=1e-5)


class TestSoftmax(SolverConformance):
    labels = True
    method = "newton-cg"
    tolerance = 1e-4  # |W - W*| <= |gradient| / ridge, 1e-6 / 0.1 of W of size 1

    def solve(self, x, y, ridge):
        return softmax_regression(x, y, ridge=ridge, method=self.method)

    def values(self, result):
        return flat([result.weights, result.intercept - result.intercept.mean()])

    def recomputed(self, result, x, y, ridge):
        W, b = result.weights.clone().requires_grad_(), result.intercept.clone().requires_grad_()
        f = torch.nn.functional.cross_entropy(x @ W + b, y) + ridge / 2 * W.square().sum()
        return float(flat(list(torch.autograd.grad(f, (W, b)))).norm())

    def truth(self, x, y, ridge):
        fit = LogisticRegression(C=1 / (len(x) * ridge), tol=1e-10, max_iter=10_000).fit(x.numpy(), y.numpy())
        b = fit.intercept_ - fit.intercept_.mean()
        return flat([torch.from_numpy(fit.coef_.T.copy()), torch.from_numpy(b)])


class TestSoftmaxByLBFGS(TestSoftmax):
    method = "lbfgs"


class TestLogistic(TestSoftmax):
    def solve(self, x, y, ridge):
        if not y.is_floating_point() and len(y) and int(y.min()) >= 0:
            y = y.clamp(max=1)
        return logistic_regression(x, y, ridge=ridge)

    def values(self, result):
        return flat([result.weights, result.intercept])

    def recomputed(self, result, x, y, ridge):
        W, b = result.weights.clone().requires_grad_(), result.intercept.clone().requires_grad_()
        target = y.clamp(max=1).double()[:, None]
        f = torch.nn.functional.binary_cross_entropy_with_logits(x @ W + b, target) + ridge / 2 * W.square().sum()
        return float(flat(list(torch.autograd.grad(f, (W, b)))).norm())

    def truth(self, x, y, ridge):
        fit = LogisticRegression(C=1 / (len(x) * ridge), tol=1e-10, max_iter=10_000)
        fit.fit(x.numpy(), y.clamp(max=1).numpy())
        return flat([torch.from_numpy(fit.coef_.T.copy()), torch.from_numpy(fit.intercept_)])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, y: (x, y[:, None]), r"shape \(60, 1\)"),
        (lambda x, y: (x, y[:1]), r"shape \(1,\)"),
        (lambda x, y: (x, y.tolist()), "y is a list"),
        (lambda x, y: (x * math.nan, y), "x holds NaN"),
        (lambda x, y: (x[:, 1:], y), r"x has shape \(60, 4\)"),
        (lambda x, y: (x.float(), y), "x is torch.float32"),
        (lambda x, y: (x.numpy(), y), "x is a ndarray"),
    ],
)
def test_samples_that_do_not_fit_are_not_judged(spoil, message):
    x, y = problem()
    with pytest.raises(InvalidInput, match=message):
        softmax_regression(x, y, ridge=1.0).accuracy(*spoil(x, y))
