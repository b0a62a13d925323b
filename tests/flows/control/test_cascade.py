"""Cascades: what prolongation does to the loss, at the method's order, and work counted."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from lemmata import flows, training
from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.flows import control

F64 = torch.float64
BASES = {"constant": flows.PiecewiseConstant(4), "linear": flows.PiecewiseLinear(5), "spline": flows.Spline(4)}


def _data():
    draw = torch.Generator().manual_seed(0)
    return torch.randn(20, 3, generator=draw, dtype=F64), torch.randn(20, 3, generator=draw, dtype=F64)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("method", ["forward-euler", "heun", "rk4"])
def test_prolongation_changes_the_loss_at_the_order_of_the_method(method, basis):
    """Successive doublings of the same weights over time: losses differ by O(h^p), within 0.1 of p.

    Breaks of the weights are times of the grid, so that they cost no order.
    """
    x, y = _data()
    model = flows.Flow(flows.Plain(3, BASES[basis], seed=1, dtype=F64), steps=64, method=method)
    losses = []
    for _ in range(3):
        losses.append(functional.mse_loss(model(x), y).item())
        model = control.prolonged(model)
    first, second = (abs(b - a) for a, b in pairwise(losses))
    order = flows.method_of(method).order
    assert math.log2(first / second) == pytest.approx(order, abs=0.1)


def test_levels_go_on_where_the_last_ended_and_work_is_counted():
    x, y = (part.float() for part in _data())
    nets = [
        torch.nn.Sequential(
            flows.Flow(flows.Plain(3, flows.PiecewiseConstant(4), seed=s), steps=4, method="heun"),
            torch.nn.Linear(3, 3),
        )
        for s in range(3)
    ]
    before = nets[0][0].field.coefficients["K"].clone()
    found = control.cascade(nets, x, y, epochs=[20, 10, 5], optimiser=training.Adam(lr=0.02), loss="mse")
    assert torch.equal(nets[0][0].field.coefficients["K"], before)
    assert [level.steps for level in found.levels] == [4, 8, 16]
    assert found.levels[-1].work[-1] == 2 * (4 * 20 + 8 * 10 + 16 * 5)
    assert found.levels[1].work[0] == found.levels[0].work[-1]
    assert found.direct.steps == 16
    assert found.direct.work[-1] == 32 * 15
    assert found.jumps.abs().max() < 0.1 * (found.levels[0].loss[:, 0] - found.levels[0].loss[:, -1]).min()
    with torch.no_grad():
        for m, model in enumerate(found.models):
            assert functional.mse_loss(model(x), y).item() == pytest.approx(
                found.levels[-1].loss[m, -1].item(), rel=1e-4
            )
    assert "<svg" in str(static.render(found.plot()))


def test_the_rival_starts_from_the_same_weights_over_time():
    x, y = _data()
    net = flows.Flow(flows.Plain(3, flows.PiecewiseConstant(8), dtype=F64), steps=64, method="rk4")
    found = control.cascade([net], x, y, epochs=[1, 1], optimiser=training.GD(lr=0.01), loss="mse")
    assert found.direct.loss[0, 0].item() == pytest.approx(found.levels[0].loss[0, 0].item(), rel=1e-9)
    alone = control.cascade([net], x, y, epochs=[1], optimiser=training.GD(lr=0.01), loss="mse", compare=False)
    assert alone.direct is None


def test_bad_input():
    x, y = _data()
    with pytest.raises(InvalidInput, match="holds 0 flows"):
        control.prolonged(torch.nn.Linear(3, 3))
    with pytest.raises(InvalidInput, match="epochs is empty"):
        control.cascade([], x, y, epochs=[], optimiser=training.GD(lr=0.1))
