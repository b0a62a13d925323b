"""Pontryagin's conditions: the gradient of the discrete problem, exactly; Hamiltonians along optimal controls."""

import pytest
import torch
from torch.nn import functional

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.flows import control

F64 = torch.float64
FIELDS = {
    "plain": lambda basis, seed: flows.Plain(3, basis, seed=seed, dtype=F64),
    "two-layer": lambda basis, seed: flows.TwoLayer(3, basis, seed=seed, dtype=F64),
    "hamiltonian": lambda basis, seed: flows.Hamiltonian(3, basis, seed=seed, dtype=F64),
}
BASES = {
    "constant": flows.PiecewiseConstant(6, T=1.5),
    "coarse": flows.PiecewiseConstant(3, T=1.5),
    "linear": flows.PiecewiseLinear(4, T=1.5),
    "spline": flows.Spline(5, T=1.5),
}


def _data(n=7, d=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draw, dtype=F64), torch.randn(n, d, generator=draw, dtype=F64)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(
    ("name", "method"),
    [("plain", "forward-euler"), ("plain", "rk4"), ("two-layer", "heun"), ("hamiltonian", "verlet")],
)
def test_what_is_left_is_the_gradient_of_the_discrete_problem(name, method, basis):
    """Against autograd through the whole network, in float64: both are exact, rounding 1e-15 a step."""
    x, y = _data()
    made = [FIELDS[name](BASES[basis], seed) for seed in (0, 1)]
    own = [flows.Flow(field, steps=6, method=method) for field in made]
    penalty = control.TimePenalty(tikhonov=0.3, smoothness=0.05)
    found = control.pontryagin(control.Problem(own, x, y, penalty=penalty))
    for m, flow in enumerate(own):
        J = functional.mse_loss(flow(x), y) + penalty(flow)
        J.backward()
        assert found.objective[m].item() == pytest.approx(J.item(), rel=1e-13)
        for key, theta in flow.field.coefficients.items():
            torch.testing.assert_close(found.gradient[key][m], theta.grad, rtol=1e-12, atol=1e-13)


def test_costates_are_derivatives_of_single_losses():
    x, y = _data()
    flow = flows.Flow(flows.Plain(3, BASES["constant"], dtype=F64), steps=6, method="rk4")
    found = control.pontryagin(control.Problem(flow, x, y))
    start = x.clone().requires_grad_()
    functional.mse_loss(flow(start), y).backward()
    torch.testing.assert_close(found.costates[0, 0], -len(x) * start.grad, rtol=1e-12, atol=1e-14)


def test_the_residual_is_a_norm_of_a_function_of_time():
    """Finer pieces of the same weights: a residual that converges, while the norm of the gradient falls as sqrt(h)."""
    x, y = _data()
    field = flows.Plain(3, flows.PiecewiseConstant(4, T=1.0), dtype=F64)
    found = [
        control.pontryagin(
            control.Problem(flows.Flow(field.on(flows.PiecewiseConstant(n)), steps=n, method="rk4"), x, y)
        )
        for n in (64, 128)
    ]
    assert found[1].residual.item() == pytest.approx(found[0].residual.item(), rel=1e-3)
    norms = [sum(g.square().sum() for g in f.gradient.values()).sqrt().item() for f in found]
    assert norms[0] / norms[1] == pytest.approx(2**0.5, rel=0.01)


def test_the_hamiltonian_is_constant_along_an_optimal_control():
    """H = p.f - L of the best control does not depend on time, as f does not: to O(h). That of another control does."""
    draw = torch.Generator().manual_seed(1)
    A, B = torch.randn(3, 3, generator=draw, dtype=F64), torch.randn(3, 2, generator=draw, dtype=F64)
    spreads = []
    for steps in (200, 400):
        known = control.LinearQuadratic(A, B, *_data(1), tikhonov=0.5, steps=steps)
        problem = control.Problem(known.flow(), known.starts, known.targets, loss=control.half_square)
        for theta in (known.solution(), 1.5 * known.solution()):
            found = control.pontryagin(problem, {"theta": theta[None]})
            H = found.hamiltonian[0] - 0.25 * theta.square().sum(1)
            spreads.append((H.max() - H.min()).item())
    assert spreads[0] / spreads[2] == pytest.approx(2, rel=0.05)  # first order
    assert spreads[2] < 0.05 * spreads[3]


def test_figure_and_bad_input():
    x, y = _data()
    flow = flows.Flow(flows.Plain(3, BASES["constant"], dtype=F64), steps=6)
    assert "<svg" in str(static.render(control.pontryagin(control.Problem(flow, x, y)).plot()))
    with pytest.raises(InvalidInput, match="7 samples but 6 targets"):
        control.Problem(flow, x, y[:6])
    with pytest.raises(InvalidInput, match="differ in architecture"):
        control.Problem([flow, flows.Flow(flow.field, steps=7)], x, y)
    damped = [flows.Flow(flows.Antisymmetric(3, BASES["constant"], gamma=g, dtype=F64), steps=6) for g in (0.0, 1.0)]
    with pytest.raises(InvalidInput, match="differ in architecture"):
        control.Problem(damped, x, y)
    one = torch.eye(3, dtype=F64)
    steered = [control.LinearQuadratic(a * one, one, x, x, tikhonov=1.0, steps=4).flow() for a in (1.0, 2.0)]
    with pytest.raises(InvalidInput, match="differ in architecture"):
        control.Problem(steered, x, x)
    with pytest.raises(InvalidInput, match=r"runs to T = 5, its weights are functions on \[0, 1.5\]"):
        control.Problem(flows.Flow(flow.field, steps=6, T=5.0), x, y)

    class Still(torch.nn.Module):
        def forward(self, t, y):
            return 0 * y

    with pytest.raises(InvalidInput, match="no weights in a basis"):
        control.Problem(flows.Flow(Still(), steps=3, T=1.0), x, y)
