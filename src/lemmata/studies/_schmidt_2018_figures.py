"""The figures of the study of Schmidt et al. (2018)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

DIMENSION = Axis(label="dimension d", log=True)
SAMPLES = Axis(label="samples for 1 % robust error", log=True)
SHAPES = {"√d": lambda d: d**0.5, "√d / log d": lambda d: d**0.5 / np.log(d)}


def samples_in_d(table) -> Figure:
    """Samples needed against the dimension: Gaussian model, both learners, and what needs one sample."""
    own = table[~table.control & (table.noise == 0.25) & (table.eps == 0.25)]
    series = []
    for learner, label in (("average", "average, ε = 1/4"), ("best", "best learner, ε = 1/4")):
        rows = own[own.learner == learner]
        series.append(Series.over_seeds(label, rows, x="d", y="samples"))
        series.append(_theory(f"theory, {learner}", rows, "d"))
    others = table[(table.noise == 0.25) & (table.learner == "average")]
    euclidean = others[(others.norm == "l2") & (others.eps == 0.25)]
    for label, rows in (("no attack", others[others.eps == 0]), ("ε = 1/4 in l2", euclidean)):
        if len(rows):
            series.append(Series.over_seeds(label, rows, x="d", y="samples", role="control"))
    average = own[own.learner == "average"]
    ends = np.geomspace(average.d.min(), average.d.max(), 20)
    at_end = float(average[average.d == average.d.max()].samples.mean())
    series += [
        Series(label=f"as {name}", x=ends, y=at_end * shape(ends) / shape(ends[-1]), role="paper")
        for name, shape in SHAPES.items()
    ]
    panel = Panel(
        x=Axis(label="dimension d", log=True), y=Axis(label="samples for 1 % robust error", log=True), series=series
    )
    return Figure(
        name="samples",
        title="How many samples robust learning needs",
        caption="Gaussian model, σ = d^(1/4) / 4. Samples for a robust error of 1 %, each seed's own, with theory for "
        "d → ∞. The lines of the paper's two bounds are drawn through the last point. Against no attack, and "
        "against one in the Euclidean norm, one sample suffices.",
        panels=[panel],
    )


def learning_curves(table) -> Figure:
    """Robust error against samples, at each dimension."""
    own = table[~table.control & (table.noise == 0.25) & (table.learner == "average") & (table.eps == 0.25)]
    series = []
    for d, rows in own.groupby("d"):
        series.append(Series.over_seeds(f"d = {d:,.0f}", rows, y="error"))
    for rows in (rows for _, rows in own.groupby("d")):
        curve = rows.predicted_error.iloc[0]
        series.append(Series(label="theory", x=curve.x, y=curve.y, role="theory"))
    panel = Panel(
        x=Axis(label="samples n", log=True), y=Axis(label="robust error"), series=series,
        references=[Reference(label="1 %", value=0.01)],
    )  # fmt: skip
    return Figure(
        name="learning-curves",
        title="From certain error to none within a factor of two",
        caption="Robust error of the average of n samples at ε = 1/4 in the maximum norm, Gaussian model, "
        "σ = d^(1/4) / 4: exact given the data, and theory for d → ∞. The standard error is below 1e-50 from the first "
        "sample on.",
        panels=[panel],
    )


def bernoulli_samples(table) -> Figure:
    """Samples needed against the dimension: Bernoulli model, linear classifiers and the threshold."""
    own = table[~table.control & np.isfinite(table.samples) & (table.bias == table.bias.max())]
    labels = {"average": "linear, average", "majority": "linear, majority signs", "threshold": "threshold, ε = 0.99"}
    series = []
    for learner, label in labels.items():
        rows = own[own.learner == learner]
        series.append(Series.over_seeds(label, rows, x="d", y="samples"))
        if learner != "threshold":
            series.append(_theory(f"theory, {learner}", rows, "d"))
    panel = Panel(
        x=Axis(label="dimension d", log=True), y=Axis(label="samples for 1 % robust error", log=True), series=series
    )
    return Figure(
        name="bernoulli",
        title="A threshold before the classifier makes robust learning easy",
        caption="Bernoulli model, τ = 1.23 d^(-1/4). Samples for a robust error of 1 %: linear classifiers against an "
        "attack of radius τ, and a threshold before one against a radius of 0.99, many times larger.",
        panels=[panel],
    )


def _theory(label: str, rows, x: str) -> Series:
    means = rows.groupby(x).predicted.first()
    return Series(label=label, x=means.index.to_numpy(dtype=float), y=means.to_numpy(), role="theory")
