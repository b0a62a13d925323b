from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.regression.early_stopping import (
    DescentRisk,
    approximate_risk,
    bump,
    extrema,
    least_risk,
    least_squares_risk,
    matching_step_sizes,
)
from lemmata.study.kinds import shape

# The parameters of Figure 2 in the authors' notebook: d = 2, n = 10, and a step size of 0.1.
THETA, SCALES = torch.tensor([0.45, 3.0], dtype=torch.float64), torch.tensor([1.0, 0.15], dtype=torch.float64)
FIGURE_2 = {"theta": THETA, "scales": SCALES, "noise": 1.0, "n": 10}


def draw(shape, scales, theta, noise, seed):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn((*shape, len(scales)), generator=generator, dtype=torch.float64) * scales
    return X, X @ theta + noise * torch.randn(shape, generator=generator, dtype=torch.float64)


def descend(X, t, theta, scales, *, eta, steps):
    """Gradient descent as it is written, one step at a time: the oracle."""
    w, risks = torch.zeros(*X.shape[:-2], X.shape[-1], dtype=torch.float64), []
    for _ in range(steps + 1):
        risks.append((scales**2 * (w - theta) ** 2).sum(-1))
        residual = (X @ w[..., None])[..., 0] - t
        w = w - eta * (X.mT @ residual[..., None])[..., 0] / X.shape[-2]
    return torch.stack(risks, dim=-1)


@pytest.mark.parametrize(
    ("n", "d", "eta"),
    [(40, 6, 0.1), (40, 6, [0.05, 0.1, 0.4, 0.1, 1.0, 0.02]), (5, 6, 0.1), (6, 6, 0.3)],
    ids=["one step size", "a step size for each", "fewer examples than features", "square"],
)
def test_realised_risk_equals_gradient_descent(n, d, eta):
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(d, generator=generator, dtype=torch.float64)
    scales = torch.linspace(0.3, 1.2, d, dtype=torch.float64)
    X, t = draw((4, n), scales, theta, 0.7, seed=2)
    eta = torch.as_tensor(eta, dtype=torch.float64)
    exact = DescentRisk(X, theta, scales, step_size=eta)
    assert bool(exact.stable.all())
    steps = torch.arange(301)
    # 300 steps of float64 rounding, each of relative size 1e-16, on quantities of order one.
    torch.testing.assert_close(
        exact.realised(steps, t), descend(X, t, theta, scales, eta=eta, steps=300), rtol=1e-10, atol=1e-13
    )


def test_an_unstable_descent_is_followed_too_and_named():
    X, t = draw((3, 30), SCALES, THETA, 1.0, seed=3)
    exact = DescentRisk(X, THETA, SCALES, step_size=3.0)
    assert not bool(exact.stable.any())
    risk = descend(X, t, THETA, SCALES, eta=3.0, steps=60)
    assert float(risk[:, -1].min()) > 1e6
    torch.testing.assert_close(exact.realised(torch.arange(61), t), risk, rtol=1e-9, atol=0)


def test_bias_and_variance_equal_exact_rational_arithmetic():
    """With d = 2, n = 3: the matrices of bias and variance are carried as fractions for 9 steps."""
    X = [[Fraction(3, 2), Fraction(1, 4)], [Fraction(-1), Fraction(2, 3)], [Fraction(1, 2), Fraction(-1, 3)]]
    theta, variances = [Fraction(9, 20), Fraction(3)], [Fraction(1), Fraction(1, 16)]
    eta, noise, n = [Fraction(1, 10), Fraction(1, 2)], Fraction(3, 2), 3
    G = [[sum(x[i] * x[j] for x in X) / n for j in range(2)] for i in range(2)]
    A = [[(i == j) - eta[i] * G[i][j] for j in range(2)] for i in range(2)]
    error = [-value for value in theta]
    response = [[Fraction(0)] * n for _ in range(2)]  # how the iterate depends on z
    bias, variance = [], []
    for _ in range(10):
        bias.append(sum(variances[i] * error[i] ** 2 for i in range(2)))
        variance.append(noise**2 * sum(variances[i] * r**2 for i in range(2) for r in response[i]))
        error = [sum(A[i][j] * error[j] for j in range(2)) for i in range(2)]
        response = [
            [sum(A[i][j] * response[j][m] for j in range(2)) + eta[i] * X[m][i] / n for m in range(n)] for i in range(2)
        ]
    exact = DescentRisk(
        torch.tensor([[float(x) for x in row] for row in X], dtype=torch.float64),
        torch.tensor([0.45, 3.0], dtype=torch.float64),
        torch.tensor([1.0, 0.25], dtype=torch.float64),
        step_size=torch.tensor([0.1, 0.5], dtype=torch.float64),
    )
    curve = exact.expected(torch.arange(10), noise=1.5)
    np.testing.assert_allclose(curve.bias, [float(b) for b in bias], rtol=1e-12)
    np.testing.assert_allclose(curve.variance, [float(v) for v in variance], rtol=1e-12, atol=1e-16)


