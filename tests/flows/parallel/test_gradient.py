"""Gradients by multigrid in layers against backpropagation through the serial layers."""

import copy
from itertools import pairwise

import pytest
import torch
from tests.flows.parallel._fields import F64, Linear, rotation, rough, start
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.flows.parallel import LayerParallel, Multigrid, gradient, serial_gradient

SCHEMES = [Multigrid(m=4, relaxation="F"), Multigrid(m=4), Multigrid(m=2, levels=4)]
IDS = ["F", "FCF", "four levels"]


def _loss(y):
    return (y.sin() * torch.arange(1.0, 5.0, dtype=y.dtype)).sum() + y.square().mean()


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("method", ["forward-euler", "rk4"])
def test_converged_gradients_are_those_of_backpropagation(method: str, scheme: Multigrid):
    """To 1e-10 in float64, where either solve has residuals of 1e-13."""
    flow = flows.Flow(rough(), steps=32, method=method)
    y0 = start().requires_grad_()
    exact = serial_gradient(flow, _loss, y0)
    found = gradient(flow, _loss, y0, scheme=scheme, tol=1e-13, iterations=30)
    assert found.error(exact) < 1e-10
    assert found.value == pytest.approx(_loss(flow(y0)).item(), abs=1e-12)
    assert found.y0 == pytest.approx(torch.autograd.grad(_loss(flow(y0)), y0)[0], abs=1e-10)
    assert found.adjoint.name == "adjoint"


def test_the_adjoint_states_are_the_gradients_of_all_c_points():
    flow, scheme = flows.Flow(rough(), steps=16, method="heun"), Multigrid(m=4)
    found = gradient(flow, _loss, start(), scheme=scheme, tol=1e-13)
    states = [start()]
    for y in flows.integrate(flow.field, start(), steps=16, method="heun").states.detach()[[4, 8, 12, 16]]:
        states.append(y)
    from lemmata.flows.integrate import held

    for k in range(5):
        y = states[k].clone().requires_grad_()
        moved = y
        for f in held(flow.field, flow.grid, flow.method)[4 * k :]:
            moved = flow.method.step(f, moved, flow.grid.h)
        assert found.adjoint.states[k] == pytest.approx(torch.autograd.grad(_loss(moved), y)[0], abs=1e-11)


def test_pairs_and_modules_and_weights_that_are_not_trained():
    flow = flows.Flow(flows.Hamiltonian(4, flows.PiecewiseConstant(8)).double(), steps=16, method="verlet")
    exact = serial_gradient(flow, _loss, start())
    assert gradient(flow, _loss, start(), scheme=Multigrid(m=4), tol=1e-13).error(exact) < 1e-11
    pair = (start(), start(seed=3))

    def both(y):
        return _loss(y[0]) + y[1].square().sum()

    found = gradient(flow, both, pair, scheme=Multigrid(m=4), tol=1e-13)
    assert found.error(serial_gradient(flow, both, pair)) < 1e-11
    assert len(found.y0) == 2

    class Waves(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4, dtype=F64)
            self.fixed = nn.Parameter(torch.ones(4, dtype=F64), requires_grad=False)

        def forward(self, t, y):
            return torch.cos(t) * torch.tanh(self.linear(y)) * self.fixed

    flow = flows.Flow(Waves(), steps=16, T=1.0)
    found = gradient(flow, _loss, start(), scheme=Multigrid(m=4), tol=1e-13)
    assert set(found.parameters) == {"module.linear.weight", "module.linear.bias"}
    assert found.error(serial_gradient(flow, _loss, start())) < 1e-11


def test_a_frozen_field_hands_on_the_gradient_of_what_stands_before_it():
    flow = flows.Flow(flows.Plain(4, flows.PiecewiseConstant(16)).double().requires_grad_(False), steps=16)
    found = []
    for layers in (flow, LayerParallel(flow, scheme=Multigrid(m=4), tol=1e-13, iterations=None)):
        y = start().requires_grad_()
        found.append(torch.autograd.grad(_loss(layers(y)), y)[0])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-12)


