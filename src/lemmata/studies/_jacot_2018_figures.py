"""The figures of the study of Jacot et al. (2018)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Series

WIDTHS = Axis(label="width", log=True)


def on_the_circle(table) -> Figure:
    """The paper's Figure 1: a row of the kernel on the circle, narrow and wide, before and after training."""
    own = table[~table.control]
    panels = []
    for width in (own.width.min(), own.width.max()):
        rows = own[own.width == width]
        limit = rows["limit"].iloc[0]
        series = [
            Series.over_seeds("before training", rows, y="before"),
            Series.over_seeds("after training", rows, y="after"),
            Series(label="infinite width", x=limit.x, y=limit.y, role="theory"),
        ]
        panels.append(
            Panel(x=Axis(label="angle between the inputs", unit="rad"), y=Axis(label="kernel"), series=series,
                  title=f"width {width:g}")
        )  # fmt: skip
    return Figure(
        name="kernel-on-the-circle",
        title="The wide network's kernel is the limit, before training and after",
        caption="The tangent kernel between (1, 0) and the points of the unit circle: mean over networks, 95 % band of "
        "the mean, and every network (thin). Training moves the narrow networks' kernel and hardly the wide ones'.",
        panels=panels,
    )


def deviation(table) -> Figure:
    """The distance of the kernel at initialisation from the limit, against width."""
    own = table[~table.control]
    narrow = table[table.bottleneck > 0]
    series = [Series.over_seeds("all layers wide", own, x="width", y="deviation")]
    if len(narrow):
        series.append(Series.over_seeds("a layer of 8 units", narrow, x="width", y="deviation", role="control"))
    series.append(_power(series[0], -0.5, "width^(-1/2)"))
    panel = Panel(x=WIDTHS, y=Axis(label="distance from the limit, relative", log=True), series=series)
    return Figure(
        name="deviation",
        title="The kernel nears its limit as width^(-1/2)",
        caption="Frobenius distance on 24 points of the circle over the norm of the limit. One narrow layer is enough "
        "to keep the kernel random.",
        panels=[panel],
    )


def change(table) -> Figure:
    """How far training moves the kernel, against width."""
    own = table[~table.control]
    feature = table[table.parameterisation == "feature learning"]
    series = [Series.over_seeds("the paper's parameterisation", own, x="width", y="change")]
    if len(feature):
        series.append(Series.over_seeds("output layer 1/width", feature, x="width", y="change", role="control"))
    series += [_power(series[0], -0.5, "width^(-1/2)"), _power(series[0], -1.0, "width^(-1)")]
    panel = Panel(x=WIDTHS, y=Axis(label="change of the kernel, relative", log=True), series=series)
    return Figure(
        name="change",
        title="Training moves a wide network's kernel little",
        caption="Frobenius norm of the change over that of the kernel before training, after the same time. With an "
        "output layer of 1/width it moves at every width.",
        panels=[panel],
    )


def convergence(table) -> Figure:
    """What is left of the target along principal components against time, and the measured rates."""
    own = table[~table.control]
    widest = own[own.width == own.width.max()]
    decay = []
    for component, rows in widest.groupby("component"):
        predicted = rows["predicted"].iloc[0]
        decay.append(Series.over_seeds(f"component {component}", rows, y="left"))
        decay.append(
            Series(label=f"component {component}: its eigenvalue", x=predicted.x, y=predicted.y, role="theory")
        )
    rates = widest.pivot(index="seed", columns="component", values="rate")
    eigenvalues = widest.groupby("component")["eigenvalue"].first()
    measured = Series.over_seeds("networks", widest, x="component", y="rate")
    panels = [
        Panel(x=Axis(label="time"), y=Axis(label="share of the target left", limits=(-0.1, 1.05)), series=decay,
              title=f"width {own.width.max():g}"),
        Panel(
            x=Axis(label="principal component", log=True), y=Axis(label="rate of convergence", log=True),
            series=[measured, Series(label="eigenvalue of the limit kernel", x=eigenvalues.index, y=eigenvalues.values,
                                     role="theory")],
            title=f"{len(rates)} networks each",
        ),
    ]  # fmt: skip
    return Figure(
        name="principal-components",
        title="Each principal component is learnt at the rate of its eigenvalue",
        caption="The target differs from the network's function along one eigenvector of the limit kernel on digits. "
        "Dashed: kernel descent by the limit.",
        panels=panels,
    )


def straightness(table) -> Figure:
    """How far the function leaves the straight line to its target, against width."""
    own = table[~table.control & (table.component == 2)]
    random = table[(table.direction == "random") & (table.component == 2)]
    series = [Series.over_seeds("second principal component", own, x="width", y="bend")]
    if random.width.nunique() > 1:
        series.append(Series.over_seeds("random direction", random, x="width", y="bend", role="control"))
    series.append(_power(series[0], -0.5, "width^(-1/2)"))
    panel = Panel(x=WIDTHS, y=Axis(label="largest distance from the line, relative", log=True), series=series)
    return Figure(
        name="straight-line",
        title="The wider the network, the straighter its way",
        caption="The largest part of f_t - f_0 across the component, over the part along it at the end.",
        panels=[panel],
    )


def _power(of: Series, exponent: float, label: str) -> Series:
    x = np.asarray(of.x)
    return Series(label=label, x=x, y=np.asarray(of.y)[0] * (x / x[0]) ** exponent, role="theory")
