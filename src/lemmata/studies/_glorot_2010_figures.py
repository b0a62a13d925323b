"""The figures of the study of Glorot and Bengio (2010)."""

from dataclasses import replace

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

LAYER = Axis(label="hidden layer")
STEPS = Axis(label="steps of gradient descent", log=True)
TABLE = [  # the rows of Table 1
    ("softsign", "standard", "softsign"), ("softsign", "normalised", "softsign N"),
    ("tanh", "standard", "tanh"), ("tanh", "normalised", "tanh N"), ("sigmoid", "standard", "sigmoid"),
]  # fmt: skip
LAWS = ("standard", "normalised")


def variances(table) -> Figure:
    """Variances of activations, gradients and weight gradients by layer, with theory: tanh."""
    own = table[~table.control & (table.activation == "tanh")]
    panels = []
    for name, label in (
        ("activation", "variance of activations"), ("gradient", "variance of back-propagated gradients"),
        ("weight", "variance of the weights' gradients"),
    ):  # fmt: skip
        series = []
        for law in LAWS:
            rows = own[own.initialisation == law]
            series.append(Series.over_seeds(law, rows, y=f"{name}_variance"))
        for law in LAWS:
            theory = Series.over_seeds(f"{law}, theory", own[own.initialisation == law], y=f"{name}_theory")
            series.append(Series(label=theory.label, x=theory.x, y=theory.y, role="theory"))
        panels.append(Panel(x=LAYER, y=Axis(label=label, log=True), series=series))
    return Figure(
        name="variances",
        title="What layers do to variances, before training",
        caption="tanh units, Shapeset images; each line is a network, thick ones are means with their 95 % interval. "
        "Theory: products of n Var W with the mean curvature of tanh. Standard initialisation loses a factor of three "
        "a layer both ways, and the gradients of the weights do not show it.",
        panels=panels,
    )


def activation_histograms(table) -> Figure:
    """The paper's Figure 6: histograms of activations at the initial weights."""
    return _histograms(
        table, "activations", "activation", name="activations-at-start",
        title="Activations before training, layer by layer",
        caption="tanh units. With standard initialisation they crowd around 0 the more the higher the layer.",
    )  # fmt: skip


def gradient_histograms(table) -> Figure:
    """The paper's Figure 7: histograms of back-propagated gradients at the initial weights."""
    return _histograms(
        table, "gradients", "gradient, over 3 deviations of the fifth layer's", name="gradients-at-start",
        title="Back-propagated gradients before training, layer by layer",
        caption="tanh units. With standard initialisation they crowd around 0 the more the lower the layer.",
    )  # fmt: skip


def _histograms(table, quantity: str, label: str, *, name: str, title: str, caption: str) -> Figure:
    own = table[~table.control & (table.activation == "tanh")]
    panels = []
    for law in LAWS:
        rows = own[own.initialisation == law]
        series = [_mean(f"layer {k}", rows, f"{quantity}_{k}") for k in (1, 2, 3, 4, 5)]
        panels.append(
            Panel(x=Axis(label=label), y=Axis(label="density", log=True, limits=(1e-2, 1e2)), series=series, title=law)
        )
    return Figure(name=name, title=title, caption=caption + " Mean over networks.", panels=panels)


def singular_values(table) -> Figure:
    """Mean singular values of the layers' Jacobians, with random-matrix theory and the paper's numbers."""
    own = table[~table.control]
    series, lines = [], []
    for law, number in zip(LAWS, (0.5, 0.8), strict=True):
        rows = own[own.initialisation == law]
        measured, theory = (Series.over_seeds(law, rows, y=f"singular_{kind}") for kind in ("values", "theory"))
        place = np.arange(len(measured.x))
        series.append(replace(measured, x=place))
        series.append(Series(label=f"{law}, theory", x=place, y=theory.y, role="theory"))
        lines.append(Reference(label=f"paper: {number}", value=number))
    names = tuple(str(int(layer)) for layer in own.singular_values.iloc[0].x)
    x = Axis(label="hidden layer", ticks=names)
    y = Axis(label="mean singular value of the Jacobian", limits=(0.4, 0.9))
    return Figure(
        name="singular-values",
        title="What a layer does to a gradient, before training",
        caption="tanh units, mean over examples and networks with its 95 % interval. Theory: the mean singular value "
        "of a random matrix times the slopes of the units.",
        panels=[Panel(x=x, y=y, series=series, references=lines)],
    )


