"""The study of E's proposal: limits in depth, and its verdicts."""

import pytest

from lemmata.studies import e_2017
from lemmata.studies._e_2017_limits import Limit, _problem, approached, least


def test_distances_halve_with_the_step():
    coarse, fine = (approached([Limit.build({"layers": n})])[0].scalars for n in (64, 128))
    for name in coarse:
        assert coarse[name] / fine[name] == pytest.approx(2.0, rel=0.1), name


def test_the_best_control_has_the_least_value():
    best, other = (approached([Limit.build({"detuned": d})])[0].scalars["spread"] for d in (1.0, 1.5))
    assert best < other


def test_the_limit_of_the_least_objective_is_what_depth_tends_to():
    """Riccati's recursion, extrapolated: the first order gone, what is left is of order 1/200^2."""
    coarse, fine = (_problem(3, 5, steps, 1.0).value() for steps in (200, 400))
    assert least(_problem(3, 5, 1, 1.0)) == pytest.approx(2 * fine - coarse, rel=1e-4)
    assert abs(fine - coarse) > 1e-3 * fine


def test_a_costate_of_the_wrong_sign_is_right_at_the_end_alone():
    right, wrong = (approached([Limit.build({"layers": 64, "sign": sign})])[0].scalars for sign in (1, -1))
    assert wrong["gradient_error"] > 0.1 > right["gradient_error"]
    assert wrong["spread"] == right["spread"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [claim.name for claim in e_2017.study.claims])
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("e-2017").assert_outcome(name)