def test_gradients_of_too_few_iterations_are_off_by_the_residuals():
    """The error falls with the residuals, iteration for iteration, and starts far off."""
    flow = flows.Flow(rough(scale=2.0), steps=64, method="forward-euler")
    exact = serial_gradient(flow, _loss, start())
    found = [gradient(flow, _loss, start(), scheme=Multigrid(m=8), tol=None, iterations=i) for i in range(5)]
    errors = [one.error(exact) for one in found]
    assert errors[0] > 0.1
    assert all(b < 0.5 * a for a, b in pairwise(errors))
    assert errors[4] < 1e-10  # exact after 64 / 8 / 2 iterations
    alone = gradient(flow, _loss, start(), scheme=Multigrid(m=8), tol=1e-13, adjoint_iterations=0)
    assert alone.adjoint.iterations == 0
    assert alone.forward.residuals[-1] < 1e-13
    assert 1e-3 < alone.error(exact) < errors[0]


@pytest.mark.parametrize("relaxation", ["F", "FCF"])
def test_forwards_and_backwards_converge_alike_for_linear_fields(relaxation):
    """The adjoint of A has the spectrum of A: residuals fall by equal factors (to 20 %, as first errors differ)."""
    field = Linear(rotation(-4 + 3j))
    flow = flows.Flow(field, steps=64, method="forward-euler")
    scheme = Multigrid(m=4, relaxation=relaxation)
    found = gradient(flow, lambda y: y.square().sum(), start(2), scheme=scheme, tol=None, iterations=3)
    assert found.adjoint.factor == pytest.approx(found.forward.factor, rel=0.2)


def _networks(warm: bool = False, **options):
    torch.manual_seed(0)
    flow = flows.Flow(flows.Plain(4, flows.PiecewiseLinear(5)).double(), steps=32, method="forward-euler")
    serial = nn.Sequential(nn.Linear(4, 4), flow, nn.Linear(4, 3)).double()
    own = copy.deepcopy(serial)
    assert isinstance(own[1], flows.Flow)
    own[1] = LayerParallel(own[1], scheme=Multigrid(m=4), warm=warm, **options)
    return serial, own


def test_a_network_with_such_layers_has_the_gradient_of_all_its_parameters():
    serial, own = _networks(tol=1e-12, iterations=None)
    for network in (serial, own):
        nn.functional.cross_entropy(network(start()), torch.tensor([0, 1, 2])).backward()
    for mine, theirs in zip(own.parameters(), serial.parameters(), strict=True):
        assert mine.grad == pytest.approx(theirs.grad, abs=1e-11)


def test_passes_that_overlap_and_passes_without_gradients():
    _, own = _networks(tol=1e-12, iterations=None)
    first, second = own(start()).sum(), own(start(seed=5)).sum()
    second.backward()
    later = [p.grad.clone() for p in own.parameters()]
    own.zero_grad()
    first.backward()
    early = [p.grad.clone() for p in own.parameters()]
    own.zero_grad()
    own(start(seed=5)).sum().backward()
    assert all(torch.equal(p.grad, g) for p, g in zip(own.parameters(), later, strict=True))
    assert not torch.equal(early[1], later[1])
    with torch.no_grad():
        assert not own(start()).requires_grad


@pytest.mark.parametrize("warm", [False, True])
def test_training_with_few_iterations_falls_as_serial_training_does(warm: bool):
    """60 steps of Adam, one iteration of multigrid each way: final losses equal to 2 %, half of the first or less."""
    losses = []
    x = start(samples=40)
    y = (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] > 0.5).long()
    for network in _networks(warm, iterations=1):
        rule, seen = torch.optim.Adam(network.parameters(), lr=0.05), []
        for _ in range(60):
            rule.zero_grad()
            loss = nn.functional.cross_entropy(network(x), y)
            loss.backward()
            rule.step()
            seen.append(loss.item())
        losses.append(seen)
    serial, own = losses
    assert own[0] == pytest.approx(serial[0], rel=1e-2)
    assert own[-1] == pytest.approx(serial[-1], rel=0.02, abs=2e-3)
    assert serial[-1] < 0.5 * serial[0]