def test_errors(table) -> Figure:
    """Test error during training, the five rows of Table 1."""
    own = table[~table.control]
    series = [
        _from_first_step(Series.over_seeds(label, rows, y="error"))
        for units, law, label in TABLE
        if len(rows := own[(own.units == units) & (own.initialisation == law)])
    ]
    data = str(own.data.iloc[0])
    chance = Reference(label="commonest class", value=5 / 6 if data == "shapeset" else 0.9, role="theory")
    panel = Panel(x=STEPS, y=Axis(label="test error"), series=series, references=[chance])
    return Figure(
        name=f"test-errors-{data}",
        title=f"Learning with each row of Table 1: {data}",
        caption=f"Five hidden layers of {int(own.width.max())} units, N: normalised initialisation. Each line is a "
        "network, thick ones are means with their 95 % interval.",
        panels=[panel],
    )


def sigmoid_saturation(table) -> Figure:
    """The paper's Figure 2: mean activations of sigmoid layers during training."""
    own = table[~table.control & (table.units == "sigmoid")]
    series = [_from_first_step(Series.over_seeds(f"layer {k}", own, y=f"mean_{k}")) for k in (1, 2, 3, 4, 5)]
    ends = (("saturated", 0.0), ("middle", 0.5))
    lines = [Reference(label=label, value=at, role="theory") for label, at in ends]
    panel = Panel(x=STEPS, y=Axis(label="mean activation", limits=(-0.05, 1.0)), series=series, references=lines)
    return Figure(
        name="sigmoid-saturation",
        title="Sigmoid units: the top layer is driven to 0",
        caption="Mean activation of 300 test images in each hidden layer; each line is a network.",
        panels=[panel],
    )


def saturation(table) -> Figure:
    """The paper's Figure 3: 98th percentiles of activations during training, tanh and softsign."""
    own = table[~table.control & (table.initialisation == "standard")]
    panels = []
    for units in ("tanh", "softsign"):
        rows = own[own.units == units]
        series = [_from_first_step(_mean(f"layer {k}", rows, f"percentile_{k}")) for k in (1, 2, 3, 4, 5)]
        y = Axis(label="98th percentile of |activation|", limits=(0.0, 1.02))
        panels.append(Panel(x=STEPS, y=y, series=series, title=units))
    return Figure(
        name="saturation",
        title="How far up the activations are, layer by layer",
        caption="Standard initialisation, 300 test images, mean over networks. The asymptotes of both units are at 1.",
        panels=panels,
    )


def final_histograms(table) -> Figure:
    """The paper's Figure 4: histograms of activations after training, tanh and softsign."""
    own = table[~table.control & (table.initialisation == "normalised")]
    panels = []
    for units in ("tanh", "softsign"):
        rows = own[own.units == units]
        series = [_mean(f"layer {k}", rows, f"histogram_{k}") for k in (1, 2, 3, 4, 5)]
        y = Axis(label="density", log=True, limits=(5e-2, 5e1))
        panels.append(Panel(x=Axis(label="activation"), y=y, series=series, title=units))
    return Figure(
        name="activations-at-end",
        title="Activations after training: tanh units at their asymptotes, softsign units below",
        caption="Normalised initialisation, 300 test images, mean over networks.",
        panels=panels,
    )


def _mean(label: str, rows, name: str) -> Series:
    """The mean of curves over seeds, without band and seeds."""
    drawn = Series.over_seeds(label, rows, y=name)
    return Series(label=label, x=drawn.x, y=drawn.y)


def _from_first_step(series: Series) -> Series:
    """Without the point at step 0, which has no place on a logarithmic axis and is the first."""
    drawn = {name: getattr(series, name) for name in ("x", "y", "low", "high", "seeds")}
    return replace(series, **{name: values[..., 1:] for name, values in drawn.items() if values is not None})
