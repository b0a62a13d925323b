"""Every layer keeps what fields promise; those that do not are caught, each by the test that is meant for it."""

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.conformance import FieldConformance
from lemmata.flows import control, regularised
from lemmata.flows.field import as_field

F64 = {"dtype": torch.float64}
CONSTANT, SMOOTH = flows.PiecewiseConstant(4), flows.Spline(4, degree=3)


class TestPlain(FieldConformance):
    def field(self):
        return flows.Plain(3, SMOOTH, **F64)


class TestPlainReLU(FieldConformance):
    smooth = False

    def field(self):
        return flows.Plain(3, CONSTANT, activation="relu", **F64)


class TestTwoLayer(FieldConformance):
    def field(self):
        return flows.TwoLayer(flows.Dense(3, hidden=5), flows.PiecewiseLinear(5), **F64)


class TestAntisymmetric(FieldConformance):
    def field(self):
        return flows.Antisymmetric(3, CONSTANT, gamma=0.1, **F64)


class TestParabolic(FieldConformance):
    def field(self):
        return flows.Parabolic(3, SMOOTH, activation="softplus", **F64)


class TestConvolutional(FieldConformance):
    def field(self):
        return flows.Parabolic(flows.Convolution(2), CONSTANT, **F64)

    def state(self):
        return torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0), **F64)


class TestHamiltonian(FieldConformance):
    def field(self):
        return flows.Hamiltonian(3, SMOOTH, two=True, **F64)


class TestHyperbolic(FieldConformance):
    def field(self):
        return flows.Hyperbolic(3, CONSTANT, **F64)


class TestModule(FieldConformance):
    def field(self):
        return as_field(Timed(nn.Linear(3, 3)).double())


class TestDescent(FieldConformance):
    def field(self):
        return regularised.Descent(regularised.SmoothPotential(3, **F64))


class TestSteered(FieldConformance):
    def field(self):
        A, B = torch.eye(3, **F64) - 0.5, torch.ones(3, 2, **F64)
        return control.linear_quadratic.Steered(A, B, flows.PiecewiseLinear(5))


class Timed(nn.Module):
    """sin(t) of a layer."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, t, y):
        return torch.tanh(self.layer(y)) * torch.sin(1 + t)


class Broken(FieldConformance):
    """A plain layer, broken in one way at a time."""

    kind: type[flows.VectorField] = flows.Plain

    def field(self):
        return self.kind(3, SMOOTH, **F64)


class Narrow(flows.Plain):
    def velocity(self, y, *weights):
        return super().velocity(y, *weights).float().to(y.dtype) if y.dtype == torch.float64 else y.double()


class Sliding(flows.Plain):
    def weights_at(self, times, inside):
        K, b = super().weights_at(times, inside)
        return K + len(times), b


class InPlace(flows.Plain):
    def velocity(self, y, *weights):
        found = super().velocity(y, *weights)
        y.mul_(1.0001)
        return found


class Mixing(flows.Plain):
    def velocity(self, y, *weights):
        return super().velocity(y - y.mean(0), *weights)


class Noisy(flows.Plain):
    def velocity(self, y, *weights):
        return super().velocity(y, *weights) + 1e-3 * torch.randn(y.shape, dtype=y.dtype)


class Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, g):
        return 0.5 * g * (1 - ctx.saved_tensors[0].tanh().square())


class WrongBackward(flows.Plain):
    def velocity(self, y, *weights):
        return Halved.apply(self.inner(*weights, y))


class Jumping(flows.Plain):
    def velocity(self, y, *weights):
        return super().velocity(y, *weights) + 3 * (torch.sin(20 * y) > 0)


class NoPair(flows.Hamiltonian):
    def velocity(self, y, *weights):
        q, p = super().velocity(y, *weights)
        return q, 2 * p


class WrongEnergy(flows.Hamiltonian):
    def energy(self, y, *weights):
        return super().energy((y[0], 2 * y[1]), *weights)


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        (Narrow, "keeps_shape_and_dtype"),
        (Sliding, "weights_at_many_times"),
        (InPlace, "pure_function: InvalidInput: InPlace overwrites its state in place"),
        (Noisy, "pure_function: AssertionError: asked twice"),
        (Mixing, "each_sample_by_itself"),
        (WrongBackward, "test_derivative: AssertionError: the derivative is wrong by y"),
        (WrongBackward, "test_adjoint"),
        (Jumping, "order_of_convergence"),
        (NoPair, "pairs_move_each_other"),
        (WrongEnergy, "energy_stays"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_broken_is_caught(kind, caught):
    """By the test whose promise is broken."""
    case = type("Case", (Broken,), {"kind": kind})
    with pytest.raises(AssertionError, match=caught):
        case().check()


def test_a_field_has_to_be_given():
    with pytest.raises(AssertionError, match="override"):
        FieldConformance().check()
