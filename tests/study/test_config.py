"""Configurations: dotted names, types, identity by what differs from the defaults, and the messages."""

from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from lemmata.errors import InvalidInput, UnknownName
from lemmata.study import Config, Section
from lemmata.study.config import field_names, field_type, parse


class Network(Section):
    width: int = Field(default=512, gt=0)
    hidden: tuple[int, ...] = (64, 64)


class Net(Config):
    aspect: float
    labels: Literal["true", "random"] = "true"
    stop: int | None = None
    bias: bool = True
    network: Network = Network()


def test_values_are_set_by_dotted_name_and_typed():
    made = Net.build({"aspect": "0.5", "network.width": "8", "network.hidden": [4, 4], "bias": "false"})
    assert (made.aspect, made.network.width, made.network.hidden, made.bias) == (0.5, 8, (4, 4), False)
    assert Net.build({"aspect": np.float64(2), "network.width": np.int64(3)}).network.width == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"aspect": "wide"}, "Net: aspect = 'wide': input should be a valid number"),
        ({"aspect": 1, "network.width": 0}, "Net: network.width = 0: input should be greater than 0"),
        ({"aspect": 1, "labels": "rnd"}, "Net: labels = 'rnd': input should be 'true' or 'random'"),
        ({"aspect": float("nan")}, "Net: aspect = nan: input should be a finite number"),
        ({"aspect": 1, "seed": -1}, "Net: seed = -1: input should be greater than or equal to 0"),
        ({"aspect": 1, "seed": 1.5}, "Net: seed = 1.5: input should be a valid integer"),
        ({}, "Net: aspect is missing; set it with --aspect"),
        ({"aspect": 1, "network": {"width": 2}, "network.width": 3}, None),
        ({"aspect": 1, "network": 3, "network.width": 3}, "'network' is set as a whole and by 'network.width'"),
    ],
)
def test_a_value_that_does_not_fit_is_named(values, message):
    if message is None:
        assert Net.build(values).network.width == 3
        return
    with pytest.raises(InvalidInput) as told:
        Net.build(values)
    assert str(told.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "near"),
    [("aspekt", "aspect"), ("network.widht", "network.width"), ("width", "network.width"), ("seed.x", "seed")],
)
def test_a_misspelt_name_is_met_with_the_nearest(name, near):
    with pytest.raises(UnknownName, match=f"unknown field '{name}'; did you mean '{near}'"):
        Net.build({"aspect": 1, name: 1})


def test_a_name_near_nothing_is_met_with_all():
    with pytest.raises(UnknownName, match=r"unknown field 'zzz'; known: aspect, bias, labels, network\.hidden"):
        field_type(Net, "zzz")


class Layer(Section):
    width: int
    gain: float = 1.0


class Deep(Section):
    first: Layer = Layer(width=8, gain=0.5)
    steps: int = 10


class Twice(Config):
    """Sections whose values where they stand differ from those of their classes, one within another."""

    network: Network = Network(width=32)
    deep: Deep = Deep(first=Layer(width=4), steps=20)
    made: Layer = Field(default_factory=lambda: Layer(width=6, gain=2.0))


@pytest.mark.parametrize(
    "values",
    [
        {"network.hidden": (8,)},
        {"network.width": 512},
        {"deep.first.gain": 3.0},
        {"deep.steps": 10},
        {"deep.steps": 5, "deep.first.width": 2},
        {"made.gain": 1.0},
        {},
    ],
)
def test_what_a_section_is_declared_with_survives_where_others_of_its_fields_are_set(values):
    declared = Twice().flat()
    assert declared == {
        "seed": 0, "network.width": 32, "network.hidden": (64, 64), "deep.first.width": 4, "deep.first.gain": 1.0,
        "deep.steps": 20, "made.width": 6, "made.gain": 2.0,
    }  # fmt: skip
    made = Twice.build(values)
    assert made.flat() == declared | values
    assert (made.non_default() == {}) == (values == {})
    assert Twice.build(made.flat()) == made


def test_a_required_section_keeps_what_it_declares_within():
    class Wanted(Config):
        deep: Deep

    assert Wanted.build({"deep.first.gain": 2.0}).deep == Deep(first=Layer(width=8, gain=2.0))


def test_configurations_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Net(aspect=1).aspect = 2


def test_names_and_values_by_dotted_name():
    assert field_names(Net) == ["seed", "aspect", "labels", "stop", "bias", "network.width", "network.hidden"]
    made = Net(aspect=0.5)
    assert list(made.flat()) == field_names(Net)
    assert made.flat()["network.hidden"] == (64, 64)
    assert made.plain()["network.hidden"] == [64, 64]
    assert Net.build(made.flat()) == made


def test_identity_sees_what_differs_from_the_defaults():
    assert Net(aspect=0.5).non_default() == {"aspect": 0.5}
    assert Net(aspect=0.5, network=Network(width=8)).non_default() == {"aspect": 0.5, "network": {"width": 8}}
    assert Net.build({"aspect": 0.5, "network.width": 512}).non_default() == {"aspect": 0.5}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("aspect", "0.5", "0.5"),
        ("aspect", "0.5, 1", ["0.5", "1"]),
        ("network.hidden", "4,8", (4, 8)),
        ("network.hidden", "[4, 8]", (4, 8)),
        ("stop", "none", None),
        ("labels", "true,random", ["true", "random"]),
    ],
)
def test_values_from_the_command_line(name, text, value):
    assert parse(Net, name, text) == value
