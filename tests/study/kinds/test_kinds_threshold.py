"""Times at which curves arrive, against hand-made curves and a plain loop."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.study import Curve, kinds
from lemmata.study.kinds.threshold import first_crossing, resolution

INF, NAN = math.inf, math.nan
WHOLE = (-INF, INF)
X = [1, 2, 4, 8]


def table(rows):
    frame = pd.DataFrame(rows)
    frame.attrs["fields"] = ["seed", "labels"]
    return frame


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.floats(-2, 2), st.just(NAN)), min_size=1, max_size=8), st.floats(-2, 2), st.booleans())
def test_first_crossing_is_the_first_point_at_or_beyond(y, threshold, rising):
    expected = INF
    for x, value in enumerate(y):
        if (value >= threshold) if rising else (value <= threshold):
            expected = float(x)
            break
    assert first_crossing(Curve(np.arange(len(y)), y), threshold, rising=rising) == expected


def test_resolution_is_the_spacing_before_the_crossing():
    curve = Curve(X, [0.9, 0.8, 0.4, 0.1])
    assert (first_crossing(curve, 0.5), resolution(curve, 0.5)) == (4.0, 2.0)
    assert resolution(curve, 2.0) == 1.0  # at the first point already: the spacing after it
    assert math.isnan(resolution(curve, 0.0))


def test_reached_keeps_infinite_times_and_the_spacing():
    rows = [{"seed": 1, "loss": Curve(X, [0.9, 0.8, 0.7, 0.6])}, {"seed": 0, "loss": Curve(X, [0.9, 0.8, 0.5, 0.1])}]
    (part,) = kinds.reached(of="loss", threshold=0.5).components(table(rows), 4, (3, 5))
    assert part.samples.tolist() == [4.0, INF]
    assert (part.seeds, part.resolution, part.dropped) == ((0, 1), 2.0, 0)
    (rise,) = kinds.reached(of="loss", threshold=0.9, rising=True).components(table(rows), 1, WHOLE)
    assert rise.samples.tolist() == [1.0, 1.0]


def arriving(at):
    """A curve on the points 1 ... 60 that falls to 0 at this point, if ever."""
    x = np.arange(1, 61)
    return Curve(x, np.where(x >= at, 0.0, 1.0))


def test_time_ratio_is_paired_and_knows_its_grid():
    times = {"true": [10, 10, 99, 99, 10], "random": [50, 40, 20, 99, 99]}
    rows = [{"seed": s, "labels": name, "loss": arriving(t)} for name, ts in times.items() for s, t in enumerate(ts)]
    kind = kinds.time_ratio(of="loss", threshold=0.5, over="labels", between=("true", "random"))
    (part,) = kind.components(table(rows), None, (2, 10))
    assert part.samples.tolist() == [5.0, 4.0, 0.0, INF]  # seed 3: neither arrives, no ratio
    assert (part.seeds, part.dropped, part.null) == ((0, 1, 2, 4), 1, 1.0)
    by_hand = np.mean([5 * (1 / 10 + 1 / 50), 4 * (1 / 10 + 1 / 40)])  # ratio times the relative spacings, added
    assert part.resolution == pytest.approx(by_hand)


def test_never_looks_at_every_run():
    rows = [{"seed": s, "labels": name, "loss": arriving(99)} for name in ("a", "b") for s in (0, 1)]
    (quiet,) = kinds.never(of="loss", threshold=0.5).components(table(rows), None, WHOLE)
    assert quiet.exact
    assert quiet.samples.tolist() == [0.0] * 4
    rows[3]["loss"] = arriving(60)
    (loud,) = kinds.never(of="loss", threshold=0.5).components(table(rows), None, WHOLE)
    assert [seed for seed, hit in zip(loud.seeds, loud.samples, strict=True) if hit] == [1]
    rows[0]["loss"] = NAN
    (open_,) = kinds.never(of="loss", threshold=0.5).components(table(rows), None, WHOLE)
    assert (open_.n, open_.dropped) == (3, 1)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (kinds.never(of="z", threshold=1), "no column 'z' in the records"),
        (kinds.never(of="seed", threshold=1), "'seed' is a number a record, and a curve is wanted"),
        (kinds.reached(of="seed", threshold=1), "a curve is wanted"),
        (
            kinds.time_ratio(of="loss", threshold=1, over="labels", between=("a", "c")),
            "no records at 'c'; levels recorded: a, b",
        ),
    ],
)
def test_what_cannot_be_followed_says_why(kind, message):
    rows = [{"seed": 0, "labels": name, "loss": arriving(5)} for name in ("a", "b")]
    with pytest.raises(InvalidInput, match=message):
        kind.components(table(rows), None, WHOLE)
