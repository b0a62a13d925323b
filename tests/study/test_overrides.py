"""Tokens of a command line as overrides by dotted name."""

import pytest

from lemmata.errors import InvalidInput, UnknownName
from lemmata.study import Config, Section, Study
from lemmata.study.overrides import read


class Network(Section):
    width: int = 8
    widths: tuple[int, ...] = (8, 8)


class Fit(Config):
    network: Network = Network()
    weight_decay: float | None = None


class Solve(Config):
    n: int = 10


@pytest.fixture
def study() -> Study:
    made = Study("two", question="Which?")
    made.experiment("fit", config=Fit)
    made.experiment("solve", config=Solve)
    return made


def test_values_axes_tuples_and_none(study):
    tokens = ["--network.width", "64", "--n=1,2", "--network.widths", "4,5", "--weight-decay", "none"]
    assert read(study, tokens) == {
        "network.width": "64",
        "n": ["1", "2"],
        "network.widths": (4, 5),
        "weight_decay": None,
    }


def test_an_experiment_may_be_named(study):
    assert read(study, ["--solve.n", "3"]) == {"solve.n": "3"}


@pytest.mark.parametrize(
    ("tokens", "error", "said"),
    [
        (["--wdith", "3"], UnknownName, "unknown field 'wdith'"),
        (["--solve.m", "3"], UnknownName, "unknown field 'm'; did you mean 'n'|known: n, seed"),
        (["--n"], InvalidInput, "--n wants a value"),
        (["n", "3"], InvalidInput, "unexpected 'n'; write overrides as --FIELD VALUE"),
    ],
)
def test_messages(study, tokens, error, said):
    with pytest.raises(error, match=said):
        read(study, tokens)
