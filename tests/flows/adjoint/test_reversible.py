"""Running backwards: exact over 1,024 layers, the closed form against the generic way, and a refusal where it fails."""

import pytest
import torch

from lemmata.flows import Convolution, Dense, Flow, Hamiltonian, NotReversible, PiecewiseConstant, Reversible, Splitting
from lemmata.flows.adjoint import hamiltonian
from lemmata.flows.adjoint.chain import Chain
from lemmata.flows.grid import Grid
from lemmata.flows.methods import METHODS

METHODS_OF_PAIRS = ["symplectic-euler", "verlet", "leapfrog"]


def _gradients(field, steps, method, backward, dtype=torch.float64):
    y = torch.randn(6, field.linear.width, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    out = Flow(field, steps=steps, method=method, backward=backward)((y, y.cos()))
    return torch.autograd.grad(out[0].sin().sum() + out[1].square().sum(), [y, *field.parameters()])


def _off(found, exact):
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


@pytest.mark.parametrize("method", METHODS_OF_PAIRS)
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("hidden", [None, 3])
def test_closed_form(method, two, hidden):
    field = Hamiltonian(Dense(5, hidden), PiecewiseConstant(6, 3.0), two=two, dtype=torch.float64)
    exact = _gradients(field, 12, method, "store")
    assert _off(_gradients(field, 12, method, "reversible"), exact) < 1e-14
    assert _off(_gradients(field, 12, method, Reversible(closed_form=False)), exact) < 1e-14


def test_closed_form_of_a_splitting_of_ones_own():
    """Ruth's method of order three, as data."""
    field = Hamiltonian(4, PiecewiseConstant(3, 1.0), dtype=torch.float64)
    moves = [("p", 7 / 24), ("q", 2 / 3), ("p", 3 / 4), ("q", -2 / 3), ("p", -1 / 24), ("q", 1)]
    ruth = Splitting("ruth-3", moves)
    assert _off(_gradients(field, 9, ruth, "reversible"), _gradients(field, 9, ruth, "store")) < 1e-14


def test_which_have_a_closed_form():
    def suits(field, method="verlet"):
        chain = Chain(field, METHODS[method], Grid(1.0, 2), 2, (0.5,))
        return hamiltonian.suits(chain, ())

    basis = PiecewiseConstant(2)
    assert suits(Hamiltonian(3, basis))
    assert not suits(Hamiltonian(3, basis, activation="softplus"))
    assert not suits(Hamiltonian(Convolution(3), basis))
    assert not suits(Hamiltonian(3, basis), "implicit-midpoint")

    class Other(Hamiltonian):
        """A field with a rule of its own."""

    assert not suits(Other(3, basis))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtypes(dtype):
    """To rounding in each; what has no compiled tanh takes torch's."""
    field = Hamiltonian(5, PiecewiseConstant(4, 1.0), dtype=torch.float64)
    exact = _gradients(field, 4, "verlet", "store")
    found = _gradients(field.to(dtype), 4, "verlet", Reversible(tolerance=1.0), dtype)
    assert all(g.dtype == dtype for g in found)
    assert _off([g.double() for g in found], exact) < 50 * torch.finfo(dtype).eps


@pytest.mark.parametrize("method", METHODS_OF_PAIRS)
def test_over_1024_layers(method):
    """The states come back to 1e-8 by far. The generic way rounds as autograd does; the closed form adds otherwise, and
    a net of 3,072 moves magnifies that to some tens of roundings.
    """
    field = Hamiltonian(16, PiecewiseConstant(1024, 8.0), dtype=torch.float64)
    exact = _gradients(field, 1024, method, "store")
    assert _off(_gradients(field, 1024, method, Reversible(tolerance=1e-11)), exact) < 3e-14
    assert _off(_gradients(field, 1024, method, Reversible(tolerance=1e-11, closed_form=False)), exact) < 3e-15


def test_float32_over_1024_layers():
    field = Hamiltonian(16, PiecewiseConstant(1024, 8.0))
    exact = _gradients(field, 1024, "verlet", "store", torch.float32)
    assert _off(_gradients(field, 1024, "verlet", "reversible", torch.float32), exact) < 1e-5


@pytest.mark.parametrize("closed_form", [True, False])
def test_a_net_that_magnifies_rounding_is_refused(closed_form):
    """Weights so large that a perturbation grows by many powers of ten: the error is said, and that it is too large."""
    field = Hamiltonian(5, PiecewiseConstant(200, 200.0), gain=2.0, dtype=torch.float64)
    with pytest.raises(NotReversible, match=r"y\(0\) that is off by .*checkpoint") as raised:
        _gradients(field, 200, "verlet", Reversible(closed_form=closed_form))
    assert raised.value.error > raised.value.tolerance == 1e-8
    _gradients(field, 200, "verlet", "checkpoint")


def test_the_tolerance_decides():
    field = Hamiltonian(5, PiecewiseConstant(64, 8.0), dtype=torch.float64)
    _gradients(field, 64, "verlet", Reversible(tolerance=1e-12))
    with pytest.raises(NotReversible):
        _gradients(field, 64, "verlet", Reversible(tolerance=1e-18))


@pytest.mark.parametrize("closed_form", [True, False])
def test_states_that_start_at_zero_have_their_error_relative_to_the_end(closed_form):
    field = Hamiltonian(5, PiecewiseConstant(20, 5.0), dtype=torch.float64)
    torch.nn.init.normal_(field.coefficients["b"], generator=torch.Generator().manual_seed(0))
    found = []
    for way in ("store", Reversible(closed_form=closed_form)):
        out = Flow(field, steps=20, method="verlet", backward=way)(torch.zeros(2, 5, dtype=torch.float64))
        found.append(torch.autograd.grad(out.square().sum(), field.coefficients["b"])[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_states_that_are_not_finite_are_refused():
    field = Hamiltonian(5, PiecewiseConstant(2), dtype=torch.float64)
    y = torch.full((2, 5), torch.nan, dtype=torch.float64)
    out = Flow(field, steps=2, method="verlet", backward="reversible")(y)
    with pytest.raises(NotReversible, match="nan"):
        out.sum().backward()


def test_the_input_may_change_its_mind():
    """What was given is not written to."""
    field = Hamiltonian(5, PiecewiseConstant(2), dtype=torch.float64)
    y = torch.ones(2, 5, dtype=torch.float64)
    out = Flow(field, steps=2, method="verlet", backward="reversible")(y)
    before = out.detach().clone()
    out.sum().backward()
    assert torch.equal(y, torch.ones_like(y))
    assert torch.equal(out, before)
