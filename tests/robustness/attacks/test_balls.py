"""Projections and linear maximisers on a ball cut by a box, against other algorithms and their own optimality."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from lemmata.errors import InvalidInput
from lemmata.robustness.attacks.balls import (
    distance,
    dual_norm,
    farthest,
    projected,
    require_norm,
    steepest,
    uniform_points,
)

BOX = (0.0, 1.0)


def case(seed: int, dimension: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images in the box, many entries on its faces as in pictures of digits, far points, and radii."""
    draw = torch.Generator().manual_seed(seed)
    x = (2 * torch.rand(6, dimension, generator=draw, dtype=torch.float64) - 0.5).clamp(*BOX)
    z = x + 3 * torch.randn(6, dimension, generator=draw, dtype=torch.float64)
    return x, z, 0.05 + 2 * torch.rand(6, generator=draw, dtype=torch.float64)


def by_bisection(x: np.ndarray, d: np.ndarray, eps: float, most: float) -> np.ndarray:
    """clip(x + t d) with the largest t <= most for which it lies within eps, by scipy's root finder."""

    def at(t: float) -> np.ndarray:
        return np.clip(x + t * d, *BOX)

    def excess(t: float) -> float:
        return float(np.linalg.norm(at(t) - x)) - eps

    return at(most) if excess(most) <= 0 else at(brentq(excess, 0.0, most, xtol=1e-15, rtol=1e-15))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), dimension=st.integers(1, 40))
def test_euclidean_projection_and_maximiser_agree_with_a_root_finder(seed, dimension):
    x, z, eps = case(seed, dimension)
    near, far = projected(z, x, eps, "l2", BOX), farthest(x, z - x, eps, "l2", BOX)
    for i in range(len(x)):
        d = (z[i] - x[i]).numpy()
        wanted = by_bisection(x[i].numpy(), d, float(eps[i]), 1.0)
        np.testing.assert_allclose(near[i], wanted, atol=1e-12)  # the root to 1e-15 times entries up to 10
        wanted = by_bisection(x[i].numpy(), d, float(eps[i]), 1e6)
        np.testing.assert_allclose(far[i], wanted, atol=1e-8)  # t up to 1e6 to a relative 1e-15


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), dimension=st.integers(1, 30), norm=st.sampled_from(["l2", "linf"]))
def test_projection_is_nearer_and_maximiser_higher_than_any_other_point(seed, dimension, norm):
    x, z, eps = case(seed, dimension)
    draw = torch.Generator().manual_seed(seed + 1)
    cloud = x + torch.randn(60, *x.shape, generator=draw, dtype=torch.float64)
    cloud = torch.stack([projected(one, x, eps, norm, BOX) for one in cloud])
    for points in (cloud, torch.stack([projected(z, x, eps, norm, BOX), farthest(x, z - x, eps, norm, BOX)])):
        for one in points:
            assert bool((distance(one, x, norm) <= eps * (1 + 1e-12)).all())
            assert bool(((one >= 0) & (one <= 1)).all())
    best = (projected(z, x, eps, norm, BOX) - z).square().sum(1)
    assert bool((best <= (cloud - z).square().sum(2).amin(0) + 1e-12).all())
    highest = ((z - x) * farthest(x, z - x, eps, norm, BOX)).sum(1)
    assert bool((highest >= ((z - x) * cloud).sum(2).amax(0) - 1e-9).all())


def test_without_a_box_the_projection_scales_and_a_point_inside_stays():
    x = torch.zeros(3, 2, dtype=torch.float64)
    z = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64)
    eps = torch.ones(3, dtype=torch.float64)
    wanted = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(projected(z, x, eps, "l2", None), wanted)
    torch.testing.assert_close(projected(z, x, eps, "linf", None), z.clamp(max=1.0))


def test_the_projection_reaches_the_sphere_where_clipping_after_scaling_does_not():
    x = torch.zeros(1, 100, dtype=torch.float64)
    z = torch.randn(1, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.3
    eps = torch.ones(1, dtype=torch.float64)
    assert float(distance(projected(z, x, eps, "l2", BOX), x, "l2")) == pytest.approx(1.0, abs=1e-12)
    common = (x + (z - x) / (z - x).norm()).clamp(*BOX)
    assert float(distance(common, x, "l2")) < 0.75  # half of the entries point out of the box


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1.0, 1e30])
def test_steps_have_unit_length_whatever_the_size_of_the_gradient(size):
    g = torch.tensor([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0]]) * size
    unit = steepest(g, "l2")
    assert float(unit[0].norm()) == pytest.approx(1.0, abs=0.2 if size < 1e-40 else 1e-6)  # denormals have few digits
    assert not unit[1].any()
    assert steepest(g, "linf").tolist() == [[1, -1, 0], [0, 0, 0]]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_dual_norm_is_the_gain_of_the_steepest_step(norm):
    g = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(dual_norm(g, norm), (g * steepest(g, norm)).sum(1))
    torch.testing.assert_close(
        distance(steepest(g, norm), torch.zeros_like(g), norm), torch.ones(5, dtype=torch.float64)
    )


@pytest.mark.parametrize("dimension", [1, 2, 20])
def test_starts_are_uniform_in_the_ball(dimension):
    """The share of the volume within |u| < r is r^D; 20,000 draws, a Kolmogorov test at 1e-6: the chance of failing."""
    from scipy.stats import kstest

    draw = torch.Generator().manual_seed(dimension)
    draws = torch.randn(20_000, dimension, generator=draw, dtype=torch.float64)
    shares = torch.rand(20_000, generator=draw, dtype=torch.float64)
    points = uniform_points(draws, shares, "l2")
    assert kstest((points.norm(dim=1) ** dimension).numpy(), "uniform").pvalue > 1e-6


def test_an_unknown_norm_is_refused():
    with pytest.raises(InvalidInput, match="give 'linf' or 'l2'"):
        require_norm("inf")
