"""The figures of the study of Saxe, McClelland and Ganguli (2014)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies import _saxe_2014_theory as theory
from lemmata.studies._saxe_2014_networks import MODES, STRENGTHS

TIME = Axis(label="time = steps × step size")
PLAIN = {"depth": 2, "start": 1e-3, "white": True}


def modes(table) -> Figure:
    """Every mode against time, with the solution: decoupled weights, small random ones, and large ones."""
    plain = _rows(table, **PLAIN, strength=1.0)
    cases = [
        ("decoupled", _rows(plain, initial="decoupled")),
        ("small and random", _rows(plain, initial="random", size=0.005)),
        ("large and random", _rows(plain, initial="random", size=0.2)),
    ]
    panels = []
    for title, rows in cases:
        if not len(rows):
            continue
        one = rows[rows.seed == rows.seed.min()].iloc[0]
        series = []
        for i, s in zip(MODES, STRENGTHS, strict=True):
            series.append(Series(label=f"s = {s:g}", x=one[f"mode_{i}"].x, y=one[f"mode_{i}"].y))
        for i in MODES:
            label = "solution, decoupled" if i == 1 else ""
            series.append(Series(label=label, x=one[f"theory_{i}"].x, y=one[f"theory_{i}"].y, role="theory"))
        panels.append(Panel(x=TIME, y=Axis(label="strength of the mode, uᵀW₂W₁v"), series=series, title=title))
    return Figure(
        name="modes",
        title="Stage by stage: each mode a plateau, then a transition",
        caption="Two layers, white inputs, one draw of each. The solution starts from the measured a₀ of each mode; "
        "overlaps between modes delay the weak ones a little, and large weights are another regime.",
        panels=panels,
    )


def half_times(table) -> Figure:
    """Half-times against singular values, for two multiples of the target, with the learning time."""
    rows = _rows(table, **PLAIN, initial="decoupled")
    series = []
    for strength, own in rows.groupby("strength"):
        values = own[[f"half_time_{i}" for i in MODES]].to_numpy(dtype=float)
        s = strength * np.array(STRENGTHS)
        label = "singular values 4, 2, 1, 1/2" if strength == 1 else f"times {strength:g}"
        series.append(Series(label=label, x=s, y=values.mean(0), style="points"))
    s = np.geomspace(0.4, 9, 60)
    curve = [theory.half_time(v, PLAIN["start"]) for v in s]
    series.append(Series(label="log(s/a₀ − 1) / 2s", x=s, y=curve, role="theory"))
    times = Panel(
        x=Axis(label="singular value s", log=True), y=Axis(label="half-time × step size", log=True), series=series
    )
    random = _rows(table, **PLAIN, initial="random", size=0.005)
    cases = ("decoupled solution", "with overlaps", "decoupled weights")
    off = [
        Series.over_seeds(label, own.assign(case=float(i)), x="case", y=name, style="points")
        for i, (label, own, name) in enumerate(
            (
                ("random weights, from the decoupled solution", random, "deviation"),
                ("random weights, from the solution with overlaps", random, "coupled_deviation"),
                ("decoupled weights, from the solution", _rows(rows, strength=1.0), "deviation"),
            )
        )
        if len(own) > 1
    ]
    y = Axis(label="largest deviation of a mode / s", log=True)
    apart = Panel(x=Axis(label="", ticks=cases), y=y, series=off, title="what is left over")
    return Figure(
        name="half-times",
        title="Half the time for twice the singular value",
        caption="Left: descent from decoupled weights, a₀ = 1/1000, with the paper's learning time. Right: the largest "
        "deviation over all times and modes, from small random weights; the overlap of modes explains it down to the "
        "error of the step.",
        panels=[times, apart] if off else [times],
    )


def depths(table) -> Figure:
    """Steps to half, times c, against depth: weights of fixed product, and of fixed size."""
    rows = table[table.white.astype(bool)]
    own = rows[rows.layer_weight.isna() & np.isclose(rows.start, 0.1)]
    N = np.arange(1, own.depth.max() + 1)
    curve = [theory.half_time(1.0, 0.1, int(n)) * n for n in N]
    deeper = N[N >= 4]
    fixed = [theory.half_time(1.0, 0.8 ** float(n), int(n)) * n for n in deeper]
    series = [
        Series.over_seeds("measured, a₀ = 0.1", own, x="depth", y="scaled_half_time", style="points"),
        Series(label="solution, a₀ = 0.1", x=N, y=curve, role="theory"),
        Series(label="solution, weights of size 0.8", x=deeper, y=fixed, role="control"),
    ]
    limit = Reference(
        label="limit of infinite depth", value=theory.half_time_of_infinite_depth(1.0, 0.1), role="theory"
    )
    panel = Panel(
        x=Axis(label="layers N", log=True), y=Axis(label="steps to half × c, step size c/N", log=True), series=series,
        references=[limit],
    )  # fmt: skip
    return Figure(
        name="depths",
        title="The delay of depth is finite, if the weights' product is not small",
        caption="Decoupled weights, singular value 1: the number of steps to half of it at the step c/N, which the "
        "largest curvature allows. With layers of one size at every depth the product starts at size^N, and the delay "
        "has no limit.",
        panels=[panel],
    )


def initialisations(table) -> Figure:
    """Learning times by depth from random orthogonal and scaled Gaussian weights."""
    own, series = table[(table.most == table.most.max()) & (table.gain == 1)], []
    for label, name in (("orthogonal", "orthogonal"), ("Gaussian, variance 1/width", "gaussian")):
        rows = own[own.initial == name]
        rows = rows.groupby("depth").filter(lambda some: bool(np.isfinite(some.steps).all()))
        if len(rows):
            series.append(Series.over_seeds(label, rows, x="depth", y="steps"))
    y = Axis(label="steps to a thousandth of the loss", log=True)
    panel = Panel(x=Axis(label="layers N", log=True), y=y, series=series)
    return Figure(
        name="initialisations",
        title="Orthogonal weights learn as fast at any depth, others do not",
        caption="Steps at the best of six step sizes c/N: mean over draws with its 95 % interval. Depths at which some "
        "draw did not arrive are left out.",
        panels=[panel],
    )


def _rows(table, **fields):
    for name, wanted in fields.items():
        same = (
            table[name] == wanted if isinstance(wanted, str | bool) else np.isclose(table[name].astype(float), wanted)
        )
        table = table[same]
    return table
