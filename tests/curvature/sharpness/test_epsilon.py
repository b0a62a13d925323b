"""The largest rise in a box, against closed forms and enumeration of its corners.

Closed forms hold to 1e-9 relative: on these bowls the ascent ends at the vertex or within that.
"""

import itertools

import pytest
import torch

from lemmata import curvature, phantoms
from lemmata.objective import Objective

F64 = torch.float64
POINT = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.1]).to(F64)
SPECTRUM = [8.0, 4.0, 2.0, 1.0, 0.5]


def corners(bowl, basis, half):
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=len(half)))).to(F64)
    return bowl.surface((signs * half) @ basis.T)


@pytest.mark.parametrize("method", ["l-bfgs-b", "signs"])
@pytest.mark.parametrize("spectrum", [[3.0, 2.0, 1.0], [3.0, 2.0, -1.0, 0.0], [5.0]])
def test_epsilon_sharpness_of_a_diagonal_bowl_is_its_largest_corner(method, spectrum):
    bowl = phantoms.quadratic(spectrum, rotated=False)
    found = curvature.epsilon_sharpness(bowl.objective, epsilon=0.1, method=method)
    assert found.value == pytest.approx(100 * 0.01 * sum(max(s, 0) for s in spectrum) / 2, rel=1e-9)
    assert found.gap == pytest.approx(0, abs=1e-9)
    assert found.converged


def test_epsilon_sharpness_away_from_zero_has_wider_boxes_and_divides_by_one_plus_the_loss():
    bowl = phantoms.quadratic(SPECTRUM, minimum=torch.zeros(5), point=POINT, rotated=False)
    half = 0.01 * (POINT.abs() + 1)
    rise = (torch.tensor(SPECTRUM) * ((POINT.abs() + half) ** 2 - POINT**2) / 2).sum()
    for method in ("l-bfgs-b", "signs"):
        found = curvature.epsilon_sharpness(bowl.objective, epsilon=0.01, method=method)
        assert found.value == pytest.approx(100 * float(rise) / (1 + bowl.value), rel=1e-9)
        assert found.loss == pytest.approx(bowl.value)


@pytest.mark.parametrize("method", ["l-bfgs-b", "signs"])
def test_in_a_subspace_it_is_a_maximum_over_the_corners_of_the_image_of_a_box(method):
    """Of a convex function the maximum over a polytope is at a corner: 2^4 of them, enumerated."""
    bowl = phantoms.quadratic([9.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.2], point=torch.ones(7), minimum=torch.zeros(7), seed=4)
    A = torch.randn(7, 4, generator=torch.Generator().manual_seed(9), dtype=F64)
    half = 0.05 * ((torch.linalg.pinv(A) @ torch.ones(7, dtype=F64)).abs() + 1)
    exact = 100 * (float(corners(bowl, A, half).max()) - bowl.value) / (1 + bowl.value)
    found = curvature.epsilon_sharpness(bowl.objective, epsilon=0.05, subspace=A, method=method, starts=6)
    assert found.value == pytest.approx(exact, rel=1e-9)
    z = torch.linalg.lstsq(A, bowl.objective.vector(found.displacement)[:, None]).solution[:, 0]
    torch.testing.assert_close(z.abs(), half, rtol=1e-8, atol=0)


def test_a_random_subspace_depends_on_the_seed_and_lies_below_the_whole_of_it(relu_net):
    net, x, y = relu_net
    subject = (net, "cross_entropy", (x, y))
    one, same, other = (curvature.epsilon_sharpness(subject, subspace=20, seed=seed).value for seed in (0, 0, 1))
    assert one == same != other
    assert one > 0
    full = curvature.epsilon_sharpness(subject, subspace=torch.eye(Objective.of(subject).size, dtype=F64))
    assert full.value == pytest.approx(curvature.epsilon_sharpness(subject).value, rel=1e-6)


@pytest.mark.parametrize("method", ["l-bfgs-b", "signs"])
def test_a_rotated_box_has_many_local_maxima_and_more_starts_find_higher_ones(method):
    bowl = phantoms.quadratic(torch.linspace(0.01, 1, 10), seed=1)
    half = torch.full((10,), 1e-3, dtype=F64)
    exact = 100 * float(corners(bowl, torch.eye(10, dtype=F64), half).max())
    one, many = (
        curvature.epsilon_sharpness(bowl.objective, method=method, iterations=20, starts=s).value for s in (1, 100)
    )
    assert one < many * (1 - 1e-3)
    assert many == pytest.approx(exact, rel=1e-9)


def test_a_norm_infinity_ball_around_adaptive_scales_is_a_box():
    bowl = phantoms.quadratic(SPECTRUM, minimum=torch.zeros(5), point=POINT, rotated=False)
    rise = (torch.tensor(SPECTRUM).to(F64) * (1.1**2 - 1) * POINT**2 / 2).sum()
    found = curvature.adaptive_sharpness(bowl.objective, rho=0.1, norm="inf")
    assert found.value == pytest.approx(float(rise), rel=1e-9)
