"""The figures of the study of Arora, Cohen, Hu and Luo (2019) on matrix factorisation."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

FEW = (0.2, 0.35)  # the share of entries that counts as few: of 100 x 100 at paper scale, and of smaller matrices
LABELS = {0: "least nuclear norm", 1: "depth 1", 2: "depth 2", 3: "depth 3", 4: "depth 4"}


def _own(table):
    """The problems of the sweep: small weights, one rank."""
    own = table[np.isclose(table.alpha, table.alpha.min()) & (table["rank"] == table["rank"].mode()[0])]
    return own[own.share >= 0.2]


def errors(table) -> Figure:
    """Errors and nuclear norms by the share of entries that is seen."""
    own = _own(table)
    x = Axis(label="share of entries seen")
    series, excess = [], []
    for depth, label in LABELS.items():
        rows = own[own.depth == depth]
        if len(rows):
            series.append(Series.over_seeds(label, rows, x="share", y="log_error", style="line"))
            if depth >= 2:
                excess.append(Series.over_seeds(label, rows, x="share", y="excess"))
    line = Reference(label="recovered: 0.05", value=float(np.log10(0.05)), role="theory")
    return Figure(
        name="errors",
        title="Depth recovers what the nuclear norm misses",
        caption="Medians of three problems a seed, mean over seeds with its 95 % interval. Left: log10 of the relative "
        "error on entries not seen. Right: the nuclear norm over the least one, less 1.",
        panels=[
            Panel(x=x, y=Axis(label="log10 of the error on entries not seen"), series=series, references=[line]),
            Panel(x=x, y=Axis(label="excess nuclear norm"), series=excess),
        ],
    )


def ranks(table) -> Figure:
    """Effective ranks of the solutions from few entries, small weights and large."""
    own = table[table.share.isin(FEW) & (table["rank"] == table["rank"].mode()[0])]
    small = own[np.isclose(own.alpha, own.alpha.min())]
    large = own[np.isclose(own.alpha, 1.0)]
    depths = sorted(int(depth) for depth in small.depth.unique())
    series = [
        Series.over_seeds(label, rows, x="depth", y="erank", order=depths, style="points")
        for label, rows in (("weights of size 1/1000", small), ("weights of size 1", large))
        if len(rows)
    ]
    truth = Reference(label="the matrix itself", value=float(small.true_erank.mean()), role="theory")
    panel = Panel(
        x=Axis(label="", ticks=tuple(LABELS[depth] for depth in depths)),
        y=Axis(label="effective rank", log=True),
        series=series,
        references=[truth],
    )
    return Figure(
        name="ranks",
        title="Small weights and depth find the rank",
        caption="Effective rank of the completed matrix, 35 % of the entries seen (20 % at paper scale): medians of a "
        "seed's problems.",
        panels=[panel],
    )


def motion(table) -> Figure:
    """Singular values in time, and how their speed depends on them, for each depth."""
    own = table[(table.balance == "balanced") & np.isclose(table.rate, 0.001)]
    depths = sorted(int(depth) for depth in own.depth.unique())
    shown = max(depths)
    one = own[own.depth == shown].sort_values("seed").iloc[0]
    rank = int(one["rank"])
    paths = [Series(label=f"σ{i + 1}", x=one[f"sigma_{i + 1}"].x, y=one[f"sigma_{i + 1}"].y) for i in range(rank + 1)]
    series, theory = [], []
    grid = np.geomspace(0.05, 12, 40)
    for depth in depths:
        row = own[own.depth == depth].sort_values("seed").iloc[0]
        x = np.concatenate([row[f"sigma_{i + 1}"].y for i in range(rank)])
        y = np.concatenate([row[f"share_{i + 1}"].y for i in range(rank)])
        series.append(Series(label=f"depth {depth}", x=x, y=y, style="points"))
        label = "N σ^(2 − 2/N)" if depth == depths[0] else ""
        theory.append(Series(label=label, x=grid, y=depth * grid ** (2 - 2 / depth), role="theory"))
    return Figure(
        name="motion",
        title="The deeper, the more a singular value's speed depends on its size",
        caption=f"One seed. Left: the leading singular values at depth {shown}. Right: speed over the force "
        "⟨∇l, uvᵀ⟩, all recorded times of the three leading singular values, and the theorem.",
        panels=[
            Panel(x=Axis(label="time = steps × step size"), y=Axis(label="singular value"), series=paths),
            Panel(
                x=Axis(label="singular value σ", log=True), y=Axis(label="|dσ/dt| / |⟨∇l, uvᵀ⟩|", log=True),
                series=[*series, *theory],
            ),
        ],
    )  # fmt: skip
