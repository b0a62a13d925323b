"""Requests that cannot be answered: each says what was wrong, the value, and what to do."""

import numpy as np
import pytest

from lemmata.descent import Method, Schedule, worst_case
from lemmata.descent.method import Coefficients
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged


@pytest.mark.parametrize(("method", "options", "message"), [
    ([], {}, r"shape \(0, 0\)"),
    ([1.0, np.nan], {}, "NaN"),
    ([1.0, np.inf], {}, "finite"),
    ([1.0, 0.0, 1.0], {}, "step 1 has length zero.*leave it out"),
    ([0.0], {}, "step 0 has length zero"),
    ([[1.0, 0.5], [1.0, 1.0]], {}, "above its diagonal"),
    ([[1.0, 0.0], [1.0, 0.0]], {}, "step 1 has length zero"),
    (np.ones((2, 3)), {}, r"shape \(2, 3\)"),
    (np.ones((1, 1, 1)), {}, r"shape \(1, 1, 1\)"),
    ([1.0], {"mu": 1.0}, "mu < L"),
    ([1.0], {"mu": 2.0}, "mu = 2.0 and L = 1.0"),
    ([1.0], {"mu": -0.1}, "not convex"),
    ([1.0], {"mu": np.nan}, "mu = nan"),
    ([1.0], {"L": 0.0}, "L = 0.0"),
    ([1.0], {"L": np.inf}, "L = inf"),
    ([1.0], {"n": 2}, "1 steps are given and n = 2"),
    ([1.0], {"n": 0}, "n = 0"),
    ([1.0], {"n": 1.5}, "n = 1.5"),
    (np.eye(2), {"n": 3}, "matrix for 2 steps and n = 3"),
    (np.ones(150), {"solver": "clarabel"}, r"N = 150 is too large for solver='clarabel'.*forecast"),
    ([1.0], {"given": "level"}, "'level'.*'distance' or 'gap'"),
    ([1.0], {"seconds": np.nan}, "seconds = nan"),
    ([1.0], {"tolerance": 0.0}, "tolerance = 0.0"),
    ([1.0], {"tolerance": -1.0}, "tolerance = -1.0"),
    ("nesterov", {"n": 5}, "'nesterov'; give a Method"),
    (1.0, {}, "give a Method"),
    (np.ones(60), {"memory": 10**5}, "GiB"),
])  # fmt: skip
def test_invalid_input(method, options, message):
    with pytest.raises(InvalidInput, match=message):
        worst_case(method, **options)


@pytest.mark.parametrize("options", [{"of": "distance"}, {"given": "gradient"}, {"solver": "mosek"}])
def test_unknown_names(options):
    with pytest.raises(UnknownName):
        worst_case([1.0], **options)


def test_a_method_without_an_end_needs_n():
    class Endless(Method):
        def coefficients(self, k: int) -> Coefficients:
            return Coefficients(1.0)

        def matrix(self, n: int) -> np.ndarray:
            return np.tril(np.ones((n, n)))

    with pytest.raises(InvalidInput, match="say how many"):
        worst_case(Endless("endless"))
    assert worst_case(Endless("endless"), 2).steps == 2


def test_a_schedule_knows_its_length():
    schedule = Schedule("pattern", np.array([1.5, 4.9, 1.5]), cyclic=True)
    assert worst_case(schedule).steps == 3
    assert worst_case(schedule, 5).name == "pattern"


def test_a_value_beyond_floating_point_is_refused_rather_than_guessed():
    """Eight steps of 10 may leave 9^16/2 = 9e14 times the distance: no digits are left for a proof."""
    with pytest.raises(NotConverged, match="rounding"):
        worst_case([10.0] * 8)
