"""The figures of the study of Guenther, Ruthotto, Schroder, Cyr and Gauger (2020)."""

from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._gunther_2020_convergence import TOL

SOURCES = {"peaks": "the peaks", "mnist-5k": "5,000 digits"}


def depth(table) -> Figure:
    """Iterations against the number of layers, and residuals of the deepest, forwards and backwards."""
    plain = table[(table.relaxation == "FCF") & (table.backwards == 0) & (table.stop == 0)]
    kinds = ((False, "refined, T = 1", "measured"), (True, "added, T grows", "control"))
    count = [
        Series.over_seeds(label, plain[plain.added == added], x="layers", y="forwards", role=role)
        for added, label, role in kinds
        if (plain.added == added).any()
    ]
    left = Panel(x=Axis(label="layers", log=True), y=Axis(label="iterations to 1e-9"), series=count)
    deep = plain[~plain.added.astype(bool)]
    deep = deep[deep.layers == deep.layers.max()]
    residuals = [Series.over_seeds(label, deep, y=of) for label, of in (("forwards", "ahead"), ("backwards", "back"))]
    right = Panel(
        x=Axis(label="iteration"), y=Axis(label="log10 of the relative residual"), series=residuals,
        references=[Reference(label="tolerance", value=float(np.log10(TOL)), role="theory")],
        title=f"{deep.layers.max()} layers",
    )  # fmt: skip
    return Figure(
        name="depth",
        title="Refined layers take no more iterations, added ones do",
        caption="V-cycles down to 16 steps on residual networks of width 8. Every seed, mean, and 95 % interval.",
        panels=[left, right],
    )


def coarsening(table) -> Figure:
    """The factor of an iteration against m, measured and by the two-grid bound, for each T."""
    panels = []
    for T, rows in table.groupby("T"):
        measured = Series.over_seeds("measured", rows, y="factor")
        bound = Series.over_seeds("two-grid bound", rows, y="bound", role="theory")
        factor = Axis(label="log10 of the factor of an iteration", limits=(-2, 2))
        limit = Reference(label="no convergence", value=0.0, role="theory")
        m = Axis(label="coarsening factor m")
        panels.append(Panel(x=m, y=factor, series=[measured, bound], references=[limit], title=f"T = {T:g}"))
    return Figure(
        name="coarsening",
        title="Coarse steps beyond the threshold do not converge",
        caption="A damped network in 420 layers of forward Euler, two levels with F-relaxation. The bound is the worst "
        "over eigenvalues and errors; the measured factor is that of iterations 2 to 4 from random states. Far beyond "
        "1 it is held down, since one chunk more becomes exact in each iteration.",
        panels=panels,
    )


def training(table) -> Figure:
    """Losses and errors of networks trained either way."""
    kinds: list[tuple[str, Any, Any]] = [
        ("layers in turn", table[(table["mode"] == "serial") & (table.iterations > 0)], "measured")
    ]
    parallel = table[table["mode"] == "layer-parallel"]
    kinds += [("two iterations a step", parallel[parallel.iterations > 0], "measured")]
    kinds += [("the coarse network alone", parallel[parallel.iterations == 0], "control")]
    kinds = [kind for kind in kinds if len(kind[1])]
    curves = [Series.over_seeds(label, rows, y="history", role=role) for label, rows, role in kinds]
    left = Panel(x=Axis(label="step of training"), y=Axis(label="log10 of the loss that is descended"), series=curves)
    ends = [
        Series(label=label, x=np.full(len(rows), k), y=rows["error"], style="points", role=role)
        for k, (label, rows, role) in enumerate(kinds)
    ]
    ticks = tuple(label for label, _, _ in kinds)
    right = Panel(x=Axis(label="trained with", ticks=ticks), y=Axis(label="test error, layers in turn"), series=ends)
    return Figure(
        name="training",
        title=f"Inexact gradients train as well: {SOURCES[table.source.iloc[0]]}",
        caption="Full-batch Adam with layers in turn, and with multigrid stopped after two iterations either way, "
        "begun from the states of the step before. Every seed.",
        panels=[left, right],
    )
