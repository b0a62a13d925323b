"""The grid's coordinates: ends as asked, anchors on it exactly, order kept."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.landscape.axes import axis


@pytest.mark.parametrize("points", [3, 5, 25, 51])
@pytest.mark.parametrize("span", [1.0, 0.3, 7.7])
def test_an_odd_number_of_points_has_the_centre_and_is_even(span, points):
    x = axis(span, points)
    assert x[points // 2] == 0.0
    np.testing.assert_allclose(x, np.linspace(-span, span, points), atol=1e-15 * span)


def test_an_even_number_and_an_asymmetric_range_have_it_too():
    assert 0.0 in axis(1.0, 24)
    assert 0.0 in axis((-0.5, 1.7), 12)
    assert 0.0 in axis((0.0, 1.0), 4)
    assert 0.0 not in axis((0.5, 1.0), 4)


@given(
    st.floats(-10, 10), st.floats(0.1, 20), st.integers(6, 60), st.lists(st.floats(-10, 10), max_size=3, unique=True)
)
def test_properties(low, width, points, anchors):
    high = low + width
    assume(all(abs(a - b) > 1e-6 for a in (*anchors, low, high) for b in (*anchors, low, high) if a is not b))
    x = axis((low, high), points, anchors)
    inside = [a for a in anchors if low <= a <= high]
    assert len(x) == points
    assert (x[0], x[-1]) == (low, high)
    assert (np.diff(x) > 0).all()
    assert set(inside) <= set(x.tolist())
    stretches = len(inside) + 1
    assert np.diff(x).max() <= (1 + 1e-9) * width / (points - stretches)  # no wider than with so many points fewer


@pytest.mark.parametrize("span", [0.0, -1.0, float("nan"), (1.0, 1.0), (2.0, 1.0), (0.0, float("inf"))])
def test_empty_spans(span):
    with pytest.raises(InvalidInput, match="span"):
        axis(span, 5)


def test_too_few_points():
    with pytest.raises(InvalidInput, match="points = 1"):
        axis(1.0, 1)
    with pytest.raises(InvalidInput, match="the ends and the points"):
        axis((-1.0, 1.0), 3, (0.1, 0.2, 0.3))
