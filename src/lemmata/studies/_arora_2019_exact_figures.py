"""The figures of the study of Arora et al. (2019)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

NAMES = {"average": "CNTK-GAP", "vanilla": "CNTK-V", "fully-connected": "NTK of a perceptron"}
COLUMNS = {  # Table 1, columns -2K: accuracies with 2,000 training images
    "CNTK-GAP": (49.71, 51.06, 51.73, 51.92, 52.22),
    "CNTK-V": (40.94, 42.54, 43.43, 43.42, 42.53),
}
DEPTHS = (3, 4, 6, 11, 21)


def accuracy_by_depth(table) -> Figure:
    """Accuracy against depth, for each kernel, beside the paper's columns."""
    own = table[~table.control & (table.pixels == "in place") & (table.labels == "true")]
    depth = Axis(label="depth (weight layers)", log=True)
    series = [
        Series.over_seeds(title, own[own.network == name], x="depth", y="accuracy")
        for name, title in NAMES.items()
        if (own.network == name).any()
    ]
    here = Panel(x=depth, y=Axis(label="test accuracy"), series=series, title="Here")
    there = Panel(
        x=depth,
        y=Axis(label="test accuracy"),
        series=[
            Series(label=title, x=np.array(DEPTHS), y=np.array(column) / 100)  # coloured as on the left
            for title, column in COLUMNS.items()
        ],
        title="The paper's Table 1: CIFAR-10, 2,000 images",
    )
    n, images = (own[name].iloc[0] if len(own) else "" for name in ("n", "data"))
    return Figure(
        name="accuracy-by-depth",
        title="Kernel regression with infinitely wide networks, by depth",
        caption=f"Share of test images classified correctly, {n} training images of {images}, no ridge. Each line is a "
        "seed, the thick ones their mean with its 95 % interval.",
        panels=[here, there],
    )


def what_pooling_needs(table) -> Figure:
    """The gain of global average pooling by depth, on images as they are and with their pixels permuted."""
    true = table[table.labels == "true"]
    series = []
    for pixels, title, role in (
        ("in place", "pixels in place", "measured"),
        ("permuted", "pixels permuted", "control"),
    ):
        pivot = true[true.pixels == pixels].pivot_table(index=["seed", "depth"], columns="network", values="accuracy")
        if {"average", "vanilla"} <= set(pivot.columns):
            rows = (pivot["average"] - pivot["vanilla"]).rename("gain").dropna().reset_index()
            series.append(Series.over_seeds(title, rows, x="depth", y="gain", role=role))
    gains = (np.array(COLUMNS["CNTK-GAP"]) - np.array(COLUMNS["CNTK-V"])) / 100
    series.append(Series(label="the paper, CIFAR-10", x=np.array(DEPTHS), y=gains, role="paper"))
    panel = Panel(
        x=Axis(label="depth (weight layers)", log=True),
        y=Axis(label="accuracy gained by pooling"),
        series=series,
        references=[Reference(label="no gain", value=0.0, role="theory")],
    )
    return Figure(
        name="what-pooling-needs",
        title="What global average pooling gains, and what it needs",
        caption="Accuracy of CNTK-GAP minus that of CNTK-V on the same images. With one random permutation of the "
        "pixels neighbours mean nothing, and there is nothing to gain.",
        panels=[panel],
    )


def distance_by_width(table) -> Figure:
    """How far trained networks are from what their kernel predicts, by width."""
    series = []
    for name, title, role in (
        ("tangent", "tangent parameterisation", "measured"),
        ("mean-field", "mean-field parameterisation, more steps", "control"),
    ):
        rows = table[table.parameterisation == name].drop_duplicates(["seed", "width"])
        if len(rows):
            series.append(Series.over_seeds(title, rows, x="width", y="distance", role=role))
    own = table[table.parameterisation == "tangent"]
    widths = np.sort(own.width.unique()).astype(float)
    last = float(own[own.width == widths[-1]].distance.mean())
    series.append(Series(label="width^(-1/2)", x=widths, y=last * (widths[-1] / widths) ** 0.5, role="theory"))
    panel = Panel(
        x=Axis(label="channels", log=True),
        y=Axis(label="relative distance to the kernel", log=True),
        series=series,
        references=[Reference(label="learned nothing", value=1.0, role="theory")],
    )
    return Figure(
        name="distance-by-width",
        title="Wide networks learn what their kernel predicts",
        caption="Change of the outputs on test images during gradient descent, network against kernel, as a share of "
        "the kernel's. Each line is a seed, the thick ones their mean with its 95 % interval.",
        panels=[panel],
    )
