"""The figures of `grimmer-2023`."""

import numpy as np

from lemmata.descent import Method, constant, grimmer
from lemmata.descent.certificate import published
from lemmata.figures import Axis, Field, Figure, Panel, Reference, Series, mean_and_band

DRAWN = {0: "Nesterov", 1: "constant step 1/L", 3: "t = 3", 7: "t = 7", 31: "t = 31", 127: "t = 127"}


def patterns(table) -> Figure:
    """The steps of three patterns."""
    panels = []
    for t in (7, 31, 127):
        for _, row in _published(table, t).iterrows():
            steps = np.asarray(row["lengths"])
            bars = Series(label="steps", x=np.arange(1, t + 1), y=steps, style="points")
            lines = [
                Reference(label="2: beyond, a step may raise f", value=2.0, role="control"),
                Reference(label=f"average {steps.mean():.4g}", value=float(steps.mean()), role="theory"),
            ]
            panels.append(
                Panel(
                    x=Axis(label="step"), y=Axis(label="length", unit="1/L", log=True), series=[bars], references=lines,
                    title=f"t = {t}",
                )
            )  # fmt: skip
    return Figure(
        name="patterns",
        title="Palindromes of many short steps and a few very long ones",
        caption="The steps of Table 1 for t = 7, 31 and 127. What is proven in the long run is the average.",
        panels=panels,
    )


def multipliers(table) -> Figure:
    """The multipliers lam + Delta gam of three certificates."""
    panels = []
    for t in (7, 31, 127):
        for _, row in _published(table, t).iterrows():
            places = np.arange(t + 2)
            cells = Field(
                label="multiplier", x=places, y=places, z=np.asarray(row["raised"]), kind="heatmap", log=True,
                limits=(1e-6, 100.0),
            )  # fmt: skip
            panels.append(
                Panel(x=Axis(label="point j"), y=Axis(label="point i"), fields=[cells], title=f"t = {t}", equal=True)
            )
    return Figure(
        name="multipliers",
        title="The proofs: how much each inequality between two points counts",
        caption="Multipliers lam + Delta gam of the inequality of points i and j; 0 is the minimiser, k the point "
        "before step k. Every number is a fraction, and their sum is the theorem. Hatched: zero.",
        panels=panels,
        one_scale=True,
    )


def gained(table) -> Figure:
    """What one cycle gains in the worst case, over S delta^2."""
    own = table[~table["control"]]
    series = []
    for t, part in own.groupby("t"):
        part = part.sort_values("gap")  # noqa: PLW2901
        name = f"t = {t}, Delta = {float(published(int(t)).Delta):.3g}"  # type: ignore[call-overload]
        series.append(Series(label=name, x=part["gap"].to_numpy(), y=part["gained"].to_numpy()))
    marks = [
        Reference(label="what the certificates prove", value=1.0, role="theory"),
        Reference(label="Delta of the published certificate", value=1.0, axis="x", role="paper"),
    ]
    panel = Panel(
        x=Axis(label="gap before the cycle", unit="Delta L D^2", log=True),
        y=Axis(label="worst gain of a cycle", unit="S gap^2"),
        series=series,
        references=marks,
    )
    return Figure(
        name="gained",
        title="Small gaps shrink by S gap^2 a cycle, large ones by less",
        caption="The exact worst case of one cycle over all convex functions, by a semidefinite program that knows "
        "nothing of the certificates. They reach up to Delta; the truth reaches farther, and ends abruptly.",
        panels=[panel],
    )