def test_expected_risk_is_the_mean_over_noise():
    """4,000 draws of the noise on one design; 6 steps, each within 5 standard errors.

    Bonferroni over 6 normal means: the test fails by chance with probability 6 * 5.7e-7 = 3.5e-6.
    """
    X, _ = draw((30,), SCALES, THETA, 0.0, seed=4)
    steps, draws = torch.tensor([1, 5, 12, 30, 120, 600]), 4000
    exact = DescentRisk(X, THETA, SCALES, step_size=0.1)
    z = torch.randn(draws, 30, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    risks = exact.realised(steps, X @ THETA + z)
    error = risks.std(0) / draws**0.5
    assert ((risks.mean(0) - exact.expected(steps, noise=1.0).total).abs() < 5 * error).all()


def test_theorem_1_is_reached_as_n_grows():
    """At fixed noise^2 / n the approximation's error falls as 1 / n: n times the gap stays at 0.4.

    50,000 designs with n = 40 and 10,000 with n = 160. The gap of each, times n, is known to 0.003 and 0.01 (one
    standard error) and held to [0.3, 0.5]: failure by chance is beyond 5 sigma.
    """
    for n, draws in ((40, 50_000), (160, 10_000)):
        noise, steps = (0.1 * n) ** 0.5, torch.tensor([491])
        X, _ = draw((draws, n), SCALES, THETA, 0.0, seed=n)
        mean = DescentRisk(X, THETA, SCALES, step_size=0.1).expected(steps, noise=noise).total.mean()
        near = approximate_risk(steps, THETA, SCALES, step_size=0.1, noise=noise, n=n).total.sum()
        assert 0.3 < n * float(mean - near) < 0.5


def test_extrema_of_figure_2():
    steps = torch.arange(1, 10_001)
    risk = approximate_risk(steps, step_size=0.1, **FIGURE_2).total.sum(0)
    found = [(e.kind, int(steps[e.index]), round(e.value, 4)) for e in extrema(risk)]
    assert found == [("min", 12, 0.2596), ("max", 30, 0.2694), ("min", 491, 0.1669), ("max", 10_000, 0.2)]


def test_step_sizes_for_each_feature_leave_one_minimum():
    steps = torch.arange(1, 10_001)
    for factor, least in ((43.0, 0.1340), (1 / 0.15**2, 0.1341)):  # the notebook's, and 1 / s^2
        risk = approximate_risk(steps, step_size=torch.tensor([0.1, 0.1 * factor]), **FIGURE_2).total.sum(0)
        found = extrema(risk)
        assert [(e.kind, int(steps[e.index]), round(e.value, 4)) for e in found[:1]] == [("min", 11, least)]
        assert [e.kind for e in found] == ["min", "max"]
        assert float(risk.min()) >= least_risk(**FIGURE_2)


def test_slowing_the_slow_feature_moves_the_second_minimum():
    steps = torch.arange(1, 20_001)
    risk = approximate_risk(steps, step_size=torch.tensor([0.1, 0.02]), **FIGURE_2).total.sum(0)
    assert [(e.kind, int(steps[e.index])) for e in extrema(risk)][:3] == [("min", 11), ("max", 45), ("min", 2459)]


@settings(max_examples=50, deadline=None)
@given(
    theta=st.lists(st.floats(0.1, 5), min_size=1, max_size=4),
    scale=st.floats(0.05, 1),
    noise=st.floats(0.1, 3),
    at=st.integers(1, 200),
)
def test_matching_step_sizes_reach_the_least_risk_at_their_step(theta, scale, noise, at):
    theta = torch.tensor(theta, dtype=torch.float64)
    scales = scale ** torch.arange(len(theta), dtype=torch.float64)
    eta = matching_step_sizes(theta, scales, noise=noise, n=20, at=at)
    risk = approximate_risk(
        torch.arange(max(0, at - 3), at + 4), theta, scales, step_size=eta, noise=noise, n=20
    ).total.sum(0)
    least = least_risk(theta, scales, noise=noise, n=20)
    assert float(risk.min()) == pytest.approx(least, rel=1e-9)
    assert float(risk[min(at, 3)]) == pytest.approx(least, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(heights=st.lists(st.integers(1, 9), min_size=1, max_size=6), down=st.integers(1, 9))
def test_extrema_alternate_and_find_every_turn_of_a_zigzag(heights, down):
    """Walk down by `down`, then up and down by 10 and 5 in turn: every turn is deeper than 1 % of the range."""
    path = [0.0, -float(down)]
    for i, height in enumerate(heights):
        path.append(path[-1] + (10 + height if i % 2 == 0 else -10 - height))
    fine = np.interp(np.arange(0, len(path) - 0.99, 0.01), np.arange(len(path)), path)
    found = extrema(fine)
    assert [e.kind for e in found] == ["min" if i % 2 == 0 else "max" for i in range(len(found))]
    assert [round(e.value, 6) for e in found] == path[1:]
    assert [e.index for e in found] == [100 * i for i in range(1, len(path))]


def test_shallow_turns_are_left_out():
    y = np.array([5.0, 1.0, 1.02, 0.99, 3.0])
    assert [e.index for e in extrema(y, tolerance=0.01)] == [3, 4]
    assert [e.index for e in extrema(y, tolerance=0.001)] == [1, 2, 3, 4]


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(0, 20), min_size=3, max_size=12))
def test_bump_equals_the_search_over_all_triples(values):
    n = len(values)
    triples = (values[j] - max(values[i], values[k]) for i in range(n) for j in range(i, n) for k in range(j, n))
    assert bump(np.array(values)) == max(triples)
    assert bump(torch.tensor(values)) == shape.bump(np.arange(n, dtype=float), np.array(values, dtype=float)).height


