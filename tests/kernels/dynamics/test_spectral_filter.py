"""The filters against loops written out, matrix exponentials, and exact rationals."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from lemmata.errors import InvalidInput
from lemmata.kernels.dynamics import GradientFlow, spectral_filter
from lemmata.kernels.dynamics.spectral_filter import is_stable, limit_of, named
from lemmata.training import GD, SGD, Adam

F64 = torch.float64
RULES = [
    SGD(lr=0.3),
    SGD(lr=0.3, momentum=0.5),
    SGD(lr=0.3, momentum=0.9),
    SGD(lr=0.3, momentum=0.9, nesterov=True),
    SGD(lr=0.01, momentum=0.99, nesterov=True),
]


def by_loop(rule, rate, steps, number=float):
    """The error left and what was travelled, step by step, on the loss rate r^2 / 2 in r's own coordinate."""
    eta, mu, rate = number(rule.lr), number(rule.momentum), number(rate)
    r, a, u = number(1), number(0), number(0)
    for _ in range(steps):
        u = mu * u + r
        step = eta * (r + mu * u if rule.nesterov else u)
        a, r = a + step, r - rate * step
    return float(r), float(a)


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_descents_are_the_loop_written_out(rule):
    rates = [1e-8, 0.01, 0.4, 1.0, 3.3]
    found = spectral_filter(rule, torch.tensor(rates, dtype=F64), [0, 1, 2, 7, 200])
    for place, t in enumerate([0, 1, 2, 7, 200]):
        for k, rate in enumerate(rates):
            r, a = by_loop(rule, rate, t)
            # both sides round once or twice a step, on numbers of size up to |r|, |a|: 200 steps
            assert float(found.remaining[place, k]) == pytest.approx(r, rel=1e-11, abs=1e-13)
            assert float(found.travelled[place, k]) == pytest.approx(a, rel=1e-11)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_thousand_steps_of_momentum_are_those_of_exact_rationals(nesterov):
    rule, rate, t = SGD(lr=0.25, momentum=0.75, nesterov=nesterov), Fraction(1, 64), 1000
    r, a = by_loop(rule, rate, t, number=Fraction)
    found = spectral_filter(rule, torch.tensor([float(rate)]), [t])
    assert float(found.remaining[0, 0]) == pytest.approx(r, rel=1e-9)  # about t units in the last place
    assert float(found.travelled[0, 0]) == pytest.approx(a, rel=1e-12)


def test_the_flow_is_the_matrix_exponential():
    g = torch.Generator().manual_seed(0)
    B = torch.randn(5, 5, generator=g, dtype=F64)
    H = B @ B.T
    rates, Q = torch.linalg.eigh(H)
    found = spectral_filter(GradientFlow(), rates, [0.0, 0.1, 1.7])
    for place, t in enumerate([0.0, 0.1, 1.7]):
        ours = (Q * found.remaining[place]) @ Q.T
        np.testing.assert_allclose(ours.numpy(), expm(-H.numpy() * t), atol=1e-13)
        solved = np.linalg.solve(H.numpy(), np.eye(5) - expm(-H.numpy() * t))
        np.testing.assert_allclose(((Q * found.travelled[place]) @ Q.T).numpy(), solved, atol=1e-11)


