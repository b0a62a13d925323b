"""Outcomes of hand-made studies whose verdict can be worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from lemmata.errors import InvalidInput
from lemmata.plan import plan as planning
from lemmata.study import Config, Measurements, Study, kinds
from lemmata.verdicts import Outcome, judge, spending, undecided
from lemmata.verdicts.decide import settle
from lemmata.verdicts.evidence import assess, weigh
from lemmata.verdicts.statistics import one_sided_tests

INF = math.inf
NOISE = [-0.2, -0.1, 0.0, 0.1, 0.2]  # of mean 0 and deviation sqrt(0.025)


def one_claim(**claim):
    claim = {"kind": kinds.value(of="y", null=claim.pop("null", None)), **claim}
    return lambda study: study.claim("y is as stated", name="y", where="Fig. 1", **claim)


def around(mean, scale=1.0):
    return lambda config: {"y": mean + scale * NOISE[config.seed % 5]}


@pytest.mark.parametrize(
    ("mean", "null", "outcome"),
    [
        (5.0, 1.0, Outcome.REPRODUCED),
        (1.5, 1.0, Outcome.DIRECTION_ONLY),
        (1.5, None, Outcome.CONTRADICTED),
        (1.0, 1.0, Outcome.CONTRADICTED),
        (0.5, 1.0, Outcome.CONTRADICTED),
        (11.0, 1.0, Outcome.DIRECTION_ONLY),
        (2.05, 1.0, Outcome.INCONCLUSIVE),
        (10.0, 1.0, Outcome.INCONCLUSIVE),
    ],
)
def test_a_mean_and_its_region_give_the_outcome(bench, mean, null, outcome):
    verdict = bench(one_claim(null=null, within=(2, 10)), around(mean))["y"]
    assert verdict.outcome is outcome
    assert verdict.n == 5


def test_p_values_are_those_of_the_t_test_by_hand(bench):
    """Mean 2.1, deviation sqrt(0.025), n = 5: t = 0.1 / sqrt(0.005) = sqrt(2) above the lower edge."""
    verdict = bench(one_claim(within=(2, 10)), around(2.1))["y"]
    assert verdict.p_inside == pytest.approx(stats.t.sf(math.sqrt(2), 4), rel=1e-9)
    assert verdict.p_outside == 1.0
    planned = TTestPower().solve_power(0.1 / math.sqrt(0.025), alpha=0.05, power=0.8, alternative="larger")
    assert verdict.needed == math.ceil(planned)
    assert f"about {verdict.needed} seeds" in verdict.reason


def test_holm_is_over_the_claims_that_are_statistics(bench):
    def declare(study):
        for i, edge in enumerate((4.9, 4.8, 4.7)):
            study.claim(f"above {edge}", name=f"c{i}", where="T", kind=kinds.value(of="y"), within=(edge, INF))
        study.claim("exact", name="e", where="T", kind=kinds.exact(of="y", at_least=0.0))
        study.claim("broken", name="b", where="T", kind=kinds.exact(of="y", at_least=9.0))  # its p of 1 takes no level
        study.claim("never", name="u", where="T", untestable="ImageNet cannot be had")

    found = bench(declare, around(5.0))
    t = np.array([0.1, 0.2, 0.3]) / math.sqrt(0.005)
    p = stats.t.sf(t, 4)
    by_hand = [max(3 * p[2], 2 * p[1], p[0]), max(3 * p[2], 2 * p[1]), 3 * p[2]]
    np.testing.assert_allclose([found[f"c{i}"].p_inside for i in range(3)], by_hand)
    assert (found["e"].outcome, found["b"].outcome) == (Outcome.REPRODUCED, Outcome.CONTRADICTED)
    planned = TTestPower().solve_power(0.1 / math.sqrt(0.025), alpha=0.05 / 3, power=0.8, alternative="larger")
    assert found["c0"].needed == math.ceil(planned)  # at the level that Holm grants in the worst case
    assert found["u"].outcome is Outcome.NOT_TESTABLE
    assert found["u"].reason == "ImageNet cannot be had"


def test_a_claim_holds_only_if_every_step_of_an_order_does(bench):
    def declare(study):
        study.claim("a < b < c", name="o", where="T", kind=kinds.ordering(of="y", over="setting", order=tuple("abc")))

    def measure(heights):
        return lambda config: {"y": heights[config.setting] + NOISE[config.seed] * (1 + (config.setting == "b"))}

    sweep = {"setting": list("abc")}
    rising = bench(declare, measure({"a": 0, "b": 1, "c": 2}), sweep=sweep)["o"]
    assert rising.outcome is Outcome.REPRODUCED
    assert rising.p_inside == max(part.p_inside for part in rising.components)  # intersection-union
    fallen = bench(declare, measure({"a": 0, "b": 1, "c": 0}), sweep=sweep)["o"]
    assert fallen.outcome is Outcome.CONTRADICTED
    assert fallen.p_outside == pytest.approx(2 * fallen.components[1].p_outside)  # Bonferroni over two steps
    assert "c minus b" in fallen.reason
    level = bench(declare, measure({"a": 0, "b": 1, "c": 1}), sweep=sweep)["o"]
    assert level.outcome is Outcome.INCONCLUSIVE


def test_equal_everywhere_is_no_order(bench):
    def declare(study):
        study.claim("a < b", name="o", where="T", kind=kinds.ordering(of="y", over="setting", order=("a", "b")))

    found = bench(declare, lambda config: {"y": 1.0}, sweep={"setting": ["a", "b"]})["o"]
    assert found.outcome is Outcome.CONTRADICTED


def test_no_variation_is_decided_and_said(bench):
    verdict = bench(one_claim(paper=1.0, margin=0.01), lambda config: {"y": 1.0})["y"]
    assert verdict.outcome is Outcome.REPRODUCED
    assert "no variation over 5 seeds" in verdict.reason
    assert "45%" in verdict.reason  # 1 - 0.05^(1/5) = 0.451


def test_exact_claims_name_the_seeds_that_break_them(bench):
    def declare(study):
        study.claim("all fit", name="y", where="T", kind=kinds.exact(of="y", at_least=1.0))

    verdict = bench(declare, lambda config: {"y": 1.0 - 0.5 * (config.seed in (1, 3))})["y"]
    assert verdict.outcome is Outcome.CONTRADICTED
    assert "in seeds 1, 3" in verdict.reason
    one = bench(declare, lambda config: {"y": 1.0}, seeds=1)["y"]
    assert one.outcome is Outcome.REPRODUCED  # an identity needs no replication
    assert one.n == 1


def test_an_exact_claim_with_a_diverged_run_is_open(bench):
    def declare(study):
        study.claim("all fit", name="y", where="T", kind=kinds.exact(of="y", at_least=1.0))

    def measure(config):
        return {"y": math.nan, "status": "diverged"} if config.seed == 2 else {"y": 1.0}

    verdict = bench(declare, measure)["y"]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "seed 2 diverged" in verdict.reason
    assert not verdict.wants_seeds  # no further seed can mend it


def test_an_exact_claim_whose_number_is_missing_in_one_run_is_open(bench):
    def declare(study):
        study.claim("all fit", name="y", where="T", kind=kinds.exact(of="y", at_least=1.0))

    verdict = bench(declare, lambda config: {"y": math.nan if config.seed == 2 else 1.0})["y"]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "y is missing for some runs, and an exact claim allows no exception" in verdict.reason
    assert "seed 2 gave no number for y" in verdict.reason


def test_few_usable_seeds_are_inconclusive_with_the_number(bench):
    def measure(config):
        return {"y": 5.0 + NOISE[config.seed] if config.seed < 2 else math.nan}

    verdict = bench(one_claim(within=(2, 10)), measure)["y"]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "2 usable seeds, and 3 are the fewest" in verdict.reason
    assert "seeds 2, 3, 4 gave no number" in verdict.reason
    assert verdict.wants_seeds
    assert verdict.needed == 3


def test_diverged_runs_do_not_count_and_are_named(bench):
    def measure(config):
        return {"y": 1e6, "status": "diverged"} if config.seed == 4 else {"y": 5.0 + NOISE[config.seed]}

    verdict = bench(one_claim(within=(2, 10)), measure)["y"]
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.n == 4
    assert "seed 4 diverged and does not count" in verdict.reason


def test_every_run_diverged(bench):
    verdict = bench(one_claim(within=(2, 10)), lambda config: {"y": 1.0, "status": "diverged"})["y"]
    assert (verdict.outcome, verdict.wants_seeds) == (Outcome.INCONCLUSIVE, False)
    assert "every run diverged" in verdict.reason


def test_a_time_never_reached_is_judged_by_its_median(bench):
    def measure(config):
        return {"y": INF if config.seed in (3, 7) else 5.0 + NOISE[config.seed % 5]}

    verdict = bench(one_claim(within=(2, INF)), measure, seeds=9)["y"]
    assert verdict.outcome is Outcome.REPRODUCED
    assert verdict.p_inside == pytest.approx(2**-9)
    assert "the median over 9 seeds" in verdict.reason
    assert verdict.needed is None


def test_missing_records_are_counted_and_no_records_are_said(bench):
    some = bench(one_claim(within=(2, 10)), around(5.0), recorded=range(4))["y"]
    assert some.outcome is Outcome.REPRODUCED
    assert "1 wanted record is missing" in some.reason
    none = bench(one_claim(within=(2, 10)), around(5.0), recorded=())["y"]
    assert none.outcome is Outcome.INCONCLUSIVE
    assert none.reason == "no records at this scale; 5 wanted records are missing"


def test_a_kind_that_cannot_work_does_not_stop_the_others(bench):
    def declare(study):
        study.claim("a", name="bad", where="T", kind=kinds.value(of="nothing_such"), within=(0, 1))
        study.claim("b", name="good", where="T", kind=kinds.value(of="y"), within=(2, 10))

    found = bench(declare, around(5.0))
    assert found["bad"].outcome is Outcome.INCONCLUSIVE
    assert "no column 'nothing_such'" in found["bad"].reason
    assert found["good"].outcome is Outcome.REPRODUCED
    # what cannot be judged stays in the family: a claim that fails to be measured makes no other one stronger
    assert "corrected over 2 claims" in found["good"].reason


def test_an_identity_with_missing_records_is_not_shown(bench):
    def declare(study):
        study.claim("i", name="y", where="T", kind=kinds.exact(of="y", at_least=0.0))

    assert bench(declare, around(5.0))["y"].outcome is Outcome.REPRODUCED
    assert bench(declare, around(5.0), recorded=range(4))["y"].outcome is Outcome.INCONCLUSIVE
    assert bench(declare, around(-5.0), recorded=range(4))["y"].outcome is Outcome.CONTRADICTED


def test_a_claim_without_margin_is_not_trivially_true(bench):
    verdict = bench(one_claim(), around(5.0))["y"]
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "states no margin" in verdict.reason


def test_a_natural_bound_as_edge_gets_a_hint(bench):
    def measure(config):
        return {"y": [1.0, 1.0, 0.999, 1.0, 0.998][config.seed]}

    stuck = bench(one_claim(within=(0.99, 1.0)), measure)["y"]
    assert stuck.outcome is Outcome.INCONCLUSIVE
    assert "write within=(0.99, inf)" in stuck.reason
    assert bench(one_claim(within=(0.99, INF)), measure)["y"].outcome is Outcome.REPRODUCED


def test_more_than_ten_thousand_seeds_on_the_edge(bench):
    verdict = bench(one_claim(within=(5, 10)), around(5.0))["y"]
    assert "more than 10,000 seeds" in verdict.reason


def test_data_that_is_not_here_makes_a_claim_not_testable(tmp_path):
    study = Study("far", question="?", config=Config, data="cifar10")
    study.trial(lambda configs: [Measurements.of(y=0.5) for _ in configs])
    study.claim("y", name="y", where="T", kind=kinds.value(of="y"), within=(0, 1))
    plan = planning.make(study, seeds=3, data_dir=tmp_path)
    (verdict,) = judge(study, {"main": pd.DataFrame()}, plan)
    assert verdict.outcome is Outcome.NOT_TESTABLE
    assert "cifar10" in verdict.reason


# --- several looks -----------------------------------------------------------------------------------------------


def test_the_first_look_that_decides_counts(bench):
    """Seeds 0-4 lie at 5, all later ones at 50: the first look decides, and what comes after does not change it."""

    def measure(config):
        return {"y": (5.0 if config.seed < 5 else 50.0) + NOISE[config.seed % 5]}

    sequential = bench(one_claim(within=(2, 10)), measure, seeds=20, looks=(5, 10, 20))["y"]
    assert (sequential.outcome, sequential.n) == (Outcome.REPRODUCED, 5)
    assert sequential.level == pytest.approx(0.025)
    assert bench(one_claim(within=(2, 10)), measure, seeds=20)["y"].outcome is not Outcome.REPRODUCED


def test_looks_beyond_the_records_are_not_taken(bench):
    verdict = bench(one_claim(within=(5, 10)), around(5.0), seeds=10, looks=(5, 10, 20, 40))["y"]
    assert verdict.n == 10
    assert verdict.level == pytest.approx(0.05 / 6)
    assert undecided([verdict]) == [verdict]


def test_an_exact_claim_is_judged_on_all_records_at_any_look(bench):
    def declare(study):
        study.claim("all fit", name="y", where="T", kind=kinds.exact(of="y", at_least=1.0))

    found = bench(declare, lambda config: {"y": float(config.seed != 7)}, seeds=10, looks=(5, 10))["y"]
    assert found.outcome is Outcome.CONTRADICTED


def test_judge_with_looks_is_the_vectorised_rule_of_the_simulations(bench):
    looks, levels = (4, 8, 16), [spending.level(k, 0.05) for k in (1, 2, 3)]
    regions = {"a": (0.0, INF), "b": (-0.5, 0.5), "c": (0.6, INF)}

    def declare(study):
        for name, region in regions.items():
            kind = kinds.value(of=name, null=0.0 if name == "c" else None)
            study.claim(name, name=name, where="T", kind=kind, within=region)

    seen = set()
    for draw in range(12):
        x = np.random.default_rng(draw).normal(0.25, 0.5, size=(3, 16))
        found = bench(
            declare, lambda c, x=x: dict(zip("abc", map(float, x[:, c.seed]), strict=True)), seeds=16, looks=looks
        )
        low, high = np.array(list(regions.values())).T
        stages = []
        for look, level in zip(looks, levels, strict=True):
            t = one_sided_tests(x[:, :look], low=low, high=high, null=[np.nan, np.nan, 0.0])
            stages.append(settle(t.p_inside, t.p_outside, t.p_direction, level=level))
        first = spending.first_decision(np.array(stages) != "inconclusive")
        assert [found[name].outcome for name in "abc"] == [stages[k][i] for i, k in enumerate(first)]
        seen |= {found[name].outcome for name in "abc"}
    assert len(seen) >= 3  # the comparison saw different outcomes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.0}, "alpha = 0.0 is no error probability"),
        ({"alpha": 0.7}, "choose one between 0 and 0.5"),
        ({"looks": ()}, "must be increasing numbers of seeds"),
        ({"looks": (10, 5)}, "must be increasing numbers of seeds"),
    ],
)
def test_senseless_options_are_refused(bench, options, message):
    with pytest.raises(InvalidInput, match=message):
        bench(one_claim(within=(2, 10)), around(5.0), **options)


# --- properties --------------------------------------------------------------------------------------------------

numbers = st.lists(st.floats(-5, 5).map(lambda v: round(v, 2)), min_size=5, max_size=5)


@settings(max_examples=25, deadline=None)
@given(numbers, st.floats(-3, 3), st.floats(0.1, 3), st.floats(0.01, 100), st.permutations(range(5)))
def test_units_and_order_of_rows_do_not_change_a_verdict(values, paper, margin, scale, order):
    def verdict(values, paper, margin, null, order=range(5)):
        study = Study("s", question="?", config=Config)
        claim = study.claim("y", where="T", kind=kinds.value(of="y", null=null), paper=paper, margin=margin)
        rows = pd.DataFrame({"seed": list(order), "y": [values[i] for i in order], "status": "ok"})
        evidence = assess(claim, rows, paper=claim.paper, region=claim.region)
        p = [np.array([p]) for p in (evidence.p_inside, evidence.p_outside, evidence.p_direction)]
        return settle(*p, level=0.05)[0]

    plain = verdict(values, paper, margin, paper - margin - 1)
    moved = verdict([v * scale for v in values], paper * scale, margin * scale, (paper - margin - 1) * scale, order)
    assert moved == plain


@settings(max_examples=25, deadline=None)
@given(numbers, st.floats(-3, 3), st.floats(0, 3), st.floats(0, 3))
def test_a_reproduced_claim_stays_so_with_a_wider_margin(values, paper, margin, more):
    x = np.array(values)
    narrow = weigh(kinds.Component("y", x, paper - margin, paper + margin))
    wide = weigh(kinds.Component("y", x, paper - margin - more, paper + margin + more))
    if narrow.p_inside <= 0.05:
        assert wide.p_inside <= 0.05
        assert narrow.p_outside > 0.05
        assert wide.p_outside > 0.05