def test_least_squares_risk_is_the_limit_of_many_steps():
    """Mean over 3,000 designs after 200,000 steps (converged to 1e-9), against the inverse Wishart mean.

    Within 5 standard errors: chance of failure 6e-7.
    """
    X, _ = draw((3000, 12), SCALES, THETA, 0.0, seed=6)
    risk = DescentRisk(X, THETA, SCALES, step_size=0.1).expected(torch.tensor([200_000]), noise=1.0).total[:, 0]
    assert abs(float(risk.mean()) - least_squares_risk(2, 12, noise=1.0)) < 5 * float(risk.std()) / 3000**0.5
    assert least_squares_risk(3, 4, noise=1.0) == float("inf")


def test_many_steps_at_a_tiny_rate_lose_no_digits():
    """One feature of scale 1e-6: the filter is 1 - (1 - 1e-13)^k, which plain float64 arithmetic has to 3 digits."""
    X, scale = torch.tensor([[1e-6]], dtype=torch.float64), torch.tensor([1e-6])
    exact = DescentRisk(X, torch.tensor([1.0]), scale, step_size=0.1)
    k, rate = 10, Fraction(1e-6) ** 2 * Fraction(0.1)
    gained = 1 - (1 - rate) ** k
    expected = float(Fraction(float(scale.double()[0])) ** 2 * gained**2 / Fraction(1e-6) ** 2)
    assert float(exact.expected(torch.tensor([k]), noise=1.0).variance) == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DescentRisk(torch.ones(3, 3), THETA, SCALES, step_size=0.1), r"X of shape \(3, 3\) does not fit 2"),
        (lambda: DescentRisk(torch.ones(3, 2), THETA, SCALES[:1], step_size=0.1), r"scales \(1,\) must both be"),
        (lambda: DescentRisk(torch.ones(3, 2), THETA, SCALES, step_size=0.0), r"step_size = 0.0: every step size"),
        (lambda: DescentRisk(torch.ones(3, 2), THETA, SCALES, step_size=torch.ones(3)), r"step_size of shape \(3,\)"),
        (lambda: approximate_risk(torch.tensor([-1]), step_size=0.1, **FIGURE_2), "give numbers of steps, 0 or more"),
        (lambda: least_squares_risk(3, 2, noise=1.0), "n = 2 examples do not determine d = 3"),
        (lambda: matching_step_sizes(**FIGURE_2, at=0), "at = 0 is not a step"),
        (lambda: matching_step_sizes(THETA, SCALES, noise=0.0, n=10, at=3), "without noise"),
        (lambda: extrema(np.array([1.0, np.nan])), "not empty, and finite"),
    ],
)
def test_messages(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
