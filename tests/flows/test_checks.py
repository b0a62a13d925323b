"""The checks of layers: right ones pass, each kind of slip is named."""

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.flows import Flow, Hamiltonian, PiecewiseConstant, Plain, check_adjoint, check_derivative
from lemmata.nets import mlp


class Product(torch.autograd.Function):
    """y K^T with a backward written by hand; `slip` says what is wrong with it."""

    @staticmethod
    def forward(ctx, y, K, slip):
        ctx.save_for_backward(y, K)
        ctx.slip = slip
        return y @ K.T

    @staticmethod
    def backward(ctx, g):
        y, K = ctx.saved_tensors
        by_y = {"transpose": g @ K.T, "half": 0.5 * (g @ K), "none": None}.get(ctx.slip, g @ K)
        by_K = {"order": y.T @ g, "sign": -(g.T @ y)}.get(ctx.slip, g.T @ y)
        return by_y, by_K, None


class Layer(nn.Module):
    def __init__(self, slip=None):
        super().__init__()
        torch.manual_seed(0)
        self.K, self.idle, self.slip = nn.Parameter(torch.randn(3, 3)), nn.Parameter(torch.ones(2)), slip

    def forward(self, y):
        return torch.tanh(Product.apply(y, self.K, self.slip))


SLIPS = {"transpose": ("y",), "half": ("y",), "none": ("y",), "order": ("K",), "sign": ("K",)}


@pytest.mark.parametrize("check", [check_derivative, check_adjoint])
@pytest.mark.parametrize("slip", [None, *SLIPS])
def test_slips_are_named(check, slip):
    found = check(Layer(slip), torch.randn(5, 3, generator=torch.Generator().manual_seed(1)))
    assert found.wrong == SLIPS.get(slip, ())
    assert bool(found) is (slip is None)
    assert found.unused == ("idle",)


@pytest.mark.parametrize("check", [check_derivative, check_adjoint])
def test_fields_modules_and_flows(check):
    y = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    basis = PiecewiseConstant(2)
    assert check(Plain(3, basis), y)
    assert check(Hamiltonian(3, basis), (y, y.cos()))
    assert check(mlp(3, [5], 2, activation="tanh", seed=0), y)
    for backward in ("store", "reversible", "checkpoint"):
        assert check(Flow(Hamiltonian(3, basis), steps=4, method="verlet", backward=backward), y)


@pytest.mark.parametrize("check", [check_derivative, check_adjoint])
def test_the_continuous_adjoint_is_no_adjoint(check):
    """Over four long steps of Euler's method its error is larger than any rounding, by the state and by each weight."""
    net = Flow(Plain(3, PiecewiseConstant(1, T=2.0)), steps=4, method="forward-euler", backward="continuous")
    assert check(net, torch.randn(4, 3, generator=torch.Generator().manual_seed(0))).wrong == (
        "y", "field.coefficients.K", "field.coefficients.b",
    )  # fmt: skip


def test_a_module_of_time():
    class Timed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.tensor(0.7))

        def forward(self, t, y):
            return torch.sin(self.a * t * y)

    assert check_derivative(Timed(), torch.ones(3), t=0.5)
    assert check_adjoint(Timed(), torch.ones(3), t=0.5).forward == "torch"


def test_both_ways_forward_agree():
    layer, y = Hamiltonian(3, PiecewiseConstant(2)), (torch.ones(2, 3), torch.zeros(2, 3))
    for forward in ("torch", "differences"):
        found = check_adjoint(layer, y, forward=forward)
        assert found
        assert found.forward == forward
    assert check_adjoint(layer, y, forward="differences")["y"].mismatch < 1e-9


def test_the_layer_is_left_as_it_was():
    layer = Layer()
    check_derivative(layer, torch.ones(2, 3))
    assert layer.K.dtype == torch.float32
    assert layer.K.grad is None


def test_plot():
    found = check_derivative(Layer("order"), torch.randn(5, 3, generator=torch.Generator().manual_seed(1)))
    figure = found.plot()
    assert [panel.title for panel in figure.panels] == ["by y: right", "by K: WRONG"]
    assert "wrong by K" in figure.caption
    assert len(check_adjoint(Layer(), torch.ones(2, 3)).plot().panels) == 2


def test_bad_input():
    with pytest.raises(InvalidInput, match=r"a model is a torch.nn.Module"):
        check_derivative(torch.tanh, torch.ones(3))
    with pytest.raises(InvalidInput, match="y: a list"):
        check_adjoint(Layer(), [1.0, 2.0])
    with pytest.raises(InvalidInput, match="forward = 'finite'"):
        check_adjoint(Layer(), torch.ones(2, 3), forward="finite")
    with pytest.raises(InvalidInput, match="finite"):
        check_derivative(Layer(), torch.full((2, 3), torch.nan))
