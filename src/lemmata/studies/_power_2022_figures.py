"""The figures of the study of Power and others (2022)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._power_2022_training import GENERALISED

STEPS = Axis(label="steps", log=True)
ACCURACY = Axis(label="accuracy", limits=(-0.02, 1.02))


def accuracies(table) -> Figure:
    """Accuracy on the training cells and on the others against steps, with weight decay and without."""
    fewest = table[(table.operation == "sum") & np.isclose(table.fraction.astype(float), 0.6)]
    chance = Reference(label="chance, 1/p", value=1 / float(table.p.iloc[0]), role="theory")
    panels = []
    for decay, title in ((1.0, "weight decay 1"), (0.0, "control: no weight decay")):
        rows = fewest[fewest.weight_decay == decay]
        if len(rows):
            series = [
                Series.over_seeds("training cells", _lasting(rows, "training"), y="training"),
                Series.over_seeds("other cells", _lasting(rows, "others"), y="others"),
            ]
            panels.append(Panel(x=STEPS, y=ACCURACY, series=series, references=[chance], title=title))
    return Figure(
        name="accuracies",
        title="By heart first, by rule much later",
        caption="60 % of the table of a + b modulo p. Mean over seeds with its 95 % interval; each thin line is a "
        "seed, which ends, and is drawn on level, when it has found 95 % of the other cells.",
        panels=panels,
    )


def by_fraction(table) -> Figure:
    """Steps to fit, and steps to find the others, against the share of cells."""
    rows = table[(table.operation == "sum") & (table.weight_decay == 1.0)]
    finite = rows[np.isfinite(rows.generalised.astype(float)) & np.isfinite(rows.fitted.astype(float))]
    series = []
    if len(finite):
        series = [
            Series.over_seeds("training cells fitted", finite, x="fraction", y="fitted"),
            Series.over_seeds(f"{GENERALISED:.0%} of the others found", finite, x="fraction", y="generalised"),
        ]
    panel = Panel(
        x=Axis(label="share of cells that is trained on"), y=Axis(label="steps", log=True), series=series,
        title="mean over seeds that get there",
    )  # fmt: skip
    return Figure(
        name="by-fraction",
        title="The fewer cells, the later the rule",
        caption="Steps to 99 % of the training cells and to 95 % of the others, mean over seeds, 95 % interval.",
        panels=[panel],
    )


def _lasting(rows, name: str):
    """Curves of one length: a run that has ended keeps its last value."""
    points = max((curve.x for curve in rows[name]), key=len)
    last = [type(c)(points, np.append(c.y, np.full(len(points) - len(c.y), c.y[-1]))) for c in rows[name]]
    return rows.assign(**{name: last})
