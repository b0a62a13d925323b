"""The grid: times, nodes of the steps, and the times that lie inside."""

import torch

from lemmata.flows.grid import Grid


def test_nodes_step_after_step():
    at, inside = Grid(T=2.0, steps=4).nodes((0.0, 0.5, 1.0))
    torch.testing.assert_close(at, torch.tensor([0, 0.25, 0.5, 0.5, 0.75, 1, 1, 1.25, 1.5, 1.5, 1.75, 2]).double())
    torch.testing.assert_close(inside, torch.tensor([0.25, 0.75, 1.25, 1.75]).double().repeat_interleave(3))


def test_times_and_step():
    grid = Grid(T=3, steps=6)
    torch.testing.assert_close(grid.times, torch.arange(7).double() / 2)
    assert grid.h == 0.5
