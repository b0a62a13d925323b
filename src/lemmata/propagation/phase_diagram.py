"""The phase diagram of wide networks: ordered and chaotic weight and bias variances, with depth scales and the edge.

Over a grid of (sigma_w^2, sigma_b^2) the depth scale xi_c of correlations, which diverges at the edge of chaos; a
network much deeper than it cannot tell two inputs apart (ordered), or finds no likeness in any (chaotic).
Source: Schoenholz, Gilmer, Ganguli, Sohl-Dickstein (2017). Cost: a `mean_field` a point, 10 ms if ordered, 0.1 s if
chaotic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Field, Figure, Panel, Series
from lemmata.propagation.activations import Elementwise, Nonlinearity, nonlinearity
from lemmata.propagation.edge_of_chaos import edge_of_chaos
from lemmata.propagation.mean_field import MeanField, mean_field
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Mean fields on a grid: rows are bias variances (nb,), columns weight variances (nw,).

    `edge` (nb,) is the weight variance on the edge of chaos, NaN where there is none, `xi_c` and `chi_1`
    (nb, nw) are those of the fields.
    """

    activation: Nonlinearity = field(repr=False)
    weight_variances: Tensor
    bias_variances: Tensor
    fields: tuple[tuple[MeanField, ...], ...] = field(repr=False)
    edge: Tensor

    __repr__ = short_repr

    @property
    def xi_c(self) -> Tensor:
        """Depth scales of correlations, (nb, nw)."""
        return torch.tensor([[each.xi_c for each in row] for row in self.fields], dtype=torch.float64)

    @property
    def chi_1(self) -> Tensor:
        """Growth of squared gradients a layer, (nb, nw)."""
        return torch.tensor([[each.chi_1 for each in row] for row in self.fields], dtype=torch.float64)

    def plot(self) -> Figure:
        """Draw the depth scale over the plane, and the edge."""
        inside = (self.edge >= self.weight_variances[0]) & (self.edge <= self.weight_variances[-1])
        edge = Series(
            label="edge of chaos", x=self.edge[inside].numpy(), y=self.bias_variances[inside].numpy(), role="theory"
        )
        depth = Field(
            label="depth scale xi_c", unit="layers", log=True, kind="heatmap", limits=(1.0, 100.0),
            x=self.weight_variances.numpy(), y=self.bias_variances.numpy(), z=self.xi_c.numpy(),
        )  # fmt: skip
        panel = Panel(
            x=Axis(label="weight variance, n_in Var W"), y=Axis(label="bias variance"), fields=[depth], series=[edge]
        )
        return Figure(
            name="phase_diagram", title=f"Phases of wide networks: {self.activation.name}", panels=[panel],
            caption="Ordered on the left of the edge (inputs become alike, gradients vanish), chaotic on the right "
            "(inputs part, gradients explode). Depth scales beyond 100 layers are drawn as 100.",
        )  # fmt: skip


def phase_diagram(
    activation: str | Elementwise | Nonlinearity,
    weight_variances: Sequence[float] | Tensor,
    bias_variances: Sequence[float] | Tensor,
) -> PhaseDiagram:
    """Mean fields at every pair of the variances given, each two or more and increasing, and the edge at each bias.

    Raises as `mean_field`, and `InvalidInput` for variances that do not increase.

    >>> found = phase_diagram("tanh", [1.0, 2.5], [0.01, 0.05])
    >>> found.chi_1 > 1
    tensor([[False,  True],
            [False,  True]])
    """
    phi = nonlinearity(activation)
    sw, sb = _increasing(weight_variances, "weight_variances"), _increasing(bias_variances, "bias_variances")
    fields = tuple(tuple(mean_field(phi, w, b) for w in sw.tolist()) for b in sb.tolist())
    edge = torch.tensor([_edge(phi, b) for b in sb.tolist()], dtype=torch.float64)
    return PhaseDiagram(phi, sw, sb, fields, edge)


def _increasing(values: Sequence[float] | Tensor, name: str) -> Tensor:
    try:
        points = torch.as_tensor(values, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InvalidInput(f"{name} = {values!r}; give a sequence of numbers") from None
    if points.ndim != 1 or len(points) < 2 or not bool((points.diff() > 0).all()):
        raise InvalidInput(f"{name}: give two or more increasing numbers")
    return points


def _edge(phi: Nonlinearity, bias_variance: float) -> float:
    try:
        return edge_of_chaos(phi, bias_variance)
    except InvalidInput:
        return float("nan")
