"""The compiled tanh: to a few roundings of torch's in float64 everywhere, and its pull-back."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from lemmata.flows.adjoint.tanh import lambert, pull_, tanh_


@pytest.mark.parametrize(("dtype", "last"), [(np.float32, 9.0), (np.float64, 19.0)])
def test_tanh_to_six_roundings(dtype, last):
    """Relative to tanh in a wider type, over 12 powers of ten and both signs; 4 are measured."""
    size = np.concatenate([np.geomspace(1e-9, last, 20001), np.linspace(0, 2 * last, 20001)])
    x = np.concatenate([size, -size]).astype(dtype)
    exact = np.tanh(x.astype(np.longdouble))
    found = x.copy()
    tanh_(found)
    assert np.max(np.abs(found - exact) / np.maximum(np.abs(exact), 1e-300)) < 6 * np.finfo(dtype).eps
    assert np.all(np.abs(found) <= 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends(dtype):
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1e30, -1e30], dtype=dtype)
    tanh_(x)
    np.testing.assert_array_equal(x, np.array([0, 1, -1, np.nan, 1, -1], dtype=dtype))


def test_lambert_is_tanh():
    """x/(1 + z/(3 + z/5)) = x (15 + z) / (15 + 6 z)."""
    p, q = lambert(3)
    assert p == [1, Fraction(1, 15)]
    assert q == [1, Fraction(6, 15)]


@pytest.mark.parametrize("lead", [0, 1])
def test_pull(lead):
    draw = torch.Generator().manual_seed(0)
    y, b = torch.randn(2, 2, 3, 4, generator=draw).double(), torch.randn(2, 4, generator=draw).double()
    a = (y[:, lead] + b[:, None]).tanh()
    wanted = torch.empty_like(y)
    wanted[:, lead], wanted[:, 1 - lead] = 0.3 * (1 - a**2) * y[:, 1 - lead], 0.3 * a
    pull_(y.numpy(), lead, b.numpy(), 0.3)
    torch.testing.assert_close(y, wanted, rtol=1e-13, atol=1e-15)
