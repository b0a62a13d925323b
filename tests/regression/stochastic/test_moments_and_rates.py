"""Exact moments against dense recursions and closed forms, and every bound against the exact moments."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.regression.stochastic import (
    StepSizes,
    constant_gap_bound,
    exact_moments,
    finite_sum,
    harmonic_gap_bound,
    limit_covariance,
    limit_gap,
    linear_regression,
    mean_square_bound,
    noisy_quadratic,
)


def matrices(p=3, seed=0):
    """A Hessian and a covariance that share no basis."""
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((2, p, p))
    return A @ A.T + 0.3 * np.eye(p), B @ B.T


def dense(H, S, steps, e, *, batch=1, stream=False):
    """Second moments of iterate and average by full matrices: of the vector (e_k, s_k), in the given basis."""
    p, n = len(H), len(steps)
    M, C, T = np.outer(e, e), np.zeros((p, p)), np.zeros((p, p))
    mean = e
    for size in steps:
        A = np.eye(p) - size * H
        features = (H @ M @ H + np.trace(H @ M) * H) / batch if stream else 0.0  # Isserlis: less (1/b) of H M H
        M = A @ M @ A + size**2 * (S / batch + features)
        C = A @ C
        T = T + C + C.T + M
        C = C + M
        mean = A @ mean
    return mean, M, T / n**2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
def test_moments_are_those_of_the_dense_recursion(stream, batch):
    H, S = matrices()
    star, start = np.array([0.5, -1.0, 2.0]), np.array([1.0, 1.0, -1.0])
    if stream:
        problem, S = linear_regression(torch.tensor(H), torch.tensor(star), noise=0.7), 0.49 * H
    else:
        problem = noisy_quadratic(torch.tensor(H), torch.tensor(S), torch.tensor(star))
    steps = StepSizes(0.3, k0=4, power=0.8)
    found = exact_moments(problem, torch.tensor(start), steps, marks=[0, 1, 50], batch=batch)
    for place, n in ((1, 1), (2, 50)):
        mean, M, averaged = dense(H, S, steps.take(n).numpy(), start - star, batch=batch, stream=stream)
        np.testing.assert_allclose(found.mean[place], star + mean, rtol=1e-10)
        assert found.distance[place] == pytest.approx(np.trace(M), rel=1e-10)
        assert found.gap[place] == pytest.approx(np.trace(H @ M) / 2, rel=1e-10)
        assert found.averaged_distance[place] == pytest.approx(np.trace(averaged), rel=1e-10)
        assert found.averaged_gap[place] == pytest.approx(np.trace(H @ averaged) / 2, rel=1e-10)
    assert found.distance[0] == pytest.approx(((start - star) ** 2).sum())


def test_constant_steps_have_the_geometric_series():
    """E e^2 = (1 - m h)^(2k) e_0^2 + m^2 s (1 - (1 - m h)^(2k)) / (1 - (1 - m h)^2), in one dimension."""
    problem = noisy_quadratic(torch.tensor([0.5], dtype=torch.float64), 2.0)
    found = exact_moments(problem, torch.tensor([3.0]), 0.4, marks=[7])
    q = (1 - 0.2) ** 2
    assert found.distance[0] == pytest.approx(q**7 * 9 + 0.16 * 2 * (1 - q**7) / (1 - q), rel=1e-12)


def test_steps_one_over_k_make_the_mean_of_the_draws():
    problem = noisy_quadratic(torch.ones(1, dtype=torch.float64), 3.0)
    found = exact_moments(problem, torch.tensor([5.0]), StepSizes(1.0), marks=[1, 10, 1000])
    np.testing.assert_allclose(found.distance, [3.0, 0.3, 0.003], rtol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    h=st.lists(st.floats(0.05, 5.0), min_size=1, max_size=4),
    c=st.floats(0.01, 3.0),
    k0=st.floats(0.0, 20.0),
    power=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    noise=st.floats(0.0, 2.0),
)
def test_mean_square_bound_holds_for_additive_noise(h, c, k0, power, noise):
    problem = noisy_quadratic(torch.tensor(h, dtype=torch.float64), noise)
    marks, start = list(range(31)), torch.ones(len(h))
    exact = exact_moments(problem, start, StepSizes(c, k0, power), marks=marks).distance
    bound = mean_square_bound(problem, start, StepSizes(c, k0, power), marks=marks)
    assert (exact <= bound * (1 + 1e-9)).all()
    if len(set(h)) == 1:
        np.testing.assert_allclose(exact, bound, rtol=1e-9)  # one eigenvalue: the bound is an identity


def test_mean_square_bound_holds_for_a_finite_sum_with_known_moments():
    """Least squares on four samples, whose second moments follow an exact linear recursion over all four draws."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((4, 2)), rng.standard_normal(4)
    problem = finite_sum(torch.tensor(x), torch.tensor(y), ridge=0.1)
    star = problem.minimiser.numpy()
    for steps in (StepSizes(1.5, 10), StepSizes(0.05, power=0.0), StepSizes(2.0, 1, 0.75)):
        e = np.array([2.0, -1.0])
        M, m, exact = np.outer(e, e), e, []
        for size in steps.take(200).numpy():
            parts = []
            for row, target in zip(x, y, strict=True):
                A, b = np.eye(2) - size * (np.outer(row, row) + 0.1 * np.eye(2)), size * (target - row @ star) * row
                b = b - size * 0.1 * star
                parts.append((A @ M @ A.T + np.outer(A @ m, b) + np.outer(b, A @ m) + np.outer(b, b), A @ m + b))
            M, m = (sum(part[i] for part in parts) / 4 for i in (0, 1))
            exact.append(np.trace(M))
        bound = mean_square_bound(problem, torch.tensor(star + e), steps, marks=list(range(1, 201)))
        assert (np.array(exact) <= bound).all()
        assert bound[-1] < 40 * exact[-1]  # and not by being absurd


