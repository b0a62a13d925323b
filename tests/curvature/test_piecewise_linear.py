"""Detection of outputs that are piecewise linear in single parameter entries: what is let pass, and what refused.

The oracle is the second derivative by each entry itself: for whatever is let pass it must be exactly zero, which is
tried on random computations as well as on networks.
"""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lemmata import nets
from lemmata.curvature import nonlinearity
from lemmata.objective import Objective

ZEROS = torch.zeros(4, 1, dtype=torch.long)


class Computation(nn.Module):
    """Any function of a matrix, a vector and the outputs h (4, 4) of a layer on two samples, each taken twice."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.first = nn.Linear(3, 4)
        self.a, self.b = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))
        self.double()

    def forward(self, x):
        return self.function(self, self.first(x).repeat(2, 1)).expand(4, 4).reshape(2, 8)


def objective_of(function, parameters=None):
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Objective(Computation(function), loss="mse", data=(x, torch.zeros(2, 8).double()), parameters=parameters)


def second_derivatives(objective):
    """The largest |d^2 f / d theta_i^2| of a random combination f of the outputs, over all entries i."""
    x = objective.batches[0][0]
    weights = torch.randn(2, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def value(vector):
        return (weights * objective.outputs(objective.tree(vector), x)).sum()

    return float(
        torch.autograd.functional.hessian(value, objective.vector(objective.parameters)).diagonal().abs().max()
    )


def test_networks_that_the_theorem_is_for(piecewise_linear):
    assert nonlinearity((piecewise_linear.model, "cross_entropy", (piecewise_linear.x, piecewise_linear.y))) is None


PASSED = {
    "clamped between two layers": lambda m, h: torch.clamp(h @ m.a, min=m.b, max=h),
    "mixed and shifted": lambda m, h: (h @ m.a).T @ h.new_ones(4, 4) * 0.1 + h.sum() + m.b,
    "sorted": lambda m, h: h.sort(1).values * m.b,
    "divided by data": lambda m, h: h / torch.tensor([1.0, 2.0, 3.0, 4.0]).double(),
    "masked by a comparison": lambda m, h: torch.where(h > h.mean(), h @ m.a, m.b),
    "a step": lambda m, h: torch.sign(h) * h + torch.floor(m.b),
    "detached": lambda m, h: h * h.new_ones(4).exp() + m.b,
    "cast and counted": lambda m, h: h * (h > 0).double().sum(),
    "scattered": lambda m, h: torch.zeros_like(h).scatter_add(1, ZEROS, h[:, :1]) + m.b,
}


@pytest.mark.parametrize("name", PASSED)
def test_what_passes_has_no_second_derivative(name):
    objective = objective_of(PASSED[name])
    assert nonlinearity(objective) is None
    assert second_derivatives(objective) == 0.0


class Doubled(torch.autograd.Function):
    """A value that is linear, with a derivative that is not its own."""

    @staticmethod
    def forward(ctx, h):
        ctx.save_for_backward(h)
        return 2 * h

    @staticmethod
    def backward(ctx, d):
        (h,) = ctx.saved_tensors
        return d * h


def through_a_view(m, h):
    """A product of a value with itself, one factor written into a buffer through a view of a view."""
    buffer = h.new_zeros(4, 4)
    buffer[:2][:, :4].copy_(h[:2])
    return buffer.flip(0) * h + buffer * h


def in_place_on_a_view(m, h):
    """A write into a view makes the whole depend on m.b."""
    whole = torch.zeros(4, 4, dtype=h.dtype)
    whole[0].add_(m.b)
    return whole * m.b


REFUSED = {
    "tanh": (lambda m, h: torch.tanh(h), "tanh"),
    "sigmoid": (lambda m, h: torch.sigmoid(h), "sigmoid"),
    "softplus": (lambda m, h: functional.softplus(h), "softplus"),
    "GELU": (lambda m, h: functional.gelu(h), "gelu"),
    "SiLU": (lambda m, h: functional.silu(h), "silu"),
    "SELU": (lambda m, h: functional.selu(h), "elu"),
    "hard swish": (lambda m, h: functional.hardswish(h), "hardswish"),
    "softmax": (lambda m, h: functional.softmax(h, 1), "softmax"),
    "log-softmax": (lambda m, h: functional.log_softmax(h, 1), "log_softmax"),
    "a power": (lambda m, h: h**2, "pow"),
    "exp": (lambda m, h: h.exp(), "exp"),
    "a value times itself": (lambda m, h: h * h, "mul multiplies two values that both depend on first.bias"),
    "a layer twice in depth": (lambda m, h: torch.relu(h @ m.a) @ m.a, "both depend on a"),
    "halves of a parameter": (lambda m, h: (h[:, :2] @ m.a[:2])[:, :2] @ m.a[2:], "both depend on a"),
    "divided by a parameter": (lambda m, h: h / m.b, "div divides by 'other', which depends on b"),
    "divided by itself": (lambda m, h: h / h.sum(), "div"),
    "layer normalisation": (lambda m, h: functional.layer_norm(h, [4]), "native_layer_norm"),
    "batch statistics": (lambda m, h: functional.batch_norm(h, None, None, training=True), "statistics of the batch"),
    "a norm": (lambda m, h: h / 2 + h.norm(), "linalg_vector_norm|norm"),
    "written through views": (through_a_view, "mul multiplies"),
    "a view written in place": (in_place_on_a_view, "both depend on b"),
    "multiplied by scattering": (lambda m, h: h.scatter_reduce(1, ZEROS, h, reduce="prod"), "scatter_reduce"),
    "multiplied by a scattered value": (lambda m, h: h.scatter(1, ZEROS, 2.0, reduce="multiply"), "scatter"),
    "compared in Python": (lambda m, h: h if torch.equal(h, m.a) else h + 1, "reads a value back"),
    "bits read anew": (lambda m, h: h.view(torch.int64).view(torch.float64), "view.dtype"),
    "complex numbers": (lambda m, h: (h.to(torch.complex128) * h.to(torch.complex128)).real, "complex|to_copy"),
    "a number read back": (lambda m, h: h * 2 if h.sum().item() > 0 else h, "reads a value back"),
    "a function with its own derivative": (lambda m, h: Doubled.apply(h), "Doubled is a custom autograd.Function"),
    "addcmul of one value": (lambda m, h: torch.addcmul(h, h, h), "addcmul"),
    "an outer product": (lambda m, h: torch.outer(m.b, m.b), "both depend on b"),
    "attention": (lambda m, h: functional.scaled_dot_product_attention(h[None], h[None], h[None])[0], "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name):
    function, words = REFUSED[name]
    found = nonlinearity(objective_of(function))
    assert found is not None
    assert re.search(words, str(found)), str(found)


@pytest.mark.parametrize("name", ["tanh", "a value times itself", "a layer twice in depth", "divided by a parameter"])
def test_refusals_are_needed(name):
    assert second_derivatives(objective_of(REFUSED[name][0])) > 0.1


def test_only_the_parameters_of_the_objective_count():
    assert nonlinearity(objective_of(lambda m, h: torch.tanh(h) @ m.a + m.b, ["a", "b"])) is None
    found = nonlinearity(objective_of(lambda m, h: torch.tanh(h) @ m.a + m.b, ["first.bias", "a"]))
    assert found.parameters == ("first.bias",)


def test_the_module_is_named_and_its_hooks_are_gone():
    model = nets.mlp(3, [5, 5], 2, activation="softplus", seed=0)
    objective = Objective(model, data=(torch.ones(2, 3), torch.tensor([0, 1])))
    found = nonlinearity(objective)
    assert (found.operation, found.module) == ("softplus", "'softplus1' (Softplus)")
    assert found.parameters == ("hidden1.bias", "hidden1.weight")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in objective.model.modules())
    recurrent = nn.Sequential(nn.LSTM(3, 4, batch_first=True), Last())
    assert "'0' (LSTM)" in str(nonlinearity((recurrent, "mse", (torch.ones(2, 5, 3), torch.zeros(2, 4)))))


class Last(nn.Module):
    def forward(self, states):
        return states[0][:, -1]


OPERATIONS = {
    "add": lambda u, v: u + v,
    "subtract": lambda u, v: u - 0.5 * v,
    "multiply": lambda u, v: u * v,
    "matrix": lambda u, v: u @ v / 4,
    "largest": torch.maximum,
    "select": lambda u, v: torch.where(u > v, u, v.mT),
    "join": lambda u, v: torch.cat([u[:2], v[2:]]),
    "rectify": lambda u, v: torch.relu(u) - v.abs(),
    "leak": lambda u, v: functional.leaky_relu(u, 0.3) + v.sum(),
    "write": lambda u, v: u.clone().index_copy_(0, torch.tensor([1]), v[:1]),
    "bend": lambda u, v: torch.tanh(u) + v,
    "divide": lambda u, v: u / (v.abs() + 1),
    "step": lambda u, v: torch.sign(u) * v,
}
STEP = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 9), st.integers(0, 9))


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=6))
def test_random_computations_are_never_let_pass_wrongly(steps):
    """Straight-line programs over two parameters, the first layer's output and constants."""

    def program(m, h):
        values = [h, m.a, m.b.expand(4, 4), torch.linspace(-1, 1, 16, dtype=h.dtype).reshape(4, 4)]
        for operation, left, right in steps:
            values.append(OPERATIONS[operation](values[-1 - left % len(values)], values[right % len(values)]))
        return values[-1]

    objective = objective_of(program)
    if nonlinearity(objective) is None:
        size = float(objective.outputs(objective.parameters, objective.batches[0][0]).abs().max())
        assert second_derivatives(objective) <= 1e-9 * max(size, 1.0)
