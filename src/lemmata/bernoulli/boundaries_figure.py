"""A sequential test as a picture: its boundaries in the plane of samples and hit rate, with sample paths drawn in.

A path that rises to a solid boundary is accepted, one that falls to a dashed one is given up; both close in on the
threshold as 1 / sqrt(samples), which is why coins near it are the dear ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lemmata.bernoulli.one_sided_test import Boundaries
from lemmata.bernoulli.procedure import BoolArray, FloatArray, IntArray
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.figures.figure import Role

MOST = 2  # tests in one picture: two boundaries and a threshold each


@dataclass(frozen=True)
class Path:
    """The hits of one coin at numbers of samples, (K,) each, as far as it was tossed."""

    label: str
    samples: IntArray
    hits: IntArray


def boundaries_figure(
    tests: Sequence[Boundaries], paths: Sequence[Path] = (), *, complement: bool = False, title: str = ""
) -> Figure:
    """Draw the boundaries of tests at common looks, and paths over them; `complement` draws 1 - rate.

    A boundary is drawn where it can be reached. Of more than two tests those nearest to where the paths end are drawn,
    the one that was accepted last and the one after it (the first two without paths), and the caption says so.
    """
    shown = _next_to_the_end(tests, paths)
    series = [line for test in shown for line in _boundaries(test, complement)]
    series += [
        Series(label=path.label, x=path.samples, y=_rate(path.hits, path.samples, complement), role="measured")
        for path in paths
    ]
    thresholds = [
        Reference(label=f"threshold {_share(test.p0, complement)}", value=abs(complement - test.p0), role="theory")
        for test in shown
    ]
    panel = Panel(
        x=Axis(label="samples", log=True),
        y=Axis(label="hit rate", limits=_limits(series, thresholds)),
        series=series,
        references=thresholds,
    )
    caption = "A path is accepted where it reaches the upper boundary, and given up where it reaches the lower one."
    if complement:
        caption = "A path is accepted where it reaches the lower boundary, and given up where it reaches the upper one."
    if len(shown) < len(tests):
        caption += f" Of {len(tests)} thresholds the two are drawn between which the paths end."
    return Figure(name="sequential-test", title=title or "A sequential test", caption=caption, panels=[panel])


def _next_to_the_end(tests: Sequence[Boundaries], paths: Sequence[Path]) -> Sequence[Boundaries]:
    """At most two tests, whose thresholds enclose the rate at which the longest path ends."""
    if len(tests) <= MOST:
        return tests
    longest = max(paths, key=lambda path: path.samples[-1], default=None)
    rate = 0.0 if longest is None else longest.hits[-1] / longest.samples[-1]
    above = sum(test.p0 < rate for test in tests)
    first = min(max(above - 1, 0), len(tests) - MOST)
    return tests[first : first + MOST]


def _boundaries(test: Boundaries, complement: bool) -> list[Series]:
    before = test.looks < test.looks[-1]  # at the last look what is not accepted is undecided
    sides: tuple[tuple[str, IntArray, BoolArray, Role], ...] = (
        ("accept", test.accept, test.accept <= test.looks, "theory"),
        ("give up", test.reject, before & (test.reject >= 0), "control"),
    )
    return [
        Series(
            label=f"{verb}, threshold {_share(test.p0, complement)}",
            x=test.looks[there],
            y=_rate(hits[there], test.looks[there], complement),
            role=role,
        )
        for verb, hits, there, role in sides
        if there.any()
    ]


def _rate(hits: IntArray, samples: IntArray, complement: bool) -> FloatArray:
    return np.abs(float(complement) - hits / samples)


def _share(p0: float, complement: bool) -> str:
    return f"{abs(complement - p0):.4g}"


def _limits(series: Sequence[Series], thresholds: Sequence[Reference]) -> tuple[float, float]:
    """All of the accepting boundaries, of the paths and the thresholds; of where to give up what lies near."""
    accepting = np.concatenate(
        [[line.value for line in thresholds], *(np.asarray(line.y) for line in series if line.role != "control")]
    )
    low, high = float(accepting.min()), float(accepting.max())
    room = 0.05 * max(high - low, 1e-6)
    return low - room, high + room
