import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from lemmata.compare import runs, with_paper
from lemmata.compare.beside_paper import placed
from lemmata.compare.two_runs import difference
from lemmata.errors import InvalidInput
from lemmata.plan import make
from lemmata.study import Config, Measurements, Study, kinds
from lemmata.study.kinds import Component
from lemmata.verdicts import judge


class Coin(Config):
    bias: float = 0.5


def toss(configs):
    return [Measurements.of(heads=c.bias + 0.01 * np.random.default_rng(c.seed).normal()) for c in configs]


def ran(*, seeds=5, bias=0.5, scale="laptop"):
    study = Study("coin", title="Coins <i>", question="Fair?", config=Coin, sweep={"bias": [bias]})
    study.trial(toss)
    study.claim("<b>half</b> are heads", where="folklore", kind=kinds.value(of="heads"), paper=0.5, margin=0.05)
    study.claim("at most all", where="logic", kind=kinds.exact(of="heads", at_most=1.0))
    study.claim("a coin of gold", where="Section 9", untestable="no gold here")
    plan = make(study, scale=scale, seeds=seeds)
    rows = [
        {"key": m.key, "control": False, "status": "ok"} | m.config.flat() | dict(toss([m.config])[0].scalars)
        for m in plan.wanted
    ]
    tables = {"main": pd.DataFrame(rows)}
    tables["main"].attrs["fields"] = ["seed", "bias"]
    return SimpleNamespace(study=study, plan=plan, tables=tables, verdicts=judge(study, tables, plan))


def printed(comparison, width=160):
    console = Console(width=width, file=io.StringIO())
    console.print(comparison.as_table())
    return console.file.getvalue()


def test_welch_interval_is_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=7), 2 * rng.normal(size=4) + 1
    found = difference(Component("a", x, seeds=tuple(range(7))), Component("a", y, seeds=tuple(range(4))))
    oracle = stats.ttest_ind(y, x, equal_var=False).confidence_interval(0.95)
    assert found.method == "Welch"
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), rel=1e-12)  # the same formula in float64


def test_paired_interval_is_scipys_and_follows_the_seeds_not_the_order():
    rng = np.random.default_rng(1)
    x = rng.normal(size=6)
    y = x + 0.1 * rng.normal(size=6)
    mixed = rng.permutation(6)
    found = difference(
        Component("a", x, seeds=tuple(range(6))), Component("a", y[mixed], seeds=tuple(int(i) for i in mixed))
    )
    oracle = stats.ttest_rel(y, x).confidence_interval(0.95)
    assert found.method == "paired by seed"
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), rel=1e-9)  # summed in another order


def test_constants_have_an_exact_difference_and_infinite_numbers_none():
    ones, twos = Component("a", np.ones(3), seeds=(0, 1, 2)), Component("a", np.full(4, 2.0), seeds=(0, 1, 2, 3))
    assert (difference(ones, twos).low, difference(ones, twos).high) == (1.0, 1.0)
    never = difference(ones, Component("a", np.array([1.0, np.inf]), seeds=(0, 1)))
    assert never.method == "no interval"
    assert np.isnan(never.mean)


def test_runs_show_verdicts_that_changed_and_settings_that_differ():
    comparison = runs(ran(), ran(bias=0.7, seeds=8))
    half, everything, gold = comparison.claims
    assert (half.first, half.second, half.same) == ("reproduced", "contradicted", False)
    assert half.differences[0].mean == pytest.approx(0.2, abs=0.02)  # sd 0.01: 5 seeds against 8
    assert half.differences[0].method == "Welch"
    assert everything.same
    assert gold.differences == ()
    assert {(s.name, s.first, s.second) for s in comparison.settings} == {
        ("bias", "0.5", "0.7"),
        ("seed", "0, 1, 2, 3, 4", "0, 1, 2, 3, 4, 5, 6, 7"),
    }
    assert "1 of 3 verdicts differ" in printed(comparison)


def test_a_run_against_itself_differs_in_nothing():
    one = ran()
    comparison = runs(one, one)
    assert comparison.settings == ()
    assert all(claim.same for claim in comparison.claims)
    assert [d.mean for claim in comparison.claims for d in claim.differences] == [0.0, 0.0]


def test_runs_without_a_common_claim_are_refused():
    first, second = ran(), ran()
    second.verdicts = []
    with pytest.raises(InvalidInput, match="'coin' and 'coin' share no claim"):
        runs(first, second)


def test_scales_are_named():
    (scale,) = [s for s in runs(ran(), ran(scale="smoke")).settings if s.name == "scale"]
    assert (scale.first, scale.second) == ("laptop", "smoke")


def test_with_paper_places_the_interval():
    half, everything, gold = with_paper(ran()).rows
    assert (half.paper, half.region, half.place, half.outcome) == (0.5, (0.45, 0.55), "inside", "reproduced")
    assert (everything.paper, everything.place) == (None, "inside")
    assert (gold.place, gold.outcome) == ("not measured", "not testable here")
    far = with_paper(ran(bias=0.7)).rows[0]
    assert far.place == "outside"
    assert placed((float("nan"), 1.0), (0, 1)) == "not measured"


@pytest.mark.parametrize("comparison", [runs(ran(), ran()), with_paper(ran())], ids=["runs", "paper"])
def test_markup_in_names_is_text_everywhere(comparison):
    assert "<b>half</b> are heads" in printed(comparison)
    page = comparison.as_html()
    assert "<b>" not in page
    assert "&lt;b&gt;half&lt;/b&gt; are heads" in page
