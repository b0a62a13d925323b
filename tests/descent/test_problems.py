"""Problems against other libraries, autograd, closed forms and sixty-digit arithmetic.

Values and gradients are sums of some hundred terms in float64: 1e-12 relative. A bracket of f* from a Newton iteration
in 60 digits is held to 4 units in the last place of f, which is what the sum of its terms can lose.
"""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lemmata import data, descent
from lemmata.descent import problems
from lemmata.descent.problems import problem as problem_file
from lemmata.descent.problems.design import bound_near, gram, largest_eigenvalue, smallest_eigenvalue
from lemmata.descent.problems.minimum import newton
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

F64 = torch.float64


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def two_classes(n=60, d=5, seed=0):
    x = drawn(n, d, seed=seed)
    return x, x[:, 0] + 0.5 * drawn(n, seed=seed + 1) > 0


def three_classes(n=60, d=5, seed=0):
    x = drawn(n, d, seed=seed)
    return x, (x[:, :3] + drawn(n, 3, seed=seed + 1)).argmax(1)


def all_kinds(seed=0):
    x, y = two_classes(seed=seed)
    return [
        problems.logistic(x, y, 1e-2),
        problems.logistic(x, y, 1e-2, intercept=True),
        problems.softmax(*three_classes(seed=seed), 1e-2),
        problems.least_squares(x, drawn(60, seed=seed + 2)),
        problems.least_squares(x[:3], drawn(3, seed=seed + 2)),  # fewer equations than unknowns
        problems.least_squares(x[:3], drawn(3, seed=seed + 2), 0.1),
        problems.huber([1.5, 4.9, 1.5]),
        problems.quadratic([3.0, 1.0, 0.5, 0.0]),
    ]


