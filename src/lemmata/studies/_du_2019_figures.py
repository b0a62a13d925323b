"""The figures of the study of Du, Zhai, Poczos, Singh (2019)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Series


def convergence(table) -> Figure:
    """The residual against the steps beside prediction and bound, and networks for which there is none."""
    own = table[~table.control & (table.scaling == "ntk")]
    widths = sorted(own.width.unique())
    shown = dict.fromkeys((widths[0], widths[-1]))
    series = [Series.over_seeds(f"{width} units", own[own.width == width], y="residual") for width in shown]
    widest = own[own.width == widths[-1]]
    series.append(Series.over_seeds("prediction from H", widest, y="predicted", role="theory"))
    series.append(Series.over_seeds("bound (1 − ηλ₀/2)^(k/2)", widest, y="bound", role="theory"))
    controls = table[table.control]
    for name, rows in (
        ("two points parallel", controls[controls.parallel]),
        ("8 units", controls[controls.width == 8]),
    ):
        kept = rows[(rows.eigenvalue == "smallest") & (rows.status == "ok")].drop_duplicates(["seed", "width"])
        kept = kept[kept.width == kept.width.max()] if len(kept) else kept
        if len(kept):
            series.append(Series.over_seeds(name, kept, y="residual", role="control"))
    clean = [Series(label=s.label, x=s.x, y=s.y, seeds=s.seeds, role=s.role) for s in series]
    panel = Panel(
        x=Axis(label="steps of gradient descent"), y=Axis(label="|y − u(k)| / |y − u(0)|", log=True), series=clean
    )
    return Figure(
        name="convergence",
        title="Descent converges at the rate of the kernel, and faster than the bound",
        caption="Every line is a seed, the thick ones their mean; near 1e-6 float32 rounds. Where two points are "
        "parallel and their labels differ, or with eight units, nothing converges.",
        panels=[panel],
    )


def against_width(table) -> Figure:
    """Distance, flips and the error of the prediction against the width: the paper's Figure 1."""
    kept = table[(table.eigenvalue == "smallest") & ~table.parallel & (table.width > 8)]
    kinds = {"1/√m": kept[(kept.scaling == "ntk") & ~kept.control], "1/m, mean field": kept[kept.scaling != "ntk"]}
    quantities = {
        "distance": "largest |w_r − w_r(0)|",
        "flips": "share of activations flipped",
        "rate_error": "largest error of the predicted residual",
    }
    panels = []
    for name, label in quantities.items():
        series = []
        for scaling, rows in kinds.items():
            if len(rows):
                rows = rows.drop_duplicates(["seed", "width"])  # noqa: PLW2901 - a control repeats over claims
                role = "measured" if scaling == "1/√m" else "control"
                series.append(Series.over_seeds(scaling, rows, x="width", y=name, role=role))
        first = series[0]
        slope = first.y[0] * np.sqrt(first.x[0] / first.x)
        series.append(Series(label="slope −1/2", x=first.x, y=slope, role="theory"))
        x = Axis(label="width m", unit="units", log=True)
        panels.append(Panel(x=x, y=Axis(label=label, log=True), series=series))
    return Figure(
        name="against-width",
        title="The wider the network, the less each weight moves",
        caption="After the last step. Mean over seeds with its 95 % interval, and m^(−1/2) through the first point.",
        panels=panels,
    )
