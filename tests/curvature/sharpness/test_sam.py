"""The largest rise in a Euclidean ball, against closed forms on quadratics.

Closed forms hold to 1e-9 relative: the ascent stops at 1e-4 of the rise, but on these bowls it ends at the vertex or
within that.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import curvature, phantoms
from lemmata.objective import Objective

F64 = torch.float64
POINT = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.1]).to(F64)
SPECTRUM = [8.0, 4.0, 2.0, 1.0, 0.5]
SIXTEENS = [(0, 16), (16, 32), (32, 40)]


@settings(max_examples=25, deadline=None)
@given(
    spectrum=st.lists(st.floats(0.1, 20), min_size=2, max_size=7), rho=st.floats(1e-3, 2), seed=st.integers(0, 10**6)
)
def test_at_a_minimum_sam_sharpness_is_half_rho_squared_times_the_largest_eigenvalue(spectrum, rho, seed):
    bowl = phantoms.quadratic(spectrum, seed=seed)
    found = curvature.sam_sharpness(bowl.objective, rho=rho, steps=200, starts=3, seed=seed)
    most = rho**2 * max(spectrum) / 2
    assert found.value <= most * (1 + 1e-12)  # a lower bound of it
    assert found.value >= most * (1 - 1e-2)  # two nearly equal eigenvalues: power iteration stops between them
    assert found.converged


def test_sam_sharpness_of_well_separated_eigenvalues_is_exact():
    bowl = phantoms.quadratic([16.0, 1.0, 0.5], seed=1)
    found = curvature.sam_sharpness(bowl.objective, rho=0.1, steps=50)
    assert found.value == pytest.approx(0.08, rel=1e-4)
    delta = bowl.objective.vector(found.displacement)
    assert float(delta.norm()) == pytest.approx(0.1, rel=1e-12)
    assert float(delta @ bowl.hessian @ delta) / 2 == pytest.approx(found.value, rel=1e-12)


def test_away_from_a_minimum_it_is_the_trust_region_maximum():
    """Maximising g'd + d'Hd/2 on the sphere by its secular equation (H - mu) d = -g, |d| = rho, mu > lambda_max."""
    bowl = phantoms.quadratic(SPECTRUM, point=POINT, seed=2)
    values, Q = torch.linalg.eigh(bowl.hessian)
    g, rho = Q.T @ bowl.gradient, 0.7
    low, high = float(values[-1]) * (1 + 1e-12), float(values[-1]) + float(g.norm()) / rho + 1
    for _ in range(200):
        mu = (low + high) / 2
        low, high = (mu, high) if float((g / (mu - values)).norm()) > rho else (low, mu)
    d = g / (mu - values)
    exact = float(g @ d + (values * d * d).sum() / 2)
    found = curvature.sam_sharpness(bowl.objective, rho=rho, steps=100)
    assert found.value == pytest.approx(exact, rel=1e-4)
    assert found.value <= exact * (1 + 1e-12)


def test_one_step_is_the_point_of_sam(relu_net):
    net, x, y = relu_net
    objective = Objective(net, data=(x, y))
    g = objective.vector(objective.gradient())
    there = objective.value(objective.tree(objective.vector(objective.parameters) + 0.3 * g / g.norm()))
    found = curvature.sam_sharpness(objective, rho=0.3)
    assert found.value == pytest.approx(float(there - objective.value()), rel=1e-12)
    assert found.cost == 2
    assert found.history.shape == (1, 1)


def test_more_steps_and_starts_never_find_less(relu_net):
    net, x, y = relu_net
    subject = (net, "cross_entropy", (x, y))
    first, many, starts = (
        curvature.sam_sharpness(subject, rho=1.0, steps=steps, starts=s, seed=3)
        for steps, s in ((1, 1), (30, 1), (30, 4))
    )
    assert first.value < many.value <= starts.value
    assert (many.history.diff(dim=1) >= 0).all()
    assert many.gap < 0.05 * many.value
    assert many.converged
    assert not curvature.sam_sharpness(subject, rho=1.0, steps=2).converged


def test_of_several_starts_the_best_is_given_whole():
    """The slope points along the flat axis, and the climb from it never leaves that axis: random starts do."""
    bowl = phantoms.quadratic([1.0, 10.0], point=torch.tensor([1.0, 0.0]), minimum=torch.zeros(2), rotated=False)
    one, many = (curvature.sam_sharpness(bowl.objective, rho=1.0, steps=50, starts=s) for s in (1, 6))
    assert one.value == pytest.approx(1.5)
    assert many.value > 5
    assert many.history[0, -1] == pytest.approx(1.5)
    rise = bowl.surface(bowl.objective.vector(many.displacement)) - bowl.value
    assert float(rise) == pytest.approx(many.value, rel=1e-12)
    assert many.gap < 1e-2


def test_on_a_hill_the_maximum_inside_the_ball_is_found():
    """Of -|theta - c|^2 the top c lies inside the ball: full steps overshoot, halved ones do not."""
    hill = phantoms.quadratic([-1.0, -2.0, -3.0], point=torch.tensor([0.3, 0.2, -0.1]).to(F64), seed=5)
    found = curvature.sam_sharpness(hill.objective, rho=1.0, steps=200)
    assert found.value == pytest.approx(-hill.value, rel=1e-2)  # conditional gradients converge slowly inside
    assert curvature.sam_sharpness(hill.objective, rho=1.0, steps=1).value < 0


def test_m_sharpness_is_the_mean_over_parts_of_the_data(relu_net):
    net, x, y = relu_net
    found = curvature.sam_sharpness((net, "cross_entropy", (x, y)), rho=0.2, m=16)
    parts = [curvature.sam_sharpness((net, "cross_entropy", (x[i:j], y[i:j])), rho=0.2).value for i, j in SIXTEENS]
    assert found.samples.tolist() == pytest.approx(parts, rel=1e-12)
    assert found.value == pytest.approx((16 * parts[0] + 16 * parts[1] + 8 * parts[2]) / 40, rel=1e-12)
    assert found.stderr == pytest.approx(float(found.samples.std()) / math.sqrt(3))
    assert found.value > curvature.sam_sharpness((net, "cross_entropy", (x, y)), rho=0.2).value
    assert found.cost == pytest.approx(2)
