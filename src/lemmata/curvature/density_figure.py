"""The figure of a spectral density: on a linear scale of eigenvalues, of their logarithm, and layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Reference, Series

if TYPE_CHECKING:
    from lemmata.curvature.density import Density
    from lemmata.curvature.density_log import LogDensity

FLOOR = 0.1  # in eigenvalues at the width of smoothing: below it the density is not drawn
TITLES = {
    "hessian": "Hessian",
    "ggn": "Gauss-Newton matrix",
    "fisher": "Fisher information matrix",
    "empirical_fisher": "empirical Fisher matrix",
}


def density_figure(density: Density) -> Figure:
    """Draw the density and that of log10 |lambda| with 95 % bands over the probes, and those of the layers, if any."""
    edge, log = density.edge(), density.log()
    caption = (
        f"{len(density.nodes)} probes, {density.nodes.shape[1]} steps, {density.cost:g} gradients; bands: 95 % over "
        f"the probes. Smoothed by Gaussians of width {density.width:.2g} (eigenvalue) and {log.width:.2g} decades "
        f"(logarithm). Beyond the edge at {edge:.3g} eigenvalues are isolated, 2 % of the range apart. Eigenvalues "
        f"smaller than {log.resolution:.2g} are not told apart."
    )
    if float(log.zero.value) > 0:
        caption += (
            f" {float(log.zero.value):.0%} of the eigenvalues are zero within rounding, and not in the logarithm."
        )
    panels = [_linear(density, edge), _logarithmic(density, log)]
    if density.layers:
        panels.append(_layers(density.layers))
    title = f"Spectral density of the {TITLES.get(density.name, density.name)}"
    return Figure(name="spectral-density", title=title, caption=caption, panels=panels)


def _linear(density: Density, edge: float) -> Panel:
    grid = density.grid(800)
    series = [_series("density", grid.numpy(), density.at(grid))]
    lowest = FLOOR / (density.size * density.width * math.sqrt(2 * math.pi))
    references = [Reference(label="edge of the bulk", value=edge, axis="x", role="theory")]
    return Panel(x=Axis(label="eigenvalue"), y=_height("density", series, lowest), series=series, references=references)


def _logarithmic(density: Density, log: LogDensity) -> Panel:
    x = log.exponents.numpy()
    pair = {"positive": log.positive, "negative": log.negative}
    series = [_series(name, x, estimate) for name, estimate in pair.items() if bool((estimate.value > 0).any())]
    lowest = FLOOR / (density.size * log.width * math.sqrt(2 * math.pi))
    return Panel(
        x=Axis(label="log10 of the eigenvalue's size"), y=_height("density per decade", series, lowest), series=series
    )


def _layers(layers: Mapping[str, Density]) -> Panel:
    logs = {name: layer.log() for name, layer in layers.items()}
    series = [_series(f"layer {name}", log.exponents.numpy(), log.positive) for name, log in logs.items()]
    lowest = FLOOR / (max(layer.size for layer in layers.values()) * 0.1 * math.sqrt(2 * math.pi))
    return Panel(
        x=Axis(label="log10 of the positive eigenvalue"),
        y=_height("density per decade", series, lowest),
        series=series,
        title="each layer's own block",
    )


def _height(label: str, series: list[Series], lowest: float) -> Axis:
    highest = max((float(np.nanmax(one.y, initial=0)) for one in series), default=0.0)
    return Axis(label=label, log=True, limits=(lowest, max(2 * highest, 10 * lowest)))


def _series(label: str, x: np.ndarray, estimate: Estimate) -> Series:
    value, (low, high) = estimate.value.numpy(), estimate.interval()
    return Series(label=label, x=x, y=np.where(value > 0, value, np.nan), low=low.numpy(), high=high.numpy())
