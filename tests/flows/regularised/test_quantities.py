"""Quantities along trajectories: linear flows, whose integrals are known; probes and their variance."""

import pytest
import torch
from torch import nn

from lemmata import flows, training
from lemmata.errors import InvalidInput
from lemmata.flows import regularised

F64 = torch.float64


class Linear(nn.Module):
    def __init__(self, A):
        super().__init__()
        self.A = nn.Parameter(A)

    def forward(self, t, y):
        return y @ self.A.mT


def _linear(d=3, steps=10, T=0.5, seed=0):
    A = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=F64)
    return A, flows.Flow(Linear(A), steps=steps, T=T)


def test_integrals_of_a_linear_flow():
    """Constants times T exactly; the energy by quadrature over matrix exponentials, to 1e-6 of RK4 and quadrature."""
    A, flow = _linear(steps=40)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=F64)
    names = [regularised.divergence, regularised.roughness, regularised.kinetic]
    final, found = regularised.integrals(flow, x, names)
    torch.testing.assert_close(final, flow(x), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(found[:, 0], torch.full((5,), 0.5 * A.trace().item(), dtype=F64))
    torch.testing.assert_close(found[:, 1], torch.full((5,), 0.5 * A.square().sum().item(), dtype=F64))
    t = torch.linspace(0, 0.5, 1001, dtype=F64)
    speed = torch.stack([(x @ torch.linalg.matrix_exp(s * A).mT @ A.mT).square().sum(1) / 2 for s in t])
    torch.testing.assert_close(found[:, 2], torch.trapezoid(speed, t, dim=0), rtol=1e-6, atol=0)


def test_integrals_converge_at_the_order_of_the_method():
    _, fine = _linear(steps=640)
    x = torch.ones(2, 3, dtype=F64)
    kinetic = [regularised.kinetic]
    exact = regularised.integrals(fine, x, kinetic)[1]
    for method, order in (("forward-euler", 1), ("heun", 2), ("rk4", 4)):
        flow = [flows.Flow(fine.field, steps=n, T=0.5, method=method) for n in (20, 40)]
        errors = [(regularised.integrals(own, x, kinetic)[1] - exact).abs().max().item() for own in flow]
        assert torch.log2(torch.tensor(errors[0] / errors[1])).item() == pytest.approx(order, abs=0.15)


def test_gradients_of_costs():
    """Against finite differences, gradcheck's own tolerances in float64."""
    A, _ = _linear(steps=3)
    x = torch.ones(2, 3, dtype=F64)

    def cost(A):
        quantities = [regularised.kinetic, regularised.roughness, regularised.divergence]

        class Held(flows.VectorField):
            def weights_at(self, times, inside):
                return (A.expand(len(times), *A.shape),)

            def velocity(self, y, *weights):
                return torch.tanh(y @ weights[0].mT)

        return regularised.integrals(flows.Flow(Held(), steps=3, T=0.5), x, quantities)[1]

    assert torch.autograd.gradcheck(cost, A.requires_grad_())


def test_probes_are_unbiased_with_the_stated_variance():
    """4,000 probes: means within 5 standard errors (failure 6e-7), the variance of the trace within 15 %."""
    A, flow = _linear()
    n, d = 4000, 3
    x = torch.randn(1, d, generator=torch.Generator().manual_seed(2), dtype=F64).expand(n, d).contiguous()
    probes = regularised.Hutchinson.signs(1, n, d, seed=3, dtype=F64)
    symmetric = (A + A.mT) / 2
    variance = 2 * (symmetric.square().sum() - symmetric.diagonal().square().sum())

    def rule(y):
        return y @ A.mT

    trace = regularised.Hutchinson("divergence", probes)(rule, x)
    assert abs(trace.mean() - A.trace()) < 5 * trace.std() / n**0.5
    assert trace.var().item() == pytest.approx(variance.item(), rel=0.15)
    norm = regularised.Hutchinson("roughness", probes)(rule, x)
    assert abs(norm.mean() - A.square().sum()) < 5 * norm.std() / n**0.5
    many = regularised.Hutchinson("divergence", regularised.Hutchinson.signs(50, 7, d, seed=0, dtype=F64))
    assert (regularised.integrals(flow, x[:7], [many])[1] / 0.5 - A.trace()).abs().max() < 5 * (variance / 50).sqrt()


def test_training_under_a_price_moves_less():
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    y = x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    energy = []
    for price in (0.0, 1.0):
        net = regularised.Costed(
            flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4), {"kinetic": regularised.kinetic},
            head=nn.Linear(2, 2),
        )  # fmt: skip
        loss = regularised.costed_loss("mse", [price])
        run = training.train([net] * 2, x, y, loss=loss, optimiser=training.Adam(lr=0.05), epochs=20)
        energy.append(run.model(1)(x)[:, -1].mean().item())
    assert energy[1] < 0.6 * energy[0]


def test_bad_input():
    flow = flows.Flow(flows.Hamiltonian(2, flows.PiecewiseConstant(2)), steps=2)
    with pytest.raises(InvalidInput, match="fields of one tensor"):
        regularised.integrals(flow, torch.zeros(3, 2), [regularised.kinetic])
    with pytest.raises(InvalidInput, match="probes estimate"):
        regularised.Hutchinson("trace", torch.zeros(1, 2, 3))
    _, linear = _linear()
    with pytest.raises(InvalidInput, match="for states"):
        regularised.integrals(
            linear, torch.zeros(3, 3, dtype=F64), [regularised.Hutchinson("roughness", torch.zeros(1, 2, 3))]
        )
    with pytest.raises(InvalidInput, match="wants the potential"):
        regularised.integrals(linear, torch.zeros(3, 3, dtype=F64), [regularised.hamilton_jacobi])
