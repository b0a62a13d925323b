"""The figures of the study of Kaplan and others (2020)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._kaplan_2020_frontier import best_ratio, size_with_noise
from lemmata.studies._kaplan_2020_regression import PowerLaw

LOSS = Axis(label="loss, without the labels' noise", log=True)


def data_law(table) -> Figure:
    """The loss against the samples for each source, with the limits; without and with noise."""
    own = table[(table.features == table.features.max()) & (table.ridge == 0)]
    panels = [
        Panel(x=Axis(label="samples, n", log=True), y=LOSS, series=_laws(rows, "n"), title=title)
        for noise, title in ((0.0, "no noise: n^-min(b, 2α)"), (0.5, "noise of variance 1/4: no law"))
        if len(rows := own[own.noise == noise])
    ]
    return Figure(
        name="data-law",
        title="A power law in the data, with the exponent of the task",
        caption="Student of 4,096 features, spectrum i^-1.5, signal i^-(1+b): mean over seeds with its 95 % interval, "
        "and the limits of the fixed point. Noise of the labels puts a floor of noise² (α − 1) under the loss.",
        panels=panels,
    )


def parameter_law(table) -> Figure:
    """The loss against the student's features on many samples, with the limits."""
    own = table[(table.noise == 0) & (table.n == table.n.max())]
    panel = Panel(x=Axis(label="features, N", log=True), y=LOSS, series=_laws(own, "features"))
    return Figure(
        name="parameter-law",
        title="A power law in the parameters, with the exponent of the task",
        caption=f"Students of N features on n = {int(own.n.max())} samples: mean over seeds with its 95 % interval, "
        "and the limits of the fixed point.",
        panels=[panel],
    )


def frontier(table) -> Figure:
    """The least loss at each budget and the size that has it, with the lines of theory."""
    own = table[(table.noise == 0) & (table.alpha == 1.5)]
    noisy = table[table.noise == 0.5]
    losses, sizes = [], []
    for b in sorted(own.b.unique()):
        rows = own[own.b == b]
        losses.append(Series.over_seeds(f"b = {b:g}", rows, y="frontier"))
        sizes.append(Series.over_seeds(f"b = {b:g}", rows, y="size"))
        C = rows.frontier.iloc[0].x
        N = np.sqrt(C * best_ratio(b))
        sizes.append(Series(label="theory", x=C, y=N, role="theory"))
        losses.append(Series(label="theory", x=C, y=N**-b / b / (1 - best_ratio(b)), role="theory"))
    if len(noisy):
        sizes.append(Series.over_seeds("b = 1, noise of variance 1/4", noisy, y="size", role="control"))
        C = noisy["size"].iloc[0].x
        sizes.append(Series(label="theory", x=C, y=size_with_noise(C, 1.0, 0.5), role="theory"))
    budget = Axis(label="budget, C = N n", log=True)
    return Figure(
        name="frontier",
        title="What a budget is best spent on",
        caption="Least loss over students of all sizes at a budget, and the size that has it. Without noise N is "
        "(b C / (b + 2))^(1/2), and the loss falls as C^(-b/2); with noise N grows as C^(1/(b+2)).",
        panels=[
            Panel(x=budget, y=Axis(label="least loss", log=True), series=losses, title="loss"),
            Panel(x=budget, y=Axis(label="optimal features, N", log=True), series=sizes, title="size"),
        ],
    )


def _laws(rows, over: str) -> list[Series]:
    series = []
    for b in sorted(rows.b.unique()):
        own = rows[rows.b == b]
        series.append(Series.over_seeds(f"b = {b:g}", own, x=over, y="loss"))
        fixed = {name: own[name].iloc[0].item() for name in ("n", "features", "alpha", "noise")}
        points = np.unique(np.geomspace(own[over].min(), own[over].max(), 12).round().astype(int))
        limits = [PowerLaw.build({**fixed, "b": float(b), over: int(point)}).theory()[0] for point in points]
        series.append(Series(label="limit", x=points, y=limits, role="theory"))
    return series


def deviations(table) -> Figure:
    """How far the loss is from its limit, with the stated error."""
    own = table[(table.noise == 0) & (table.alpha == 1.5) & (table.ridge == 0)]
    series = [Series.over_seeds(f"b = {b:g}", own[own.b == b], x="n", y="deviation") for b in sorted(own.b.unique())]
    stated = own.groupby("n").stated_error.max()
    x, error = stated.index.to_numpy(dtype=float), stated.to_numpy(dtype=float)
    series.append(Series(label="stated error", x=x, y=0 * error, low=-error, high=error, role="theory"))
    panel = Panel(
        x=Axis(label="samples, n", log=True), y=Axis(label="measured / limit − 1"), series=series,
        references=[Reference(label="limit", value=0.0, role="theory")],
    )  # fmt: skip
    return Figure(
        name="deviation",
        title="Distance from the limit",
        caption="Relative deviation of the mean loss from the fixed point: mean over seeds with its 95 % interval, "
        "each seed the mean of 1,024 / n samples. The band is the error stated beforehand, 3 / (n − df₂). Losses of a "
        "large b hang on few features: they differ most from sample to sample, and b = 5 is beyond that error. The "
        "claims are for b = 0.5 and 1.",
        panels=[panel],
    )
