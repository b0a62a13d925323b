"""A study from declaration to verdict by one call, and again from the records alone."""

import numpy as np
import pytest

import lemmata as lm
from lemmata.errors import InvalidInput
from lemmata.laboratory import Run, run_each


class Coin(lm.Config):
    bias: float = 0.5
    tosses: int = 100


def coin() -> lm.Study:
    study = lm.Study(
        "coin", question="Is it fair?", config=Coin, sweep={"bias": [0.5]}, seeds={"laptop": 4}, vectorised=("seed",)
    )

    @study.trial
    def toss(configs):
        heads = [np.random.default_rng([c.seed]).random(c.tosses) < c.bias for c in configs]
        return [lm.Measurements.of(heads=h.mean()) for h in heads]

    return study


def fair(study: lm.Study, margin: float) -> lm.Study:
    claim = study.claim(
        "heads half of the time", where="p. 1", name="fair", kind=lm.kinds.value(of="heads"), paper=0.5, margin=margin
    )
    claim.control("a loaded coin", bias=0.95)
    return study


def test_run_then_recall_gives_the_same_verdicts(tmp_path):
    done = lm.run(fair(coin(), 0.2), store=tmp_path / "store")
    assert [v.outcome.value for v in done.verdicts] == ["reproduced"]
    assert done.outcome is not None
    assert done.outcome.done == 2
    again = lm.recall(fair(coin(), 0.2), store=tmp_path / "store")
    assert again.verdicts[0].reason == done.verdicts[0].reason
    assert again.verdicts[0].p_inside == done.verdicts[0].p_inside


def test_recall_of_an_empty_store_is_inconclusive_and_runs_nothing(tmp_path):
    empty = lm.recall(fair(coin(), 0.2), store=tmp_path / "store")
    assert [v.outcome.value for v in empty.verdicts] == ["inconclusive"]
    assert not list((tmp_path / "store").rglob("record.json"))


def test_until_decided_doubles_the_seeds_and_stops_when_decided(tmp_path):
    # sd of a seed's share of heads is 0.05, so a margin of 0.03 needs some 20 seeds, and 4 cannot do
    done = lm.run(fair(coin(), 0.03), store=tmp_path / "store", until_decided=256)
    assert done.verdicts[0].outcome.value == "reproduced"
    assert done.verdicts[0].n in (16, 32, 64, 128)
    recalled = lm.recall(fair(coin(), 0.03), store=tmp_path / "store", until_decided=256)
    assert recalled.verdicts[0].n == done.verdicts[0].n
    assert recalled.verdicts[0].level == done.verdicts[0].level < 0.05


def test_each_of_many_studies_is_looked_at_until_it_is_decided(tmp_path):
    """As one by one: what a study takes of looks costs the others nothing."""
    margins = (0.3, 0.05, 0.0005)
    alone = [lm.run(fair(coin(), m), store=tmp_path / f"{m}", until_decided=64).verdicts[0] for m in margins]
    studies = [fair(coin(), m) for m in margins]
    found = {id(study): run for study, run in run_each(studies, store=tmp_path / "all", until_decided=64)}
    together = [found[id(study)].verdicts[0] for study in studies]
    assert [(v.outcome, v.n, v.level) for v in together] == [(v.outcome, v.n, v.level) for v in alone]
    assert len({v.n for v in alone}) == 3


class Bent(lm.kinds.value):
    def components(self, *given):
        raise IndexError("a kind of one's own is broken")


def test_a_study_that_cannot_be_planned_or_judged_comes_back_with_its_error(tmp_path):
    bent = coin()
    bent.claim("heads", where="p. 1", name="bent", kind=Bent(of="heads"), paper=0.5, margin=0.2)
    studies = [lm.Study("empty", question="Is anything here?"), bent, fair(coin(), 0.2)]
    found = {(study.name, type(run)) for study, run in run_each(studies, store=tmp_path)}
    assert found == {("empty", InvalidInput), ("coin", IndexError), ("coin", Run)}


