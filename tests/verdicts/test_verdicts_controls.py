"""Controls: refuted, passed, undecided, moved or not, and what each leaves of the claim's outcome."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.study import Config, Curve, Study, kinds
from lemmata.verdicts import Outcome
from lemmata.verdicts.controls import judge_control
from lemmata.verdicts.evidence import assess
from lemmata.verdicts.verdict import ControlOutcome


class Labelled(Config):
    setting: str = "own"


NOISE = [-0.2, -0.1, 0.0, 0.1, 0.2]


def controlled(**control):
    def declare(study):
        claim = study.claim("y", name="y", where="T", kind=kinds.value(of="y", null=0.0), paper=5, margin=1)
        claim.control("the mechanism is removed", setting="none", **control)

    return declare


def by_setting(own, none):
    return lambda config: {"y": (own if config.setting == "own" else none) + NOISE[config.seed]}


@pytest.mark.parametrize(
    ("own", "none", "control", "outcome"),
    [
        (5.0, 0.0, ControlOutcome.REFUTED, Outcome.REPRODUCED),
        (5.0, 5.0, ControlOutcome.PASSED, Outcome.VOID),
        (5.0, 4.0, ControlOutcome.UNDECIDED, Outcome.INCONCLUSIVE),
        (2.0, 0.0, ControlOutcome.REFUTED, Outcome.DIRECTION_ONLY),
        (2.0, 4.0, ControlOutcome.UNDECIDED, Outcome.INCONCLUSIVE),
        (4.0, 5.0, ControlOutcome.PASSED, Outcome.VOID),
        (-2.0, 5.0, ControlOutcome.PASSED, Outcome.CONTRADICTED),
        (-2.0, 4.0, ControlOutcome.UNDECIDED, Outcome.CONTRADICTED),
    ],
)
def test_what_a_control_leaves_of_an_outcome(bench, own, none, control, outcome):
    verdict = bench(controlled(), by_setting(own, none))["y"]
    assert verdict.controls[0].outcome is control
    assert verdict.outcome is outcome
    if outcome in (Outcome.VOID, Outcome.INCONCLUSIVE) and own != 4.0:
        assert "the mechanism is removed" in verdict.reason


def test_a_location_must_move_where_the_control_moves_it(bench):
    moved = bench(controlled(to=9.0, moves="y"), by_setting(5.0, 9.0))["y"]
    assert moved.outcome is Outcome.REPRODUCED
    assert moved.controls[0].moved[0].component.low == 8
    assert "moved as predicted" in moved.controls[0].reason
    astray = bench(controlled(to=9.0, moves="y"), by_setting(5.0, 12.0))["y"]
    assert astray.controls[0].outcome is ControlOutcome.NOT_MOVED
    assert astray.outcome is Outcome.INCONCLUSIVE
    assert not astray.wants_seeds
    edge = bench(controlled(to=9.0, moves="y"), by_setting(5.0, 10.0))["y"]
    assert edge.controls[0].outcome is ControlOutcome.UNDECIDED
    assert edge.wants_seeds


X = np.arange(1.0, 41.0)


def curve(peak, height, seed):
    """Falls, rises to a bump of this height at `peak`, falls again."""
    return Curve(X, 3 - X / 40 + height * np.exp(-(((X - peak) / 3) ** 2)) + 1e-3 * NOISE[seed % 5])


def double_descent(study):
    kind = kinds.shape.double_descent(of="risk", height=0.2)
    return study.claim("two descents", name="y", where="T", kind=kind, paper=20, margin=2)


def test_a_peak_that_is_not_there_refutes_though_it_has_no_location(bench):
    def declare(study):
        double_descent(study).control("no noise, no peak", setting="none")

    verdict = bench(declare, lambda c: {"risk": curve(20, 1.0 if c.setting == "own" else 0.0, c.seed)})["y"]
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.controls[0].outcome is ControlOutcome.REFUTED
    location = verdict.controls[0].components[1].component
    assert (location.n, location.dropped) == (0, 5)
    assert "bump" in verdict.controls[0].reason


def test_a_peak_must_move_to_where_it_is_sent(bench):
    def declare(study):
        double_descent(study).control("slower", moves="the peak", to=30, setting="none")

    found = bench(declare, lambda c: {"risk": curve(20 if c.setting == "own" else 30, 1.0, c.seed)})["y"]
    assert found.outcome is Outcome.REPRODUCED
    stays = bench(declare, lambda c: {"risk": curve(20 if c.setting == "own" else 26, 1.0, c.seed)})["y"]
    assert stays.outcome is Outcome.INCONCLUSIVE
    gone = bench(declare, lambda c: {"risk": curve(20, float(c.setting == "own"), c.seed)})["y"]
    assert gone.controls[0].outcome is ControlOutcome.NOT_MOVED


def test_a_moved_place_is_known_to_the_spacing_where_it_moves_to(bench):
    """Points 1, 2, ..., 20, then every second: the spacing is 1 around 15 and 2 around 30."""
    x = np.concatenate([np.arange(1.0, 21.0), np.arange(22.0, 41.0, 2.0)])

    def declare(study):
        kind = kinds.shape.double_descent(of="risk", height=0.2)
        claim = study.claim("y", name="y", where="T", kind=kind, paper=15, margin=3)
        claim.control("slower", to=30, setting="none")

    def measure(config):
        bent = curve(15 if config.setting == "own" else 30, 1.0, config.seed)
        return {"risk": Curve(x, np.interp(x, bent.x, bent.y))}

    control = bench(declare, measure)["y"].controls[0]
    assert control.components[1].component.resolution == 1
    assert control.moved[1].component.resolution == 2


def test_a_statistic_that_exists_in_no_seed_refutes_a_control_but_not_a_claim(bench):
    """A linear model never fits, with either labels: infinity over infinity is no slow-down."""

    def declare(study):
        kind = kinds.time_ratio(of="loss", threshold=0.1, over="width", between=(10, 20))
        claim = study.claim("slower", name="y", where="T", kind=kind, within=(2, 10))
        claim.control("linear", setting="linear")

    def measure(config):
        arrival = {10: 5, 20: 20 + config.seed}[config.width] if config.setting == "own" else 100
        return {"loss": Curve(X, np.where(arrival <= X, 0.0, 1.0))}

    found = bench(declare, measure, sweep={"width": [10, 20]})["y"]
    assert found.outcome is Outcome.REPRODUCED
    assert found.controls[0].outcome is ControlOutcome.REFUTED
    assert "has a finite value in none of 5 seeds" in found.controls[0].reason

    nowhere = bench(declare, lambda c: {"loss": Curve(X, 0 * X + 1)}, sweep={"width": [10, 20]})["y"]
    assert nowhere.outcome is Outcome.INCONCLUSIVE


def test_a_control_that_diverged_everywhere_is_undecided(bench):
    def measure(config):
        return {"y": 5.0 + NOISE[config.seed], "status": "ok" if config.setting == "own" else "diverged"}

    verdict = bench(controlled(), measure)["y"]
    assert verdict.controls[0].outcome is ControlOutcome.UNDECIDED
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "every run diverged" in verdict.reason
    assert not verdict.wants_seeds


def test_exact_claims_are_refuted_on_their_control_without_statistics(bench):
    def declare(study):
        claim = study.claim("all fit", name="y", where="T", kind=kinds.exact(of="y", at_least=1.0))
        claim.control("five units", setting="none")

    found = bench(declare, lambda c: {"y": 1.0 if c.setting == "own" or c.seed else 0.5})["y"]
    assert (found.outcome, found.controls[0].outcome) == (Outcome.REPRODUCED, ControlOutcome.REFUTED)
    passed = bench(declare, lambda c: {"y": 1.0})["y"]
    assert passed.outcome is Outcome.VOID


@pytest.mark.parametrize(("high", "outcome"), [(10.0, ControlOutcome.REFUTED), (math.inf, ControlOutcome.UNDECIDED)])
def test_two_infinite_values_and_three_without_a_number(bench, high, outcome):
    """Too few for a test; but none of the five is a finite number, so they refute unless infinity is in the region."""

    def declare(study):
        claim = study.claim("y", name="y", where="T", kind=kinds.value(of="y"), within=(2, high))
        claim.control("linear", setting="none")

    def measure(config):
        return {"y": 5.0 + NOISE[config.seed] if config.setting == "own" else (math.inf, math.nan)[config.seed > 1]}

    assert bench(declare, measure)["y"].controls[0].outcome is outcome


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=8), st.floats(-3, 3), st.floats(0.1, 4))
def test_a_control_equal_to_the_claims_own_setting_passes_whenever_the_claim_holds(values, paper, margin):

    study = Study("s", question="?", config=Labelled)
    claim = study.claim("y", where="T", kind=kinds.value(of="y"), paper=paper, margin=margin)
    claim.control("the same again", setting="own")
    rows = pd.DataFrame({"seed": range(len(values)), "y": values, "status": "ok"})
    own = assess(claim, rows, paper=paper, region=claim.region)
    control = judge_control(claim, claim.controls[0], rows, level=0.05)
    assert (control.outcome is ControlOutcome.PASSED) == (own.p_inside <= 0.05)
    assert math.isfinite(own.p_inside)
