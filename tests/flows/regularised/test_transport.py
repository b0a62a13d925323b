"""Transport costs and densities against the best transport of Gaussians, linear flows, and quadrature."""

import math

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.flows import regularised

F64 = torch.float64


def _gaussians(d=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    roots = [torch.randn(d, d, generator=draw, dtype=F64) for _ in range(2)]
    S0, S1 = (R @ R.mT + 0.3 * torch.eye(d, dtype=F64) for R in roots)
    S0, S1 = (S0 + S0.mT) / 2, (S1 + S1.mT) / 2
    m0, m1 = (torch.randn(d, generator=draw, dtype=F64) for _ in range(2))
    return m0, S0, m1, S1


def _samples(m, S, n, seed=1):
    z = torch.randn(n, len(m), generator=torch.Generator().manual_seed(seed), dtype=F64)
    z = z - z.mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(z.mT @ z / n)).mT  # moments exactly 0 and 1
    return m + z @ torch.linalg.cholesky(S).mT


@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_best_transport_of_gaussians(d):
    """Cost W^2, straight paths and the end's covariance exactly, as the samples' moments are; RK4's error 1e-9."""
    m0, S0, m1, S1 = _gaussians(d)
    best = regularised.GaussianTransport(m0, S0, m1, S1)
    x = _samples(m0, S0, 200)
    flow = flows.Flow(best, steps=40, T=1.0)
    final = flow(x)
    torch.testing.assert_close(final, best.map(x), rtol=1e-7, atol=1e-8)
    torch.testing.assert_close((final - m1).mT @ (final - m1) / 200, S1, rtol=1e-7, atol=1e-7)
    found = regularised.transport(flow, x)
    assert found.cost == pytest.approx(best.cost, rel=1e-8)
    assert found.excess.abs().max() < 1e-6
    torch.testing.assert_close(found.length, found.displacement, rtol=1e-7, atol=1e-9)
    exact = torch.linalg.slogdet(best.A).logabsdet.expand(200)
    for how in ("trace", "jacobian"):
        torch.testing.assert_close(regularised.log_determinant(flow, x, how=how), exact, rtol=1e-7, atol=1e-7)


def test_the_closed_form_against_one_dimension_and_commuting_covariances():
    S0, S1 = torch.diag(torch.tensor([1.0, 4.0], dtype=F64)), torch.diag(torch.tensor([9.0, 1.0], dtype=F64))
    zero = torch.zeros(2, dtype=F64)
    assert regularised.GaussianTransport(zero, S0, zero, S1).cost == pytest.approx((3 - 1) ** 2 + (2 - 1) ** 2)


def test_another_way_between_the_same_gaussians_costs_more():
    """A rotation leaves N(0, I) as it is, at a price: W^2 = 0, the cost is angle^2 |x|^2."""

    class Turn(nn.Module):
        def forward(self, t, y):
            return 1.5 * torch.stack([-y[..., 1], y[..., 0]], -1)

    x = _samples(torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64), 100)
    found = regularised.transport(flows.Flow(Turn(), steps=40, T=1.0), x)
    assert found.cost == pytest.approx(1.5**2 * 2, rel=1e-6)
    chord = 2 * math.sin(0.75)
    torch.testing.assert_close(found.excess, torch.full((100,), (1.5 / chord) ** 2 - 1, dtype=F64), rtol=1e-5, atol=0)
    assert "<svg" in str(static.render(found.plot()))


def test_hamilton_jacobi_holds_for_the_potential_of_straight_paths():
    """Phi = -|y|^2 / (2 (1 + t)) solves the equation, Phi / 2 leaves |y|^2 / (8 (1 + t)^2)."""

    class Bowl(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, t, y):
            return -self.factor * y.square().sum(1) / (2 * (1 + t))

    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    for factor, left in ((1.0, 0.0), (0.5, 0.125)):
        field = regularised.Descent(Bowl(factor))
        flow = flows.Flow(field, steps=40, T=1.0)
        final, found = regularised.integrals(flow, x, [regularised.hamilton_jacobi])
        torch.testing.assert_close(final, x * 2**factor, rtol=1e-6, atol=0)
        t = torch.linspace(0, 1, 4001, dtype=F64)
        exact = torch.trapezoid(left * x.square().sum(1)[:, None] * (1 + t) ** (2 * factor - 2), t, dim=1)
        torch.testing.assert_close(found[:, 0], exact, rtol=1e-5, atol=1e-12)


