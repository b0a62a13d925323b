"""The figure of signals: standard deviations of activations and gradients, and the share saturated, by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Series

if TYPE_CHECKING:
    from lemmata.propagation.moments import Moments
    from lemmata.propagation.signals import Signals


def signals_figure(found: Signals) -> Figure:
    """Three panels over the layers; bands hold the middle 90 % of the samples' own standard deviations."""
    short = sum(map(len, found.names)) <= 24
    ticks = found.names if short else tuple(str(place + 1) for place in range(len(found)))
    layer = Axis(label="weight layer", ticks=ticks if len(found) <= 20 else ())
    forward = [
        _deviation("pre-activation", found.preactivation),
        _deviation("activation", found.activation),
    ]
    backward = [_deviation("by the pre-activation", found.gradient)]
    if bool(found.weight_gradient.std.isfinite().any()):
        backward.append(_deviation("by the weights", found.weight_gradient))
    panels = [
        Panel(x=layer, y=Axis(label="standard deviation", log=True), series=forward, title="signals"),
        Panel(x=layer, y=Axis(label="standard deviation", log=True), series=backward, title="gradients of the loss"),
    ]
    if bool(found.saturated.isfinite().any()):
        shares = _over("saturated", found.saturated, found.sample_saturated)
        axis = Axis(label="share of units saturated", limits=(-0.02, 1.02))
        panels.append(Panel(x=layer, y=axis, series=[shares], title="saturation"))
    return Figure(
        name="signals", title="Signals and gradients by layer", panels=panels,
        caption=f"{found.samples} samples, {found.mode} mode; points over units and samples, bands the middle 90 % of "
        "the samples taken one by one.",
    )  # fmt: skip


def _deviation(label: str, moments: Moments) -> Series:
    return _over(label, moments.std, moments.sample_variance.sqrt())


def _over(label: str, pooled: Tensor, by_sample: Tensor) -> Series:
    y = pooled.numpy()
    index = np.flatnonzero(np.isfinite(y))
    low, high = np.quantile(by_sample.numpy()[:, index], [0.05, 0.95], axis=0)
    return Series(label=label, x=index, y=y[index], low=low, high=high)
