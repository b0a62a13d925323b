"""What a reader sees: the paper's number, ours, the margin, and sentences."""

import math

import numpy as np
import pytest

from lemmata.errors import InvalidInput
from lemmata.study import Study, kinds
from lemmata.study.config import Config
from lemmata.verdicts import reasons, spending, wording
from lemmata.verdicts.evidence import combine, weigh

NOISE = [-0.2, -0.1, 0.0, 0.1, 0.2]


def ratio(study):
    study.claim("slower", name="y", where="Fig. 1b", kind=kinds.value(of="y", null=1.0), within=(2, 10), quoted="≤ 3.5")


def test_a_verdict_prints_paper_margin_ours_and_reason(bench):
    """Half the 95 % interval by hand: t(0.975, 4) sqrt(0.025 / 5) = 2.776 * 0.0707 = 0.1963."""
    verdict = bench(ratio, lambda c: {"y": 5 + NOISE[c.seed]})["y"]
    assert verdict.paper == "≤ 3.5"
    assert verdict.margin == "2 to 10"
    assert verdict.short == "5.00 [4.80, 5.20]"
    assert verdict.ours == "5.00 [4.80, 5.20] (4.8, 4.9, 5, 5.1, 5.2)"
    assert verdict.reason == (
        "y: the mean over 5 seeds is 5 (95 % interval 4.804 to 5.196), inside the claimed range, 2 to 10 (p < 0.001)"
    )


def test_direction_only_names_the_side(bench):
    verdict = bench(ratio, lambda c: {"y": 1.5 + NOISE[c.seed]})["y"]
    assert "outside the claimed range, 2 to 10" in verdict.reason
    assert "but above 1, as claimed (p = 0.001" in verdict.reason
    gone = bench(ratio, lambda c: {"y": 0.5 + NOISE[c.seed]})["y"]
    assert "the direction claimed is not shown either" in gone.reason


def test_inconclusive_says_what_it_would_take(bench):
    verdict = bench(ratio, lambda c: {"y": 2.1 + NOISE[c.seed]})["y"]
    assert "leaves open whether it is in the claimed range, 2 to 10 (p = 0.12 inside, p = 1 outside)" in verdict.reason
    assert "17 seeds would settle it with 80 % power; the direction is settled: above 1" in verdict.reason


def test_several_components_are_named():
    parts = [
        weigh(kinds.Component("bump", np.array([0.3, 0.4, 0.5]), low=0.1, null=0.0)),
        weigh(kinds.Component("peak", np.array([]), low=9, high=11, dropped=3)),
        weigh(kinds.Component("rise", np.zeros(6), high=0.5, exact=True, seeds=(0, 0, 1, 1, 2, 2))),
    ]
    assert wording.ours(parts, seeds=False) == "bump 0.40 [0.15, 0.65]; peak no number; rise 0"
    claim = Study("s", question="?", config=Config).claim("c", where="T", kind=kinds.exact(of="rise"))
    assert wording.margin(claim, parts) == "bump at least 0.1; peak 9 to 11; rise at most 0.5"
    found = combine(parts, seeds=(0, 1, 2), diverged=())
    assert reasons.unsettled(found) == "peak has no usable seeds, and 3 are the fewest"


def test_controls_are_told(bench):
    def declare(study):
        claim = study.claim("y", name="y", where="T", kind=kinds.value(of="y"), paper=5, margin=1)
        claim.control("none", setting="none").control("less", width=3)

    verdict = bench(declare, lambda c: {"y": (5 if c.setting == "own" and c.width == 10 else 0) + NOISE[c.seed]})["y"]
    assert verdict.reason.endswith("; both controls are refuted")
    assert verdict.controls[0].ours == "0.00 [-0.20, 0.20] (-0.2, -0.1, 0, 0.1, 0.2)"
    void = bench(declare, lambda c: {"y": 5 + NOISE[c.seed]})["y"]
    assert void.reason.startswith("the claim also holds where it must fail, in the control 'none': y: the mean")


@pytest.mark.parametrize("n", [3, 5, 20])
def test_what_n_seeds_never_showed_may_still_be_so_frequent(n):
    assert (1 - reasons.unseen(n)) ** n == pytest.approx(0.05)


def test_a_schedule_doubles_up_to_its_end():
    assert spending.schedule(5, 39) == (5, 10, 20)
    assert spending.schedule(5, 4) == (5,)
    with pytest.raises(InvalidInput, match="at least one seed, got 0"):
        spending.schedule(0, 10)


def test_numbers():
    assert [wording.number(v) for v in (0.12345, 1e-12, -math.inf, 100.0)] == ["0.1235", "1e-12", "-∞", "100"]
