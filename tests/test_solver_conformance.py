"""The promises of solvers: each is broken once by a solver made for it, and one by a slide's CGLS."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from lemmata.conformance import LeastSquaresConformance, SolverConformance
from lemmata.errors import InvalidInput
from lemmata.regression import least_squares


def ridge_regression(x, y, ridge):
    return least_squares(x, y, ridge=ridge)


class Good(LeastSquaresConformance):
    """All promises kept."""

    singular = "minimum norm"

    def solve(self, x, y, ridge):
        return ridge_regression(x, y, ridge)


def conforms(solver, **attributes):
    made = type("Made", (Good,), {"solve": lambda _, x, y, ridge: solver(x, y, ridge), **attributes})
    return made()


def test_a_good_solver_passes_with_and_without_pytest():
    Good().check()


@dataclass(frozen=True)
class Plain:
    """A result with a certificate of its own making."""

    x: torch.Tensor
    normal_residual: float
    cost: float = 1.0
    history: tuple = (1.0,)

    def plot(self):
        return least_squares(torch.eye(2), torch.ones(2)).plot()


def conjugate_gradients(x, y, ridge, *, slip):
    """CGLS, or a slide's version, which takes d^T d where s^T s belongs; both say how small that became."""
    if not bool(x.isfinite().all() and y.isfinite().all()) or x.ndim != 2 or len(x) != len(y) or x.numel() == 0:
        raise InvalidInput("bad data")
    if not ridge >= 0 or not math.isfinite(ridge):
        raise InvalidInput("bad ridge")
    x, y = x.detach(), y.detach()
    w, r = x.new_zeros(x.shape[1], y.shape[1]), y.clone()
    d = x.T @ r
    gamma = first = d.square().sum(0)
    for _ in range(20):
        q = x @ d
        alpha = gamma / (q.square().sum(0) + ridge * d.square().sum(0)).clamp(min=1e-300)
        w, r = w + alpha * d, r - alpha * q
        s = x.T @ r - ridge * w
        new = (d if slip else s).square().sum(0)
        d = s + new / gamma.clamp(min=1e-300) * d
        gamma = new
    return Plain(w, float((gamma / first).max().sqrt()))


def test_the_slip_in_cgls_is_caught():
    conforms(lambda x, y, ridge: conjugate_gradients(x, y, ridge, slip=False), singular="").test_gives_the_truth()
    wrong = conforms(lambda x, y, ridge: conjugate_gradients(x, y, ridge, slip=True), singular="")
    with pytest.raises(AssertionError, match="the solution is wrong"):
        wrong.test_gives_the_truth()
    with pytest.raises(AssertionError, match="the certificate says"):
        wrong.test_certificate_is_true()


def changes_data(x, y, ridge):
    found = ridge_regression(x, y, ridge)
    x.detach().add_(1e-9)
    return found


def draws(x, y, ridge):
    torch.rand(1)
    return ridge_regression(x, y, ridge)


def random_start(x, y, ridge):
    found = ridge_regression(x, y, ridge)
    return Plain(found.x + 1e-8 * np.random.default_rng().standard_normal(), 0.0)


def single_only(x, y, ridge):
    return ridge_regression(x.double().round(decimals=1), y.double(), ridge)


def wrong_in_float32(x, y, ridge):
    return ridge_regression(x * (1.5 if x.dtype == torch.float32 else 1.0), y, ridge)


def ignores_layout(x, y, ridge):
    flat = x if x.is_contiguous() else torch.as_strided(x, x.shape, (x.shape[1], 1))
    return ridge_regression(flat.nan_to_num(), y, ridge)


def records(x, y, ridge):
    return Plain(least_squares(x, y, ridge=ridge).x + 0 * x.sum(), 0.0)


def patches_nan(x, y, ridge):
    return ridge_regression(x.nan_to_num(posinf=0.0), y.nan_to_num(posinf=0.0), ridge)


def cuts(x, y, ridge):
    n = min(len(x), len(y))
    return ridge_regression(x[:n].flatten(1), y[:n], ridge)


def takes_the_size_of_the_ridge(x, y, ridge):
    return ridge_regression(x, y, abs(ridge) if math.isfinite(ridge) else 0.0)


def free(x, y, ridge):
    return Plain(least_squares(x, y, ridge=ridge).x, 0.0, cost=0.0)


def nothing_told(x, y, ridge):
    return Plain(least_squares(x, y, ridge=ridge).x, 0.0, history=())


def lies(x, y, ridge):
    return Plain(least_squares(x, y, ridge=ridge).x + 0.1, 0.0)


@dataclass
class Soft:
    """A result that can be changed."""

    x: torch.Tensor
    normal_residual: float = 0.0
    cost: float = 1.0
    history: tuple = (1.0,)

    def plot(self):
        return least_squares(torch.eye(2), torch.ones(2)).plot()


def changeable(x, y, ridge):
    return Soft(least_squares(x, y, ridge=ridge).x)


@pytest.mark.parametrize(
    ("solver", "promise", "message"),
    [
        (changes_data, "changes_nothing", "changed the data"),
        (draws, "changes_nothing", "global random generator"),
        (random_start, "same_seed_same_answer", "two runs with one seed differ"),
        (wrong_in_float32, "float32_is_close_to_float64", "float32 differs"),
        (ignores_layout, "layout_in_memory_does_not_matter", "another layout differs"),
        (records, "works_without_recording_gradients", "records gradients"),
        (patches_nan, "refuses_numbers_that_are_none", "nan among the features should be refused"),
        (cuts, "refuses_shapes_that_do_not_fit", "fewer targets than samples should be refused"),
        (takes_the_size_of_the_ridge, "refuses_a_ridge_that_is_none", "ridge -0.5 should be refused"),
        (free, "result_has_a_certificate_cost_and_history", "the cost is 0.0"),
        (nothing_told, "result_has_a_certificate_cost_and_history", "no history"),
        (changeable, "result_has_a_certificate_cost_and_history", "can be changed"),
        (lies, "certificate_is_true", "the certificate says"),
        (single_only, "gives_the_truth", "the solution is wrong"),
    ],
)
def test_a_broken_promise_is_told(solver, promise, message):
    attempt = conforms(solver)
    with pytest.raises(AssertionError, match=message):
        getattr(attempt, f"test_{promise}")()
    with pytest.raises(AssertionError, match=message):
        attempt.check()


def test_answers_that_are_not_unique():
    with pytest.raises(AssertionError, match="a singular system should be refused"):
        conforms(ridge_regression, singular="refused").test_says_where_the_answer_is_not_unique()
    unmarked = lambda x, y, ridge: Plain(least_squares(x, y, ridge=ridge).x, 0.0)  # noqa: E731
    with pytest.raises(AssertionError, match="is marked `unique`"):
        conforms(unmarked).test_says_where_the_answer_is_not_unique()


def test_labels():
    class Rounds(SolverConformance):
        labels = True

        def solve(self, x, y, ridge):
            return ridge_regression(x, y.to(x.dtype), ridge)

    with pytest.raises(AssertionError, match="a label below zero should be refused"):
        Rounds().test_refuses_labels_that_are_none()
