"""Every way back against autograd: all methods, kinds of fields and states, members, and what each keeps in memory."""

import re

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vmap

from lemmata.errors import InvalidInput, UnknownName
from lemmata.flows import (
    METHODS,
    Checkpoint,
    Convolution,
    Flow,
    Hamiltonian,
    Hyperbolic,
    Partitioned,
    PiecewiseConstant,
    PiecewiseLinear,
    Plain,
    Reversible,
)
from lemmata.flows.adjoint import WAYS, way_of

EXACT = 1e-13  # 9 steps of a few products of width 5 in float64: some tens of roundings
STEPS = 7  # as few as have three checkpoints, where some methods solve equations at each
BASIS = PiecewiseLinear(4, 2.0)


class Timed(nn.Module):
    """f(t, y) with weights that all times share."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(5, 5).double()

    def forward(self, t, y):
        return torch.tanh(self.inner(y) * (1 + t))


FIELDS = {
    "module": Timed,
    "plain": lambda: Plain(5, BASIS, dtype=torch.float64),
    "hamiltonian": lambda: Hamiltonian(5, BASIS, two=True, dtype=torch.float64),
}
EXACT_WAYS = {"checkpoint": "checkpoint", "one state": Checkpoint(states=1), "reversible": "reversible",
              "reversible, generic": Reversible(closed_form=False)}  # fmt: skip


def _draw(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _gradients(field, method, backward, y, steps=9):
    """By the state and by all weights, of a loss in which all parts of the state count."""
    pair = isinstance(field, Partitioned)
    parts = [y.clone().requires_grad_(), (0.3 * y).requires_grad_()][: 1 + pair]
    out = Flow(field, steps=steps, T=2.0, method=method, backward=backward)(tuple(parts) if pair else parts[0])
    loss = out[0].sin().sum() + out[1].square().sum() if pair else out.sin().sum()
    return torch.autograd.grad(loss, [*parts, *field.parameters()])


def _off(found, exact):
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("method", METHODS)
def test_exact_ways_give_the_gradient_of_autograd(method, name):
    field, y = FIELDS[name](), _draw(7, 5)
    if METHODS[method].partitioned and name != "hamiltonian":
        pytest.skip("the method is for pairs")
    exact = _gradients(field, method, "store", y, STEPS)
    for way in EXACT_WAYS.values():
        if way_of(way).name == "reversible" and not METHODS[method].reversible:
            with pytest.raises(InvalidInput, match="cannot be run backwards"):
                Flow(field, steps=2, T=1.0, method=method, backward=way)
        else:
            assert _off(_gradients(field, method, way, y, STEPS), exact) < EXACT


@pytest.mark.parametrize("backward", ["checkpoint", "reversible", "continuous"])
def test_images_and_second_order_fields(backward):
    """Verlet's continuous adjoint is exact too."""
    fields = [
        (Hamiltonian(Convolution(2), BASIS, dtype=torch.float64), _draw(3, 2, 4, 4)),
        (Hyperbolic(5, BASIS, dtype=torch.float64), _draw(6, 5)),
        (Hamiltonian(5, BASIS, activation="softplus", dtype=torch.float64), _draw(6, 5)),
    ]
    for field, y in fields:
        exact = _gradients(field, "verlet", "store", y)
        assert _off(_gradients(field, "verlet", backward, y), exact) < EXACT


@pytest.mark.parametrize("backward", ["checkpoint", "reversible", Reversible(closed_form=False), "continuous"], ids=str)
@pytest.mark.parametrize("tied", [False, True])
def test_members_in_any_order_of_vmap_and_grad(backward, tied):
    basis = PiecewiseConstant(1 if tied else 3, 2.0)
    nets = [Flow(Hamiltonian(5, basis, seed=s, dtype=torch.float64), steps=9, method="verlet") for s in range(3)]
    weights = {name: torch.stack([dict(net.named_parameters())[name].detach() for net in nets])
               for name, _ in nets[0].named_parameters()}  # fmt: skip
    x, one = _draw(2, 6, 5), {name: w[0] for name, w in weights.items()}
    net = nets[0]

    def loss(weights, x):
        return functional_call(net, weights, (x,)).sin().sum()

    def trained(weights, x):
        """As an ensemble is: members evaluated under vmap, then one backward pass."""
        leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
        torch.vmap(loss, in_dims=(0, None))(leaves, x[0]).sum().backward()
        return {name: leaf.grad for name, leaf in leaves.items()}

    ways = [
        lambda: trained(weights, x),
        lambda: vmap(grad(loss), in_dims=(0, None))(weights, x[0]),
        lambda: vmap(grad(loss), in_dims=(None, 0))(one, x),
        lambda: vmap(vmap(grad(loss), in_dims=(0, None)), in_dims=(None, 0))(weights, x),
        lambda: vmap(vmap(grad(loss), in_dims=(None, 0)), in_dims=(0, None))(weights, x),
        lambda: grad(lambda w: vmap(loss, in_dims=(None, 0))(w, x).sum())(one),
    ]
    exact = [run() for run in ways]
    net.way = way_of(backward)
    for run, right in zip(ways, exact, strict=True):
        assert _off(run().values(), right.values()) < EXACT


