"""Rises on average over random displacements, against traces and diagonals.

Random measures are held within five standard errors (chance 6e-7 each, with fixed seeds none).
"""

import math

import pytest
import torch

from lemmata import curvature, phantoms
from lemmata.curvature.sharpness.points import at_once
from lemmata.objective import Objective

F64 = torch.float64
POINT = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.1]).to(F64)
SPECTRUM = [8.0, 4.0, 2.0, 1.0, 0.5]


@pytest.mark.parametrize("point", [None, POINT])
def test_average_sharpness_of_a_quadratic_is_half_sigma_squared_times_the_trace(point):
    bowl = phantoms.quadratic([*SPECTRUM[:4], -1.0], point=point, seed=1)
    found = curvature.average_sharpness(bowl.objective, sigma=0.3, pairs=4000)
    assert abs(found.value - 0.09 * bowl.trace / 2) < 5 * found.stderr
    # the pairs are quadratic forms in the noise, whatever the gradient: Var z'Hz / 2 = |H|_F^2 / 2
    exact = 0.09 * math.sqrt(float(bowl.hessian.square().sum()) / 2 / 4000)
    assert found.stderr == pytest.approx(exact, rel=0.1)  # a standard deviation from 4,000 draws: 0.02 at kurtosis 6
    assert found.n == 4000
    assert found.cost == pytest.approx(8001 / 3)


@pytest.mark.parametrize("normalization", ["element", "filter"])
def test_average_sharpness_with_scales_weighs_the_diagonal(normalization):
    bowl = phantoms.quadratic(SPECTRUM, point=POINT, shapes=[(1, 4), (1,)], seed=1)
    T = POINT.abs() if normalization == "element" else torch.tensor([*[float(POINT[:4].norm())] * 4, 0.1])
    found = curvature.average_sharpness(bowl.objective, sigma=0.1, normalization=normalization, pairs=4000)
    assert abs(found.value - 0.01 * float((T**2 * bowl.diagonal).sum()) / 2) < 5 * found.stderr


def test_filter_normalised_sharpness_of_a_quadratic_by_its_filters():
    point = torch.arange(1.0, 9.0).to(F64)
    bowl = phantoms.quadratic(range(1, 9), point=point, shapes=[(2, 3), (2,)], seed=3)
    found = curvature.filter_normalised_sharpness(bowl.objective, radius=0.1, pairs=6000)
    exact = 0.01 * sum(float(point[f].square().sum() * bowl.diagonal[f].sum()) for f in (slice(0, 3), slice(3, 6))) / 6
    assert abs(found.value - exact) < 5 * found.stderr


def test_draws_do_not_depend_on_how_many_are_held_at_once(relu_net):
    net, x, y = relu_net
    objective = Objective(net, data=(x, y))
    whole, single = (curvature.average_sharpness(objective, pairs=9, memory=m) for m in (2**28, 1))
    torch.testing.assert_close(whole.samples, single.samples, rtol=0, atol=1e-13)
    assert at_once(objective, 1) == 1
    one = 8 * (3 * 111 + 40 * (5 + 5 + 7 + 7 + 6 + 6 + 3))  # parameters thrice; inputs and what each layer gives
    assert [at_once(objective, memory) for memory in (3 * one - 1, 3 * one)] == [2, 3]
