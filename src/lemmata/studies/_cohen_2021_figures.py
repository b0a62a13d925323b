"""The figures of the study of Cohen et al. (2021)."""

from dataclasses import replace

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band


def sharpness_and_loss(table) -> Figure:
    """Sharpness and loss against time: descent with each step size, and the flow."""
    own = table[~table.control & (table.momentum == 0)]
    descents = {f"η = {step:g}": rows for step, rows in own[own.dynamics == "descent"].groupby("step_size")}
    flow = own[own.dynamics == "flow"]
    flow = flow[flow.step_size == flow.step_size.min()]  # the flow is the same, whatever step size it is held against
    time = Axis(label="time = step size × steps")
    panels = []
    for name, label, log in (("sharpness", "sharpness, λmax of the Hessian", False), ("loss", "training loss", True)):
        series = [Series.over_seeds(step, rows, y=name) for step, rows in descents.items()]
        if len(flow):
            series.append(Series.over_seeds("gradient flow", flow, y=name, role="control"))
        lines = [
            Reference(label=f"2/η, {step}", value=float(rows.threshold.iloc[0]), role="theory")
            for step, rows in descents.items()
        ]
        if log:  # where one seed jumps, a symmetric interval of the mean reaches below zero
            series = [replace(drawn, low=None, high=None) for drawn in series]
        panels.append(Panel(x=time, y=Axis(label=label, log=log), series=series, references=[] if log else lines))
    return Figure(
        name="edge-of-stability",
        title="The sharpness rises to 2/η, and stays there",
        caption="Full-batch gradient descent with three step sizes, and gradient flow. Each line is a seed, the thick "
        "ones their mean. At the edge the loss is ragged, and falls; the flow knows no edge.",
        panels=panels,
    )


def plateaus(table) -> Figure:
    """Late sharpness against the threshold of stability, for every rule."""
    own = table[~table.control & (table.dynamics == "descent") & (table.status == "ok")]
    rules = {
        "gradient descent": own[own.momentum == 0],
        "Polyak's momentum": own[(own.momentum > 0) & ~own.nesterov.astype(bool)],
        "Nesterov's momentum": own[(own.momentum > 0) & own.nesterov.astype(bool)],
    }
    series = []
    for label, rows in rules.items():
        if len(rows):
            limits = np.sort(rows.threshold.unique())
            late = [rows[rows.threshold == limit].late_sharpness.to_numpy(dtype=float) for limit in limits]
            mean, low, high = mean_and_band(_padded(late).T)
            series.append(Series(label=label, x=limits, y=mean, low=low, high=high, style="points"))
    ends = np.array([own.threshold.min() * 0.9, own.threshold.max() * 1.1])
    series.append(Series(label="late sharpness = threshold", x=ends, y=ends, role="theory"))
    panel = Panel(
        x=Axis(label="curvature at which the rule loses its stability"),
        y=Axis(label="late sharpness, λmax of the Hessian"),
        series=series,
    )
    return Figure(
        name="plateaus",
        title="The sharpness stays where the rule is unstable",
        caption="Mean sharpness over the last quarter of the time, with its 95 % interval over seeds, against 2/η, "
        "(2 + 2β)/η (Polyak) and (2 + 2β)/(η(1 + 2β)) (Nesterov).",
        panels=[panel],
    )


def momentum(table) -> Figure:
    """Sharpness against time with momentum."""
    own = table[~table.control & (table.momentum > 0)]
    panels = []
    for (nesterov, beta, step), rows in own.groupby(["nesterov", "momentum", "step_size"]):
        rule = "Nesterov" if nesterov else "Polyak"
        limit = float(rows.threshold.dropna().iloc[0])
        panels.append(
            Panel(
                x=Axis(label="time = step size × steps"),
                y=Axis(label="sharpness, λmax of the Hessian"),
                series=[Series.over_seeds("descent with momentum", rows, y="sharpness")],
                references=[
                    Reference(label=f"threshold {limit:.3g}", value=limit, role="theory"),
                    Reference(label=f"2/η = {2 / step:.3g}", value=2 / step, role="control"),
                ],
                title=f"{rule}, β = {beta:g}, η = {step:g}",
            )
        )
    return Figure(
        name="momentum",
        title="With momentum the edge is elsewhere, and the sharpness stays there",
        caption="Each line is a seed. Dashed: the curvature at which each rule loses its stability on a quadratic.",
        panels=panels,
    )


def _padded(samples: list[np.ndarray]) -> np.ndarray:
    """Samples of different sizes as rows, filled with NaN."""
    rows = np.full((len(samples), max(map(len, samples))), np.nan)
    for row, sample in zip(rows, samples, strict=True):
        row[: len(sample)] = sample
    return rows
