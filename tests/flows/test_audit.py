"""The gradient audit: errors of the size and at the rate that are known, and what it refuses."""

import math

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.flows import Hamiltonian, PiecewiseConstant, PiecewiseLinear, Plain, gradient_audit
from lemmata.flows.adjoint import WAYS


def _problem(layers, width=12, samples=10, T=8.0):
    draw = torch.Generator().manual_seed(0)
    y = torch.randn(samples, width, generator=draw, dtype=torch.float64)
    classes = torch.randn(width, 10, generator=draw, dtype=torch.float64) / width**0.5
    labels = torch.randint(10, (samples,), generator=draw)
    field = Hamiltonian(width, PiecewiseConstant(layers, T), dtype=torch.float64)
    return field, y, lambda q: torch.nn.functional.cross_entropy(q @ classes, labels)


@pytest.mark.parametrize("layers", [64, 1])
def test_errors_of_networks(layers):
    """At 64 steps over T = 8 Euler's gradient is off by tens of per cent, RK4's by less than two, Verlet's by none."""
    field, y, loss = _problem(layers)
    euler, rk4, verlet = (
        gradient_audit(field, y, loss, steps=(64, 80), method=method) for method in ("forward-euler", "rk4", "verlet")
    )
    assert 0.2 < euler.total[0] < 2
    assert 1e-6 < rk4.total[0] < 0.02
    assert verlet.total.max() < 1e-13
    assert verlet.order == math.inf
    assert verlet.agrees()
    assert math.isnan(verlet.rate)


def test_per_layer_weights_at_the_rate_of_smooth_ones():
    """Steps that end where weights jump: the order is that of a smooth field."""
    field, y, loss = _problem(4, T=2.0)
    found = gradient_audit(field, y, loss, steps=(32, 64, 128), method="heun")
    assert found.names == ("K", "b")
    assert found.errors.shape == (3, 2)
    assert found.agrees(0.1)


def test_total_is_of_all_weights():
    field, y, loss = _problem(4)
    found = gradient_audit(field, y, loss, steps=(4, 8), method="heun")
    assert np.all(found.total <= found.errors.max(1))
    assert np.all(found.total >= found.errors.min(1))
    np.testing.assert_allclose(found.h, [2.0, 1.0])


@pytest.mark.parametrize("backward", ["checkpoint", "reversible"])
def test_exact_ways_have_no_error(backward):
    field, y, loss = _problem(4)
    found = gradient_audit(field, y, loss, steps=(8, 16), method="verlet", backward=backward)
    assert found.total.max() < 1e-13
    assert found.agrees()


class Off(type(WAYS["store"])):
    """Exact at four steps, off by 30 % at others."""

    name = "off"

    def flow(self, field, y, grid, method):
        out = super().flow(field, y, grid, method)
        return out if grid.steps == 4 else tuple(part + 0.3 * (part - part.detach()) for part in out)


def test_one_error_that_is_no_rounding_is_enough_to_disagree():
    field, y, loss = _problem(4)
    found = gradient_audit(field, y, loss, steps=(4, 8), method="verlet", backward=Off())
    assert found.total[0] < 1e-13
    assert abs(found.total[1] - 0.3) < 1e-12
    assert not found.agrees()


def test_nothing_is_changed():
    field, y, loss = _problem(4)
    before = {name: p.clone() for name, p in field.named_parameters()}
    gradient_audit(field, y, loss, steps=(4, 8))
    assert all(torch.equal(before[name], p) and p.grad is None for name, p in field.named_parameters())
    assert not y.requires_grad


def test_plot():
    field, y, loss = _problem(4)
    figure = gradient_audit(field, y, loss, steps=(4, 8, 16)).plot()
    assert [series.label for series in figure.panels[0].series] == ["by K", "by b", "by y0", "total", "h^4"]
    assert gradient_audit(field, y, loss, steps=(4, 8), method="verlet").plot()._repr_svg_()


def test_bad_input():
    field, y, loss = _problem(2)
    with pytest.raises(InvalidInput, match="at least two numbers of steps that rise"):
        gradient_audit(field, y, loss, steps=(16, 8))
    with pytest.raises(InvalidInput, match="must give one finite number"):
        gradient_audit(field, y, lambda q: q, steps=(4, 8))
    with pytest.raises(InvalidInput, match="loss: int 3"):
        gradient_audit(field, y, 3, steps=(4, 8))
    frozen = Plain(16, PiecewiseLinear(2, 1.0), dtype=torch.float64).requires_grad_(False)
    with pytest.raises(InvalidInput, match="none to audit"):
        gradient_audit(frozen, y, loss, steps=(4, 8))
    with pytest.raises(InvalidInput, match="y0 holds a NaN"):
        gradient_audit(field, y * torch.nan, loss, steps=(4, 8))
