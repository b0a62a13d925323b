"""Sizes of orbits against brute force: all permutations applied, and the distinct points counted."""

from itertools import permutations, product
from math import factorial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry import orbit_size, split


def points(state: dict[str, torch.Tensor]) -> int:
    """Two hidden layers named 0 and 1, output 2, no biases."""
    seen = set()
    widths = [len(state["0.weight"]), len(state["1.weight"])]
    for p, q in product(*(permutations(range(width)) for width in widths)):
        own = (state["0.weight"][list(p)], state["1.weight"][list(q)][:, list(p)], state["2.weight"][:, list(q)])
        seen.add(tuple(torch.cat([t.flatten() for t in own]).tolist()))
    return len(seen)


@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_orbits_are_those_of_brute_force(data):
    """Few values make twins of every kind; where layers may go together the count is refused, never wrong."""
    value = st.integers(0, data.draw(st.integers(1, 2)))

    def rows(n: int, k: int) -> torch.Tensor:
        return torch.tensor(data.draw(st.lists(st.lists(value, min_size=k, max_size=k), min_size=n, max_size=n)))

    state = {"0.weight": rows(3, 1).float(), "1.weight": rows(3, 3).float(), "2.weight": rows(1, 3).float()}
    try:
        found = orbit_size(state)
    except InvalidInput:
        return
    assert found == points(state)


def test_generic_networks_have_all_permutations():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 30), nn.Tanh(), nn.Linear(30, 2)
    )
    assert orbit_size(net) == factorial(6) * factorial(30)
    twins = split(split(net, 1, 4, into=3), 0, 2)
    assert orbit_size(twins) == factorial(7) // 2 * factorial(32) // 6
    assert orbit_size(nn.Sequential(nn.Linear(2, 2))) == 1


def test_layers_that_go_together_are_refused():
    """Two neurons a layer in two equal channels: exchanging both pairs changes nothing, one pair alone does."""
    state = {"0.weight": torch.ones(2, 1), "1.weight": torch.eye(2), "2.weight": torch.ones(1, 2)}
    with pytest.raises(InvalidInput, match="together"):
        orbit_size(state)
