"""The continuous adjoint: torchdiffeq's with the same method and steps, the exact one where theory says so, rates."""

import pytest
import torch
from torch import nn
from torchdiffeq import odeint_adjoint

from lemmata.flows import METHODS, ExplicitRungeKutta, Flow, Hamiltonian, PiecewiseLinear, Plain, gradient_audit
from lemmata.flows.adjoint.rate import rate_of

SAME = {"euler": "forward-euler", "midpoint": "midpoint", "rk4": "three-eighths"}  # torchdiffeq's names and ours


class Rotating(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.inner = nn.Linear(4, 4).double()

    def forward(self, t, y):
        return torch.tanh(self.inner(y) + torch.sin(3 * t))


@pytest.mark.parametrize("theirs", SAME)
def test_is_that_of_torchdiffeq(theirs):
    """The same method in the same steps: the same numbers to rounding, by the state and by all weights."""
    module, steps, T = Rotating(), 12, 1.5
    start = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, z = start.clone().requires_grad_(), start.clone().requires_grad_()
    out = Flow(module, steps=steps, T=T, method=SAME[theirs], backward="continuous")(y)
    ours = torch.autograd.grad(out.sin().sum(), [y, *module.parameters()])
    times = torch.tensor([0.0, T], dtype=torch.float64)
    options = {"step_size": T / steps}
    other = odeint_adjoint(module, z, times, method=theirs, options=options, adjoint_options=options)[-1]
    torch.testing.assert_close(out, other, rtol=1e-12, atol=1e-12)
    for a, b in zip(ours, torch.autograd.grad(other.sin().sum(), [z, *module.parameters()]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("method", ["verlet", "leapfrog"])
def test_exact_for_symmetric_symplectic_methods(method):
    field = Hamiltonian(4, PiecewiseLinear(3, 2.0), dtype=torch.float64)
    y = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact, found = (
        torch.autograd.grad(Flow(field, steps=7, method=method, backward=way)(y).sin().sum(), list(field.parameters()))
        for way in ("store", "continuous")
    )
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if isinstance(one, ExplicitRungeKutta)])
def test_rates_are_those_of_the_tableau(method):
    """Fitted over 64 to 256 steps of a smooth field, to 0.1; the exact powers are 1 to 4."""
    field = Plain(3, PiecewiseLinear(2, 1.0), gain=2.0, dtype=torch.float64)
    y = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = gradient_audit(field, y, lambda q: q.sin().sum(), method=method, steps=(64, 128, 256))
    assert found.order == rate_of(METHODS[method])
    assert found.agrees(0.1)
    assert abs(found.rates - found.order).max() < 0.1


def test_symplectic_euler_is_not_its_own_adjoint():
    assert rate_of(METHODS["symplectic-euler"]) == 1
