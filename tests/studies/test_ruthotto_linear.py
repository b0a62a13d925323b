"""The study of Ruthotto's lecture on linear models: what it measures, by hand, and its verdicts at smoke scale."""

import math

import numpy as np
import pytest
import torch

from lemmata.phantoms.ill_posed import ill_posed
from lemmata.studies import _ruthotto_linear_choice as choice
from lemmata.studies import _ruthotto_linear_classification as classification
from lemmata.studies import _ruthotto_linear_iterations as iterations
from lemmata.studies import _ruthotto_linear_rates as rates


def test_members_of_a_block_do_not_see_each_other():
    configs = [iterations.Iteration(seed=seed, n=32, iterations=10) for seed in range(3)]
    for config, found in zip(configs, iterations.run(configs), strict=True):
        (alone,) = iterations.run([config])
        np.testing.assert_allclose(alone.curves["error"].y, found.curves["error"].y, rtol=1e-9)


def test_landweber_by_hand_and_its_stop():
    config = iterations.Iteration(method="landweber", n=32, iterations=50, noise=0.3, seed=2)
    (found,) = iterations.run([config])
    problem = ill_posed("heat", 32)
    b = problem.noisy(0.3, seed=2)[:, 0]
    x, step, errors, norms = torch.zeros(32).double(), 1 / float(torch.linalg.matrix_norm(problem.A, 2)) ** 2, [], []
    for _ in range(51):
        errors.append(float((x - problem.x).norm() / problem.x.norm()))
        norms.append(float((b - problem.A @ x).norm()))
        x = x + step * problem.A.T @ (b - problem.A @ x)
    np.testing.assert_allclose(found.curves["error"].y, errors, rtol=1e-3)  # the step is estimated
    stop = next(k for k, norm in enumerate(norms) if norm <= float((b - problem.b).norm()))
    assert found.scalars["stopped_over_best"] == pytest.approx(errors[stop] / min(errors), rel=1e-3)
    assert found.scalars["rise"] == pytest.approx(errors[-1] / min(errors), rel=1e-3)


def test_the_least_tikhonov_error_is_that_of_dense_solutions():
    problem = ill_posed("phillips", 24)
    b = problem.noisy(0.05, 2)
    found = iterations.least_tikhonov(problem, b)
    eye = torch.eye(24).double()
    for j in range(2):
        errors = [
            float((torch.linalg.solve(problem.A.T @ problem.A + lam * eye, problem.A.T @ b[:, j]) - problem.x).norm())
            for lam in np.geomspace(1e-4, 1e2, 400)
        ]
        assert found[j] == pytest.approx(min(errors) / float(problem.x.norm()), rel=1e-3)


def test_bounds_are_those_of_the_theorems():
    assert rates.bound("cgls", 9.0, np.array([0.0, 1.0, 2.0])).tolist() == [1.0, 1.0, 0.5]
    assert rates.bound("steepest-descent", 3.0, np.array([1.0, 3.0])).tolist() == [0.5, 0.125]


def test_steps_are_counted_and_the_spectrum_has_its_condition():
    (found,) = rates.run([rates.Convergence(condition=25.0, n=60)])
    errors = found.curves["error"]
    assert errors.y[0] == 1
    assert errors.y[errors.x == found.scalars["steps"]] <= 1e-6 < errors.y[errors.x == found.scalars["steps"] - 1]
    (wrong,) = rates.run([rates.Convergence(condition=25.0, n=60, stated=0.5)])
    assert found.scalars["over_bound"] <= 1 + 1e-12 < wrong.scalars["over_bound"]


def test_correlated_noise_has_its_covariance():
    problem = ill_posed("heat", 8)
    e = choice.noisy(problem, 0.1, 20_000, correlation=0.5, seed=0) - problem.b[:, None]
    covariance = (e @ e.T / 20_000) / problem.noise_level(0.1) ** 2
    wanted = torch.tensor([[0.5 ** abs(i - j) for j in range(8)] for i in range(8)]).double()
    assert (covariance - wanted).abs().max() < 0.06  # five standard errors of sqrt(2 / 20,000)


def test_a_rule_that_finds_nothing_counts_as_infinite():
    (found,) = choice.choose([choice.Choice(rule="discrepancy", stated=1e9, draws=2, n=16)])
    assert math.isinf(found.scalars["solution"])
    assert found.scalars["within"] == 0


def test_the_cross_entropy_with_and_without_the_shift():
    S, y = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).double(), torch.tensor([0, 1])
    wanted = torch.nn.functional.cross_entropy(S, y)
    for shift in (True, False):
        torch.testing.assert_close(classification.cross_entropy(S, y, shift=shift), wanted)
    assert torch.isfinite(classification.cross_entropy(1000 * S, y, shift=True))
    assert not torch.isfinite(classification.cross_entropy(1000 * S, y, shift=False))
    assert float(classification.squared(torch.zeros(1, 2), torch.tensor([0]))) == 0.25


def test_the_classifiers_are_scikit_learns():
    """Softmax with C = 1 / (n ridge); least squares as Ridge on one-hot targets with an intercept."""
    from sklearn.linear_model import LogisticRegression, Ridge

    config = classification.Fit(n=300, n_test=500, ridge=0.05, tolerance=1e-6)
    x, y, x_test, y_test = classification.examples(config)
    (found,) = classification.fit([config])
    model = LogisticRegression(C=1 / (300 * 0.05), tol=1e-8, max_iter=10_000).fit(x.numpy(), y.numpy())
    assert found.scalars["test_error"] == pytest.approx(1 - model.score(x_test.numpy(), y_test.numpy()), abs=2 / 500)
    (found,) = classification.fit([classification.Fit(n=300, n_test=500, model="least squares")])
    ridge = Ridge(alpha=found.scalars["ridge_taken"]).fit(x.numpy(), np.eye(10)[y.numpy()])
    wrong = (ridge.predict(x_test.numpy()).argmax(1) != y_test.numpy()).mean()
    assert found.scalars["test_error"] == pytest.approx(wrong, abs=1e-12)


def test_steepest_descent_that_does_not_arrive_costs_infinitely_much():
    config = classification.Fit(n=100, n_test=100, method="steepest-descent", budget=10, tolerance=1e-9)
    (found,) = classification.fit([config])
    assert math.isinf(found.scalars["cost"])
    assert 0 < found.scalars["test_error"] < 1


REPRODUCED = [
    "error-rises", "error-falls", "residual-falls", "bound-cgls", "bound-steepest-descent", "l-curve-falls-behind",
    "bias-variance-10", "convex", "no-overflow", "shift-exact", "newton-cg",
]  # fmt: skip


@pytest.mark.parametrize("name", REPRODUCED)
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("ruthotto-linear").assert_outcome(name)


def test_every_axis_has_a_label(smoke):
    found = smoke("ruthotto-linear")
    for experiment in found.run.study.experiments.values():
        for panel in (panel for draw in experiment.figures for panel in draw(found.tables[experiment.name]).panels):
            assert panel.x.label
            assert panel.y.label
