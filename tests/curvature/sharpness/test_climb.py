"""The steps of a climb: to the vertex of a ball, and from where there is no slope."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import curvature, phantoms
from lemmata.curvature.sharpness.climb import Chart, climb, vertex

F64 = torch.float64


@pytest.mark.parametrize("norm", [2, "inf"])
@given(slope=st.lists(st.floats(-5, 5), min_size=3, max_size=3), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_vertex_is_where_a_linear_function_is_largest(norm, slope, seed):
    g = torch.tensor([slope], dtype=F64)
    others = torch.randn(200, 3, generator=torch.Generator().manual_seed(seed), dtype=F64)
    others /= others.norm(dim=1, keepdim=True) if norm == 2 else others.abs().amax(1, keepdim=True)
    best = vertex(g, 1.0, norm)
    assert float((best * g).sum()) >= float((others @ g[0]).max()) - 1e-12
    assert float(best.norm() if norm == 2 else best.abs().max()) <= 1 + 1e-12


def test_flat_directions_do_not_move_a_climb_that_has_no_slope():
    """On a plane (zero Hessian, zero slope) every point is as high: no rise, no gap, no error."""
    plane = phantoms.quadratic([0.0, 0.0, 0.0])
    for found in (curvature.sam_sharpness(plane.objective, steps=3), curvature.epsilon_sharpness(plane.objective)):
        assert found.value == 0
        assert found.gap == 0
    chart = Chart(torch.ones(3, dtype=F64))
    assert climb(plane.objective, chart, rho=1.0, steps=3, seed=0).cost == 2
