"""The figures of the study of Li et al. (2018)."""

import numpy as np

from lemmata.figures import Axis, Field, Figure, Panel, Reference, Series, mean_and_band

CEILING = 1e3  # of a drawn loss: beyond it the chaos far out hides what lies within
NEARLY = 0.01
PAPERS = ("no decay", "decay 0.0005")


def deep_surfaces(table) -> Figure:
    """Figures 1 and 5: contours and surfaces of one seed."""
    return _surfaces(
        table[~table.control], "deep-surfaces", "The loss around a deep network with shortcuts and without",
        "Filter-normalised directions (Figures 1 and 5), seed 0; lengths are relative to the network's own filters.",
    )  # fmt: skip


def published_surfaces(table) -> Figure:
    """Figures 1 and 5, with the authors' own networks."""
    own = table[~table.control]
    count = f"{own.images.iloc[0]:,.0f}" if len(own) else "no"
    return _surfaces(
        own, "published-surfaces", "The loss around the authors' own ResNet-56",
        f"CIFAR-10, filter-normalised directions (Figures 1 and 5), seed 0; loss of {count} training images. Far out "
        "both level off above the loss of guessing, 2.3 nats; what sets them apart lies within.",
    )  # fmt: skip


def deep_numbers(table) -> Figure:
    """How convex, and how good, by depth."""
    networks = ("shortcuts", "none", "none, 8 layers")
    own = table[~table.control]
    deep = own.depth.max()
    named = {
        "shortcuts": own[own.shortcuts],
        "none": own[~own.shortcuts],
        "none, 8 layers": table[(table.depth == 8) & ~table.shortcuts],
    }
    kinds = Axis(label=f"shortcuts ({deep:.0f} layers)", ticks=networks)
    convex = Panel(
        x=kinds, y=Axis(label="midpoints above the chord", unit="share"),
        series=[_marks("each network", [named[n]["nonconvex"] for n in networks])], title="Not convex",
        references=[Reference(label="nearly convex below 1 %", value=NEARLY)],
    )  # fmt: skip
    error = Panel(
        x=kinds, y=Axis(label="test error"),
        series=[_marks("each network", [named[n]["test_error"] for n in networks])], title="Test error",
        references=[
            Reference(label="paper: 13.31 % (56 layers)", value=0.1331),
            Reference(label="paper: 5.89 % (56 layers, shortcuts)", value=0.0589),
        ],
    )  # fmt: skip
    return Figure(
        name="deep-numbers", title="Without shortcuts deep networks lose convexity, and the test error rises",
        caption="The share of pairs of grid points at whose midpoint the loss is above their mean, and the test error. "
        "The paper's errors are of ResNet-56 on CIFAR-10.",
        panels=[convex, error],
    )  # fmt: skip


def between_solutions(table) -> Figure:
    """Figure 2: the line through both solutions."""
    panels = [
        Panel(
            x=Axis(label="0: small batches, 1: large batches"), y=Axis(label="loss", unit="nats"), title=_decay(rows),
            series=[Series.over_seeds("on the line through both", rows, y="interpolation")],
        )
        for _, rows in table[~table.control].groupby("decayed")
    ]  # fmt: skip
    return Figure(
        name="line", title="What looks sharp depends on the scale of the weights",
        caption="On the line through both solutions (Figure 2) the large-batch one looks sharper without weight decay, "
        "and the small-batch one with it. Mean over seeds with its 95 % interval, and every seed.",
        panels=panels,
    )  # fmt: skip


def normalised_lines(table) -> Figure:
    """Figure 3: filter-normalised lines."""
    both = [("small batches", "line_small"), ("large batches", "line_large")]
    panels = [
        Panel(
            x=Axis(label="normalised direction"), y=Axis(label="loss", unit="nats", log=True), title=_decay(rows),
            series=[Series.over_seeds(label, rows, y=column) for label, column in both],
        )
        for _, rows in table[~table.control].groupby("decayed")
    ]  # fmt: skip
    return Figure(
        name="normalised-lines", title="Filter-normalised, the large-batch solution is the sharper one",
        caption="Mean loss along random directions (Figure 3). Means over seeds, 95 % intervals, every seed.",
        panels=panels,
    )  # fmt: skip