def test_members_of_plain_fields():
    members = [Flow(Plain(5, BASIS, seed=s, dtype=torch.float64), steps=5, method="midpoint") for s in range(2)]
    stacked = {n: torch.stack([dict(m.named_parameters())[n].detach() for m in members])
               for n, _ in members[0].named_parameters()}  # fmt: skip
    x = _draw(2, 4, 5)
    for way, limit in (("checkpoint", EXACT), ("continuous", 0.2)):
        net = Flow(members[0].field, steps=5, method="midpoint", backward=way)
        found = vmap(grad(lambda w, x, net=net: functional_call(net, w, (x,)).sin().sum()))(stacked, x)
        exact = vmap(grad(lambda w, x: functional_call(members[0], w, (x,)).sin().sum()))(stacked, x)
        assert _off(found.values(), exact.values()) < limit


@pytest.mark.parametrize("backward", WAYS)
def test_frozen_weights_get_no_gradient(backward):
    field, y = Hamiltonian(5, BASIS, dtype=torch.float64), _draw(4, 5)
    field.coefficients["b"].requires_grad_(False)
    Flow(field, steps=6, method="verlet", backward=backward)(y).sum().backward()
    whole = Hamiltonian(5, BASIS, dtype=torch.float64)
    Flow(whole, steps=6, method="verlet")(y).sum().backward()
    assert field.coefficients["b"].grad is None
    torch.testing.assert_close(field.coefficients["K"].grad, whole.coefficients["K"].grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backward", WAYS)
def test_without_gradients_nothing_is_kept(backward):
    net = Flow(Hamiltonian(5, BASIS), steps=6, method="verlet", backward=backward)
    with torch.no_grad():
        assert not net(torch.ones(2, 5)).requires_grad


@pytest.mark.parametrize("backward", ["checkpoint", "reversible", "continuous"])
def test_second_derivatives_and_forward_mode_are_refused(backward):
    net, y = Flow(Hamiltonian(5, BASIS), steps=3, method="verlet", backward=backward), torch.ones(2, 5)
    start = y.clone().requires_grad_()
    (first,) = torch.autograd.grad(net(start).sin().sum(), start, create_graph=True)
    with pytest.raises(InvalidInput, match=r"differentiated once.*'store'"):
        first.sum().backward()
    with pytest.raises(InvalidInput, match=r"no derivatives forward.*'store'"):
        jvp(net, (y,), (y,))


def _kept(net, y):
    """Bytes that autograd holds between forward and backward, those of the weights and of y left out."""
    known = {w.untyped_storage().data_ptr() for w in [*net.parameters(), y]}
    held = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = net(y)
    del out
    return sum(held.values())


@pytest.mark.parametrize("steps", [16, 64])
def test_what_is_kept(steps):
    """In states (q, p): one at the end (and p = 0 at the start) but for checkpoints, which keep sqrt(2 N) of them."""
    field = Hamiltonian(8, PiecewiseConstant(steps, 1.0))
    y = torch.ones(32, 8, requires_grad=True)
    state = 2 * y.numel() * 4
    kept = {way: _kept(Flow(field, steps=steps, method="verlet", backward=way), y) / state for way in WAYS}
    assert kept["reversible"] == kept["continuous"] == 1.5
    assert kept["checkpoint"] == 1.5 + Checkpoint().stored(steps) - 1
    assert kept["store"] > 2 * steps


@pytest.mark.parametrize("backward", ["checkpoint", "continuous"])
def test_weights_that_all_steps_share_are_held_once(backward):
    """A module's gradients are one buffer, not one a step: its stack is a view of the parameters."""
    module, y = Timed(), _draw(4, 5)
    shapes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: shapes.append(tuple(t.shape)) or t, lambda t: t):
        Flow(module, steps=50, T=1.0, method="rk4", backward=backward)(y)
    assert (1, 5, 5) in shapes
    assert not any(len(shape) == 3 and shape[0] > 1 for shape in shapes)


@pytest.mark.parametrize("backward", ["checkpoint", "continuous"])
def test_fields_that_draw_random_numbers_are_refused_where_steps_are_taken_again(backward):
    field = nn.Sequential(nn.Linear(5, 5).double(), nn.Dropout(0.5))

    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = field

        def forward(self, t, y):
            return self.inner(y)

    y, module = _draw(4, 5), Dropped()
    flow = Flow(module, steps=3, T=1.0, method="heun", backward=backward)
    with pytest.raises(InvalidInput, match="draws random numbers"):
        flow(y)
    with torch.no_grad():
        flow(y)
    flow.eval()(y).sum().backward()
    Flow(module.train(), steps=3, T=1.0, method="heun")(y).sum().backward()


def test_bad_ways():
    with pytest.raises(UnknownName, match="did you mean 'reversible'"):
        way_of("reversable")
    with pytest.raises(InvalidInput, match="a name or a way"):
        way_of(3)
    with pytest.raises(InvalidInput, match="solves for the numbers of each sample"):
        Flow(Plain(5, BASIS), steps=2, method="backward-euler", backward="continuous")
    with pytest.raises(InvalidInput, match="states = 0"):
        Checkpoint(states=0)
    with pytest.raises(InvalidInput, match=re.escape("tolerance = -1")):
        Reversible(tolerance=-1)
