"""Adaptive integration: errors follow tolerances, steps end where weights jump, what cannot be integrated is said."""

import math

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.flows import ADAPTIVE, Hamiltonian, PiecewiseConstant, Plain, integrate, integrate_adaptive


class Riccati(nn.Module):
    def forward(self, t, y):
        return -(y**2) * torch.cos(t)


Y0 = torch.tensor([[1.0], [0.5]], dtype=torch.float64)
EXACT = 1 / (1 / Y0 + math.sin(1.5))


@pytest.mark.parametrize("method", ADAPTIVE)
def test_errors_follow_the_tolerance(method):
    """Within two hundred times the tolerance, at 1e-4 and 1e-7, and smaller at the smaller."""
    runs = [integrate_adaptive(Riccati(), Y0, T=1.5, method=method, rtol=tol, atol=tol) for tol in (1e-4, 1e-7)]
    errors = [float((run.final - EXACT).abs().max()) for run in runs]
    assert errors[0] < 2e-2
    assert errors[1] < 2e-5
    assert errors[1] < errors[0]
    assert runs[1].evaluations > runs[0].evaluations


def test_times_in_between_and_pairs():
    field = Hamiltonian(3, PiecewiseConstant(1), seed=0).double()
    y = torch.linspace(-1, 1, 6).double().reshape(2, 3)
    run = integrate_adaptive(field, (y, 0 * y), points=5, rtol=1e-10, atol=1e-12)
    fixed = integrate(field, (y, 0 * y), steps=400, method="rk4")
    for ours, theirs in zip(run.states, fixed.states, strict=True):
        torch.testing.assert_close(ours, theirs[::100], rtol=0, atol=1e-8)
    torch.testing.assert_close(run.times, torch.linspace(0, 1, 5).double())


def test_jumps_named_cost_less_and_agree():
    """Eight pieces of constant weights: steps that end at the jumps, against 800 fixed steps of RK4."""
    field, y = Plain(3, PiecewiseConstant(8), seed=0).double(), torch.ones(2, 3).double()
    truth = integrate(field, y, steps=800).final
    blind = integrate_adaptive(field, y, rtol=1e-9, atol=1e-9)
    told = integrate_adaptive(field, y, rtol=1e-9, atol=1e-9, jumps=[k / 8 for k in range(9)])
    torch.testing.assert_close(told.final, truth, rtol=0, atol=1e-7)
    torch.testing.assert_close(blind.final, truth, rtol=0, atol=1e-5)
    assert told.evaluations < 0.7 * blind.evaluations


def test_gradients_go_through():
    """The derivative by y_0 is (y(T) / y_0)^2 in closed form: to 1e-7."""
    y0 = Y0.clone().requires_grad_()
    integrate_adaptive(Riccati(), y0, T=1.5, rtol=1e-9, atol=1e-9).final.sum().backward()
    torch.testing.assert_close(y0.grad, (EXACT / Y0) ** 2, rtol=0, atol=1e-7)


def test_what_is_refused():
    with pytest.raises(UnknownName, match="unknown adaptive method 'dopri55'; did you mean 'dopri5'"):
        integrate_adaptive(Riccati(), Y0, T=1.0, method="dopri55")
    with pytest.raises(InvalidInput, match="rtol = -1"):
        integrate_adaptive(Riccati(), Y0, T=1.0, rtol=-1.0)
    with pytest.raises(InvalidInput, match="asks for no error at all"):
        integrate_adaptive(Riccati(), Y0, T=1.0, rtol=0.0, atol=0.0)
    with pytest.raises(InvalidInput, match="y0 holds a NaN"):
        integrate_adaptive(Riccati(), Y0 * math.nan, T=1.0)
    with pytest.raises(InvalidInput, match="points = 1"):
        integrate_adaptive(Riccati(), Y0, T=1.0, points=1)
    with pytest.raises(InvalidInput, match="give T"):
        integrate_adaptive(Riccati(), Y0)


def test_a_solution_that_ends_before_the_end_of_time_is_said():
    """The solution of y' = y^2 from 1 is 1 / (1 - t): steps shrink towards t = 1, which no tolerance passes."""

    class Square(nn.Module):
        def forward(self, t, y):
            return y**2

    with pytest.raises(NotConverged, match="dopri5"):
        integrate_adaptive(Square(), Y0[:1], T=2.0)
    with pytest.raises(NotConverged, match="dopri5"):
        integrate_adaptive(Riccati(), Y0, T=1.5, rtol=1e-12, atol=1e-12, most_steps=3)
