"""Figures of Jacobians: singular values by layer, the spectrum of a whole network, and the law that is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

if TYPE_CHECKING:
    from lemmata.propagation.expected_spectrum import ExpectedSpectrum
    from lemmata.propagation.input_output_jacobian import InputOutputJacobian
    from lemmata.propagation.layer_jacobians import LayerJacobians


def layers_figure(found: LayerJacobians) -> Figure:
    """The mean singular value by layer, and all singular values in order."""
    index = np.arange(len(found.names))
    ticks = tuple(str(place + 1) for place in index) if len(index) <= 20 else ()
    means = found.means.numpy()
    low, high = np.quantile(means, [0.05, 0.95], axis=0)
    mean = Series(label="mean singular value", x=index, y=means.mean(0), low=low, high=high)
    ordered = [
        Series(label=f"layer {place}", x=np.linspace(0, 1, values.shape[1] + 2)[1:-1], y=values.mean(0).numpy())
        for place, values in enumerate(found.values, start=1)
    ][:8]
    return Figure(
        name="layer_jacobians",
        title="Jacobians of the layers",
        caption=f"{len(means)} samples; band the middle 90 % of them. Right: singular values in descending order, "
        "averaged over samples.",
        panels=[
            Panel(x=Axis(label="weight layer", ticks=ticks), y=Axis(label="mean singular value"), series=[mean],
                  references=[Reference(label="isometry", value=1.0, role="theory")]),
            Panel(x=Axis(label="share of the singular values"), y=Axis(label="singular value"), series=ordered),
        ],
    )  # fmt: skip


def spectrum_figure(found: InputOutputJacobian, expected: ExpectedSpectrum | None) -> Figure:
    """The distribution function of the singular values of each sample and of all, and the law expected."""
    values = found.values.numpy()
    grid = np.linspace(0, 1.05 * max(values.max(), 0.0 if expected is None else expected.largest**0.5), 200)
    each = np.stack([np.searchsorted(np.sort(one), grid, side="right") for one in values]) / values.shape[1]
    series = [Series(label="measured", x=grid, y=each.mean(0), low=each.min(0), high=each.max(0))]
    if expected is not None:
        series.append(_distribution(expected))
    return Figure(
        name="input_output_jacobian",
        title=f"Singular values of the Jacobian of {found.of}",
        caption=f"{len(values)} samples, {values.shape[1]} singular values each; band from the least to the greatest. "
        f"The mean square is {float(found.mean_square.mean()):.3g}.",
        panels=[_panel(series)],
    )


def expected_spectrum_figure(law: ExpectedSpectrum) -> Figure:
    """The distribution function alone."""
    return Figure(
        name="expected_spectrum",
        title=f"{law.activation.name}, {law.depth} layers, {law.weights} weights",
        caption=f"Infinite width; pre-activations of variance {law.q:.3g}. Mean square {law.mean_square:.3g}, largest "
        f"singular value {law.largest**0.5:.3g}.",
        panels=[_panel([_distribution(law)])],
    )


def _panel(series: list[Series]) -> Panel:
    y = Axis(label="share of the singular values below", limits=(-0.02, 1.02))
    return Panel(x=Axis(label="singular value s"), y=y, series=series)


def _distribution(law: ExpectedSpectrum) -> Series:
    """1 less the integral from s to the upper end of the density 2 s rho(s^2), and less what lies at the end itself."""
    edge = law.largest**0.5
    s = edge * np.linspace(0.005, 1, 400, endpoint=False)
    density = 2 * s * law.density(s**2)
    pieces = (density[1:] + density[:-1]) / 2 * np.diff(s)
    above = np.append(np.cumsum(pieces[::-1])[::-1], 0.0) + law.unharmed
    return Series(
        label="expected", x=np.append(s, [edge, edge]), y=np.append(1 - above, [1 - law.unharmed, 1.0]), role="theory"
    )
