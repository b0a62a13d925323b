"""Which activation is whose, in models that a chain of modules does not describe, by numbers known by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lemmata.propagation import layer_jacobians, signals


def linear(weight: float) -> nn.Linear:
    """A layer u = weight x."""
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, weight)
    return layer


class Dense(nn.Module):
    """A layer that applies its activation within itself."""

    def __init__(self, weight: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[weight]], dtype=torch.float64))

    def forward(self, x):
        return torch.tanh(x @ self.weight.T)


class Of(nn.Module):
    """A model whose forward pass is a function of its layers and x."""

    def __init__(self, does, **layers: nn.Module):
        super().__init__()
        self.does, self.layers = does, nn.ModuleDict(layers)

    def forward(self, x):
        return self.does(self.layers, x)


ZERO, ONE = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)


def measured(model: nn.Module, x: torch.Tensor) -> dict[str, tuple[str | None, float]]:
    """Each layer's activation and its one singular value; the activations are those that the signals have."""
    found = layer_jacobians(model, x)
    assert found.activations == signals(model, (x, torch.zeros_like(x)), loss="mse").activations
    values = (float(each) for each in found.values)
    return dict(zip((name.removeprefix("layers.") for name in found.names),
                    zip(found.activations, values, strict=True), strict=True))  # fmt: skip


def test_an_activation_within_a_layer_is_not_the_one_befores():
    """At 0 slopes are 1: Jacobians are the weights, and not 6 for both layers together."""
    assert measured(nn.Sequential(linear(2.0), Dense(3.0)), ZERO) == {"0": (None, 2.0), "1": (None, 3.0)}


def test_an_activation_after_a_layer_with_layers_within_is_its_own():
    class Around(Dense):
        def __init__(self):
            super().__init__(3.0)
            self.inner = linear(2.0)

        def forward(self, x):
            return torch.tanh(self.inner(x)) @ self.weight.T

    found = measured(nn.Sequential(Around(), nn.Softsign()), ZERO)
    assert found == {"0.inner": ("tanh", 2.0), "0": ("softsign", 6.0)}


@pytest.mark.parametrize("change", [lambda u: u.mul_(0.5), lambda u: u[:, 0].mul_(0.5), lambda u: u.__imul__(0.5)],
                         ids=["whole", "a view", "assignment"])  # fmt: skip
def test_what_is_changed_in_place_is_not_the_layers_output(change):
    """At 0, with w = 1, d tanh(u / 2) / dx = 1/2; slope times weight would be 1."""

    def does(layers, x):
        u = layers["a"](x)
        change(u)
        return torch.tanh(u)

    model = Of(does, a=linear(1.0))
    found = layer_jacobians(model, ZERO)
    assert (float(found.values[0]), found.activations) == (0.5, ("tanh",))
    assert found.ways == ("automatic differentiation",)
    plain = layer_jacobians(Of(lambda layers, x: torch.tanh(layers["a"](x)), a=linear(1.0)), ZERO)
    assert (float(plain.values[0]), plain.ways) == (1.0, ("diag(phi') W",))


def test_an_activation_belongs_to_what_it_was_computed_from():
    """Of branches side by side the last one's layer is not given another's activation; its own may still come."""

    def side_by_side(layers, x):
        g, u = layers["gate"](x), layers["up"](x)
        return functional.silu(g) * u

    gated = Of(side_by_side, gate=linear(2.0), up=linear(3.0))
    assert measured(gated, ONE) == {"gate": (None, 2.0), "up": (None, 3.0)}

    def later(layers, x):
        g, u = layers["gate"](x), layers["up"](x)
        return torch.tanh((torch.sigmoid(g) - 0.5) + u)

    assert measured(Of(later, gate=linear(2.0), up=linear(3.0)), ZERO)["up"] == ("tanh", 3.0)

    def in_turn(layers, x):
        return functional.softsign(layers["gate"](x)) + layers["up"](x)

    found = measured(Of(in_turn, gate=linear(2.0), up=linear(3.0)), ZERO)
    assert found == {"gate": ("softsign", 2.0), "up": (None, 3.0)}


def test_an_activation_of_a_parameter_is_no_layers():
    """A scale kept positive by softplus, called after a layer, has nothing of it."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.raw = linear(2.0), nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def forward(self, x):
            return torch.tanh(self.a(x) * functional.softplus(self.raw))

    found = measured(Scaled(), ZERO)
    assert found["a"][0] == "tanh"
    assert found["a"][1] == pytest.approx(2 * torch.log(torch.tensor(2.0, dtype=torch.float64)).item())
