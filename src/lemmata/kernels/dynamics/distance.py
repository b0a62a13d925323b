"""How far the parameters went from where they started: in all, layer by layer, and the neuron that went farthest.

    absolute  |theta - theta_0|,    relative  |theta - theta_0| / |theta_0|,    neuron  max_r |w_r - w_r(0)|_2

The norms are Euclidean (Frobenius on a matrix). A neuron's weights w_r are a row of a weight matrix, the filter of a
convolution, or its bias. In the NTK parameterisation the neuron that moved most went O(1/sqrt(width)) (Du, Zhai,
Poczos, Singh 2019, section 3); lazy training is a small relative distance (Chizat, Oyallon, Bach
2019). A distance in parameters says nothing by itself about how far the *function* went: compare with its
linearisation for that. Cost: one pass over the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.kernels.dynamics.two_states import State, TwoStates
from lemmata.short_repr import short_repr

FEWEST = 3  # networks that an interval is drawn of: of two it is nine times as wide as they are apart


@dataclass(frozen=True)
class Distance:
    """Distances from the start, float64: () for one network, (M,) for M.

    `total` and `total_relative` are over all parameters; `absolute`, `relative` and `neuron` (the largest over the
    neurons) hold one entry a parameter tensor, by name. The relative distance of a tensor that started at zero is
    infinite, or 0 where it stayed there.
    """

    total: Tensor
    total_relative: Tensor
    absolute: dict[str, Tensor]
    relative: dict[str, Tensor]
    neuron: dict[str, Tensor]

    __repr__ = short_repr

    def plot(self) -> Figure:
        """Draw the relative distance and that of the farthest neuron for each parameter, with every member."""
        names = list(self.absolute)
        x = Axis(label="parameter", ticks=tuple(name.replace(".", " ") for name in names))
        panels = []
        for label, values in (("relative distance", self.relative), ("distance of the farthest neuron", self.neuron)):
            each = torch.stack([values[name].reshape(-1) for name in names], 1).cpu().numpy()
            each = np.where(np.isfinite(each), each, np.nan)
            mean, low, high = mean_and_band(each) if len(each) >= FEWEST else (each.mean(0), None, None)
            low = None if low is None else np.maximum(low, 0.0)  # no distance is negative
            series = Series(
                label="networks", x=np.arange(len(names)), y=mean, low=low, high=high, seeds=each, style="points"
            )
            panels.append(Panel(x=x, y=Axis(label=label), series=[series]))
        title = "How far the parameters went from their start"
        caption = (
            f"Every network, their mean, and from {FEWEST} networks on its 95 % interval; "
            f"tensors that started at zero have no ratio."
        )
        return Figure(name="distance", title=title, caption=caption, panels=panels)


def distance_from_initialisation(now: State, start: State, *, members: bool = False) -> Distance:
    """Measure how far a network's parameters, or those of each of M networks, are from where they started.

    `now` and `start` are each a module, a sequence of M modules, or a mapping of parameters by name (the ``states`` of
    a training result): each tensor (M, *shape) with ``members=True``, or where the other side is a sequence. Buffers
    are left out where one side is a module. Nothing is random. Raises `InvalidInput` for states that do not match or
    hold NaN.

    >>> start = {"weight": torch.tensor([[3.0, 4.0], [0.0, 0.0]])}
    >>> moved = distance_from_initialisation({"weight": start["weight"] + torch.tensor([[0.0], [1.0]])}, start)
    >>> round(moved.total.item(), 4), round(moved.relative["weight"].item(), 4), round(moved.neuron["weight"].item(), 4)
    (1.4142, 0.2828, 1.4142)
    """
    both = TwoStates.of(now, start, members=members)
    absolute, relative, neuron, moved, size = {}, {}, {}, [], []
    for name, before in both.start.items():
        change = both.now[name].double() - before.double()
        absolute[name], at_start = change.flatten(1).norm(dim=1), before.double().flatten(1).norm(dim=1)
        relative[name] = _ratio(absolute[name], at_start)
        rows = change.reshape(len(change), change.shape[1] if change.ndim > 1 else 1, -1)
        neuron[name] = rows.norm(dim=2).amax(1)
        moved.append(absolute[name])
        size.append(at_start)
    total, whole = (torch.stack(parts).norm(dim=0) for parts in (moved, size))
    one = (lambda t: t) if both.members else (lambda t: t[0])
    trees = ({name: one(t) for name, t in tree.items()} for tree in (absolute, relative, neuron))
    return Distance(one(total), one(_ratio(total, whole)), *trees)


def _ratio(moved: Tensor, size: Tensor) -> Tensor:
    return torch.where(moved == 0, 0.0, moved / size)