@given(
    rate=st.floats(1e-12, 1e3), share=st.floats(1e-3, 0.999), momentum=st.floats(0, 0.95), nesterov=st.booleans(),
    t=st.integers(0, 10_000),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_what_is_left_and_what_was_travelled_belong_together(rate, share, momentum, nesterov, t):
    lr = share * limit_of(SGD(lr=1.0, momentum=momentum, nesterov=nesterov)) / rate
    found = spectral_filter(SGD(lr=lr, momentum=momentum, nesterov=nesterov), torch.tensor([rate], dtype=F64), [t])
    left, travelled = float(found.remaining), float(found.travelled)
    assert left == pytest.approx(1 - rate * travelled, abs=1e-7)  # t = 10^4 units in the last place of numbers near 100
    if momentum == 0:
        assert abs(left) <= 1


@given(rate=st.floats(1e-6, 1e3), s=st.floats(0, 50), t=st.floats(0, 50))
@settings(max_examples=100, deadline=None)
def test_the_flow_is_a_semigroup(rate, s, t):
    a, b, both = spectral_filter(GradientFlow(), torch.tensor([rate], dtype=F64), [s, t, s + t]).remaining.flatten()
    assert float(a * b) == pytest.approx(float(both), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_limit_of_stability_is_where_it_says(momentum, nesterov):
    limit = limit_of(SGD(lr=1.0, momentum=momentum, nesterov=nesterov))
    for share, shrinks in ((0.99, True), (1.01, False)):
        rule = SGD(lr=share * limit, momentum=momentum, nesterov=nesterov)
        left = spectral_filter(rule, torch.tensor([1.0]), [4000]).remaining
        assert (float(left.abs()) < 1e-3) == shrinks
        assert is_stable(rule, torch.tensor([1.0])) == shrinks


@pytest.mark.parametrize("rule", [GradientFlow(), *RULES], ids=named)
def test_at_infinity_nothing_is_left_and_blind_directions_never_move(rule):
    found = spectral_filter(rule, torch.tensor([0.0, 2.0], dtype=F64), [5, math.inf])
    assert found.remaining[:, 0].tolist() == [1, 1]
    assert found.travelled[:, 0].tolist() == [0, 0]
    assert found.remaining[1, 1] == 0
    assert found.travelled[1, 1] == 0.5


def test_small_rates_do_not_cancel():
    for rule in (GradientFlow(), GD(lr=1.0), SGD(lr=0.5, momentum=0.5)):
        travelled = spectral_filter(rule, torch.tensor([1e-15], dtype=F64), [1000]).travelled
        assert float(travelled) == pytest.approx(1000, rel=2e-3)  # the momentum's start: two steps of a thousand


def test_small_steps_are_the_flow():
    rates = torch.tensor([0.1, 1.0, 4.0], dtype=F64)
    flow = spectral_filter(GradientFlow(), rates, [2.0])
    for momentum in (0.0, 0.5):
        lr = 1e-5 * (1 - momentum)
        steps = spectral_filter(SGD(lr=lr, momentum=momentum), rates, [200_000])
        # to first order in lr the exponent is off by lr l^2 t (1 + mu) / (2 (1 - mu)^2), and there are the first
        # mu / (1 - mu)^2 steps of momentum: together below 5e-4 at l = 4
        torch.testing.assert_close(steps.remaining, flow.remaining, rtol=6e-4, atol=0)


def test_what_diverges_is_reported_as_it_is():
    grown = spectral_filter(GD(lr=3.0), torch.tensor([1.0]), [1, 2, 2000]).remaining.flatten()
    assert grown[:2].tolist() == [-2, 4]
    assert grown[2].isinf()


@pytest.mark.parametrize(
    ("rule", "times", "word"),
    [
        (GD(lr=0.1), [-1], "negative"),
        (GD(lr=0.1), [], "at least one"),
        (GD(lr=0.1), [0.5], "whole steps"),
        (GD(lr=0.1), [math.nan], "NaN"),
        (SGD(lr=0.1, momentum=1.0), [1], "momentum"),
        (SGD(lr=0.1, momentum=-0.1), [1], "momentum"),
        (SGD(lr=0.0), [1], "step size"),
        (SGD(lr=[0.1, 0.2]), [1], "one real number"),
        (SGD(lr=0.1, weight_decay=0.1), [1], "no closed form"),
        (Adam(lr=0.1), [1], "Adam"),
        (GD(lr=2.5), [math.inf], "stable below 0.8"),
        (GradientFlow(), [-0.1], "negative"),
    ],
)
def test_refuses(rule, times, word):
    with pytest.raises(InvalidInput, match=word):
        spectral_filter(rule, torch.tensor([1.0]), times)


def test_refuses_negative_rates():
    with pytest.raises(InvalidInput, match="not negative"):
        spectral_filter(GradientFlow(), torch.tensor([-1.0]), [1.0])
