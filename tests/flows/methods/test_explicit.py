"""Explicit methods against scipy's and torchdiffeq's, step by step."""

import numpy as np
import pytest
import torch
from scipy.integrate import RK23
from torch import nn
from torchdiffeq import odeint

from lemmata.flows import ExplicitRungeKutta, integrate


class Nonlinear(nn.Module):
    """Time, both coordinates and their product."""

    def forward(self, t, y):
        a, b = y[..., :1], y[..., 1:]
        return torch.cat([torch.sin(t) - a * b, torch.cos(3 * t) * a - b**2], dim=-1)


Y0 = torch.tensor([[0.7, -0.3], [0.1, 1.2]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("forward-euler", "euler"), ("midpoint", "midpoint"), ("heun", "heun2"), ("three-eighths", "rk4")],
)
def test_same_steps_as_torchdiffeq(name, theirs):
    """Its 'rk4' is Kutta's rule of 3/8. Twenty steps, to 1e-13."""
    run = integrate(Nonlinear(), Y0, steps=20, T=2.0, method=name)
    other = odeint(Nonlinear(), Y0, run.times, method=theirs)
    torch.testing.assert_close(run.states, other, rtol=0, atol=1e-13)


def test_same_steps_as_scipy():
    """The RK23 of scipy with its step fixed (as no error is too large): Bogacki and Shampine's tableau."""
    A = [[], [1 / 2], [0, 3 / 4]]
    own = ExplicitRungeKutta("bogacki-shampine", A, [2 / 9, 1 / 3, 1 - 2 / 9 - 1 / 3])
    solver = RK23(
        lambda t, y: Nonlinear()(torch.tensor(t), torch.from_numpy(y)).numpy(),
        0.0, Y0[0].numpy(), 2.0, max_step=0.1, first_step=0.1, rtol=1e8, atol=1e8,
    )  # fmt: skip
    states = [Y0[0].numpy()]
    while solver.status == "running" and len(states) <= 19:
        solver.step()
        states.append(solver.y)
    run = integrate(Nonlinear(), Y0[:1], steps=20, T=2.0, method=own)
    np.testing.assert_allclose(run.states[:20, 0].numpy(), states, rtol=0, atol=1e-13)


def _classical(f, t, y, h):
    k1 = f(t, y)
    k2 = f(t + h / 2, y + h / 2 * k1)
    k3 = f(t + h / 2, y + h / 2 * k2)
    k4 = f(t + h, y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def _kutta(f, t, y, h):
    k1 = f(t, y)
    k2 = f(t + h / 2, y + h / 2 * k1)
    k3 = f(t + h, y - h * k1 + 2 * h * k2)
    return y + h / 6 * (k1 + 4 * k2 + k3)


def _shu_osher(f, t, y, h):
    one = y + h * f(t, y)
    two = 3 / 4 * y + 1 / 4 * (one + h * f(t + h, one))
    return y / 3 + 2 / 3 * (two + h * f(t + h / 2, two))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("ralston", lambda f, t, y, h: y + h * (f(t, y) + 3 * f(t + 2 * h / 3, y + 2 * h / 3 * f(t, y))) / 4),
        ("rk4", _classical),
        ("rk3", _kutta),
        ("ssp-rk3", _shu_osher),
    ],
)
def test_the_textbooks_steps(name, rule):
    """Written out by hand; Shu and Osher's as convex combinations of Euler steps. To 1e-14."""
    f, t, h = Nonlinear(), torch.tensor(0.0, dtype=torch.float64), 0.1
    run = integrate(f, Y0, steps=1, T=h, method=name)
    torch.testing.assert_close(run.final, rule(f, t, Y0, h), rtol=0, atol=1e-14)
