"""Experiments: what is declared, and what a declaration may not say."""

import pytest

from lemmata.errors import InvalidInput, UnknownName
from lemmata.study import Config, Experiment, kinds


class Net(Config):
    p: float = 0.0
    width: int = 4


def experiment(**options):
    return Experiment("main", namespace="s/main", config=Net, **options)


def test_one_grid_or_several():
    assert experiment().sweep == ({},)
    assert experiment(sweep={"p": [0]}).sweep == ({"p": [0]},)
    assert len(experiment(sweep=[{"p": [0]}, {"width": [1]}]).sweep) == 2


def test_scales_are_those_with_seeds():
    made = experiment(seeds={"laptop": 5, "paper": 50}, scales={"paper": {"width": 512}})
    assert made.scales == {"laptop": {}, "paper": {"width": 512}}


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"sweep": {"q": [1]}}, UnknownName, "unknown field 'q'"),
        ({"vectorised": ("sed",)}, UnknownName, r"unknown field 'sed'; did you mean 'seed'\?"),
        ({"scales": {"smoke": {"widht": 1}}}, UnknownName, r"unknown field 'widht'; did you mean 'width'\?"),
        ({"scales": {"papr": {}}}, UnknownName, r"unknown scale 'papr'; did you mean 'paper'\?"),
        ({"seeds": {"laptp": 3}}, UnknownName, r"unknown scale 'laptp'; did you mean 'laptop'\?"),
        (
            {"seeds": {"smoke": 1}, "scales": {"paper": {"width": 1}}},
            InvalidInput,
            "experiment 'main' has settings for scale 'paper' and no number of seeds; add 'paper' to `seeds`",
        ),
        ({"seeds": {"smoke": 0}}, InvalidInput, "experiment 'main': seeds at scale 'smoke' = 0; give at least one"),
        ({"block": 0}, InvalidInput, "experiment 'main': block = 0; a call takes at least one member"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        experiment(**options)


def test_claims_get_a_handle_from_their_statement():
    made = experiment()
    claim = made.claim("The risk peaks, where p = n!", where="w", kind=kinds.value(of="a"), select={"p": 0.5})
    assert (claim.name, claim.experiment, claim.select) == ("the-risk-peaks-where-p-n", "main", {"p": 0.5})
    assert made.claim("x", name="short", where="w", untestable="no data").name == "short"
    assert made.claims[0] is claim


def test_a_claim_wants_a_kind_or_the_reason_why_not():
    with pytest.raises(InvalidInput, match="claim 'x' wants a kind, or `untestable` with the reason"):
        experiment().claim("x", where="w")
    with pytest.raises(UnknownName, match="unknown field 'widht'"):
        experiment().claim("x", where="w", kind=kinds.value(of="a"), select={"widht": 1})


def test_decorators_keep_the_function():
    made = experiment()

    @made.trial
    def trial(configs):
        return []

    @made.theory
    def law(x):
        return x

    @made.figure
    def draw(table):
        return None

    assert made.trial_function is trial
    assert made.theories == {"law": law}
    assert made.figures == [draw]


def test_the_dataset_is_a_name_or_a_function_of_the_configuration():
    assert experiment().dataset(Net()) is None
    assert experiment(data="digits").dataset(Net()) == "digits"
    by_width = experiment(data=lambda config: "digits" if config.width > 4 else None)
    assert [by_width.dataset(Net(width=width)) for width in (4, 5)] == [None, "digits"]