@settings(max_examples=25, deadline=None)
@given(beta=st.floats(1.1, 20.0), extra=st.floats(1.0, 5.0), noise=st.floats(0.01, 2.0), ratio=st.floats(1.0, 8.0))
def test_bottou_curtis_and_nocedal_hold_on_quadratics(beta, extra, noise, ratio):
    h = torch.tensor([1.0, ratio], dtype=torch.float64)
    problem, start = noisy_quadratic(h, noise), torch.ones(2)
    gamma = max(beta * ratio * extra - 1, 0.1)
    first, marks = float(h.sum()) / 2, list(range(0, 200, 5))
    constants = {"mu": 1.0, "L": ratio, "variance": 2 * noise, "first_gap": first, "marks": marks}
    gap = exact_moments(problem, start, StepSizes(beta, gamma), marks=marks).gap
    assert (gap <= harmonic_gap_bound(StepSizes(beta, gamma), **constants) * (1 + 1e-9)).all()
    step = 1 / (ratio * extra)
    gap = exact_moments(problem, start, step, marks=marks).gap
    assert (gap <= constant_gap_bound(step, **constants) * (1 + 1e-9)).all()


def test_limits_are_reached_and_the_slow_rate_is_two_c_mu():
    h = torch.tensor([0.5, 2.0], dtype=torch.float64)
    problem, start, n = noisy_quadratic(h, torch.tensor([1.0, 3.0])), torch.ones(2), 30_000
    harmonic = exact_moments(problem, start, StepSizes(2.0, 5), marks=[n])
    # the next terms of the limits are of relative order 1/n for c / k and n^(p - 1) for averages of c / k^p
    np.testing.assert_allclose(n * harmonic.second[0], limit_covariance(problem, 2.0).diagonal(), rtol=2e-3)
    assert n * harmonic.gap[0] == pytest.approx(limit_gap(problem, 2.0), rel=2e-3)
    averaged = exact_moments(problem, start, StepSizes(1.0, 5, 0.6), marks=[n])
    np.testing.assert_allclose(n * averaged.averaged_second[0], limit_covariance(problem).diagonal(), rtol=0.05)
    c = 0.4  # 2 c mu = 0.4
    slow = exact_moments(problem, start, StepSizes(c), marks=[n // 2, n]).distance
    assert math.log2(slow[0] / slow[1]) == pytest.approx(2 * c * 0.5, abs=5e-3)


def test_limit_covariance_solves_its_equations():
    H, S = matrices(4, seed=2)
    problem = noisy_quadratic(torch.tensor(H), torch.tensor(S))
    X = limit_covariance(problem, 9.0).numpy()
    A = 9.0 * H - np.eye(4) / 2
    np.testing.assert_allclose(A @ X + X @ A, 81.0 * S, rtol=1e-9, atol=1e-9)
    inverse = np.linalg.inv(H)
    np.testing.assert_allclose(limit_covariance(problem), inverse @ S @ inverse, rtol=1e-8, atol=1e-9)
    # no steps c / k do better than the average, in any direction
    assert np.linalg.eigvalsh(X - inverse @ S @ inverse)[0] > -1e-8


def test_what_is_not_known_is_refused():
    problem = noisy_quadratic(torch.tensor([0.5, 2.0], dtype=torch.float64))
    with pytest.raises(InvalidInput, match=r"not above 1 / \(2 mu\) = 1"):
        limit_covariance(problem, 1.0)
    with pytest.raises(InvalidInput, match="c > 1 / mu = 2"):
        harmonic_gap_bound(StepSizes(1.0, 50), mu=0.5, L=2, variance=1, first_gap=1, marks=[1])
    with pytest.raises(InvalidInput, match="the theorem wants one in"):
        constant_gap_bound(1.0, mu=0.5, L=2, variance=1, first_gap=1, marks=[1])
    stream = linear_regression(torch.ones(2).double(), torch.ones(2))
    with pytest.raises(InvalidInput, match="add a ridge, or use `exact_moments`"):
        mean_square_bound(stream, torch.ones(2), 0.1, marks=[1])
    data = finite_sum(torch.eye(3).double(), torch.ones(3).double())
    with pytest.raises(InvalidInput, match="no closed form"):
        exact_moments(data, torch.ones(3), 0.1, marks=[1])
    with pytest.raises(InvalidInput, match="mu = -1; the theorem wants it positive"):
        constant_gap_bound(0.1, mu=-1.0, L=2, variance=1, first_gap=1, marks=[1])
    for of in (exact_moments, mean_square_bound):
        with pytest.raises(InvalidInput, match=r"start of shape \(3,\); expected \(2,\)"):
            of(problem, torch.ones(3), 0.1, marks=[1])
        with pytest.raises(InvalidInput, match="at least one is wanted"):
            of(problem, torch.ones(2), 0.1, marks=[])
    with pytest.raises(InvalidInput, match="they must be 0 or more"):
        exact_moments(problem, torch.ones(2), 0.1, marks=[])


@pytest.mark.parametrize(
    "options",
    [
        {"c": 0.0},
        {"c": -1.0},
        {"c": math.nan},
        {"c": torch.ones(0)},
        {"c": 1.0, "k0": -1.0},
        {"c": 1.0, "power": math.inf},
        {"c": 1.0, "power": -0.5},
    ],
)
def test_step_sizes_are_checked(options):
    with pytest.raises(InvalidInput, match="finite numbers"):
        StepSizes(**options)


def test_steps_are_counted_from_one():
    with pytest.raises(InvalidInput, match="counted from 1"):
        StepSizes(1.0)(0)


def test_conditions_of_robbins_and_monro():
    rules = [StepSizes(1.0, power=p) for p in (0, 0.5, 0.6, 1, 2)]
    assert [rule.divergent for rule in rules] == [True, True, True, True, False]
    assert [rule.square_summable for rule in rules] == [False, False, True, True, True]
    assert StepSizes(torch.tensor([1.0, 2.0]), 1).take(3).shape == (3, 2)


def test_bottou_curtis_and_nocedal_by_hand():
    """By hand nu = max{2^2 2 10 / (2 (2 - 1)), 4 * 0.1} = 40; and the floor m L M / (2 mu) = 5, from 0.1 up to it."""
    constants = {"mu": 1.0, "L": 2.0, "variance": 10.0, "first_gap": 0.1}
    bound = harmonic_gap_bound(StepSizes(2.0, 3), **constants, marks=[0, 36])
    np.testing.assert_allclose(bound, [10.0, 1.0])
    np.testing.assert_allclose(constant_gap_bound(0.5, **constants, marks=[0, 1, 200]), [0.1, 2.55, 5.0])
