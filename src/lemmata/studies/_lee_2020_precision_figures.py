"""The figures of the study of Lee et al. (2020)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Series

SIZE = Axis(label="number of samples", log=True)
NAMES = {
    "textbook float32": "textbook recursion, float32",
    "float32": "1 − cos carried, float32",
    "float16": "stored in float16",
    "bfloat16": "stored in bfloat16",
}


def smallest_eigenvalues(table) -> Figure:
    """Smallest eigenvalues against the number of samples, as far as they are positive."""
    own = table[~table.control]
    panels = []
    for (kernel, dimension), rows in own.groupby(["kernel", "dimension"]):
        series = [_curve("float64", rows, "exact", role="theory")]
        for arithmetic, part in rows.groupby("arithmetic"):
            series.append(_curve(NAMES[arithmetic], part, "least"))
            if arithmetic in ("float16", "bfloat16") or kernel == "nngp":
                series.append(_curve(f"rounding, {arithmetic}: 2 s √n", part, "edge", role="control"))
        panels.append(
            Panel(x=SIZE, y=Axis(label="smallest eigenvalue", log=True), series=series,
                  title=f"{kernel.upper()}, points in {dimension} dimensions")
        )  # fmt: skip
    return Figure(
        name="smallest-eigenvalues",
        title="Kernels break where eigenvalues meet rounding",
        caption="Medians over seeds. A line ends where the median is negative: there the matrix is not positive "
        "definite any more. Dashed: the spectral norm of the rounding, from which the place is predicted.",
        panels=panels,
    )


def critical_sizes(table) -> Figure:
    """Critical sizes against the predicted range, a point a seed."""
    own = table[~table.control & np.isfinite(table.critical)]
    series = []
    for (kernel, dimension, arithmetic), rows in own.groupby(["kernel", "dimension", "arithmetic"]):
        label = f"{kernel.upper()} in {dimension} dimensions, {NAMES[arithmetic]}"
        reached = rows[np.isfinite(rows.predicted_first)]
        if len(reached):
            x = reached.predicted_first.to_numpy(dtype=float) * 1.012 ** (np.arange(len(reached)) - len(reached) / 2)
            series.append(Series(label=label, x=x, y=reached.critical.to_numpy(dtype=float), style="points"))
    ends = np.array([8.0, 1024.0])
    series.append(Series(label="no earlier: Weyl", x=ends, y=ends, role="theory"))
    panel = Panel(
        x=Axis(label="size at which rounding could break it", log=True, limits=(8, 1024)),
        y=Axis(label="size at which it breaks", log=True, limits=(8, 1024)),
        series=series,
    )
    return Figure(
        name="critical-sizes",
        title="The spectrum says where",
        caption="A point is a seed, moved a little sideways. On the line and above: rounding at random breaks none "
        "before its norm exceeds the smallest eigenvalue. The textbook recursion lies below: it errs by far more.",
        panels=[panel],
    )


def near_duplicates(table) -> Figure:
    """Smallest eigenvalue in units of float64's, a point a seed."""
    own = table[~table.control]
    order = ["textbook float32", "float32"]
    series = [
        Series.over_seeds("smallest eigenvalue", own, x="arithmetic", y="ratio", order=order, style="points"),
        Series(label="float64", x=[-0.3, 1.3], y=[1.0, 1.0], role="theory"),
        Series(label="not positive definite below", x=[-0.3, 1.3], y=[0.0, 0.0], role="control"),
    ]
    panel = Panel(
        x=Axis(label="arithmetic", ticks=tuple(NAMES[name] for name in order)),
        y=Axis(label="smallest eigenvalue / float64's"),
        series=series,
    )
    return Figure(
        name="near-duplicates",
        title="Near-duplicates break the textbook recursion, and not float32",
        caption="NTK of 5 layers of ReLU on digits and near-duplicates of them: mean over seeds, 95 % interval.",
        panels=[panel],
    )


def _curve(label: str, rows, name: str, **style) -> Series:
    """The median over seeds, where it is positive, of the runs that go to the largest size."""
    longest = max(len(curve.x) for curve in rows[name])
    curves = [curve for curve in rows[name] if len(curve.x) == longest]
    middle = np.median([curve.y for curve in curves], axis=0)
    x = curves[0].x
    negative = np.flatnonzero(middle <= 0)
    end = negative[0] if len(negative) else len(x)
    return Series(label=label, x=x[:end], y=middle[:end], **style)
