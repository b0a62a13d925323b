"""Running backwards: exact over 1,024 layers, the closed form against the generic way, and a refusal where it fails."""

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
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


def _exact(field, steps, h, y, p):
    """The gradient by K for the loss of `_gradients` by Verlet's method, in extended precision, all states kept."""
    wide = np.longdouble
    K, b = (w.detach().numpy().astype(wide) for w in field.coefficients.values())
    q, p, h = y.detach().numpy().astype(wide), p.detach().numpy().astype(wide), wide(h)
    moves, passed = [(True, h / 2), (False, h), (True, h / 2)], []
    for n in range(steps):
        for kick, c in moves:
            held = q if kick else p
            a = np.tanh(held @ K[n].T + b[n])
            passed.append((held, a))
            q, p = (q, p - c * a @ K[n]) if kick else (q + c * a @ K[n], p)
    g_q, g_p, by_K = np.cos(q), 2 * p, np.zeros_like(K)
    for n in reversed(range(steps)):
        for kick, c in reversed(moves):
            held, a = passed.pop()
            g = -c * g_p if kick else c * g_q
            x = (1 - a * a) * (g @ K[n].T)
            by_K[n] += x.T @ held + a.T @ g
            g_q, g_p = (g_q + x @ K[n], g_p) if kick else (g_q, g_p + x @ K[n])
    return by_K


def test_no_further_from_the_exact_gradient_than_autograd_is():
    """Over 1,024 layers, against extended precision: each move rounds the states once, by autograd as here. Both are
    off by 2 to 3 e-15.
    """
    field = Hamiltonian(16, PiecewiseConstant(1024, 8.0), dtype=torch.float64)
    y = torch.randn(6, 16, generator=torch.Generator().manual_seed(1)).double()
    exact = _exact(field, 1024, 8 / 1024, y, y.cos())
    off = {way: _gradients(field, 1024, "verlet", way)[1].numpy() - exact for way in ("store", "reversible")}
    off = {way: float(np.sqrt((d**2).sum() / (exact**2).sum())) for way, d in off.items()}
    assert off["reversible"] < 1e-14
    assert off["reversible"] < 2 * off["store"]


@pytest.mark.parametrize("method", METHODS_OF_PAIRS)
def test_over_1024_layers(method):
    """The states come back to 1e-8 by far, and the gradient is autograd's to 1e-14, relative to its norm: M moves that
    round the states by u = 1.1e-16 each add up to sqrt(M) u = 6e-15 where roundings are independent.
    """
    field = Hamiltonian(16, PiecewiseConstant(1024, 8.0), dtype=torch.float64)
    exact = _gradients(field, 1024, method, "store")
    assert _off(_gradients(field, 1024, method, Reversible(tolerance=1e-11)), exact) < 5e-15
    assert _off(_gradients(field, 1024, method, Reversible(tolerance=1e-11, closed_form=False)), exact) < 3e-15


@pytest.mark.parametrize("width", [64, 129])
def test_wide_layers_and_many_samples(width):
    """Samples in blocks and chunks the last of which is smaller, and products of all samples for wide layers; a loss
    whose gradient does not cancel.
    """
    field = Hamiltonian(Dense(width), PiecewiseConstant(3, 0.5), dtype=torch.float64)
    y = torch.randn(601, width, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    found = []
    for way in ("store", "reversible"):
        q, p = Flow(field, steps=3, method="verlet", backward=way)((y, y.sin()))
        found.append(torch.autograd.grad((q * y.detach().cos()).sum() + p.square().sum(), [y, *field.parameters()]))
    assert _off(found[1], found[0]) < 1e-14


@pytest.mark.parametrize("members", [1, 4])
def test_threads_share_samples_or_members(members):
    """Three threads give what one gives, to the rounding of sums: of samples of one net, of members of an ensemble."""
    field = Hamiltonian(32, PiecewiseConstant(8, 1.0), dtype=torch.float64)
    stacked = {
        name: torch.stack([(1 + 0.1 * i) * w.detach() for i in range(members)]) for name, w in field.named_parameters()
    }
    y = torch.randn(members, 500, 32, generator=torch.Generator().manual_seed(0)).double()
    net = Flow(field, steps=8, method="verlet", backward="reversible")

    def loss(weights, y):
        weights = {f"field.{name}": w for name, w in weights.items()}
        return torch.func.functional_call(net, weights, (y,)).sin().sum()

    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(torch.vmap(torch.func.grad(loss))(stacked, y).values())
    finally:
        torch.set_num_threads(before)
    assert _off(found[1], found[0]) < 1e-14


def test_half_kicks_by_the_same_weights_are_one():
    """Where all layers share their weights Verlet takes two moves a layer and one more; else none fall together."""
    chain = Chain(Hamiltonian(3, PiecewiseConstant(1)), METHODS["verlet"], Grid(1.0, 10), 2, (0.5,))
    state = (torch.zeros(1, 3), torch.zeros(1, 3))

    def moves(steps):
        return hamiltonian.Lines(chain, state, (torch.zeros(steps, 3, 3), torch.zeros(steps, 3))).moves

    assert len(moves(10)) == 30
    assert [move.c for move in moves(1)] == pytest.approx([0.05, *[0.1] * 19, 0.05])
    assert [move.kick for move in moves(1)] == [True, False] * 10 + [True]


@pytest.mark.parametrize("method", METHODS_OF_PAIRS)
@pytest.mark.parametrize("width", [5, 130])
def test_one_set_of_weights(method, width):
    field = Hamiltonian(width, PiecewiseConstant(1, 1.0), dtype=torch.float64)
    assert _off(_gradients(field, 12, method, "reversible"), _gradients(field, 12, method, "store")) < 1e-14


@pytest.mark.parametrize("frozen", ["K", "b"])
def test_frozen_weights(frozen):
    field = Hamiltonian(5, PiecewiseConstant(6, 3.0), dtype=torch.float64)
    field.coefficients[frozen].requires_grad_(False)
    free = [w for w in field.parameters() if w.requires_grad]
    found = []
    for way in ("store", "reversible"):
        out = Flow(field, steps=6, method="verlet", backward=way)(torch.ones(2, 5, dtype=torch.float64))
        found.append(torch.autograd.grad(out.sin().sum(), free))
    assert _off(found[1], found[0]) < 1e-14


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
    with pytest.raises(InvalidInput, match="NaN"):
        Flow(field, steps=2, method="verlet", backward="reversible")(torch.full((2, 5), torch.nan, dtype=torch.float64))


def test_the_input_may_change_its_mind():
    """What was given is not written to."""
    field = Hamiltonian(5, PiecewiseConstant(2), dtype=torch.float64)
    y = torch.ones(2, 5, dtype=torch.float64)
    out = Flow(field, steps=2, method="verlet", backward="reversible")(y)
    before = out.detach().clone()
    out.sum().backward()
    assert torch.equal(y, torch.ones_like(y))
    assert torch.equal(out, before)