def test_warm_starts_leave_less_to_do():
    _, own = _networks(warm=True, tol=1e-10, iterations=20)
    layers = own[1]
    own(start()).sum().backward()
    first = layers.forward_solution.iterations, layers.adjoint_solution.iterations
    own(start()).sum().backward()
    again = layers.forward_solution.iterations, layers.adjoint_solution.iterations
    assert min(first) > 0
    assert again == (0, 0)
    own(start(samples=7)).sum().backward()  # of another shape: begun anew
    assert layers.forward_solution.states.shape[1] == 7


def test_bad_input():
    flow = flows.Flow(rough(), steps=32)
    with pytest.raises(InvalidInput, match="one finite number"):
        gradient(flow, lambda y: y, start())
    with pytest.raises(InvalidInput, match="one finite number"):
        gradient(flow, lambda y: y.sum() / 0, start())
    with pytest.raises(InvalidInput, match="divides, not 32"):
        LayerParallel(flow, scheme=Multigrid(m=5))
    found = gradient(flow, _loss, start())
    with pytest.raises(InvalidInput, match="exact has"):
        found.error({})


def test_weights_that_changed_since_the_pass_went_forwards_are_noticed():
    """Without a word the gradient would be that of no network: the states of one, linearised with another's weights."""
    flow = flows.Flow(rough(), steps=32, method="heun")
    layers = LayerParallel(flow, scheme=Multigrid(m=4), iterations=4)
    value = _loss(layers(start()))
    with torch.no_grad():
        flow.field.coefficients["K"].mul_(1.5)
    with pytest.raises(InvalidInput, match=r"coefficients\.K changed in place since this pass"):
        value.backward()
    value = _loss(layers(start()))
    flow.field.coefficients["b"] = nn.Parameter(torch.zeros_like(flow.field.coefficients["b"]))
    with pytest.raises(InvalidInput, match=r"coefficients\.b changed in place"):
        value.backward()
    _loss(layers(start())).backward()


def test_what_is_frozen_between_forwards_and_backwards_still_has_its_gradient():
    flow = flows.Flow(rough(), steps=32, method="heun")
    layers = LayerParallel(flow, scheme=Multigrid(m=4), iterations=4)
    exact = serial_gradient(flow, _loss, start())
    value, K = _loss(layers(start())), flow.field.coefficients["K"]
    flow.field.coefficients["b"].requires_grad_(False)
    (found,) = torch.autograd.grad(value, [K])
    assert found == pytest.approx(exact["coefficients.K"], abs=1e-10)


@pytest.mark.parametrize("steps", [32, 128])
def test_the_gradient_by_weights_that_all_layers_share_is_held_once(steps):
    """As many numbers as the weight has, whatever the depth, and the gradient of backpropagation."""
    from lemmata.flows.parallel.span import Span

    flow = flows.Flow(Linear(rotation(-0.3 + 1j)), steps=steps, T=1.0, method="rk4")
    y0 = torch.randn(5, 2, dtype=F64, generator=torch.Generator().manual_seed(0))

    def loss(y):
        return y.sin().sum()

    found = gradient(flow, loss, y0, scheme=Multigrid(m=4), tol=1e-14, iterations=steps)
    assert found.error(serial_gradient(flow, loss, y0)) < 1e-12
    span = Span.whole(flow.field, flow.grid, flow.method, 4)
    span.load(pair=False, graph=True)
    span.forwards(y0.expand(steps // 4, 5, 2))
    span.linearise()
    span.backwards(torch.ones(steps // 4, 5, 2, dtype=F64))
    assert span.adjoint is not None
    (by_A,) = span.adjoint.cotangents(4, [b.flip(0) for b in reversed(span._backwards[:-1])])
    assert by_A.shape == (1, 2, 2)
    assert span.adjoint._graph(0, 4)[2][0].untyped_storage().nbytes() == 4 * 8
