"""The figures of the study of Rahaman and others (2019)."""

from dataclasses import replace

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._rahaman_2019_training import LEARNED

STEPS = Axis(label="steps of Adam", log=True)
FREQUENCY = Axis(label="frequency k")


def shares(table) -> Figure:
    """The share of each frequency that is learned, against steps: equal, increasing amplitudes, Fourier features."""
    wide, sigma = _control(table)
    kinds = {
        "equal amplitudes": table[(table.bandwidth == 0) & (table.amplitudes == "equal")],
        "amplitudes increase with k": table[(table.bandwidth == 0) & (table.amplitudes == "increasing")],
        f"control: Fourier features, {sigma}": wide,
    }
    level = Reference(label=f"{LEARNED:.0%}", value=LEARNED, role="theory")
    panels = []
    for title, rows in kinds.items():
        if len(rows):
            k = rows["first"].iloc[0].x
            series = [
                replace(Series.over_seeds(f"k = {k[i]:g}", rows, y=f"share_{i}"), seeds=None) for i in range(len(k))
            ]
            y = Axis(label="share learned", limits=(-0.2, 1.05))
            panels.append(Panel(x=STEPS, y=y, series=series, references=[level], title=title))
    return Figure(
        name="shares",
        title="Low frequencies first, whatever their amplitudes",
        caption="Share of each frequency that the network has learned, mean over seeds with its 95 % interval. With "
        "Fourier features wider than the target, all frequencies are learned at once.",
        panels=panels,
    )


def order(table) -> Figure:
    """Steps to learn each frequency, what a move of the weights leaves of it, and the kernel at the start."""
    equal = table[(table.bandwidth == 0) & (table.amplitudes == "equal")]
    rising = table[(table.bandwidth == 0) & (table.amplitudes == "increasing")]
    wide, sigma = _control(table)
    named = [("equal amplitudes", equal, "measured"), ("increasing", rising, "measured"), (sigma, wide, "control")]
    panels = [
        Panel(x=FREQUENCY, y=Axis(label="steps until learned", log=True), series=_medians(named)),
        Panel(x=FREQUENCY, y=Axis(label="left of it after a move of the weights"), series=_moves(named)),
        Panel(x=FREQUENCY, y=Axis(label="tangent kernel at frequency k", log=True), series=_kernels(named)),
    ]
    return Figure(
        name="order",
        title="The order of frequencies, and what the kernel says before the first step",
        caption=f"Left: steps until {LEARNED:.0%} are learned, median over seeds and each seed (those that never learn "
        "a frequency are not drawn). Middle: mean over random moves of the weights by a tenth of their length. Right: "
        "the tangent kernel at the start on windowed sinusoids, over that of the lowest frequency; k^-2 is the law of "
        "a kernel with a kink in one dimension.",
        panels=panels,
    )


def bandwidths(table) -> Figure:
    """Steps to learn each frequency with Fourier features of three bandwidths."""
    panels = []
    for low, title in ((True, "frequencies 2 to 12"), (False, "frequencies 10 to 60")):
        rows = table[(table.lowest < 10) == low]
        named = [(f"σ = {sigma:g}", part, "measured") for sigma, part in rows.groupby("bandwidth")]
        panels.append(
            Panel(x=FREQUENCY, y=Axis(label="steps until learned", log=True), series=_medians(named), title=title)
        )
    return Figure(
        name="bandwidths",
        title="Fourier features move the bias beyond their bandwidth",
        caption=f"Steps until {LEARNED:.0%} of a frequency are learned, median over seeds and each seed: flat below "
        "the bandwidth σ of the features, rising beyond it.",
        panels=panels,
    )


def _control(table):
    """The rows of the control, Fourier features wider than the target, and their bandwidth in words."""
    rows = table[(table.bandwidth > 0) & (table.amplitudes == "equal")]
    return rows, f"σ = {rows.bandwidth.max():g}"


def _medians(named) -> list[Series]:
    """The median over seeds, which a run that never learns a frequency counts in as infinite, and every seed."""
    series = []
    for label, rows, role in named:
        if len(rows):
            every = np.stack([curve.y for curve in rows["first"]])
            middle = np.median(every, axis=0)
            finite = [np.where(np.isfinite(part), part, np.nan) for part in (middle, every)]
            x = rows["first"].iloc[0].x
            series.append(Series(label=label, x=x, y=finite[0], seeds=finite[1], role=role))
    return series


def _curves(named, column: str) -> list[Series]:
    return [Series.over_seeds(label, rows, y=column, role=role) for label, rows, role in named if len(rows)]


def _moves(named) -> list[Series]:
    """Without the increasing amplitudes, whose first is too small to divide by."""
    return _curves(named[:1] + named[2:], "retained")


def _kernels(named) -> list[Series]:
    drawn = [replace(series, low=None, high=None) for series in _curves(named[:1] + named[2:], "kernel")]
    k = np.asarray(drawn[0].x)
    return [*drawn, Series(label="k^-2", x=k, y=(k[0] / k) ** 2, role="theory")]