def test_a_potential_is_trained_towards_its_equation():
    """Adam on the residual alone lowers it: gradients through second derivatives are there."""
    field = regularised.Descent(regularised.SmoothPotential(2, seed=0, dtype=F64))
    flow = flows.Flow(field, steps=4, T=1.0)
    x = torch.randn(16, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    rule, values = torch.optim.Adam(flow.parameters(), lr=0.05), []
    for _ in range(10):
        rule.zero_grad()
        value = regularised.integrals(flow, x, [regularised.hamilton_jacobi])[1].mean()
        value.backward()
        rule.step()
        values.append(value.item())
    assert values[-1] < 0.7 * values[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_densities_integrate_to_one(seed):
    """The rectangle rule on a grid that holds the mass: it converges beyond all orders; tails and RK4 leave 1e-3."""
    field = flows.TwoLayer(2, flows.PiecewiseLinear(3), seed=seed, dtype=F64)
    flow = flows.Flow(field, steps=10)
    found = regularised.density(flow, limits=(-9.0, 9.0), points=120)
    assert found.mass == pytest.approx(1.0, abs=1e-3)
    assert "<svg" in str(static.render(found.plot()))


def test_the_trace_and_the_jacobian_agree_to_the_order_of_the_method():
    field = flows.Plain(2, flows.PiecewiseConstant(2), seed=1, dtype=F64)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    for method, order in (("forward-euler", 1), ("heun", 2)):
        gaps = []
        for steps in (32, 64):
            flow = flows.Flow(field, steps=steps, method=method)
            ways = [regularised.log_determinant(flow, x, how=how) for how in ("trace", "jacobian")]
            gaps.append((ways[0] - ways[1]).norm().item())
        assert math.log2(gaps[0] / gaps[1]) == pytest.approx(order, abs=0.1)


def test_the_density_of_a_gaussian_flow_is_gaussian():
    m, S = _gaussians()[2:]
    best = regularised.GaussianTransport(m, S, torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64))
    x = _samples(m, S, 20)
    exact = torch.distributions.MultivariateNormal(m, S).log_prob(x)
    found = regularised.log_density(flows.Flow(best, steps=40, T=1.0), x)
    torch.testing.assert_close(found, exact, rtol=1e-7, atol=1e-7)


def test_bad_input():
    one = torch.eye(2)
    with pytest.raises(InvalidInput, match="S1 is not symmetric"):
        regularised.GaussianTransport(torch.zeros(2), one, torch.zeros(2), -one)
    flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(2)), steps=2)
    with pytest.raises(UnknownName, match="way to the determinant"):
        regularised.log_determinant(flow, torch.zeros(1, 2), how="guess")
    images = flows.Flow(flows.Plain(flows.Convolution(2), flows.PiecewiseConstant(2)), steps=2)
    for how in ("trace", "jacobian"):
        with pytest.raises(InvalidInput, match=r"\(3, 2, 4, 4\)"):
            regularised.log_determinant(images, torch.zeros(3, 2, 4, 4), how=how)
    with pytest.raises(InvalidInput, match="limits"):
        regularised.density(flow, limits=(1.0, 1.0))


def test_what_never_moved_has_no_excess_and_loops_have_an_infinite_one():
    """A turn of a whole circle about the origin: what starts there rests, all else comes back to where it was."""

    class Turning(nn.Module):
        def forward(self, t, y):
            return 2 * math.pi * torch.stack([-y[:, 1], y[:, 0]], 1)

    x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=F64)
    found = regularised.transport(flows.Flow(Turning(), steps=400, T=1.0), x)
    assert found.excess[0] == 0
    assert found.excess[1] > 1e12  # (2 pi)^2 over the square of RK4's error of 1e-8
    still = regularised.Transport(torch.tensor([0.0, 2.0]), torch.ones(2), torch.zeros(2), torch.zeros(2, 2, 2), 1.0)
    assert still.excess.tolist() == [0.0, math.inf]
