"""What a flow costs as transport, sample by sample: energy, length, and how straight the paths are.

With the displacement D = y(T) - y(0),  |D| <= length = int |f| dt,  |D|^2 <= length^2 <= T int |f|^2 dt, both with
equality if and only if the path is straight and its speed constant. So `excess` = T int |f|^2 dt / |D|^2 - 1 >= 0 tells
how much of the energy the ends do not explain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.flows.flow import Flow
from lemmata.flows.integrate import integrate
from lemmata.flows.regularised.along import integrals
from lemmata.flows.regularised.quantities import Rule, kinetic
from lemmata.flows.required import require_rows

DRAWN, POINTS = 24, 32  # paths, and points of each


@dataclass(frozen=True, eq=False)
class Transport:
    """Costs (n,) of each sample: `energy` int |f|^2 / 2 dt, `length` int |f| dt, `displacement` |y(T) - y(0)|.

    `paths` (N + 1, n, width) are the states on the way, over time T.
    """

    energy: Tensor
    length: Tensor
    displacement: Tensor
    paths: Tensor
    T: float

    @property
    def cost(self) -> float:
        """The mean of T int |f|^2 dt: never below the squared Wasserstein distance of the samples' laws."""
        return float(2 * self.T * self.energy.mean())

    @property
    def excess(self) -> Tensor:
        """T int |f|^2 dt / |D|^2 - 1 of each sample: 0 for straight paths of constant speed, infinite for loops.

        A sample that never moved spent no more than its ends explain, which is nothing: 0.
        """
        spent, least = 2 * self.T * self.energy, self.displacement.square()
        return torch.where(spent > 0, spent / least - 1, torch.zeros_like(spent))

    def plot(self) -> Figure:
        """Draw paths in the plane of the first two coordinates, and the energy of each against its least."""
        if self.paths.shape[2] < 2:
            raise InvalidInput("states of one number have no plane to be drawn in; look at energy and length")
        every = -(-len(self.paths) // POINTS)
        shown = torch.cat([self.paths[:-1:every], self.paths[-1:]])[:, :DRAWN].double().numpy()
        holes = np.full((1, shown.shape[1], shown.shape[2]), np.nan)  # between one path and the next
        joined = np.concatenate([shown, holes]).transpose(1, 0, 2).reshape(-1, shown.shape[2])
        lines = Series(label="paths", x=joined[:, 0], y=joined[:, 1])
        ends = [
            Series(label=label, x=shown[k, :, 0], y=shown[k, :, 1], style="points")
            for label, k in (("starts", 0), ("ends", -1))
        ]
        least, spent = (self.displacement.square() / (2 * self.T)).numpy(), self.energy.numpy()
        top = [float(least.min()), float(least.max())]
        return Figure(
            name="transport",
            title="The cost of a flow as transport",
            caption=f"Mean cost {self.cost:.4g}; on the diagonal paths are straight and of constant speed.",
            panels=[
                Panel(x=Axis(label="y_1"), y=Axis(label="y_2"), series=[lines, *ends], equal=True),
                Panel(
                    x=Axis(label="least energy between the ends"),
                    y=Axis(label="energy spent"),
                    series=[
                        Series(label="samples", x=least, y=spent, style="points"),
                        Series(label="straight paths", x=top, y=top, role="theory"),
                    ],
                ),
            ],
        )


def speed(velocity: Rule, rows: Tensor) -> Tensor:
    """Give |f| of each sample: (n,)."""
    return velocity(rows).norm(dim=1)


def transport(flow: Flow, x: Tensor) -> Transport:
    """Measure what the flow costs from x (n, width). Nothing is random. Cost: two passes."""
    if not require_rows(x, "x").numel():
        raise InvalidInput(f"x is {tuple(x.shape)}; give at least one sample")
    with torch.no_grad():
        final, costs = integrals(flow, x, [kinetic, speed])
        paths = integrate(flow.field, x, steps=flow.grid.steps, T=flow.grid.T, method=flow.method).states
    return Transport(costs[:, 0], costs[:, 1], (final - x).norm(dim=1), paths, flow.grid.T)
