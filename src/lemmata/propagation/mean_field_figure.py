"""The figure of mean-field theory: the variance map and the correlation map against the diagonal, with fixed points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from lemmata.figures import Axis, Figure, Panel, Series

if TYPE_CHECKING:
    from lemmata.propagation.mean_field import MeanField


def mean_field_figure(found: MeanField) -> Figure:
    """Both maps; the correlation map only where q is positive and finite."""
    panels = [_variances(found)]
    if 0 < found.q < math.inf:
        panels.append(_correlations(found))
    depth = f"xi_q = {found.xi_q:.3g}, xi_c = {found.xi_c:.3g} layers"
    return Figure(
        name="mean_field",
        title=f"{found.activation.name}: {found.phase} phase at weight variance {found.weight_variance:.4g}, "
        f"bias variance {found.bias_variance:.4g}",
        caption=f"One layer's map; a fixed point lies on the diagonal. chi_1 = {found.chi_1:.4g}, {depth}.",
        panels=panels,
    )


def _variances(found: MeanField) -> Panel:
    inside = 0 < found.q < math.inf
    points = torch.linspace(0, 2.5 * found.q if inside else 2 * found.start, 101, dtype=torch.float64)
    q = points.numpy()
    series = [
        Series(label="V(q)", x=q, y=found.variance_map(points).numpy(), role="theory"),
        Series(label="unchanged", x=q, y=q, role="control"),
    ]
    if math.isfinite(found.q):
        series.append(Series(label=f"q* = {found.q:.4g}", x=[found.q], y=[found.q], style="points"))
    return Panel(
        x=Axis(label="variance of a layer, q"), y=Axis(label="variance of the next"), series=series, title="variance"
    )


def _correlations(found: MeanField) -> Panel:
    points = torch.linspace(0, 1, 21, dtype=torch.float64)
    c = points.numpy()
    series = [
        Series(label="C(c)", x=c, y=found.correlation_map(points).numpy(), role="theory"),
        Series(label="unchanged", x=c, y=c, role="control"),
    ]
    if not math.isnan(found.c):
        series.append(Series(label=f"c* = {found.c:.4g}", x=[found.c], y=[found.c], style="points"))
    return Panel(
        x=Axis(label="correlation at a layer, c"), y=Axis(label="correlation at the next"), series=series,
        title="correlation",
    )  # fmt: skip
