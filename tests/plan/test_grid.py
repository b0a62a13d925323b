"""Sweep x seeds x scale x overrides, against products written out by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from lemmata.errors import InvalidInput, UnknownName
from lemmata.plan import grid
from lemmata.study import Claim, Config, Experiment, Section, Study, kinds


class Network(Section):
    width: int = Field(default=8, gt=0)


class Net(Config):
    labels: str = "true"
    p: float = Field(default=0.0, ge=0, le=1)
    hidden: tuple[int, ...] = (4,)
    maybe: tuple[int, ...] | None = None
    network: Network = Network()


def experiment(**options) -> Experiment:
    return Experiment("main", namespace="s/main", config=Net, **options)


def values(configs, *names):
    return [tuple(config.flat()[name] for name in names) for config in configs]


def claim(**select) -> Claim:
    return Claim(name="c", statement="c", where="w", kind=kinds.value(of="a"), experiment="main", select=select)


def test_a_sweep_is_the_union_of_its_grids_each_configuration_once():
    made = grid.members(experiment(sweep=[{"labels": ["true", "random"]}, {"p": [0.0, 0.5]}]), "smoke", seeds=2)
    expected = [("true", 0.0), ("random", 0.0), ("true", 0.5)]
    assert values(made, "labels", "p", "seed") == [(*pair, seed) for pair in expected for seed in (0, 1)]


def test_seeds_come_from_the_scale():
    assert values(grid.members(experiment(seeds={"laptop": 3}), "laptop"), "seed") == [(0,), (1,), (2,)]


def test_a_value_removes_an_axis_and_a_list_replaces_or_adds_one():
    swept = experiment(sweep={"p": [0.0, 0.5, 1.0]}, scales={"smoke": {"p": [0.0, 1.0], "labels": "random"}})
    assert values(grid.members(swept, "smoke", seeds=1), "labels", "p") == [("random", 0.0), ("random", 1.0)]
    assert values(grid.members(swept, "smoke", {"p": 0.3}, 1), "p") == [(0.3,)]
    assert values(grid.members(swept, "smoke", {"network.width": [1, 2]}, 1), "p", "network.width") == [
        (p, w) for p in (0.0, 1.0) for w in (1, 2)
    ]  # an override beats the scale, and leaves the scale's other settings
    assert values(grid.members(swept, "laptop", {"p": ["0.1", "0.2"]}, 1), "p") == [(0.1,), (0.2,)]


@settings(max_examples=30, deadline=None)
@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=4, unique=True),
    widths=st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True),
    n=st.integers(1, 4),
)
def test_members_are_the_product(p, widths, n):
    made = grid.members(experiment(sweep={"p": p, "network.width": widths}), "paper", seeds=n)
    assert values(made, "p", "network.width", "seed") == list(product(p, widths, range(n)))


def test_seed_is_an_axis_like_any_other():
    assert values(grid.members(experiment(), "smoke", {"seed": [7, 9]}), "seed") == [(7,), (9,)]


def test_a_sequence_is_a_value_of_a_field_that_holds_one():
    assert grid.axis(Net, "hidden", (4, 4)) == [(4, 4)]
    assert grid.axis(Net, "hidden", [4, 4]) == [[4, 4]]
    assert grid.axis(Net, "hidden", [(4,), (8, 8)]) == [(4,), (8, 8)]
    assert grid.axis(Net, "maybe", (4, 4)) == [(4, 4)]
    assert grid.axis(Net, "p", (0.1, 0.2)) == [0.1, 0.2]


def test_numbers_of_numpy_are_taken():
    made = grid.members(
        experiment(sweep={"network.width": np.array([1, 2]), "p": np.linspace(0, 1, 2)}), "smoke", seeds=1
    )
    assert values(made, "network.width", "p") == [(1, 0.0), (1, 1.0), (2, 0.0), (2, 1.0)]
    assert grid.axis(Net, "seed", range(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("overrides", "seeds", "message"),
    [
        ({"p": []}, 1, r"p = \[\]: an axis wants at least one value"),
        ({}, 0, "seeds = 0: an experiment wants at least one seed"),
        ({"p": 1.5}, 1, "Net: p = 1.5: input should be less than or equal to 1"),
        ({"network.width": 0}, 1, "Net: network.width = 0: input should be greater than 0"),
        ({"network.width": "wide"}, 1, "Net: network.width = 'wide': input should be a valid integer"),
    ],
)
def test_a_value_that_does_not_fit_is_named(overrides, seeds, message):
    with pytest.raises(InvalidInput, match=message):
        grid.members(experiment(), "smoke", overrides, seeds)


class Solve(Config):
    n: int = 10
    ridge: float = 0.0


@pytest.fixture
def study():
    made = Study("s", question="q")
    made.experiment("nets", config=Net)
    made.experiment("solve", config=Solve)
    return made


def test_an_override_goes_to_the_experiments_that_have_the_field(study):
    assert grid.by_experiment(study, {"p": 0.5, "seed": 3, "solve.n": 5}) == {
        "nets": {"p": 0.5, "seed": 3},
        "solve": {"seed": 3, "n": 5},
    }


def test_a_field_that_no_experiment_has_is_met_with_the_nearest(study):
    with pytest.raises(UnknownName, match=r"unknown field 'network.widht'; did you mean 'network.width'\?"):
        grid.by_experiment(study, {"network.widht": 4})
    with pytest.raises(UnknownName, match=r"unknown field 'solve.rigde'; did you mean 'solve.ridge'\?"):
        grid.by_experiment(study, {"solve.rigde": 4})
    with pytest.raises(UnknownName, match=r"unknown field 'solve.p'"):
        grid.by_experiment(study, {"solve.p": 4})


def test_a_claim_selects_by_value_and_a_list_allows_several():
    configs = grid.members(experiment(sweep={"p": [0.0, 0.5, 1.0], "hidden": [(4,), (8, 8)]}), "smoke", seeds=1)
    chosen = grid.selected(experiment(), claim(p=[0, 1], hidden=(8, 8)), configs)
    assert values(chosen, "p", "hidden") == [(0.0, (8, 8)), (1.0, (8, 8))]
    assert len(grid.selected(experiment(), claim(), configs)) == 6


def test_a_select_of_the_wrong_type_names_the_claim():
    with pytest.raises(InvalidInput, match="claim 'c' selects p = 'half': Input should be a valid number"):
        grid.selected(experiment(), claim(p="half"), [])


def test_a_control_replaces_fields_of_the_claims_configurations():
    configs = grid.members(experiment(sweep={"p": [0.0, 1.0]}), "smoke", seeds=2)
    made = grid.controlled(configs, claim(), {"network.width": 1})
    assert values(made, "p", "network.width", "seed") == [(p, 1, seed) for p in (0.0, 1.0) for seed in (0, 1)]
    assert values(grid.controlled(configs, claim(), {"p": 0.5}), "p", "seed") == [(0.5, 0), (0.5, 1)]


def test_a_control_with_an_unknown_field_names_the_claim():
    with pytest.raises(UnknownName, match=r"field in a control of claim 'c': 'widht'"):
        grid.controlled(grid.members(experiment(), "smoke"), claim(), {"widht": 1})


def test_a_claim_that_nothing_at_any_scale_matches_is_a_slip():
    swept = experiment(sweep={"p": [0.0, 0.5]}, scales={"paper": {"p": [0.7]}})
    grid.check_select(swept, claim(p=0.7))
    with pytest.raises(InvalidInput) as told:
        grid.check_select(swept, claim(p=0.6))
    assert str(told.value) == (
        "claim 'c' selects p = 0.6, which no scale of experiment 'main' sweeps (p is swept over 0.0, 0.5, 0.7); "
        "change `select`, or add the values to the sweep"
    )
