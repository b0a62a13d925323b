"""Flows as modules: states that are not finite are refused at the layer where they first are."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.flows import regularised


class Blowing(flows.Partitioned):
    """q' = 30 p, p' = 30 q: grows by the same factor every step."""

    T = 100.0

    def weights_at(self, times, inside):
        return ()

    def first(self, p):
        return 30 * p

    def second(self, q):
        return 30 * q


def _first_infinite(flow: flows.Flow, y) -> int:
    """The layer counted by hand: after how many steps is the state no longer finite?"""
    from lemmata.flows.integrate import march

    for n, state in enumerate(march(flow.field, flow.start(y), flow.grid, flow.method), start=1):
        if not all(part.isfinite().all() for part in (state if isinstance(state, tuple) else (state,))):
            return n
    raise AssertionError("it never blows up")


@pytest.mark.parametrize("backward", ["store", "reversible", "checkpoint", "continuous"])
def test_the_layer_is_named_whatever_the_way_back(backward):
    """Growth by a factor of some 1e3 a step leaves float32 after 13 of 100 layers or so."""
    flow = flows.Flow(Blowing(), steps=100, method="verlet", backward=backward)
    n = _first_infinite(flow, torch.ones(3, 2))
    assert 5 < n < 50
    with pytest.raises(InvalidInput, match=rf"no longer finite after step {n} of 100 \(layer {n},"):
        flow(torch.ones(3, 2))


def test_one_sample_that_is_not_finite_is_enough_and_y0_is_named():
    flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4)
    y = torch.ones(3, 2)
    y[1, 0] = math.nan
    with pytest.raises(InvalidInput, match="y0 holds a NaN"):
        flow(y)
    assert flow(torch.ones(3, 2)).isfinite().all()


def test_large_numbers_are_finite_though_their_sum_is_not():
    flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4)
    largest = torch.full((3, 2), torch.finfo(torch.float32).max / 2)
    assert largest.sum().isinf()
    assert flow(largest).isfinite().all()


def test_who_does_not_want_to_be_told_is_not():
    flow = flows.Flow(Blowing(), steps=100, method="verlet", check=False)
    assert not flow(torch.ones(3, 2)).isfinite().all()
    with pytest.raises(InvalidInput, match="check = 'no'; give True or False"):
        flows.Flow(Blowing(), steps=100, method="verlet", check="no")


def test_members_of_a_vmap_fail_one_by_one():
    nets = [flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4), seed=s), steps=4) for s in range(2)]
    parameters, buffers = stack_module_state(nets)
    parameters["field.coefficients.K"].data[1] = math.nan

    def member(own):
        return functional_call(nets[0], (own, buffers), (torch.ones(3, 2),))

    found = vmap(member)(parameters)
    assert found[0].isfinite().all()
    assert not found[1].isfinite().all()


def test_a_field_that_does_another_thing_the_second_time_is_said_to():
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.asked = 0

        def forward(self, t, y):
            self.asked += 1
            return y * (math.inf if self.asked == 2 else 1.0)

    with pytest.raises(InvalidInput, match="does the field draw random numbers"):
        flows.Flow(Once(), steps=4, T=1.0, method="forward-euler")(torch.ones(3, 2))


def test_integrals_along_are_checked_too():
    class Squared(nn.Module):
        def forward(self, t, y):
            return y**2

    flow = flows.Flow(Squared(), steps=20, T=20.0, method="forward-euler")
    n = _first_infinite(flow, torch.ones(1, 2))  # the kinetic energy, its square, is beyond a layer before
    with pytest.raises(InvalidInput, match=rf"layer ({n - 1}|{n}),"):
        regularised.integrals(flow, torch.ones(1, 2), [regularised.kinetic])
