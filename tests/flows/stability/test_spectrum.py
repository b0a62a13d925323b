"""Eigenvalues along trajectories against linear fields, the pendulum, and dense Jacobians in reverse mode."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.flows import Antisymmetric, Flow, Partitioned, PiecewiseConstant, PiecewiseLinear, Plain, integrate
from lemmata.flows.stability import spectrum
from lemmata.flows.stability.spectrum import WIDEST


class Linear(nn.Module):
    def __init__(self, A):
        super().__init__()
        self.A = A

    def forward(self, t, y):
        return (1 + t) * y @ self.A.T


class Pendulum(Partitioned):
    def weights_at(self, times, inside):
        return ()

    def first(self, p):
        return p

    def second(self, q):
        return -torch.sin(q)


def test_linear_fields_have_their_known_spectrum():
    """(1 + t) times -1 +- 3i and 2, t the middle of each step: to 1e-13."""
    A = torch.tensor([[-1.0, 3, 0], [-3, -1, 0], [0, 0, 2]], dtype=torch.float64)
    found = spectrum(Flow(Linear(A), steps=4, T=1.0, method="heun"), torch.ones(2, 3, dtype=torch.float64), every=2)
    np.testing.assert_array_equal(found.layers, [1, 3])
    np.testing.assert_allclose(found.times, [0.125, 0.625])
    for time, values in zip(found.times, found.values, strict=True):
        for sample in values:
            exact = (1 + time) * np.array([-1 - 3j, -1 + 3j, 2])
            np.testing.assert_allclose(np.sort_complex(sample), np.sort_complex(exact), atol=1e-13)
    assert found.rightmost == pytest.approx(2 * 1.625)


def test_the_pendulum_turns_real_beyond_a_right_angle():
    """Eigenvalues +- sqrt(-cos q): imaginary below pi / 2, real above."""
    q = torch.tensor([[0.5], [2.5]], dtype=torch.float64)
    found = spectrum(Flow(Pendulum(), steps=1, T=0.1, method="verlet"), q)
    exact = np.sqrt(-np.cos(q.numpy().ravel()).astype(complex))
    np.testing.assert_allclose(np.sort_complex(found.values[0, 0]), np.sort_complex([exact[0], -exact[0]]), atol=1e-14)
    np.testing.assert_allclose(np.sort_complex(found.values[0, 1]), np.sort_complex([exact[1], -exact[1]]), atol=1e-14)
    assert (found.outside, found.unstable) == (0.5, 0.0)


def test_networks_against_dense_jacobians_at_their_states():
    field = Plain(4, PiecewiseLinear(3), seed=0).double()
    flow = Flow(field, steps=3, method="rk4")
    y = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = spectrum(flow, y)
    state = y
    for n in range(3):
        middle = (n + 0.5) / 3
        J = vmap(jacrev(lambda u, t=middle: field(t, u[None])[0]))(state).detach().numpy()
        np.testing.assert_allclose(np.sort_complex(found.values[n]), np.sort_complex(np.linalg.eigvals(J)), atol=1e-12)
        state = integrate(field, y, steps=3).states[n + 1]


def test_shares_outside_and_by_the_steps_length():
    """By hand: z = -3 is stable in the flow, z = 0.5 in neither; z = -1 in both."""
    A = torch.diag(torch.tensor([-3.0, 0.5, -1.0], dtype=torch.float64))

    class Fixed(nn.Module):
        def forward(self, t, y):
            return y @ A

    found = spectrum(Flow(Fixed(), steps=2, T=2.0, method="forward-euler"), torch.ones(1, 3, dtype=torch.float64))
    assert found.outside == pytest.approx(2 / 3)
    assert found.unstable == pytest.approx(1 / 3)


def test_antisymmetric_layers_are_outside_forward_eulers_region_and_inside_that_of_rk4():
    layers = Antisymmetric(6, PiecewiseConstant(5), seed=0).double()
    y = torch.randn(8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    euler, rk4 = (spectrum(Flow(layers, steps=10, method=name), y) for name in ("forward-euler", "rk4"))
    assert euler.unstable > 0.9
    assert rk4.unstable == 0.0
    assert abs(euler.rightmost) < 1e-12


@pytest.mark.parametrize("steps", [1, 5])
def test_it_draws_and_moves(steps):
    layers = Plain(3, PiecewiseLinear(3), seed=0)
    figure = spectrum(Flow(layers, steps=steps, T=8.0, method="forward-euler"), torch.randn(6, 3)).plot()
    assert (figure.animation is not None) == (steps > 1)
    assert "<svg" in str(static.render(figure))


def test_what_is_refused():
    layers = Plain(2, PiecewiseLinear(2), seed=0)
    with pytest.raises(InvalidInput, match="every = 0"):
        spectrum(Flow(layers, steps=2), torch.ones(1, 2), every=0)
    with pytest.raises(InvalidInput, match="y0 holds a NaN"):
        spectrum(Flow(layers, steps=2), torch.full((1, 2), torch.nan))

    class Decay(nn.Module):
        def forward(self, t, y):
            return -y

    with pytest.raises(InvalidInput, match=f"{WIDEST + 1} numbers a sample: .* measure perturbation_growth"):
        spectrum(Flow(Decay(), steps=2, T=1.0), torch.ones(1, WIDEST + 1))