def anywhere(table) -> Figure:
    """Worst cases after whole cycles from an arbitrary start."""
    own = table[~table["control"]]
    panels = []
    for t in (3, 7):
        part = own[(own["t"] == t) & own["searched"]].sort_values("steps_taken")
        if not len(part):
            continue
        n = part["steps_taken"].to_numpy()
        dense = np.arange(1, int(n.max()) + 1)
        series = [
            Series(label="worst case, exact", x=n, y=part["worst"].to_numpy(), style="points"),
            Series(label="x^2 / 2", x=n, y=part["quadratic"].to_numpy(), role="theory"),
            Series(label="Huber, threshold 1/(2S + 1)", x=n, y=part["huber"].to_numpy(), role="theory"),
            Series(label="constant step 1/L, exact", x=dense, y=1 / (4 * dense + 2), role="control"),
        ]
        y = Axis(label="f - f* after whole cycles", unit="L D^2", log=True, limits=(1e-3, 1.0))
        panels.append(Panel(x=Axis(label="steps"), y=y, series=series, title=f"t = {t}"))
    return Figure(
        name="anywhere",
        title="From far away long steps are bad for a long time",
        caption="The worst gap over all convex functions and all starts at distance D: attained by x^2 / 2, on which a "
        "cycle multiplies x by prod |1 - h|, nearly 1. The rate L D^2 / (average T) is a statement about the long run.",
        panels=panels,
    )


def onset(table) -> Figure:
    """When the proven bounds set in."""
    n = np.unique(np.geomspace(100, 1e10, 200).astype(int))
    series = [Series(label="constant step 1/L", x=n, y=_bound(constant(), n), role="control")]
    for t in (3, 7, 31, 127):
        ends = np.unique(np.maximum(n // t, 1) * t)
        series.append(Series(label=f"t = {t}", x=ends, y=_bound(grimmer(t), ends)))
    panel = Panel(
        x=Axis(label="steps", log=True),
        y=Axis(label="proven bound of f - f*", unit="L R^2", log=True),
        series=series,
    )
    return Figure(
        name="onset",
        title="The longer the pattern, the later its proof sets in",
        caption="What the published certificates prove at the ends of cycles from any start; R is the radius of the "
        "level set. For the constant step R may be replaced by the distance D.",
        panels=[panel],
    )


def digits(table) -> Figure:
    """Measured, proven and worst, in one unit; and all methods."""
    own = table[~table["control"]]
    panels = []
    for t in (3, 127):
        rows = own[own["t"] == t]
        ends = np.asarray(rows["gap"].iloc[0].x)
        steps = grimmer(t).steps
        cycles = ends / t
        quadratic = np.prod(1 - steps) ** (2 * cycles) / 2
        huber = 1 / (2 * (2 * cycles * steps.sum() + 1))
        series = [
            _band(f"t = {t}, measured", rows["gap"], "measured"),
            _band("proven", rows["bound"], "theory"),
            Series(label="worst of x^2/2 and Huber, any start", x=ends, y=np.maximum(quadratic, huber), role="control"),
        ]
        panels.append(Panel(x=_STEPS, y=_GAP, series=series, title=f"t = {t}"))
    series = [_band(name, own[own["t"] == t]["gap"], "measured") for t, name in DRAWN.items() if (own["t"] == t).any()]
    panels.append(Panel(x=_STEPS, y=_GAP, series=series, title="all, measured"))
    return Figure(
        name="digits",
        title="On logistic regression longer patterns are faster, and momentum is faster still",
        caption="Objective gap at the ends of cycles, mean over problems with its 95 % band. Proven: from the "
        "published certificate and the radius of the level set, which strong convexity bounds. The worst of the two "
        "functions is a lower bound on the worst case after so many steps.",
        panels=panels,
    )


_STEPS = Axis(label="steps", log=True)
_GAP = Axis(label="f - f*", unit="L D^2", log=True)


def _bound(method: Method, steps: np.ndarray) -> list[float]:
    """What is proven of a method, without its unit; NaN where nothing is."""
    return [method.guarantee.bound(int(k)) if method.guarantee else np.nan for k in steps]


def _published(table, t: int):
    return table[(table["t"] == t) & (table["order"] == "published") & ~table["control"]].head(1)


def _band(label: str, curves, role) -> Series:
    """The geometric mean over seeds with its band, as a line."""
    values = np.log10(np.stack([curve.y for curve in curves]))
    mean, low, high = (10.0**part for part in mean_and_band(values))
    if len(values) == 1:
        low = high = mean
    return Series(label=label, x=curves.iloc[0].x, y=mean, low=low, high=high, role=role)
