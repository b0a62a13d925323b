"""Densities that a flow carries: continuous normalising flows (Chen et al., 2018; Grathwohl et al., 2019).

    log p(x) = log q(y(T)) + int tr df/dy dt,   y(0) = x

for the law q of y(T). The integral is the logarithm of |det dy(T)/dx| of the exact flow. That of the discrete one, what
its steps do to volumes, differs by the method's error, and is computed from its Jacobian to compare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import jacfwd, vmap

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Field, Figure, Panel, Series
from lemmata.flows.flow import Flow, require_flow
from lemmata.flows.regularised.along import integrals
from lemmata.flows.regularised.quantities import Quantity, divergence
from lemmata.flows.required import require_rows, require_window
from lemmata.given import require_whole


def log_determinant(flow: Flow, x: Tensor, *, how: str = "trace", quantity: Quantity = divergence) -> Tensor:
    """Give log |det dy(T)/dx| at each sample x (n, width): (n,); differentiable.

    "trace" integrates the divergence, exact or what else estimates it (`Hutchinson`); "jacobian" takes the determinant
    of the discrete flow's Jacobian, at the cost of `width` products and a factorisation for each sample.
    """
    if how == "trace":
        return integrals(flow, x, [quantity])[1][:, 0]
    if how == "jacobian":
        require_flow(flow)
        require_rows(x, "x")
        return torch.linalg.slogdet(vmap(jacfwd(lambda row: flow(row[None])[0]))(x)).logabsdet
    raise UnknownName("way to the determinant", how, ("trace", "jacobian"))


def log_density(flow: Flow, x: Tensor, *, quantity: Quantity = divergence) -> Tensor:
    """Give log p(x) where y(T) is standard normal: (n,); minus its mean is the loss that trains such a flow.

    >>> class Still(torch.nn.Module):
    ...     def forward(self, t, y):
    ...         return 0 * y
    >>> from lemmata import flows
    >>> log_density(flows.Flow(Still(), steps=1, T=1.0), torch.zeros(1, 2)).exp()
    tensor([0.1592])
    """
    final, volume = integrals(flow, x, [quantity])
    return volume[:, 0] - final.square().sum(1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Density:
    """p on a grid of the plane: `values` (ny, nx) at `x` (nx,) and `y` (ny,); `mass` is its rectangle rule."""

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    samples: np.ndarray | None = None

    @property
    def mass(self) -> float:
        """The integral over the grid: 1 if the grid holds all of it and the flow is well resolved."""
        return float(self.values.sum() * (self.x[1] - self.x[0]) * (self.y[1] - self.y[0]))

    def plot(self) -> Figure:
        """Draw the density as a field, the samples over it."""
        dots = self.samples
        series = [] if dots is None else [Series(label="samples", x=dots[:, 0], y=dots[:, 1], style="points")]
        panel = Panel(
            x=Axis(label="x_1"), y=Axis(label="x_2"), series=series, equal=True,
            fields=[Field(label="density p", x=self.x, y=self.y, z=self.values, kind="heatmap")],
        )  # fmt: skip
        caption = f"Integral over the grid: {self.mass:.4f}."
        return Figure(name="density", title="The density that the flow carries", caption=caption, panels=[panel])


def density(
    flow: Flow, *, limits: tuple[float, float] = (-4.0, 4.0), points: int = 80, samples: Tensor | None = None
) -> Density:
    """Evaluate p on a square grid of the plane; memory is that of points^2 samples."""
    limits, points = require_window(limits, "limits"), require_whole(points, "points", least=2)
    if samples is not None and require_rows(samples, "samples").shape[1] != 2:
        raise InvalidInput(f"samples {tuple(samples.shape)}; the density is drawn over the plane, give (n, 2)")
    require_flow(flow)
    like = next(iter(flow.parameters()), torch.zeros(()))
    axis = torch.linspace(*limits, points, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).flip(1).to(like.dtype)
    with torch.no_grad():
        values = log_density(flow, grid).exp().reshape(points, points)
    dots = None if samples is None else samples.detach().cpu().double().numpy()
    return Density(axis.numpy(), axis.numpy(), values.double().numpy(), dots)