def test_until_decided_stops_when_the_seeds_are_spent(tmp_path):
    done = lm.run(fair(coin(), 0.0005), store=tmp_path / "store", until_decided=16)
    assert done.verdicts[0].outcome.value == "inconclusive"
    assert done.verdicts[0].n == 16


def test_the_store_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LEMMATA_STORE", str(tmp_path / "elsewhere"))
    lm.run(coin())
    assert list((tmp_path / "elsewhere").rglob("record.json"))


def test_an_unknown_engine_is_named(tmp_path):
    with pytest.raises((InvalidInput, lm.errors.UnknownName), match="cluster"):
        lm.run(coin(), store=tmp_path / "store", engine="cluster")


def two_scales() -> lm.Study:
    study = lm.Study("two-scales", question="Which?")
    for name, seeds in (("small", {"laptop": 3, "paper": 3}), ("large", {"paper": 3})):
        experiment = study.experiment(name, config=Coin, seeds=seeds)
        experiment.trial(lambda configs: [lm.Measurements.of(heads=0.5) for _ in configs])
        experiment.claim(
            f"heads half of the time, {name}",
            where="p. 1",
            name=name,
            kind=lm.kinds.value(of="heads"),
            paper=0.5,
            margin=0.1,
        )
    return study


def test_claims_of_another_scale_are_named_and_not_judged(tmp_path):
    done = lm.run(two_scales(), store=tmp_path / "store")
    assert [v.claim.name for v in done.verdicts] == ["small"]
    assert done.study.notes == "Not asked in this run (scale laptop): heads half of the time, large."


def test_only_runs_the_experiments_named(tmp_path):
    done = lm.run(two_scales(), store=tmp_path / "store", scale="paper", only=["large"])
    assert [v.claim.name for v in done.verdicts] == ["large"]
    assert set(done.tables) == {"large"}
    with pytest.raises(lm.errors.UnknownName, match="did you mean 'large'"):
        lm.run(two_scales(), store=tmp_path / "store", only=["lrage"])


def test_an_extension_leaves_the_claims_of_its_base_alone(tmp_path):
    base = fair(coin(), 0.2)
    more = base.extend("more", question="And others?", sweep={"bias": [0.5], "tosses": [100, 400]})
    trend = more.experiments["main"].claim(
        "more tosses", where="ours", name="more", kind=lm.kinds.exact(of="heads", at_least=0.0), select={"tosses": 400}
    )
    done = lm.run(more, store=tmp_path / "store")
    assert {v.claim.name: v.outcome.value for v in done.verdicts} == {"fair": "reproduced", trend.name: "reproduced"}
    assert len(done.plan.of_claim["fair"]) == 4
    assert len(done.plan.of_claim["more"]) == 4


def test_missing_records_make_no_verdict_stronger(tmp_path):
    def asking(claims: int) -> lm.Study:
        study = fair(coin(), 0.2)
        for i in range(claims):
            study.claim("never measured", where="-", name=f"no-{i}", kind=lm.kinds.value(of="tails"), within=(0.0, 1.0))
        return study

    alone = lm.run(asking(0), store=tmp_path / "store").verdicts[0]
    among = lm.run(asking(9), store=tmp_path / "store").verdicts[0]
    assert among.p_inside == pytest.approx(10 * alone.p_inside, rel=1e-9)
    assert "corrected over 10 claims" in among.reason


def test_a_report_before_the_first_record_leaves_the_store_usable(tmp_path):
    study = coin()

    @study.figure
    def heads(table):
        series = lm.Series(label="none", x=[1.0, 2.0], y=[1.0, 2.0])
        panel = lm.Panel(x=lm.Axis(label="x"), y=lm.Axis(label="y"), series=[series])
        return lm.Figure(name="f", title="F", caption="Nothing.", panels=[panel])

    lm.recall(study, store=tmp_path / "store").report(tmp_path / "report.html")
    done = lm.run(study, store=tmp_path / "store")
    assert len(done.tables["main"]) == 4
