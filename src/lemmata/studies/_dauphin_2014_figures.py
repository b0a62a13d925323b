"""Figures of `dauphin_2014`: index against loss with three spectra, losses of three methods, paths near two saddles."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._dauphin_2014_points import QUANTILES

NAMES = {"gradient": "gradient descent", "newton": "Newton", "saddle-free": "saddle-free Newton"}


def index_against_loss(table) -> Figure:
    """The index of every critical point against its loss, and the eigenvalues of three of them."""
    own = table[(table.counted == "critical") & (table.hidden > 0)]
    scatter = [
        Series(label="critical points of a seed", x=row.losses, y=row.indices, style="points")
        for row in own.itertuples()
    ]
    loss, spectra = np.concatenate(list(own.losses)), np.concatenate(list(own.spectra))
    order = np.argsort(loss)
    places = sorted({0, len(order) // 2, len(order) - 1})
    shares = [Series(label=f"loss {loss[order[i]]:.3f}", x=spectra[order[i]], y=QUANTILES) for i in places]
    zero = Reference(label="0", value=0.0, axis="x", role="theory")
    return Figure(
        name="index-against-loss",
        title="The higher the loss of a critical point, the more directions lead down",
        caption="Left: share of negative eigenvalues at every critical point found from the starts of any seed, and "
        "of smaller networks. Right: distribution of the eigenvalues at the lowest, the middle and the highest of "
        "them; what is left of 0 leads down.",
        panels=[
            Panel(x=Axis(label="loss"), y=Axis(label="index: share of negative eigenvalues"), series=scatter),
            Panel(
                x=Axis(label="eigenvalue"), y=Axis(label="share of eigenvalues below"), series=shares,
                references=[zero],
            ),
        ],
    )  # fmt: skip


def losses(table) -> Figure:
    """The loss against the step, from beside a saddle."""
    own = table[(table.hidden > 0) & ~table.control.astype(bool)]
    series = [Series.over_seeds(NAMES[method], own[own.method == method], y="loss") for method in NAMES]
    saddle = Reference(label="the saddle's loss", value=float(own.height.iloc[0]), role="theory")
    panel = Panel(x=Axis(label="steps", limits=(0.0, 60.0)), y=Axis(label="loss"), series=series, references=[saddle])
    return Figure(
        name="losses",
        title="From 1/1000 beside a saddle: Newton falls in, the others leave",
        caption="Loss of a small network on digits; mean over directions with its 95 % interval.",
        panels=[panel],
    )


def paths(table) -> Figure:
    """The distance to the saddle against the step, on both surfaces."""
    panels = []
    for surface, title in (("classical", "5x² - y²"), ("monkey", "x³ - 3xy²")):
        own = table[(table.surface == surface) & (table.ratio == 5)]
        series = []
        for method, name in NAMES.items():
            rows = own[(own.method == method) & (own.seed == own.seed.min())]
            curve = rows.distance.iloc[0]
            series.append(Series(label=name, x=curve.x + 1, y=curve.y))
        panels.append(
            Panel(
                x=Axis(label="steps + 1", log=True),
                y=Axis(label="distance to the saddle", log=True, limits=(1e-12, 5.0)),
                series=series,
                title=title,
            )
        )
    return Figure(
        name="paths",
        title="Two saddles of the plane: repelling, attracting, and a plateau",
        caption="Distance to the saddle, one start. Newton's method reaches the classical saddle in one step, to "
        "rounding, and halves its distance to the monkey saddle.",
        panels=panels,
    )
