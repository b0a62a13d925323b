"""Claims and controls: regions, names, and what is refused."""

import math

import pytest

from lemmata.errors import InvalidInput
from lemmata.study import Claim, kinds

KIND = kinds.value(of="a")


def claim(**options):
    return Claim(name="c", statement="s", where="w", kind=KIND, **options)


@pytest.mark.parametrize(
    ("options", "region"),
    [
        ({}, (-math.inf, math.inf)),
        ({"paper": 2.0}, (-math.inf, math.inf)),
        ({"paper": 2.0, "margin": 0.5}, (1.5, 2.5)),
        ({"paper": 2.0, "within": (1.0, 4.0)}, (1.0, 4.0)),
    ],
)
def test_the_region_is_the_interval_given_or_the_papers_number_with_its_margin(options, region):
    assert claim(**options).region == region


def test_a_control_that_moves_the_location_moves_the_region():
    assert claim(paper=2.0, margin=0.5).region_around(5.0) == (4.5, 5.5)
    assert claim(paper=2.0, within=(1.0, 4.0)).region_around(5.0) == (4.0, 7.0)
    assert claim(within=(1.0, 4.0)).region_around(5.0) == (1.0, 4.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paper": 1.0, "margin": 0.1, "within": (0, 1)}, "claim 'c': give `margin` or `within`, not both"),
        ({"margin": 0.1}, r"claim 'c': margin = 0.1 lies around the paper's number; give `paper` too"),
        ({"paper": 1.0, "margin": -1.0}, r"claim 'c': margin = -1.0 is negative"),
        ({"within": (2, 1)}, r"claim 'c': within = \(2, 1\) is empty; write \(low, high\)"),
        ({"within": (math.nan, 1)}, "is empty"),
    ],
)
def test_a_region_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        claim(**options)


def test_controls_are_chained_and_say_what_moves():
    made = claim(paper=1.0, margin=0.1)
    assert made.control("no ridge", ridge=0.0).control("half", moves="the peak", to=50, n=100) is made
    assert [control.statement for control in made.controls] == ["no ridge", "half (the peak moves to 50)"]
    assert made.controls[1].settings == {"n": 100}
    assert (made.controls[0].to, made.controls[1].to) == (None, 50)
    made.control("wide", **{"network.width": 5})
    assert made.controls[2].settings == {"network.width": 5}


def test_a_control_that_changes_nothing_is_refused():
    with pytest.raises(InvalidInput, match="control 'idle' of claim 'c' changes nothing; name a field"):
        claim().control("idle")