KINDS = range(len(all_kinds()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_autograd(kind):
    problem = all_kinds()[kind]
    x = drawn(7, problem.d, seed=3).requires_grad_()
    problem.value(x).sum().backward()
    torch.testing.assert_close(problem.gradient(x.detach()), x.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_many_points_are_what_each_is_alone(kind):
    problem = all_kinds()[kind]
    x = drawn(2, 3, problem.d, seed=4)
    values, gradients = problem.value_at(x), problem.gradient_at(x)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(values[i, j], problem.value(x[i, j]), rtol=1e-13, atol=1e-15)
            torch.testing.assert_close(gradients[i, j], problem.gradient(x[i, j]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_that_fit_into_memory_change_nothing(kind, monkeypatch):
    problem = all_kinds()[kind]
    x = drawn(5, problem.d, seed=4)
    whole = problem.value_at(x), problem.gradient_at(x)
    monkeypatch.setattr(problem_file, "MEMORY", 1)  # one point at a time
    torch.testing.assert_close(problem.value_at(x), whole[0], rtol=1e-13, atol=0)
    torch.testing.assert_close(problem.gradient_at(x), whole[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.floats(1e-3, 30))
def test_l_and_mu_bound_the_curvature_between_any_two_points(kind, seed, size):
    """Both bounds of a smooth strongly convex function, and none below f*: Nesterov (2004), theorems 2.1.5, 2.1.10."""
    problem = all_kinds()[kind]
    x, y = size * drawn(2, problem.d, seed=seed)
    g, h = problem.gradient(x), problem.gradient(y)
    above = float(problem.value(y) - problem.value(x) - g @ (y - x))
    rounding = 1e-12 * max(
        float(problem.value(x).abs()), float(problem.value(y).abs()), float((g * (y - x)).abs().max())
    )
    assert above <= problem.L / 2 * float((y - x).square().sum()) + rounding
    assert above >= problem.mu / 2 * float((y - x).square().sum()) - rounding
    assert above >= float((g - h).square().sum()) / (2 * problem.L) - rounding
    assert float((g - h).norm()) <= problem.L * float((y - x).norm()) * (1 + 1e-12)
    assert float(problem.value(x)) >= problem.minimum.low - rounding


@pytest.mark.parametrize("kind", KINDS)
def test_the_minimiser_is_where_the_gradient_vanishes_and_no_other_is_nearer(kind):
    problem = all_kinds()[kind].at(drawn(4, all_kinds()[kind].d, seed=5))
    z = problem.minimiser
    assert z.shape == problem.x0.shape
    assert float(problem.gradient(z).norm(dim=-1).max()) <= 1e-11
    assert (problem.value(z) - problem.minimum.high).abs().max() <= 1e-14
    assert problem.minimum.width <= 1e-15
    torch.testing.assert_close(problem.D, (problem.x0 - z).norm(dim=-1))
    apart = problem.x0 - z  # what is left lies in no direction along which f is flat
    flat = torch.linalg.eigh(torch.autograd.functional.hessian(problem.value, z[0])) if problem.mu == 0 else None
    if flat is not None and problem.d > 1:
        null = flat[1][:, flat[0] < 1e-9 * problem.L]
        assert null.shape[1] > 0
        assert float((apart @ null).abs().max()) <= 1e-10


def test_logistic_regression_agrees_with_scikit_learn():
    x, y = two_classes()
    problem = problems.logistic(x, y, 1e-2)
    model = LogisticRegression(C=1 / (60 * 1e-2), fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    w = torch.from_numpy(model.fit(x.numpy(), y.numpy()).coef_[0])
    torch.testing.assert_close(problem.minimiser, w, rtol=1e-7, atol=1e-9)
    assert float(problem.value(w)) >= problem.minimum.low - 1e-16


def test_softmax_regression_agrees_with_scikit_learn():
    x, y = three_classes()
    problem = problems.softmax(x, y, 1e-2)
    model = LogisticRegression(C=1 / (60 * 1e-2), fit_intercept=False, solver="lbfgs", tol=1e-10, max_iter=10**4)
    w = torch.from_numpy(model.fit(x.numpy(), y.numpy()).coef_).flatten()
    torch.testing.assert_close(problem.minimiser, w, rtol=1e-5, atol=1e-7)
    assert float(problem.value(w)) >= problem.minimum.low - 1e-16


def test_two_classes_of_softmax_are_logistic_regression():
    """w_1 - w_2 = w with |w_1|^2 + |w_2|^2 = |w|^2 / 2 at the minimum: half the ridge, the same value."""
    x, y = two_classes()
    binary, both = problems.logistic(x, y, 5e-3), problems.softmax(x, y.long(), 1e-2)
    assert both.minimum.high == pytest.approx(binary.minimum.high, rel=1e-13)
    W = both.minimiser.view(2, -1)
    torch.testing.assert_close(W[1] - W[0], binary.minimiser, rtol=1e-8, atol=1e-10)


def test_the_bracket_holds_the_minimum_in_sixty_digits():
    x, y = two_classes(n=25, d=3)
    problem = problems.logistic(x, y, 1e-2)
    with mpmath.workdps(60):
        A = mpmath.matrix((x * torch.where(y, 1, -1)[:, None]).tolist())
        w = mpmath.matrix(problem.minimiser.tolist())
        for _ in range(4):
            p = [1 / (1 + mpmath.e**z) for z in A * w]
            g = -(A.T * mpmath.matrix(p)) / 25 + w / 100
            H = A.T * mpmath.diag([q * (1 - q) for q in p]) * A / 25 + mpmath.eye(3) / 100
            w -= mpmath.lu_solve(H, g)
        best = sum(mpmath.log(1 + mpmath.e**-z) for z in A * w) / 25 + (w.T * w)[0] / 200
        ulp = 4 * np.spacing(problem.minimum.high)
        assert problem.minimum.low - ulp <= best <= problem.minimum.high + ulp
        off = mpmath.norm(w - mpmath.matrix(problem.minimiser.tolist()))
        assert off <= problem.radius + 1e-14
        assert abs(float(problem.D) - mpmath.norm(w)) <= problem.radius + 1e-14


def test_far_out_the_log_loss_neither_overflows_nor_loses_its_digits():
    """At margins of 30 and 800, where log(1 + exp(-z)) is exp(-z), and z."""
    problem = problems.logistic(torch.tensor([[1.0]]).double(), torch.tensor([1]), 1e-9)
    small, large = (float(problem.value(torch.tensor([w]).double())) - 5e-10 * w**2 for w in (30.0, -800.0))
    assert small + 5e-10 * 900 - 5e-10 * 900 == pytest.approx(np.exp(-30.0), rel=1e-2)
    assert large == pytest.approx(800, rel=1e-12)


def test_constants_of_the_digits_as_published_with_the_steps():
    """5,000 MNIST digits, below five or not, with an intercept and ridge 1e-3."""
    digits = data.load("mnist-5k").flat().to(dtype=F64)
    problem = problems.logistic(digits.x, digits.y < 5, 1e-3, intercept=True)
    assert pytest.approx(9.791, abs=5e-4) == problem.L
    assert float(problem.D) ** 2 == pytest.approx(47.285, abs=5e-4)
    assert problem.minimum.high == pytest.approx(0.3152450, abs=5e-8)
    assert problem.minimum.width < 1e-15
    assert problem.radius < 1e-8


def test_least_squares_agrees_with_lapack_also_without_full_rank():
    A, b = drawn(30, 6), drawn(30, seed=1)
    A[:, 5] = A[:, 0] - 2 * A[:, 1]
    starts = drawn(3, 6, seed=2)
    problem = problems.least_squares(A, b, x0=starts)
    z = starts + torch.from_numpy(
        np.stack([np.linalg.lstsq(A.numpy(), (b - A @ s).numpy(), rcond=1e-10)[0] for s in starts])
    )
    torch.testing.assert_close(problem.minimiser, z, rtol=1e-10, atol=1e-12)
    values = np.linalg.eigvalsh((A.T @ A / 30).numpy())
    assert pytest.approx(values[-1], rel=1e-12) == problem.L
    assert problem.mu == 0
    assert problem.minimum.high == pytest.approx(float((A @ z[0] - b).square().sum() / 60), rel=1e-13)
    ridged = problems.least_squares(A[:4], b[:4], 0.3)
    assert ridged.mu == pytest.approx(0.3, rel=1e-12)
    exact = torch.linalg.solve(A[:4].T @ A[:4] / 4 + 0.3 * torch.eye(6, dtype=F64), A[:4].T @ b[:4] / 4)
    torch.testing.assert_close(ridged.minimiser, exact, rtol=1e-11, atol=1e-12)


@given(st.lists(st.floats(0.1, 1.9), min_size=1, max_size=30))
def test_huber_is_where_short_steps_end_at_the_bound(steps):
    worst, total = problems.huber(steps), float(np.sum(steps))
    x = worst.x0
    for step in steps:
        x = x - step * worst.gradient(x)
    assert float(worst.value(x)) == pytest.approx(1 / (2 * (2 * total + 1)), rel=1e-12)


def test_huber_scales_with_l():
    one, five = problems.huber(threshold=0.1), problems.huber(threshold=0.1, L=5.0)
    x = torch.tensor([[0.05], [0.7], [-0.7]]).double()
    torch.testing.assert_close(five.value(x), 5 * one.value(x))
    torch.testing.assert_close(five.gradient(x), 5 * one.gradient(x))


# ---- eigenvalues of a design -----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 40), d=st.integers(1, 40), seed=st.integers(0, 10**6), size=st.floats(1e-4, 1e4))
def test_the_largest_eigenvalue_of_a_design_is_bounded_and_closely(n, d, seed, size):
    X = size * drawn(n, d, seed=seed)
    exact = np.linalg.norm(X.numpy(), 2) ** 2 / n
    assert exact * (1 - 1e-13) <= largest_eigenvalue(X) <= exact * (1 + 1e-8)
    values = np.linalg.eigvalsh((X.T @ X / n).numpy())
    assert 0 <= smallest_eigenvalue(X) <= max(values[0], 0) + 1e-14 * values[-1]


@pytest.mark.parametrize("shape", [(60, 13), (13, 60)])
def test_the_matrix_of_a_design_is_symmetric_to_the_last_bit(shape):
    X = drawn(*shape)
    A = gram(X)
    assert torch.equal(A, A.T)
    small = X.T @ X if shape[1] == 13 else X @ X.T
    torch.testing.assert_close(A, small / shape[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("guess", [1e-3, 1.0, 1.999999, 2.0, 2.0 + 1e-10])
def test_an_eigenvalue_that_an_iteration_missed_is_found_by_the_proof(guess):
    A = torch.diag(torch.cat([torch.linspace(0, 1, 30), torch.tensor([2.0 + 1e-10])]).double())
    exact = float(A.diagonal().max())
    found = bound_near(A, guess, rows=62)
    assert exact <= found <= guess * (1 + max(1e-9, 2 * (exact / guess - 1)) + 1e-12)


def test_the_constants_of_classification_are_attained_at_zero_and_no_larger_than_they_must_be():
    """At W = 0, where both classes are as likely, the Hessian is the bound, which is the Lipschitz constant then."""
    x, y = two_classes()
    for problem in (problems.logistic(x, y, 1e-2), problems.softmax(x, y.long(), 1e-2)):
        H = torch.autograd.functional.hessian(problem.value, torch.zeros(problem.d, dtype=F64))
        assert pytest.approx(np.linalg.eigvalsh(H.numpy())[-1], rel=2e-9) == problem.L


# ---- Newton's method -------------------------------------------------------------------------------------------------


def test_newton_says_where_there_is_no_minimum():
    with pytest.raises(NotConverged, match="no minimiser"):
        newton(lambda x: (-x).exp().sum(), lambda x: -(-x).exp(), lambda x, g: torch.ones_like(x),
               torch.zeros(1, dtype=F64), tolerance=1e-100)  # fmt: skip


def test_newton_refuses_what_does_not_fall_or_is_not_finite():
    with pytest.raises(InvalidInput, match="not convex"):
        newton(lambda x: -x.square().sum(), lambda x: -2 * x, lambda x, g: -x, torch.ones(1, dtype=F64), tolerance=1e-9)
    with pytest.raises(InvalidInput, match="not finite"):
        newton(lambda x: x.log().sum(), lambda x: 1 / x, lambda x, g: -g, torch.zeros(1, dtype=F64), tolerance=1e-9)


def test_newton_halves_steps_that_overshoot():
    """From 3, the full step of log cosh leads to -98 and beyond."""
    found = newton(
        lambda x: x.cosh().log().sum(), torch.tanh, lambda x, g: -g * x.cosh().square(), torch.tensor([3.0]).double(),
        tolerance=1e-12,
    )  # fmt: skip
    assert abs(float(found.x)) <= 1e-12
    assert found.steps < 15


# ---- types, and what is refused --------------------------------------------------------------------------------------


def test_float32_data_give_a_float32_problem_that_says_how_well_it_knows_its_minimum():
    x, y = two_classes()
    double, single = problems.logistic(x, y, 1e-2), problems.logistic(x.float(), y, 1e-2)
    assert single.x0.dtype == torch.float32
    assert pytest.approx(double.L, rel=1e-5) == single.L
    assert float(single.D) == pytest.approx(float(double.D), rel=1e-4)
    assert (single.minimiser.double() - double.minimiser).norm() <= 1.1 * single.radius + 1e-5
    assert 0 < single.radius < 1e-2


@pytest.mark.gpu
def test_problems_live_on_the_device_of_their_data():
    x, y = two_classes()
    here, there = problems.logistic(x, y, 1e-2), problems.logistic(x.cuda(), y.cuda(), 1e-2)
    assert there.x0.is_cuda
    assert there.D.item() == pytest.approx(here.D.item(), rel=1e-10)


X, Y = two_classes(n=8, d=2)
BAD = [
    (lambda: problems.logistic(X, Y, 0.0), "no minimiser"),
    (lambda: problems.logistic(X, Y[:5], 0.1), "8 examples with 5 labels"),
    (lambda: problems.logistic(X, torch.arange(8), 0.1), "two classes"),
    (lambda: problems.logistic(X * float("nan"), Y, 0.1), "NaN"),
    (lambda: problems.logistic(X[:0], Y[:0], 0.1), "no set of examples"),
    (lambda: problems.logistic(torch.zeros(8, 2), Y, 0.1), "constant"),
    (lambda: problems.softmax(X, Y.long() * 0, 0.1), "two classes"),
    (lambda: problems.softmax(X, Y.long() - 1, 0.1), "from 0 to K - 1"),
    (lambda: problems.softmax(X, Y.long(), -1.0), "ridge"),
    (lambda: problems.least_squares(X, torch.zeros(7)), "b of shape"),
    (lambda: problems.least_squares(X, torch.zeros(8), -1.0), "ridge"),
    (problems.huber, "either"),
    (lambda: problems.huber([1.0], threshold=1.0), "either"),
    (lambda: problems.huber(threshold=0.0), "positive"),
    (lambda: problems.huber([float("nan")]), "sum"),
    (lambda: problems.quadratic([]), "shape"),
    (lambda: problems.quadratic([1.0, -0.5]), "-0.5 < 0: the quadratic is not convex"),
    (lambda: problems.quadratic([1.0]).at(torch.ones(2)), "1 variables"),
    (lambda: problems.quadratic([1.0], x0=torch.tensor([float("inf")])), "infinity"),
    (lambda: problems.quadratic([1.0, 2.0], x0=torch.ones(1)), "2 variables"),
    (lambda: problems.least_squares(X, torch.zeros(8), x0=torch.ones(5)), "2 variables"),
    (lambda: problems.logistic(X, Y, 0.1, x0=np.ones(2)), "ndarray; give a tensor"),
    (lambda: problems.logistic(X.numpy(), Y, 0.1), "ndarray; give a tensor"),
    (lambda: problems.softmax(X, Y.numpy(), 0.1), "ndarray; give a tensor"),
    (lambda: problems.least_squares(X, np.zeros(8)), "ndarray; give a tensor"),
    (lambda: problems.huber([-1.0, 1.0]), "none negative"),
    (lambda: problems.huber([]), "one or more"),
    (lambda: problems.huber([1.0], L=-1.0), "L = -1.0"),
    (lambda: descent.problem((torch.nn.Linear(2, 2, dtype=F64), "cross_entropy", (X, Y.long())), L=-1.0), "L = -1.0"),
]


@pytest.mark.parametrize(("make", "says"), BAD)
def test_refuses(make, says):
    with pytest.raises(InvalidInput, match=says):
        make()
