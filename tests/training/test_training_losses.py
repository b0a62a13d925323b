"""Metrics of many members against torch's own functions for one."""

import pytest
import torch
from torch.nn import functional

from lemmata.training.losses import METRICS


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("ties", [False, True])
def test_metrics_equal_those_of_torch(layout, ties):
    g = torch.Generator().manual_seed(0)
    z = torch.randn(3, 50, 4, generator=g, dtype=torch.float64)
    z = z.round() if ties else z  # ties: argmax takes the first of the largest, and so do we
    z = z.mT.contiguous().mT if layout == "columns" else z
    y, t = torch.randint(4, (3, 50), generator=g), torch.randn(3, 50, 4, generator=g, dtype=torch.float64)
    for i in range(3):
        right = (z[i].argmax(1) == y[i]).double()
        torch.testing.assert_close(METRICS["accuracy"](z, y)[i], right, rtol=0, atol=0)
        torch.testing.assert_close(METRICS["error"](z, y)[i], 1 - right, rtol=0, atol=0)
        expected = functional.cross_entropy(z[i], y[i], reduction="none")
        torch.testing.assert_close(METRICS["cross_entropy"](z, y)[i], expected, rtol=0, atol=1e-14)
        torch.testing.assert_close(METRICS["mse"](z, t)[i], (z[i] - t[i]).square().mean(1), rtol=0, atol=1e-14)


def test_a_dead_network_is_right_only_by_the_first_class():
    z, y = torch.zeros(1, 4, 3), torch.tensor([[0, 1, 2, 0]])
    assert METRICS["accuracy"](z, y).tolist() == [[1, 0, 0, 1]]


def test_outputs_that_are_not_numbers_are_wrong():
    z, y = torch.full((1, 2, 3), torch.nan), torch.tensor([[0, 1]])
    assert METRICS["error"](z, y)[0, 1] == 1