def errors(table) -> Figure:
    """The test errors, with the paper's beside them."""
    own = table[~table.control]
    decays = sorted(own.decayed.unique())
    ticks = tuple(_decay(own[own.decayed == d]) for d in decays)
    here = [
        _marks(label, [own[own.decayed == d][column] for d in decays], style="bars")
        for label, column in (("small batches", "error_small"), ("large batches", "error_large"))
    ]
    theirs = [
        Series(label=label, x=range(2), y=ys, style="bars")
        for label, ys in (("small batches", [0.0737, 0.06]), ("large batches", [0.1107, 0.1019]))
    ]
    level = Axis(label="test error", limits=(0.0, 0.15))
    return Figure(
        name="batch-errors", title="Large batches generalise worse",
        caption="Test errors with and without weight decay: every pair and 95 % intervals; the paper's VGG-9 (p. 5).",
        panels=[
            Panel(x=Axis(label="weights", ticks=ticks), y=level, series=here, title="Here"),
            Panel(x=Axis(label="weights", ticks=PAPERS), y=level, series=theirs, title="The paper"),
        ],
    )  # fmt: skip


def paths(table) -> Figure:
    """Figure 9: the path of small-batch training on its plane, and what the plane holds."""
    own = table[~table.control]
    row = own[own.seed == own.seed.min()].sort_values("decayed").iloc[-1]
    (x, y), path = row.path_axes, row.path
    field = Field(label="loss", x=x, y=y, z=row.path_surface, log=True)
    track = Series(label="path of training, small batches", x=path[:, 0], y=path[:, 1])
    end = Series(label="end", x=path[-1:, 0], y=path[-1:, 1], style="points", role="theory")
    decays = sorted(own.decayed.unique())
    shares = [
        _marks(label, [own[own.decayed == d][column] for d in decays])
        for label, column in (
            ("small batches", "explained_small"), ("large batches", "explained_large"), ("random walk", "walk")
        )
    ]  # fmt: skip
    shown = Panel(
        x=Axis(label="first component"), y=Axis(label="second component"), fields=[field], series=[track, end]
    )
    held = Panel(
        x=Axis(label="weights", ticks=tuple(_decay(own[own.decayed == d]) for d in decays)),
        y=Axis(label="share of the variance in two components", limits=(0.0, 1.02)), series=shares,
        references=[Reference(label="paper: 40 %", value=0.4), Reference(label="paper: 90 %", value=0.9)],
    )  # fmt: skip
    return Figure(
        name="paths", title="Where training goes",
        caption="The path on the plane of its two principal components, the loss being that of the plane, not of the "
        f"path (one pair, {_decay(own[own.decayed == row.decayed])}); and the share of its variance that the plane "
        "holds. A random walk of as many steps does as well.",
        panels=[shown, held],
    )  # fmt: skip


def published_errors(table) -> Figure:
    """The test errors of the published weights."""
    own = table[~table.control].sort_values("shortcuts", ascending=False)
    panel = Panel(
        x=Axis(label="ResNet-56", ticks=("shortcuts", "no shortcuts")), y=Axis(label="test error", limits=(0.0, 0.16)),
        series=[
            Series(label="the published weights, here", x=range(len(own)), y=own.test_error, style="bars"),
            Series(label="the paper", x=range(2), y=[0.0589, 0.1331], role="paper", style="bars"),
        ],
    )  # fmt: skip
    count = f"{own.test_images.iloc[0]:,.0f}" if len(own) else "no"
    caption = f"Share of {count} test images of CIFAR-10 that are misclassified."
    return Figure(name="published-errors", title="The authors' own networks", caption=caption, panels=[panel])


def _surfaces(own, name: str, title: str, caption: str) -> Figure:
    first = own[own.seed == own.seed.min()]
    low = min(float(np.min(z[np.isfinite(z) & (z > 0)])) for z in first.surface)
    panels = []
    for shortcuts in (True, False):
        (row,) = (row for _, row in first[first.shortcuts == shortcuts].iterrows())
        words = f"{'shortcuts' if shortcuts else 'no shortcuts'}: {100 * row.nonconvex:.1f} % not convex"
        for kind in ("contour", "surface"):
            field = Field(
                label="loss", unit="nats", x=row.axis, y=row.axis, z=row.surface, kind=kind, log=True,
                limits=(low, CEILING),
            )  # fmt: skip
            x, y = Axis(label="first direction"), Axis(label="second direction")
            panels.append(Panel(x=x, y=y, fields=[field], title=words if kind == "contour" else "", equal=True))
    return Figure(name=name, title=title, caption=caption, panels=panels)


def _marks(label: str, groups: list, style: str = "points") -> Series:
    """The mean of each group with its interval, and every seed."""
    most = max(map(len, groups))
    values = np.full((most, len(groups)), np.nan)
    for column, group in enumerate(groups):
        values[: len(group), column] = group.to_numpy(dtype=float)
    mean, low, high = mean_and_band(values)
    return Series(label=label, x=range(len(groups)), y=mean, low=low, high=high, seeds=values, style=style)  # type: ignore[arg-type]


def _decay(rows) -> str:
    first = rows.iloc[0]
    return f"decay {first.weight_decay:g}" if first.decayed else "no decay"
