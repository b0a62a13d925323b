"""The figures of the study of Tsipras et al. (2019)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series


def threshold(table) -> Figure:
    """Which features the exact minimiser uses, and how accurate it is, against eps / eta."""
    own = table[~table["control"]].sort_values("eps")
    share, accuracy = [], []
    for (p, strength), rows in own.groupby(["p", "strength"]):
        label = f"p = {p:g}, eta = {strength:g} / sqrt(d)"
        share.append(Series(label=label, x=rows["eps"].to_numpy(), y=rows["faint_share"].to_numpy()))
        accuracy.append(Series(label=label, x=rows["eps"].to_numpy(), y=rows["standard"].to_numpy()))
    size = Axis(label="eps / eta")
    line = [Reference(label="eps = eta", value=1.0, axis="x", role="theory")]
    return Figure(
        name="threshold",
        title="Where eps passes eta, adversarial training lets go of the faint features",
        caption="The minimiser of the adversarial logistic loss on the distribution itself (d = 400): the faint "
        "features' share of |w|_1, and the standard accuracy, which falls to p.",
        panels=[
            Panel(x=size, y=Axis(label="share of faint features", limits=(-0.02, 1.02)), series=share, references=line),
            Panel(x=size, y=Axis(label="standard accuracy"), series=accuracy, references=line),
        ],
    )


def frontier(table) -> Figure:
    """Error and attacked accuracy of every trained classifier beside the theorem's bound."""
    own = table[(~table["control"]) & (table["p"] == 0.95)]
    series = []
    for (network, defence), rows in own.groupby(["network", "defence"]):
        how = "as usual" if defence == "none" else "adversarially"
        name = {"relu": "ReLU"}.get(str(network), str(network))
        series.append(
            Series(
                label=f"{name}, {how}", x=rows["attacked"].to_numpy(), y=1 - rows["standard"].to_numpy(),
                style="points",
            )
        )  # fmt: skip
    x = np.linspace(0.0, 1.0, 50)
    series.append(Series(label="the theorem: not below", x=x, y=0.05 / 0.95 * x, role="theory"))
    panel = Panel(
        x=Axis(label="accuracy under the theorem's adversary", limits=(-0.02, 1.02)),
        y=Axis(label="standard error", limits=(-0.002, 0.06)),
        series=series,
    )
    return Figure(
        name="theorem",
        title="Robust, or accurate: not both",
        caption="Classifiers trained on samples, p = 0.95, eps = 2 eta: a point a seed.",
        panels=[panel],
    )


def accuracies(table) -> Figure:
    """Standard and robust accuracy of the linear classifiers against p."""
    own = table[(~table["control"]) & (table["network"] == "linear")]
    panels = []
    for defence, title in (("none", "Trained as usual"), ("adversarial", "Trained adversarially")):
        rows = own[own["defence"] == defence]
        panels.append(
            Panel(
                x=Axis(label="p, how often the robust feature is right"),
                y=Axis(label="accuracy", limits=(-0.02, 1.02)),
                series=[
                    Series.over_seeds("standard", rows, x="p", y="standard"),
                    Series.over_seeds("robust, eps = 2 eta", rows, x="p", y="robust"),
                    Series(label="p", x=[0.7, 0.95], y=[0.7, 0.95], role="theory"),
                ],
                title=title,
            )
        )
    return Figure(
        name="accuracies",
        title="Adversarial training gives robust accuracy p at the price of standard accuracy p",
        caption="Linear classifiers, exact accuracies; every seed, mean and 95 % band.",
        panels=panels,
    )


def cost(table) -> Figure:
    """What adversarial training costs on digits, by how many there are."""
    own = table[~table["control"]]
    count = Axis(label="training digits", log=True)
    series = [Series.over_seeds(f"eps = {eps:g}", rows, x="n", y="cost") for eps, rows in own.groupby("eps")]
    hard = own[own["eps"] == own["eps"].max()]
    kept = [
        Series.over_seeds("trained adversarially", hard, x="n", y="robust_adversarial"),
        Series.over_seeds("trained as usual", hard, x="n", y="robust_usual"),
    ]
    return Figure(
        name="digits",
        title="On digits: the more there are, the more adversarial training costs",
        caption="Left: standard accuracy lost by adversarial training, paired by seed. Right: accuracy under PGD of "
        "ten steps at the larger eps. Every seed, mean and 95 % band.",
        panels=[
            Panel(
                x=count, y=Axis(label="standard accuracy lost"), series=series,
                references=[Reference(label="no cost", value=0.0, role="theory")], title="Cost",
            ),
            Panel(x=count, y=Axis(label="accuracy under attack", limits=(0.0, 1.0)), series=kept, title="Gain"),
        ],
    )  # fmt: skip
