"""The study of accelerated long steps: its schedules and numbers against closed forms, its verdicts at smoke scale."""

import math

import numpy as np
import pytest

from lemmata.descent import schedules
from lemmata.studies import _grimmer_shu_wang_2024_worst as parts
from lemmata.verdicts import Outcome


def steps(**fields) -> np.ndarray:
    return parts.steps_of(parts.LongSteps.build(fields))


def test_the_two_schedules_are_each_other_read_backwards():
    np.testing.assert_allclose(steps(points=16)[::-1], steps(points=16, schedule="gradient"), rtol=1e-14)
    assert len(steps(points=32)) == 31


def test_schedules_stop_beside_their_longest_step():
    for schedule in ("gap", "silver"):
        whole = steps(points=16, schedule=schedule)
        assert whole.argmax() == 7
        assert steps(points=16, schedule=schedule, stop="before the longest").tolist() == whole[:7].tolist()
        assert steps(points=16, schedule=schedule, stop="after the longest").tolist() == whole[:8].tolist()
    stretched = steps(points=8, last=2.0)
    assert stretched[-1] == 2 * steps(points=8)[-1]
    assert stretched[:-1].tolist() == steps(points=8)[:-1].tolist()
    assert schedules.accelerated_long_steps(3).steps.tolist() == steps(points=8).tolist()  # nothing was written to it


@pytest.mark.parametrize("k", range(1, 12))
def test_silver_steps_up_to_the_longest_end_on_the_quadratic_at_root_two_minus_one(k):
    """The number of the study: prod |1 - h_i| over i <= 2^k, exactly sqrt 2 - 1."""
    shrunk = np.prod(np.abs(1 - schedules.silver(2**k).steps))
    assert shrunk == pytest.approx(math.sqrt(2) - 1, rel=1e-11)


def test_worst_cases_by_hand():
    """Two steps are the least that any schedule has here: points 4 is three steps."""
    (gap,) = parts.worst_cases([parts.LongSteps.build({"points": 4, "schedule": "constant"})])
    assert gap.scalars["worst"] == pytest.approx(1 / 14, rel=1e-8)
    assert gap.scalars["over_constant"] == pytest.approx(1, rel=1e-8)
    (gradient,) = parts.worst_cases([parts.LongSteps.build({"points": 4, "schedule": "constant", "of": "gradient"})])
    assert gradient.scalars["worst"] == pytest.approx(2 / 7, rel=1e-8)
    assert gradient.scalars["over_constant"] == pytest.approx(1, rel=1e-8)
    assert "over_silver" not in gradient.scalars


def test_composed_schedules_attain_their_bound_on_both_functions():
    (dominant,) = parts.composed([parts.Composed.build({"steps": 10})])
    assert dominant.scalars["worst"] == pytest.approx(0.0106222531, rel=1e-8)
    assert dominant.scalars["apart"] < 1e-12
    (primitive,) = parts.composed([parts.Composed.build({"steps": 15, "schedule": "primitive"})])
    assert primitive.scalars["worst"] == pytest.approx(schedules.silver(15).guarantee.bound(15), rel=1e-12)
    assert primitive.scalars["over_branch_and_bound"] > 1


@pytest.mark.parametrize("n", sorted(parts.BRANCH_AND_BOUND))
def test_branch_and_bound_lies_between_dominant_and_primitive(n):
    dominant, primitive = (make(n).guarantee.bound(n) for make in (schedules.dominant, schedules.primitive))
    assert dominant < parts.BRANCH_AND_BOUND[n] < primitive


def test_members_of_a_block_are_each_alone():
    configs = [parts.Composed.build({"steps": n, "seed": seed}) for n in (3, 7) for seed in (0, 1)]
    for config, found in zip(configs, parts.composed(configs), strict=True):
        assert parts.composed([config])[0].scalars == found.scalars


SLOPES = {"gap-exponent", "gradient-exponent", "any-length"}  # three lengths do not decide them


def test_every_claim_that_short_runs_can_show_is_reproduced_with_its_controls_refuted(smoke):
    found = smoke("grimmer-shu-wang-2024")
    for name, verdict in found.verdicts.items():
        if name in SLOPES:
            assert verdict.outcome in (Outcome.REPRODUCED, Outcome.INCONCLUSIVE), f"{name}: {verdict.reason}"
        else:
            found.assert_outcome(name)


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    laptop("grimmer-shu-wang-2024").assert_outcomes()
