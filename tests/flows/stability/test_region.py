"""Stability regions against their closed forms."""

import numpy as np
import pytest

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.flows import METHODS
from lemmata.flows.methods import Splitting
from lemmata.flows.methods.partitioned import HALF, LEAPFROG, SYMPLECTIC_EULER, VERLET
from lemmata.flows.stability import stability_region


def test_forward_euler_is_a_disk_and_backward_euler_what_is_outside_of_one():
    z = np.linspace(-4, 2, 201) + 1j * np.linspace(-3.5, 3.5, 201)[:, None]
    np.testing.assert_allclose(stability_region("forward-euler").growth, np.abs(1 + z), rtol=1e-13)
    np.testing.assert_array_equal(stability_region("backward-euler").growth <= 1, np.abs(1 - z) >= 1)


@pytest.mark.parametrize("name", ["implicit-midpoint", "trapezoidal", "exponential-euler"])
def test_half_planes(name):
    region = stability_region(name, points=102)  # none of the points lies on the axis
    np.testing.assert_array_equal(region.growth <= 1, np.broadcast_to(region.x <= 0, region.growth.shape))


@pytest.mark.parametrize(
    ("name", "real", "imaginary"),
    [("forward-euler", 2, 0), ("heun", 2, 0), ("rk3", 2.5127, 1.7321), ("rk4", 2.7853, 2.8284)],
)
def test_ends_on_the_axes(name, real, imaginary):
    """Hairer and Wanner, Solving Ordinary Differential Equations II, table IV.2.1, and sqrt 3, 2 sqrt 2.

    To 1e-4, and to 2e-3 at 0, where |R| = 1 + y^4 / 8.
    """
    growth = METHODS[name].growth
    steps = np.linspace(0, 4, 400_001)[1:]
    ends = [steps[np.argmax(growth(direction * steps) > 1 + 1e-12)] for direction in (-1, 1j)]
    np.testing.assert_allclose(ends, [real, imaginary], atol=2e-3 if imaginary == 0 else 1e-4)


@pytest.mark.parametrize("name", ["rk4", "verlet"])
def test_it_draws(name):
    figure = stability_region(name, points=41).plot()
    assert len(figure.panels[0].series) == (name == "verlet")
    assert "<svg" in str(static.render(figure))


def _twice(method: Splitting) -> Splitting:
    """Two steps of half the length as one."""
    return Splitting("twice", [(which, part / 2) for _ in range(2) for which, part in method.moves])


@pytest.mark.parametrize(
    ("method", "end"),
    [
        (VERLET, 2.0),
        (LEAPFROG, 2.0),
        (SYMPLECTIC_EULER, 2.0),
        (_twice(VERLET), 4.0),
        (_twice(_twice(VERLET)), 8.0),
        (Splitting("uneven", [("p", HALF / 2), ("q", HALF), ("p", 3 * HALF / 2), ("q", HALF)]), (16 / 3) ** 0.5),
    ],
    ids=lambda value: value.name if isinstance(value, Splitting) else None,
)
def test_the_segment_drawn_is_that_on_which_steps_are_stable(method, end):
    """Halved steps are stable twice as far, though their eigenvalues meet on the way.

    By hand, with x = y^2: two half steps of Verlet have the trace 2 - x + x^2 / 16, which touches -2 at x = 8 and comes
    back to 2 at 16; the uneven one has 2 - x + 3 x^2 / 64 and is below -2 between x = 16/3 and 16.
    """
    (segment,) = stability_region(method, points=21).edge()
    assert segment.y == pytest.approx([-end, end], abs=1e-5)
    assert segment.label == f"stable: |h omega| <= {end:.4g}"


def test_what_is_refused():
    with pytest.raises(InvalidInput, match=r"x = \(1, -1\); give a finite window"):
        stability_region("rk4", x=(1, -1))
    with pytest.raises(InvalidInput, match="points = 1"):
        stability_region("rk4", points=1)
    with pytest.raises(InvalidInput, match="points is more than 4096"):
        stability_region("rk4", points=10**400)
    with pytest.raises(UnknownName, match="unknown method"):
        stability_region("rk5")
