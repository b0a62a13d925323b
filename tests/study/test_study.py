"""Studies with one experiment, with several, and extensions that share records."""

from pathlib import Path

import pytest

from lemmata.errors import InvalidInput, UnknownName
from lemmata.study import Config, Paper, Study, kinds

KIND = kinds.value(of="a")


class Net(Config):
    p: float = 0.0


def one() -> Study:
    study = Study("s", question="q", title="Base", config=Net, sweep={"p": [0.0, 1.0]}, seeds={"smoke": 2})
    study.claim("holds", where="w", kind=KIND)
    return study


def several() -> Study:
    study = Study("s", question="q")
    study.experiment("nets", config=Net)
    study.experiment("solve", config=Net, seeds={"paper": 3})
    return study


def test_a_study_knows_its_file():
    assert one().source == Path(__file__).resolve()
    assert Study("s", question="q", paper=Paper(key="k", title="On a", authors=("A B",), year=2000)).title == "On a"


def test_the_only_experiment_is_reached_through_the_study():
    study = one()

    @study.trial
    def trial(configs):
        return []

    study.theory(trial)
    study.figure(trial)
    main = study.experiments["main"]
    assert (main.namespace, main.trial_function, main.theories, main.figures) == (
        "s/main", trial, {"trial": trial}, [trial],
    )  # fmt: skip
    assert study.claims == main.claims
    assert study.scales == ["smoke"]


def test_of_several_experiments_each_is_named():
    study = several()
    assert study.scales == ["smoke", "laptop", "paper"]
    for use in (study.trial, study.theory, study.figure):
        with pytest.raises(InvalidInput, match=r"study 's' has not exactly one experiment \(nets, solve\)"):
            use(lambda configs: [])
    with pytest.raises(InvalidInput, match=r"use experiment.claim\(...\)"):
        study.claim("x", where="w", kind=KIND)
    with pytest.raises(InvalidInput, match="study 's' has an experiment 'nets' already; choose another name"):
        study.experiment("nets", config=Net)
    with pytest.raises(InvalidInput, match=r"has not exactly one experiment \(none yet\)"):
        Study("s", question="q").claim("x", where="w", kind=KIND)


def test_options_of_an_experiment_want_a_configuration():
    with pytest.raises(InvalidInput, match=r"study 's': sweep want a `config`, or go to study\.experiment"):
        Study("s", question="q", sweep={"p": [1]})


def test_claims_are_found_by_name():
    assert one().find_claim("holds").statement == "holds"
    with pytest.raises(UnknownName, match=r"unknown claim 'hold'; did you mean 'holds'\?"):
        one().find_claim("hold")


def test_an_extension_has_the_claims_and_the_records_and_leaves_its_base_alone():
    base = one()
    wider = base.extend("t", question="And at 2?", sweep={"p": [2.0]})
    main = wider.experiments["main"]
    assert (wider.extends, wider.name, wider.title, main.namespace) == (base, "t", "Base", "s/main")
    assert main.sweep == ({"p": [0.0, 1.0]}, {"p": [2.0]})
    wider.claim("more", where="w", kind=KIND)
    assert [claim.name for claim in wider.claims] == ["holds", "more"]
    assert [claim.name for claim in base.claims] == ["holds"]
    assert base.experiments["main"].sweep == ({"p": [0.0, 1.0]},)
    twice = wider.extend("u", question="q", sweep={"main": [{"p": [3.0]}, {"p": [4.0]}]})
    assert len(twice.experiments["main"].sweep) == 4
    assert twice.experiments["main"].namespace == "s/main"


def test_an_extension_of_several_experiments_names_them():
    wider = several().extend("t", question="q", sweep={"solve": {"p": [2.0]}})
    assert wider.experiments["nets"].sweep == ({},)
    assert wider.experiments["solve"].sweep == ({}, {"p": [2.0]})
    with pytest.raises(InvalidInput, match="has not exactly one experiment"):
        several().extend("t", question="q", sweep={"p": [2.0]})
