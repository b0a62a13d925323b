"""Exponential Euler: exact on linear fields, differentiable through its Jacobian, refused where it is too wide."""

import pytest
import torch
from scipy.linalg import expm
from torch import nn
from torch.func import functional_call, grad

from lemmata.errors import InvalidInput
from lemmata.flows import Flow, PiecewiseLinear, Plain, integrate


class Affine(nn.Module):
    def __init__(self, A, b):
        super().__init__()
        self.A, self.b = A, b

    def forward(self, t, y):
        return y @ self.A.T + self.b


def test_exact_on_affine_fields_in_one_step():
    """Against scipy's exponential of the affine map, to 1e-12; one of the eigenvalues is 0 and the field stiff."""
    A = torch.tensor([[-50.0, 3.0, 0], [1.0, -2.0, 0], [0, 0, 0]], dtype=torch.float64)
    b = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    y0 = torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]], dtype=torch.float64)
    whole = torch.zeros(4, 4, dtype=torch.float64)
    whole[:3, :3], whole[:3, 3] = A, b
    flow = torch.from_numpy(expm(1.7 * whole.numpy()))
    exact = y0 @ flow[:3, :3].T + flow[:3, 3]
    run = integrate(Affine(A, b), y0, steps=1, T=1.7, method="exponential-euler")
    torch.testing.assert_close(run.final, exact, rtol=0, atol=1e-12)


def test_gradient_goes_through_the_jacobian():
    """Against central differences of sixth order at 1e-3 (error some 1e-15, rounding 1e-13 relative), to 1e-10."""
    field = Plain(4, PiecewiseLinear(3), seed=1).double()
    y = torch.linspace(-1, 1, 8).double().reshape(2, 4)
    flow = Flow(field, steps=3, T=1.0, method="exponential-euler")
    weights = {name: w.detach() for name, w in flow.named_parameters()}
    name = next(iter(weights))
    along = torch.randn(weights[name].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(w):
        return functional_call(flow, {**weights, name: w}, (y,)).sin().sum()

    def at(e):
        return loss(weights[name] + e * along).item()

    exact = (grad(loss)(weights[name]) * along).sum().item()
    e = 1e-3
    differences = (45 * (at(e) - at(-e)) - 9 * (at(2 * e) - at(-2 * e)) + (at(3 * e) - at(-3 * e))) / (60 * e)
    assert differences == pytest.approx(exact, rel=1e-10)


def test_wide_states_are_refused():
    class Decay(nn.Module):
        def forward(self, t, y):
            return -y

    with pytest.raises(InvalidInput, match="matrix of 1025 rows a sample and stops at 1024; take 'implicit-midpoint'"):
        integrate(Decay(), torch.ones(1, 1025), steps=1, T=1.0, method="exponential-euler")
