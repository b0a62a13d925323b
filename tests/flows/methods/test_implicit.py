"""Implicit steps: their equations solved to rounding, exact gradients, wide states by products, and no solution."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, jvp, vmap

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.flows import METHODS, Flow, Hamiltonian, PiecewiseLinear, Plain, integrate
from lemmata.flows.methods import newton
from lemmata.flows.methods.gmres import gmres

IMPLICIT = ["backward-euler", "implicit-midpoint", "trapezoidal"]


class Stiff(nn.Module):
    """y' = -rate (y - cos t) - sin t: cos t attracts all solutions, the quicker the stiffer."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, t, y):
        return -self.rate * (y - torch.cos(t)) - torch.sin(t)


class Stretch(nn.Module):
    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(-1.3, dtype=torch.float64))

    def forward(self, t, y):
        return self.rate * y


class Square(nn.Module):
    def forward(self, t, y):
        return 1 + y**2


def _plain(width=3):
    return Plain(width, PiecewiseLinear(3), seed=1).double(), torch.linspace(-1, 1, 4 * width).double().reshape(4, -1)


@pytest.mark.parametrize("name", IMPLICIT)
def test_steps_solve_their_equations(name):
    """Residuals of the definitions to 1e-14."""
    f, y = Square(), torch.tensor([[0.3], [-1.0]], dtype=torch.float64)
    run = integrate(f, y, steps=8, T=0.4, method=name)
    h, (old, new) = 0.05, (run.states[:-1], run.states[1:])
    slope = {
        "backward-euler": f(0, new), "implicit-midpoint": f(0, (old + new) / 2),
        "trapezoidal": (f(0, old) + f(0, new)) / 2,
    }[name]  # fmt: skip
    torch.testing.assert_close(new, old + h * slope, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", IMPLICIT)
def test_stiff_fields_take_long_steps(name):
    """Where h |lambda| = 1,000 * 0.1 = 100 implicit steps follow cos t within 0.01, explicit ones are lost."""
    y0 = torch.ones(1, 1, dtype=torch.float64)
    final = integrate(Stiff(1000.0), y0, steps=20, T=2.0, method=name).final
    assert abs(final.item() - math.cos(2.0)) < 0.01
    with pytest.raises(InvalidInput, match="no longer finite after step"):
        integrate(Stiff(1000.0), y0, steps=200, T=20.0, method="forward-euler")


@pytest.mark.parametrize(
    ("name", "of_z"),
    [
        ("backward-euler", lambda z: 1 / (1 - z)),
        ("implicit-midpoint", lambda z: (1 + z / 2) / (1 - z / 2)),
        ("trapezoidal", lambda z: (1 + z / 2) / (1 - z / 2)),
    ],
)
def test_gradients_against_the_closed_form(name, of_z):
    """y_N = R(h a)^N y_0, differentiated by a and by y_0 in closed form: to 1e-14."""
    flow = Flow(Stretch(), steps=7, T=2.0, method=name)
    y0 = torch.tensor([[0.8]], dtype=torch.float64, requires_grad=True)
    flow(y0).sum().backward()
    a = torch.tensor(-1.3, dtype=torch.float64, requires_grad=True)
    start = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    (of_z(2 / 7 * a) ** 7 * start).backward()
    torch.testing.assert_close(flow.field.module.rate.grad, a.grad, rtol=0, atol=1e-14)
    torch.testing.assert_close(y0.grad.squeeze(), start.grad, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", IMPLICIT)
def test_gradients_against_iterations_unrolled(name):
    """A step as 60 fixed-point iterations, all recorded: a contraction by 0.2, so converged to 1e-40. To 1e-12."""
    y = torch.linspace(-1, 1, 12).double().reshape(4, 3)
    method, h = METHODS[name], 0.2

    def unrolled(K):
        def f(u):
            return torch.tanh(u @ K.T)

        u = y
        for _ in range(60):
            slope = {
                "backward-euler": f, "implicit-midpoint": lambda u: f((y + u) / 2),
                "trapezoidal": lambda u: (f(y) + f(u)) / 2,
            }[name](u)  # fmt: skip
            u = y + h * slope
        return u

    class Fixed(nn.Module):
        def __init__(self, K):
            super().__init__()
            self.K = nn.Parameter(K)

        def forward(self, t, u):
            return torch.tanh(u @ self.K.T)

    K = 0.5 * torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    flow = Flow(Fixed(K), steps=1, T=h, method=method)
    ours = jacrev(lambda K: functional_call(flow, {"field.module.K": K}, (y,)))(K)
    torch.testing.assert_close(ours, jacrev(unrolled)(K), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", IMPLICIT)
@pytest.mark.parametrize("kind", [Plain, Hamiltonian])
def test_wide_states_are_solved_by_products_to_the_same(name, kind, monkeypatch):
    """Values and gradients by GMRES against those by matrices, to 1e-12; members under vmap too."""
    field = kind(3, PiecewiseLinear(2), seed=1).double()
    y = torch.linspace(-1, 1, 6).double().reshape(2, 3)
    flow = Flow(field, steps=2, T=1.0, method=name)
    weights = dict(flow.named_parameters())

    def loss(weights):
        out = functional_call(flow, weights, ((y, y.flip(0)) if kind is Hamiltonian else y,))
        return sum(part.sin().sum() for part in (out if isinstance(out, tuple) else (out,)))

    members = {name: torch.stack([w.detach(), 1.1 * w.detach()]) for name, w in weights.items()}
    by_matrices = loss(weights).item(), grad(loss)(weights)
    monkeypatch.setattr(newton, "DENSE", 0)
    by_products = loss(weights).item(), grad(loss)(weights)
    torch.testing.assert_close(by_products, by_matrices, rtol=0, atol=1e-12)
    if name == "backward-euler" and kind is Plain:
        together = vmap(grad(loss))(members)
        torch.testing.assert_close({n: g[0] for n, g in together.items()}, by_matrices[1], rtol=0, atol=1e-12)


def test_forward_derivatives_too():
    field, y = _plain()
    flow = Flow(field, steps=3, T=1.0, method="trapezoidal")
    v = torch.ones_like(y)
    _, moved = jvp(flow, (y,), (v,))
    J = jacrev(flow)(y)
    torch.testing.assert_close(moved, torch.einsum("abcd,cd->ab", J, v), rtol=0, atol=1e-13)


def test_gmres_against_dense_solutions():
    """Twenty systems of 40, beyond one Krylov space; to 1e-12."""
    draw = torch.Generator().manual_seed(0)
    A = torch.eye(40).double() + 0.6 * torch.randn(20, 40, 40, generator=draw, dtype=torch.float64) / 40**0.5
    b = torch.randn(20, 40, generator=draw, dtype=torch.float64)
    x = gmres(lambda v: torch.einsum("sij,sj->si", A, v), b)
    torch.testing.assert_close(x, torch.linalg.solve(A, b), rtol=0, atol=1e-12)


def test_gmres_at_once_where_the_space_is_complete():
    """A right-hand side of zero, an eigenvector, and another in one call: rows do not disturb each other."""
    d = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    b = torch.tensor([[0.0, 0, 0], [0, 1, 0], [1, 1, 1]], dtype=torch.float64)
    torch.testing.assert_close(gmres(lambda v: v * d, b), b / d, rtol=0, atol=2e-14)


class Shift(nn.Module):
    """Each number's velocity is its neighbour's: a Krylov space meets what it must know only when it is complete."""

    def forward(self, t, y):
        return 100 * y.roll(1, -1)


def test_gmres_says_where_it_fails_and_newton_with_it(monkeypatch):
    """I - 100 S with a shift S of 40 numbers, in spaces of 24: no progress. A step of 0 is no convergence."""
    b = torch.eye(1, 40, dtype=torch.float64)
    solved = gmres(lambda v: v - 100 * v.roll(1, -1), torch.cat([b, torch.ones_like(b)]))
    assert solved.isnan().all(1).tolist() == [True, False]
    torch.testing.assert_close(solved[1], torch.full((40,), -1 / 99, dtype=torch.float64), rtol=1e-12, atol=0)
    monkeypatch.setattr(newton, "DENSE", 0)
    with pytest.raises(NotConverged, match="layer 1"):
        integrate(Shift(), b, steps=1, T=1.0, method="backward-euler")


class Scaled(nn.Module):
    """y' = -3 unit (y / unit)^2: the same field in another unit."""

    def __init__(self, unit: float):
        super().__init__()
        self.unit = unit

    def forward(self, t, y):
        return -3 * self.unit * (y / self.unit) ** 2


@pytest.mark.parametrize("name", IMPLICIT)
@pytest.mark.parametrize("unit", [1e-200, 1e-12, 1e-7, 1e9])
def test_steps_are_the_same_in_any_unit(name, unit):
    """To a few roundings."""
    y = torch.tensor([[1.0], [0.3]], dtype=torch.float64)
    expected = integrate(Scaled(1.0), y, steps=4, T=2.0, method=name).final
    found = integrate(Scaled(unit), unit * y, steps=4, T=2.0, method=name).final / unit
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


def test_states_at_rest_are_left_at_rest():
    assert integrate(Scaled(1.0), torch.zeros(2, 3), steps=2, T=1.0, method="trapezoidal").final.eq(0).all()


def test_no_solution_is_said_with_the_layer():
    """Backward Euler for y' = 1 + y^2: y = y_n + h (1 + y^2) has no real solution where 4 h (y_n + h) > 1."""
    with pytest.raises(NotConverged, match=r"step 3 of 4 of backward-euler \(layer 3, h = 0.15\)") as failed:
        integrate(Square(), torch.ones(1, 1, dtype=torch.float64), steps=4, T=0.6, method="backward-euler")
    assert failed.value.residual > failed.value.tolerance


def test_no_solution_is_a_nan_under_vmap_for_that_member_alone():
    flow = Flow(Square(), steps=1, T=0.2, method="backward-euler")
    given = torch.tensor([0.0, 5.0], dtype=torch.float64)[:, None, None]
    out = vmap(flow)(given)
    assert torch.isfinite(out).flatten().tolist() == [True, False]
    assert vmap(flow)(given[:1]).item() == pytest.approx((1 - math.sqrt(1 - 0.8 * 0.2)) / 0.4, abs=1e-14)


def test_float32_arrives_in_float32():
    field = Plain(3, PiecewiseLinear(3), seed=1)
    y = torch.linspace(-1, 1, 12).reshape(4, 3)
    single = integrate(field, y, steps=5, method="implicit-midpoint").final
    double = integrate(field.double(), y.double(), steps=5, method="implicit-midpoint").final
    assert single.dtype is torch.float32
    torch.testing.assert_close(single.double(), double, rtol=0, atol=2e-6)
