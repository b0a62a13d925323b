"""Fields: what holds them costs memory linear in depth, what velocities may not do, modules as fields."""

import pickle

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lemmata import curvature, flows
from lemmata.errors import InvalidInput
from lemmata.flows.field import as_field, hold

F64 = torch.float64


class Written(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.bytes += sum(t.numel() * t.element_size() for t in tree_leaves(out) if isinstance(t, torch.Tensor))
        return out


def backward_bytes(run, field) -> int:
    value = run(field).square().sum()
    with Written() as written:
        value.backward()
    return written.bytes


def flow(field):
    return flows.integrate(field, torch.ones(2, 8), steps=field.basis.size, method="forward-euler").final


def sliced(field):
    y = torch.ones(2, 8)
    for layer in range(field.basis.size):
        y = y + field.velocity(y, *(theta[layer] for theta in field.coefficients.values()))
    return y


@pytest.mark.parametrize("basis", [flows.PiecewiseConstant, flows.PiecewiseLinear, flows.Spline])
def test_the_backward_pass_of_twice_the_layers_writes_twice_the_bytes(basis):
    """Counted, not timed: 2 but for what does not grow. Slices of one stacked parameter write 4 times as many."""
    grown = [backward_bytes(flow, flows.Plain(8, basis(size), seed=0)) for size in (64, 128)]
    assert grown[1] / grown[0] == pytest.approx(2.0, abs=0.1)
    if basis is flows.PiecewiseConstant:
        quadratic = [backward_bytes(sliced, flows.Plain(8, basis(size), seed=0)) for size in (64, 128)]
        assert quadratic[1] / quadratic[0] > 3.5
        assert quadratic[0] > 10 * grown[0]


@pytest.mark.parametrize("basis", [flows.PiecewiseConstant(4), flows.Spline(5)])
def test_curvature_of_a_flow_can_be_traced(basis):
    """Products with the Hessian by tracing, where nobody can look at numbers, and by autograd: to rounding."""
    net = nn.Sequential(flows.Flow(flows.Parabolic(3, basis, dtype=F64), steps=4), nn.Linear(3, 2, dtype=F64))
    x, y = torch.ones(6, 3, dtype=F64).cumsum(0), torch.arange(6) % 2
    traced, plain = (
        curvature.hessian((net, "cross_entropy", (x, y)), way=way) for way in ("linearize", "double backward")
    )
    v = torch.ones(sum(p.numel() for p in net.parameters()), dtype=F64)
    torch.testing.assert_close(traced @ v, plain @ v)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(0.5))

    def forward(self, t, y):
        return self.rate * t * y


def test_a_module_is_a_field_with_gradients_of_its_parameters():
    """Y' = r t y from 1: y(T) = exp(r T^2 / 2), dy/dr = T^2 y / 2; RK4 with 50 steps, error below 1e-6."""
    module = Scaled().double()
    out = flows.integrate(module, torch.ones(1, 1, dtype=F64), steps=50, T=2.0).final
    assert out.item() == pytest.approx(torch.tensor(1.0).exp().item(), rel=1e-6)
    out.sum().backward()
    assert module.rate.grad is not None
    assert module.rate.grad.item() == pytest.approx(2 * out.item(), rel=1e-6)
    assert as_field(as_field(module)).T is None


class Odd(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, t, y):
        return self.change(y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:, :1], r"Odd takes a state \(4, 2\) in torch.float32 to a velocity \(4, 1\)"),
        (lambda y: y.double(), r"velocity \(4, 2\) in torch.float64; a velocity is of the state's shape and dtype"),
        (lambda y: (y, y), "gave a tuple for the velocity of a state that is a Tensor"),
        (lambda y: None, "gave a NoneType"),
    ],
    ids=["shape", "dtype", "pair", "nothing"],
)
def test_velocities_that_cannot_be_added_to_the_state(change, message):
    with pytest.raises(InvalidInput, match=message):
        flows.integrate(Odd(change), torch.zeros(4, 2), steps=1, T=1.0)
    with pytest.raises(InvalidInput, match=message):
        as_field(Odd(change))(0.0, torch.zeros(4, 2))


def test_states_that_are_no_pairs():
    field = flows.Hamiltonian(2, flows.PiecewiseConstant(1))
    for state, given in ((torch.zeros(3, 2), "a Tensor"), ((torch.zeros(1, 2),) * 3, "3 parts")):
        with pytest.raises(InvalidInput, match=rf"a state of Hamiltonian is a pair \(q, p\) of tensors, not {given}"):
            field(0.0, state)


def test_what_is_no_field_and_what_keeps_no_energy():
    with pytest.raises(InvalidInput, match=r"a field is a VectorField or a torch module f\(t, y\), not int"):
        as_field(3)
    time = torch.zeros(1, dtype=F64)
    (velocity,) = hold(flows.Plain(2, flows.PiecewiseConstant(1)), time, time)
    with pytest.raises(InvalidInput, match=r"Plain keeps no energy .* flows.Hamiltonian and flows.Hyperbolic do"):
        velocity.energy(torch.zeros(1, 2))


@pytest.mark.parametrize("activation", ["tanh", torch.tanh])
def test_fields_travel_to_other_processes(activation):
    field = flows.Parabolic(flows.Convolution(2), flows.Spline(4), activation=activation, seed=1)
    there, y = pickle.loads(pickle.dumps(field)), torch.ones(1, 2, 5, 5)
    assert torch.equal(there(0.3, y), field(0.3, y))
