"""Lines and intervals of activations, by functions evaluated to 40 digits."""

import mpmath
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lemmata.robustness.linear_bounds.activations import Rectifier, Sigmoid
from lemmata.robustness.linear_bounds.box import Box

EXACT = {
    "relu": lambda z: max(z, mpmath.mpf(0)),
    "leaky": lambda z: max(z, z / 8),  # a slope that no dtype rounds
    "tanh": mpmath.tanh,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
}
STEPS = {"relu": Rectifier(), "leaky": Rectifier(0.125), "tanh": Sigmoid("tanh"), "sigmoid": Sigmoid("sigmoid")}
ends = st.floats(-30, 30) | st.floats(-1e-3, 1e-3) | st.sampled_from([0.0, -1e-12, 1e-12, 300.0, -300.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", sorted(STEPS))
@settings(max_examples=30, deadline=None)
@given(a=ends, b=ends)
@example(0.0, 0.0)
@example(-1e-12, 1.0)
@example(-3.0, 0.5)
@example(-0.5, 3.0)
def test_lines_and_intervals_hold_on_the_whole_interval(name, dtype, a, b):
    low, high = (torch.tensor([v], dtype=dtype) for v in sorted((a, b)))
    step, exact = STEPS[name], EXACT[name]
    box = Box(low, high)
    lines, image = step.lines(box), step.interval(box)
    t_low = 0.0 if lines.low_intercept is None else float(lines.low_intercept)
    with mpmath.workdps(40):
        start, width = mpmath.mpf(float(low)), mpmath.mpf(float(high)) - mpmath.mpf(float(low))
        for k in range(21):
            z = min(start + width * k / 20, mpmath.mpf(float(high)))  # the last is rounded to 40 digits
            value = exact(z)
            assert mpmath.mpf(float(lines.low_slope)) * z + t_low <= value
            assert mpmath.mpf(float(lines.high_slope)) * z + float(lines.high_intercept) >= value
            assert float(image.low) <= value <= float(image.high)
            for slope, t in ((lines.low_slope, t_low), (lines.high_slope, float(lines.high_intercept))):
                assert abs(float(slope) * z) + abs(t) <= float(lines.size) * (1 + 1e-6)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_lines_touch_the_curve(name):
    # on a grid of 2001 points the line below comes within 1e-3 of the curve, and so does the line above
    low, high = torch.tensor([-2.0, -3.0, 0.5, -4.0]).double(), torch.tensor([1.0, 0.5, 3.0, -0.2]).double()
    lines = STEPS[name].lines(Box(low, high))
    z = low + (high - low) * torch.linspace(0, 1, 2001).double()[:, None]
    value = STEPS[name](z)
    assert ((value - lines.low_slope * z - lines.low_intercept).amin(0) < 1e-3).all()
    assert ((lines.high_slope * z + lines.high_intercept - value).amin(0) < 1e-3).all()


def test_the_adaptive_slope_takes_the_smaller_triangle():
    # Zhang et al. (2018), section 3.3: slope 1 where the interval reaches further up than down
    lines = Rectifier().lines(Box(torch.tensor([-1.0, -2.0]), torch.tensor([2.0, 1.0])))
    assert lines.low_slope.tolist() == [1.0, 0.0]
    torch.testing.assert_close(lines.high_slope, torch.tensor([2 / 3, 1 / 3]))
    torch.testing.assert_close(lines.high_intercept, torch.tensor([2 / 3, 2 / 3]))
