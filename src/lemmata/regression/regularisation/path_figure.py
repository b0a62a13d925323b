"""A path drawn in three panels: GCV, the L-curve with its corner, and bias and variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.regression.regularisation.unbiased_risk import estimated_parts

if TYPE_CHECKING:
    from lemmata.regression.regularisation.choice import Choice
    from lemmata.regression.regularisation.path import Path


def draw(path: Path, truth: Tensor | None, noise: float | None) -> Figure:
    """The figure of a path; see `Path.plot`."""
    if not path.b.any():
        raise InvalidInput("b is zero: x = 0 at every value of the parameter, and there is nothing to draw; check b")
    chosen = path.gcv()
    corner = _corner(path)
    sigma = noise if noise is not None else _estimated_noise(path, chosen)
    caption = (
        f"{len(path.values)} values from one decomposition of a {path.form.shape[0]} x {path.form.shape[1]} matrix. "
        f"GCV takes {chosen.value:.3g} ({chosen.freedom:.3g} degrees of freedom)"
        + (f", the L-curve's corner is at {corner.value:.3g}." if corner else ", the L-curve has no corner.")
    )
    if truth is None:
        third = _estimated(path, sigma)
        caption += f" Bias and variance are estimated, with noise of standard deviation {sigma:.3g}."
    else:
        third = _exact(path, truth, sigma)
    panels = [_titled(chosen.panel(), "GCV"), _l_curve(path, chosen, corner), third]
    return Figure(name="path", title=f"{path.filter.name}: the choice of the parameter", caption=caption, panels=panels)


def _corner(path: Path) -> Choice | None:
    try:
        return path.l_curve()
    except InvalidInput:
        return None


def _estimated_noise(path: Path, chosen: Choice) -> float:
    """The noise level sigma from the residual at a choice, over the degrees of freedom that it leaves."""
    k = 1 if path.b.ndim == 1 else path.b.shape[1]
    return chosen.residual_norm / math.sqrt(max(len(path.b) - chosen.freedom, 1e-12) * k)


def _titled(panel: Panel, title: str) -> Panel:
    return Panel(x=panel.x, y=panel.y, series=panel.series, references=panel.references, title=title)


def _l_curve(path: Path, chosen: Choice, corner: Choice | None) -> Panel:
    x, y = (norms.cpu().numpy() for norms in (path.residual_norms, path.solution_norms))
    marks = [("GCV's choice", chosen)] + ([("corner", corner)] if corner else [])
    series = [Series(label="solutions", x=x, y=y)]
    series += [
        Series(label=name, x=[found.residual_norm], y=[found.solution_norm], style="points") for name, found in marks
    ]
    low = min(found.solution_norm for _, found in marks) / 100
    high = max(found.solution_norm for _, found in marks) * 100  # the branch of exploding solutions goes on for decades
    return Panel(
        x=Axis(label="residual norm |Ax - b|", log=True),
        y=Axis(
            label="solution norm |Lx|", log=True, limits=(max(low, float(y.min()) / 2), min(high, float(y.max()) * 2))
        ),
        series=series,
        title="L-curve",
    )


def _exact(path: Path, truth: Tensor, sigma: float) -> Panel:
    from lemmata.regression.regularisation.bias_variance import bias_variance

    return _titled(bias_variance(path, truth, sigma).panel(), "Bias and variance")


def _estimated(path: Path, sigma: float) -> Panel:
    bias, variance = (part.cpu().numpy() for part in estimated_parts(path, sigma, path.values))
    total, values = bias + variance, path.values.double().cpu().numpy()
    bottom = max(float(np.abs(total).min()) / 100, 1e-300)  # below it an unbiased estimate is all chance, or negative
    parts = {"squared bias, estimated": bias, "variance": variance, "predictive error, estimated": total}
    series = [Series(label=name, x=values, y=np.where(y > bottom, y, np.nan)) for name, y in parts.items()]
    best = float(values[int(total.argmin())])
    return Panel(
        x=Axis(label=path.filter.parameter, log=path.filter.continuous),
        y=Axis(label="squared predictive error", log=True),
        series=series,
        references=[Reference(label=f"least at {best:.3g}", value=best, axis="x", role="theory")],
        title="Bias and variance",
    )
