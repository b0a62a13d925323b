"""Integration: observed orders of every method, gradients of every method, and what is refused."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ellipj
from torch import nn
from torch.func import functional_call, grad, vmap

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.flows import (
    METHODS,
    ExplicitRungeKutta,
    Flow,
    Hamiltonian,
    Partitioned,
    PiecewiseLinear,
    Plain,
    Splitting,
    integrate,
)
from lemmata.flows.integrate import grid_of, march

ALL = list(METHODS)
EXPLICIT = [name for name, method in METHODS.items() if isinstance(method, ExplicitRungeKutta | Splitting)]
PLAIN = [name for name, method in METHODS.items() if not method.partitioned]


class Riccati(nn.Module):
    """y' = -y^2 cos t, so 1 / y = 1 / y_0 + sin t: nonlinear, and not the same at all times."""

    def forward(self, t, y):
        return -(y**2) * torch.cos(t)


class Pendulum(Partitioned):
    """q' = s(t) p, p' = -s(t) sin q with s = 1 + cos(t) / 2: the pendulum at the time t + sin(t) / 2."""

    def weights_at(self, times, inside):
        return (1 + torch.cos(times) / 2,)

    def first(self, p, s):
        return s * p

    def second(self, q, s):
        return -s * torch.sin(q)


def _pendulum(start: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """From rest at angles `start`: sin(q/2) = k cd(t, k), p = -2 k k' sn / dn, k = sin(start / 2) (Jacobi)."""
    k = np.sin(start / 2)
    sn, cn, dn, _ = ellipj(t, k**2)
    return 2 * np.arcsin(k * cn / dn), -2 * k * np.sqrt(1 - k**2) * sn / dn


def _error(name: str, steps: int) -> float:
    if METHODS[name].partitioned:
        q0, T = torch.tensor([[1.0], [2.0]], dtype=torch.float64), 2.0
        q, p = integrate(Pendulum(), (q0, 0 * q0), steps=steps, T=T, method=name).final
        exact = _pendulum(q0.numpy(), T + math.sin(T) / 2)
        return max(float(np.abs(part.numpy() - true).max()) for part, true in zip((q, p), exact, strict=True))
    y0 = torch.tensor([[1.0], [0.5]], dtype=torch.float64)
    run = integrate(Riccati(), y0, steps=steps, T=1.5, method=name)
    return float((run.final - 1 / (1 / y0 + math.sin(1.5))).abs().max())


@pytest.mark.parametrize("name", ALL)
def test_observed_order_is_the_nominal_one(name):
    """Halving the step divides the error by 2^order, the exponent within 0.1: from 1/128 of the time, or 1/32."""
    steps = 128 if name in EXPLICIT else 32
    coarse, fine = _error(name, steps), _error(name, 2 * steps)
    assert math.log2(coarse / fine) == pytest.approx(METHODS[name].order, abs=0.1)


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "forward-euler"])
def test_methods_for_plain_fields_take_pairs(name):
    """The pendulum again: twice the steps, an error 2^order smaller within 20 %."""
    q0 = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    errors = []
    for steps in (24, 48):
        q, _ = integrate(Pendulum(), (q0, 0 * q0), steps=steps, T=2.0, method=name).final
        errors.append(float((q - torch.from_numpy(_pendulum(q0.numpy(), 2 + math.sin(2.0) / 2)[0])).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(METHODS[name].order, abs=0.25)


def _network(name):
    partitioned = METHODS[name].partitioned
    field = (Hamiltonian if partitioned else Plain)(3, PiecewiseLinear(3), seed=1).double()
    y = torch.linspace(-1, 1, 6).double().reshape(2, 3)
    flow = Flow(field, steps=4, T=1.0, method=name)
    weights = {name: w.detach() for name, w in flow.named_parameters()}

    def loss(weights):
        return functional_call(flow, weights, (y,)).sin().sum()

    return loss, weights


@pytest.mark.parametrize("name", ALL)
def test_gradients_against_finite_differences(name):
    """Central differences of sixth order at 2e-3 along a random direction, relative to 1e-10."""
    loss, weights = _network(name)
    draw = torch.Generator().manual_seed(3)
    along = {n: torch.randn(w.shape, generator=draw, dtype=torch.float64) for n, w in weights.items()}

    def at(e):
        return loss({n: w + e * along[n] for n, w in weights.items()}).item()

    exact = sum((g * along[n]).sum().item() for n, g in grad(loss)(weights).items())
    e = 2e-3
    differences = (45 * (at(e) - at(-e)) - 9 * (at(2 * e) - at(-2 * e)) + (at(3 * e) - at(-3 * e))) / (60 * e)
    assert differences == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_members_side_by_side_are_each_alone(name):
    loss, weights = _network(name)
    members = {n: torch.stack([w, 0.5 * w]) for n, w in weights.items()}
    together = vmap(grad(loss))(members)
    for i, scale in enumerate((1.0, 0.5)):
        alone = grad(loss)({n: scale * w for n, w in weights.items()})
        torch.testing.assert_close({n: g[i] for n, g in together.items()}, alone, rtol=0, atol=1e-13)


def test_march_gives_the_same_states():
    field, y = Plain(2, PiecewiseLinear(2), seed=0), torch.ones(3, 2)
    run = integrate(field, y, steps=5, method="heun")
    states = list(march(field, y, grid_of(field, None, 5), METHODS["heun"], check=True))
    torch.testing.assert_close(run.states[1:], torch.stack(states), rtol=0, atol=0)
    assert run.evaluations == 10
    torch.testing.assert_close(run.times, torch.linspace(0, 1, 6, dtype=torch.float64))
    assert run.final.shape == (3, 2)


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("width", [2, 9])
def test_trajectory_draws_coordinates_or_norms(width, pair):
    field = (Hamiltonian if pair else Plain)(width, PiecewiseLinear(2), seed=0)
    y = torch.randn(4, width, generator=torch.Generator().manual_seed(0))
    run = integrate(field, (y, 0 * y) if pair else y, steps=6, method="rk4")
    figure = run.plot()
    assert len(figure.panels) == 1 + pair
    assert len(figure.panels[0].series) == (2 if width == 2 else 1)
    drawn = figure.panels[0].series[0]
    states = (run.states[0] if pair else run.states).detach()
    value = states[:, :, 0] if width == 2 else states.norm(dim=2)
    np.testing.assert_allclose(drawn.y, value.mean(1), rtol=1e-6)
    np.testing.assert_allclose(drawn.high, value.amax(1), rtol=1e-6)
    assert "<svg" in str(static.render(figure))


# ---- what is refused -------------------------------------------------------------------------------------------------


class Blow(nn.Module):
    def forward(self, t, y):
        return 1e60 * y**3


class Wider(nn.Module):
    def forward(self, t, y):
        return torch.cat([y, y], dim=-1)


class Doubled(nn.Module):
    def forward(self, t, y):
        return y.double()


ONES = torch.ones(2, 2)


@pytest.mark.parametrize(
    ("field", "y0", "options", "match"),
    [
        (Riccati(), ONES, {"steps": 0, "T": 1.0}, "steps = 0; give a whole number, at least 1"),
        (Riccati(), ONES, {"steps": -3, "T": 1.0}, "steps = -3"),
        (Riccati(), ONES, {"steps": 3, "T": 0.0}, "T = 0.0; the end of time is a finite number above 0"),
        (Riccati(), ONES, {"steps": 3, "T": math.nan}, "T = nan"),
        (Riccati(), ONES, {"steps": 3, "T": math.inf}, "T = inf"),
        (Riccati(), ONES, {"steps": 3}, "has no end of time of its own; give T"),
        (Riccati(), ONES, {"steps": 3, "T": 1.0, "method": "verlet"}, "wants a Partitioned field"),
        (Riccati(), torch.ones(2, 2, dtype=torch.long), {"steps": 3, "T": 1.0}, "give floating-point states"),
        (Riccati(), torch.tensor(1.0), {"steps": 3, "T": 1.0}, r"give floating-point states, \(samples, ...\)"),
        (Riccati(), [1.0], {"steps": 3, "T": 1.0}, "y0: a list; give a torch tensor"),
        (Riccati(), ONES * math.nan, {"steps": 3, "T": 1.0}, "y0 holds a NaN or an infinite number"),
        (Pendulum(), (ONES, ONES[:1]), {"steps": 3, "T": 1.0}, "q and p are of one shape and dtype"),
        (Pendulum(), (ONES, ONES, ONES), {"steps": 3, "T": 1.0}, "pair"),
        (Wider(), ONES, {"steps": 3, "T": 1.0}, r"velocity \(2, 4\)"),
        (Doubled(), ONES, {"steps": 3, "T": 1.0}, "float64"),
        (3, ONES, {"steps": 3, "T": 1.0}, "a field is a VectorField or a torch module"),
    ],
    ids=[
        "none", "negative", "no-time", "nan-time", "endless", "untimed", "partitioned", "whole", "scalar", "list",
        "nan", "unlike", "triple", "shape", "dtype", "type",
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(field, y0, options, match):
    with pytest.raises(InvalidInput, match=match):
        integrate(field, y0, **options)


def test_states_that_are_not_finite_are_refused_with_the_layer():
    """y^3 from 1e10 at 1e60: 1e90 after a step, beyond float64 (1e308) after the second."""
    y0 = torch.full((3, 1), 1e10, dtype=torch.float64)
    message = r"after step 2 of 5 \(layer 2, t = 0.4\) of forward-euler with h = 0.2"
    with pytest.raises(InvalidInput, match=message):
        list(march(*_as_march(y0), check=True))
    with pytest.raises(InvalidInput, match=message):
        integrate(Blow(), y0, steps=5, T=1.0, method="forward-euler")
    with pytest.raises(InvalidInput, match="y0 holds a NaN"):
        list(march(*_as_march(y0 * math.nan), check=True))


def _as_march(y0):
    from lemmata.flows.field import as_field

    field = as_field(Blow())
    return field, y0, grid_of(field, 1.0, 5), METHODS["forward-euler"]


def test_nobody_looks_under_vmap():
    def final(y0):
        return integrate(Blow(), y0, steps=5, T=1.0, method="forward-euler").final

    out = vmap(final)(torch.tensor([0.0, 1e10], dtype=torch.float64)[:, None, None])
    assert torch.isfinite(out).flatten().tolist() == [True, False]


def test_unknown_methods():
    with pytest.raises(UnknownName, match="unknown method 'leap-frog'; did you mean 'leapfrog'"):
        integrate(Riccati(), ONES, steps=2, T=1.0, method="leap-frog")
