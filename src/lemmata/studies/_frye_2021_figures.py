"""The figures of the study of Frye and others (2021)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._frye_2021_search import STRENGTHS, Search, known

NAMES = {"identity": "linear", "tanh": "tanh"}
METHODS = {"gradient_norm": "gradient-norm minimisation", "newton_mr": "Newton-MR"}


def index_and_loss(table) -> Figure:
    """Where the searches ended: index against loss, beside the known critical points of the linear network."""
    panels = []
    for method, title in METHODS.items():
        own, series = _plain(table, method), []
        for activation, label in NAMES.items():
            rows = own[own.activation == activation]
            x, y, norm = (np.concatenate([c.y for c in rows[f"end_{n}"]]) for n in ("loss", "index", "norm"))
            at = norm <= rows.tolerance.iloc[0]
            for mask, what in ((at, "critical"), (~at, "not critical")):
                if mask.any():
                    role = "measured" if what == "critical" else "control"
                    series.append(Series(label=f"{label}, {what}", x=x[mask], y=y[mask], style="points", role=role))
        losses, counts = zip(*known(Search()), strict=True)
        share = np.array(counts) / (2 * len(STRENGTHS) * Search().latent)
        series.append(Series(label="known, linear", x=losses, y=share, style="points", role="theory"))
        axis = Axis(label="index: share of negative eigenvalues")
        panels.append(Panel(x=Axis(label="loss"), y=axis, series=series, title=title))
    return Figure(
        name="index-and-loss",
        title="Known critical points are found where the network is linear",
        caption="End points of all searches. On the linear autoencoder they lie on the critical points known in closed "
        "form; on the tanh autoencoder most are no critical points.",
        panels=panels,
    )


def flatness_of_ends(table) -> Figure:
    """The gradient-flat index of every end point against its gradient norm."""
    panels = []
    for method, title in METHODS.items():
        own, series = _plain(table, method), []
        for activation, label in NAMES.items():
            rows = own[own.activation == activation]
            norm, r = (np.concatenate([c.y for c in rows[f"end_{n}"]]) for n in ("norm", "flatness"))
            role = "measured" if activation == "tanh" else "control"
            series.append(Series(label=label, x=norm.clip(min=1e-17), y=r, style="points", role=role))
        lines = [
            Reference(label="cutoff 0.9", value=0.9, role="paper"),
            Reference(label="critical below", value=own.tolerance.iloc[0], axis="x", role="theory"),
        ]
        axis = Axis(label="gradient-flat index r", limits=(-0.05, 1.05))
        x = Axis(label="gradient norm at the end", log=True)
        panels.append(Panel(x=x, y=axis, series=series, references=lines, title=title))
    return Figure(
        name="flatness",
        title="What stops above the cutoff is flat along its gradient",
        caption="Every end point: r = 1 where the gradient lies in the kernel of the Hessian, eigenvalues below 1e-4 "
        "of the largest counting as kernel. Critical points are to the left, where r has no meaning.",
        panels=panels,
    )


def shares(table) -> Figure:
    """How many end points are critical, gradient-flat by three readings of the kernel, and false minima."""
    names = ("critical", "flat_coarse", "flat", "flat_fine", "false_minima")
    ticks = ("critical", "r > 0.9, 1e-2", "r > 0.9, 1e-4", "r > 0.9, 1e-6", "|g| least")
    series = []
    for method, title in METHODS.items():
        for activation, label in NAMES.items():
            rows = _plain(table, method)
            rows = rows[rows.activation == activation]
            values = rows[list(names)].to_numpy(dtype=float)
            half = 1.96 * values.std(0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0 * values[0]
            mean = values.mean(0)
            role = "measured" if activation == "tanh" else "control"
            series.append(
                Series(label=f"{label}, {title}", x=np.arange(len(names)), y=mean, low=mean - half, high=mean + half,
                       style="points", role=role)
            )  # fmt: skip
    panel = Panel(
        x=Axis(label="", ticks=ticks), y=Axis(label="share of end points", limits=(-0.05, 1.05)), series=series,
        references=[Reference(label="half: “most”", value=0.5, role="paper")],
    )  # fmt: skip
    return Figure(
        name="shares",
        title="Few are critical; how many are flat hangs on the kernel",
        caption="Mean over draws of initial weights with 95 % intervals. The three readings take eigenvalues below "
        "that share of the largest for zero; |g| least are end points at which the squared gradient norm has a "
        "minimum.",
        panels=[panel],
    )


def _plain(table, method: str):
    """The rows of the study's own settings for a method."""
    return table[(table.method == method) & np.isclose(table.scale.astype(float), 1.0)]
