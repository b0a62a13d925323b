"""Activations: integrals against differences, and which of them rise."""

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput, UnknownName
from lemmata.flows.layers import ACTIVATIONS
from lemmata.flows.layers.activation import activation_of

ONE = flows.PiecewiseConstant(1)
FALLING = ("sin", "gelu", "silu")


@pytest.mark.parametrize("name", [name for name, sigma in ACTIVATIONS.items() if sigma.integral])
def test_the_integral_has_the_activation_as_its_derivative(name):
    """By autograd, at points off the corners; large arguments stay finite."""
    sigma = ACTIVATIONS[name]
    assert sigma.integral is not None
    x = torch.cat([torch.linspace(-9, 9, 100, dtype=torch.float64), torch.tensor([-700.0, 700.0]).double()])
    x.requires_grad_()
    (slope,) = torch.autograd.grad(sigma.integral(x).sum(), x)
    torch.testing.assert_close(slope, sigma(x.detach()), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FALLING)
@pytest.mark.parametrize("layer", [flows.Parabolic, flows.Hyperbolic])
def test_layers_whose_promise_needs_a_rising_activation_refuse_others(layer, name):
    with pytest.raises(InvalidInput, match=f"activation {name} falls near .*, and {layer.__name__} promises nothing"):
        layer(2, ONE, activation=name)
    flows.Plain(2, ONE, activation=name)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in FALLING])
def test_rising_activations_are_taken(name):
    flows.Parabolic(2, ONE, activation=name)


def test_functions_are_activations():
    with pytest.raises(InvalidInput, match="activation cos falls near"):
        flows.Parabolic(2, ONE, activation=torch.cos)
    assert activation_of(nn.Tanh()).name == "Tanh"
    with pytest.raises(UnknownName, match="unknown activation 'tahn'; did you mean 'tanh'"):
        flows.Plain(2, ONE, activation="tahn")
    with pytest.raises(InvalidInput, match="activation = 3; give one of"):
        flows.Plain(2, ONE, activation=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="has parameters of its own"):
        flows.Plain(2, ONE, activation=nn.PReLU())


def test_an_energy_needs_an_integral():
    field = flows.Hyperbolic(2, ONE, activation="softplus")
    with pytest.raises(InvalidInput, match="activation softplus has no closed integral"):
        field.energy((torch.zeros(1, 2),) * 2, torch.zeros(2, 2), torch.zeros(2))
