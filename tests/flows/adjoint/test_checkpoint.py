"""Checkpoints: the schedule is the best there is, and steps and states are as many as it says."""

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.flows import Checkpoint, Flow, PiecewiseConstant, Plain
from lemmata.flows.adjoint.binomial import fewest, reach, repeats, spine, split


@cache
def _best(steps, states):
    """The fewest steps taken, by trying every place for the next state."""
    if steps == 1:
        return 0
    if states == 1:
        return steps * (steps - 1) // 2
    return min(m + _best(steps - m, states - 1) + _best(m, states) for m in range(1, steps))


def _taken(steps, states):
    """The steps that the schedule takes."""
    if steps == 1:
        return 0
    m = split(steps, states)
    return m + _taken(steps - m, max(1, states - 1)) + _taken(m, states)


@pytest.mark.parametrize("states", range(1, 9))
def test_the_schedule_is_the_best(states):
    for steps in range(1, 61):
        assert _taken(steps, states) == fewest(steps, states) == _best(steps, states)


@given(st.integers(1, 3000), st.integers(1, 60))
def test_reach_and_spine(steps, states):
    r = repeats(steps, states)
    assert reach(states, r) >= steps > reach(states, r - 1)
    stored = [first for first, _ in spine(steps, states)]
    assert stored == sorted(set(stored))
    assert len(stored) < states
    assert all(0 < first < steps for first in stored)


def test_none_takes_no_step_a_third_time():
    for steps in (1, 2, 3, 10, 100, 1024, 5000):
        states = Checkpoint().stored(steps)
        assert repeats(steps, states) <= 2
        assert states == 1 or repeats(steps, states - 1) > 2
        assert states <= (2 * steps) ** 0.5 + 1


def test_bad_numbers():
    with pytest.raises(InvalidInput, match="steps = 0"):
        fewest(0, 3)
    with pytest.raises(InvalidInput, match="states = 0"):
        fewest(3, 0)


class Counting(Plain):
    """Counts its velocities, and the states alive at once."""

    calls = 0

    def velocity(self, y, *weights):
        """Give y'."""
        self.calls += 1
        return super().velocity(y, *weights)


@pytest.mark.parametrize(("steps", "states"), [(1, None), (2, 1), (10, 3), (30, 4), (40, None), (12, 50)])
def test_steps_taken(steps, states):
    """Forwards N; backwards t(N, s) but for those that led to the last state stored, and N to differentiate."""
    field = Counting(3, PiecewiseConstant(1), dtype=torch.float64)
    way = Checkpoint(states)
    out = Flow(field, steps=steps, method="forward-euler", backward=way)(torch.ones(2, 3, dtype=torch.float64))
    assert field.calls == steps
    out.sum().backward()
    last = max((first for first, _ in spine(steps, way.stored(steps))), default=0)
    assert field.calls - steps == fewest(steps, way.stored(steps)) - last + steps
