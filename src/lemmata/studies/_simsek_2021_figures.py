"""The figures of the study of Simsek et al. (2021)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.landscape import symmetry


def counts(table) -> Figure:
    """Subspaces of global minima and of saddles against width, and their ratio, for the tasks that were swept."""
    own = table[~table["control"]]
    panels = []
    for neurons in sorted(own.neurons.unique())[:3]:
        rows = own[(own.neurons == neurons) & (own.seed == own.seed.min())].sort_values("extra")
        wins = int(rows.first_width.iloc[0])
        panels.append(
            Panel(
                x=Axis(label="extra neurons h"),
                y=Axis(label="saddle subspaces / minimum subspaces", log=True),
                title=f"a task for {neurons} neurons",
                series=[
                    Series(label="one critical point of each r < r*", x=rows.extra, y=rows.all_fewer),
                    Series(label="one critical point of r* - 1", x=rows.extra, y=rows.one_fewer),
                ],
                references=[
                    Reference(label="as many", value=1.0, role="theory"),
                    Reference(label=f"minima more from h = {wins}", value=wins, axis="x", role="theory"),
                ],
            )
        )
    return Figure(
        name="counts",
        title="When global minima outnumber saddles",
        caption="Exact counts of affine subspaces: sum of G(r, r* + h) over r < r*, and G(r* - 1, r* + h), each over "
        "T(r*, r* + h), with one critical point at each r.",
        panels=panels,
    )


def paths(table) -> Figure:
    """The loss on the way to a permuted copy, with a spare neuron in each layer and without."""
    panels = []
    for layers, rows in table.groupby("layers"):
        series = []
        for spare, some in rows.groupby("spare"):
            one = some[some.seed == some.seed.min()].iloc[0]["along"]
            label = "by the spare neuron" if spare else "straight, no neuron to spare"
            series.append(
                Series(label=label, x=one.x, y=np.maximum(one.y, 1e-34), role="measured" if spare else "control")
            )
        hidden = f"hidden layers: {layers}"
        panels.append(
            Panel(x=Axis(label="place on the path"), y=Axis(label="loss / variance of the targets", log=True),
                  series=series, title=hidden)
        )  # fmt: skip
    return Figure(
        name="paths",
        title="One spare neuron a layer, and permuted minima are connected",
        caption="The loss on the way from a global minimum to one with its neurons in another order, one seed. With a "
        "spare neuron it is zero but for rounding (1e-32); drawn from 1e-34 on.",
        panels=panels,
    )


def splits(table) -> Figure:
    """Negative eigenvalues after a split by share, for both pairs of student and teacher, with the prediction."""
    own, panels = table[~table["control"]], []
    for neurons in sorted(own.neurons.unique()):
        rows = own[own.neurons == neurons]
        small = int(rows.small.iloc[0])
        inside = rows[(rows.share > 0) & (rows.share < 1)].predicted.mean()
        outside = rows[(rows.share < 0) | (rows.share > 1)].predicted.mean()
        steps = [outside, outside, inside, inside, outside, outside]
        panels.append(
            Panel(
                x=Axis(label="share of the first copy"),
                y=Axis(label="negative eigenvalues a neuron split", limits=(-0.2, 2.3)),
                series=[
                    Series.over_seeds("measured", rows, x="share", y="index", style="points"),
                    Series(label="predicted", x=[-1, 0, 0, 1, 1, 2], y=steps, role="theory"),
                ],
                title=f"{small} neurons for a task of {neurons}",
            )
        )
    return Figure(
        name="splits",
        title="Minimum or saddle: a matrix of the second order and the share decide",
        caption="A local minimum of a small student, one of its neurons split. The wide network's Hessian is that of "
        "the small one, a zero, and share (1 - share) times a matrix of the neuron: indefinite on the left, so that "
        "every share makes a saddle, positive definite on the right.",
        panels=panels,
    )


def runs(table) -> Figure:
    """Runs that reach a global minimum, and the ratio of counts, against the extra neurons."""
    own, grown = (table[(table.grows == grows) & ~table.other.astype(bool)] for grows in (False, True))
    neurons = int(own.neurons.iloc[0])
    series = [Series.over_seeds(f"teacher of {neurons} neurons", own, x="extra", y="reached")]
    if len(grown):
        label = "teacher as wide as the student"
        series.append(Series.over_seeds(label, grown, x="extra", y="reached", role="control", style="points"))
    wins = Reference(label="minima outnumber saddles", value=symmetry.neurons_to_win(neurons), axis="x", role="theory")
    reached = Panel(
        x=Axis(label="extra neurons h"), y=Axis(label="runs that reach zero loss, share", limits=(-0.02, 1.05)),
        series=series, references=[wins],
    )  # fmt: skip
    h = np.unique(own.extra)
    ratio = [1 / float(symmetry.saddle_ratio(neurons, neurons + int(k))) for k in h]
    counted = Panel(
        x=Axis(label="extra neurons h"), y=Axis(label="minimum subspaces / saddle subspaces", log=True),
        series=[Series(label="exact counts", x=h, y=ratio, role="theory")],
        references=[Reference(label="as many", value=1.0, role="theory"), wins],
    )  # fmt: skip
    return Figure(
        name="runs",
        title="Gradient flow finds what is more numerous",
        caption="Share of random starts whose gradient flow ends at zero loss, mean over teachers with its 95 % "
        "interval, beside the ratio of counts at the same width.",
        panels=[reached, counted],
    )
