"""The figures of the study of Schoenholz et al. (2017)."""

from dataclasses import replace

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.figures.field import Field
from lemmata.propagation import edge_of_chaos
from lemmata.studies._schoenholz_2017_gradients import fixed_points

BIAS = 0.05


def _points(label: str, table, *, y: str, x: str | None = None) -> Series:
    """Means over seeds with their interval, without the seeds, which would be spread out along the axis."""
    return replace(Series.over_seeds(label, table, x=x, y=y, style="points"), seeds=None)


def maps(table) -> Figure:
    """Variance and correlation against the layer, with theory."""
    own = table[~table.control]
    panels = []
    for name, words, title in (
        ("variance", "variance q of the pre-activations", "from a variance of 4"),
        ("correlation", "correlation c of two inputs", "from a correlation of 1/2"),
    ):
        series = [_points(f"σ_w² = {sw:g}", rows, y=name) for sw, rows in own.groupby("weight_variance")]
        for _, rows in own.groupby("weight_variance"):
            curve = rows[f"expected_{name}"].iloc[0]
            series.append(Series(label="theory", x=curve.x, y=curve.y, role="theory"))
        panels.append(Panel(x=Axis(label="layer"), y=Axis(label=words), series=series, title=title))
    off = max(float(own.variance_off.max()), float(own.correlation_off.max()))
    return Figure(
        name="maps",
        title="Signals in random networks follow the maps of theory",
        caption="Mean of the networks of a seed; points are means over seeds, lines mean-field theory. The largest "
        f"relative deviation is {off:.1%}.",
        panels=panels,
    )


def decay(table) -> Figure:
    """Decay of 1 - c, and the depth scale against the weight variance."""
    own = table[~table.control]
    series = [Series.over_seeds(f"σ_w² = {sw:g}", rows, y="apart") for sw, rows in own.groupby(own.sw.round(6))]
    ends = np.linspace(0, 3, 4)
    series.append(Series(label="theory: exp(−l/ξ_c)", x=ends, y=np.exp(-ends), role="theory"))
    left = Panel(
        x=Axis(label="layer l, in units of ξ_c"),
        y=Axis(label="1 − c, relative to the start", log=True),
        series=[Series(label=s.label, x=s.x, y=s.y, seeds=s.seeds, role=s.role) for s in series],
    )
    measured = _points("measured", own.assign(at=own.sw.round(6)), x="at", y="xi")
    sw = np.linspace(float(own.sw.min()), float(own.sw.max()), 24)
    theory = Series(label="theory: −1/log χ₁", x=sw, y=_scales(sw), role="theory")
    edge = Reference(label="edge of chaos", value=edge_of_chaos("tanh", BIAS), axis="x", role="theory")
    right = Panel(
        x=Axis(label="weight variance σ_w²"),
        y=Axis(label="depth scale ξ_c", unit="layers", log=True),
        series=[measured, theory],
        references=[edge],
    )
    return Figure(
        name="depth-scale",
        title="The depth scale diverges at the edge of chaos",
        caption="Left: mean of 1 − c over networks, every seed and the mean of seeds, against theory. Right: the "
        "fitted depth scale with its 95 % interval over seeds.",
        panels=[left, right],
    )


def _scales(weights: np.ndarray) -> np.ndarray:
    """The depth scale of correlations in the ordered phase."""
    return -1 / np.log(fixed_points(weights, BIAS)[1])


def dropout(table) -> Figure:
    """Correlation of two copies of an input."""
    series, lines = [], []
    for keep, rows in table.groupby("keep", sort=False):
        series.append(Series.over_seeds(f"{1 - keep:.0%}", rows, y="correlation"))
        lines.append(Reference(label=f"theory, {1 - keep:.0%}", value=float(rows.expected.iloc[0]), role="theory"))
    panel = Panel(x=Axis(label="layer"), y=Axis(label="correlation of two copies"), series=series, references=lines)
    return Figure(
        name="dropout",
        title="With dropout even copies of one input part",
        caption="Two copies of an input, each with its own units dropped, at what was the edge of chaos, σ_w² = "
        "1.761; 0 to 10 % are dropped. Mean over seeds with its 95 % interval; dashed: the fixed points of theory.",
        panels=[panel],
    )


def gradients(table) -> Figure:
    """Growth of squared gradients against the weight variance, for every bias variance."""
    own = table[table.theory_bias.isna()]
    series, lines = [], []
    for bias, rows in own.groupby("bias_variance"):
        series.append(_points(f"σ_b² = {bias:g}", rows, y="growth"))
        curve = rows.theory.iloc[0]
        series.append(Series(label="theory: log χ₁", x=curve.x, y=curve.y, role="theory"))
        edge = float(np.log(edge_of_chaos("tanh", float(bias))))
        lines.append(Reference(label=f"edge, σ_b² = {bias:g}", value=edge, axis="x", role="theory"))
    panel = Panel(
        x=Axis(label="log σ_w²"),
        y=Axis(label="log growth of squared gradients a layer"),
        series=series,
        references=[*lines, Reference(label="neither", value=0.0, role="theory")],
    )
    return Figure(
        name="gradients",
        title="Gradients vanish below the edge of chaos and explode above it",
        caption="log of the L-th root of squared gradients at the first layer over those at the last, mean over seeds "
        "with its 95 % interval, for three bias variances; dotted: where theory has the edge.",
        panels=[panel],
    )


def boundary(table) -> Figure:
    """Training accuracy over depth and weight variance, with multiples of the depth scale, and the boundary."""
    own = table[(~table.control) & (table.bias_variance == BIAS)]
    depths = np.sort(own.depth.unique()).astype(float)
    x = own.accuracy.iloc[0].x
    z = [np.mean([curve.y for curve in own[own.depth == depth].accuracy], axis=0) for depth in depths]
    multiple = float(np.exp(np.nanmean(np.log(own.depths_of_xi.astype(float)))))
    edge = edge_of_chaos("tanh", BIAS)
    weights = np.linspace(0.8, edge - 0.05, 40)
    limit = multiple * _scales(weights)
    shown = (limit >= depths[0]) & (limit <= depths[-1])
    curves = [Series(label=f"{multiple:.1f} ξ_c", x=np.log(weights[shown]), y=limit[shown], role="theory")]
    heat = Panel(
        x=Axis(label="log σ_w²"),
        y=Axis(label="hidden layers"),
        fields=[Field(label="training accuracy", x=x, y=depths, z=z, kind="contour", limits=(0.1, 1.0))],
        series=curves,
        references=[
            Reference(label="edge of chaos", value=float(np.log(edge_of_chaos("tanh", BIAS))), axis="x", role="theory")
        ],
    )
    line = np.array([depths[0], depths[-1]])
    fitted = Series(label=f"depth / {multiple:.1f}", x=line, y=line / multiple, role="theory")
    measured = _points("at the boundary", own, x="depth", y="xi")
    right = Panel(
        x=Axis(label="hidden layers", log=True),
        y=Axis(label="ξ_c at the boundary", unit="layers", log=True),
        series=[measured, fitted],
    )
    return Figure(
        name="trainable-depth",
        title="Networks train to a depth that is a multiple of the depth scale",
        caption="Left: accuracy on the training set, mean over seeds, with the multiple of theory's depth scale that "
        "fits the boundary in the ordered phase. Right: the depth scale at the lowest weight variance that trains, "
        "mean over seeds with its 95 % interval, against the depth.",
        panels=[heat, right],
    )
