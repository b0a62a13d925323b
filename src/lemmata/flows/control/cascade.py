"""Cascades: train a shallow network, carry its weights over to twice the layers, go on.

Weights are functions of time, so that depth can be refined under them: theta(t) in a basis contained in the finer one
is the same function, and the network of 2N steps differs from that of N by the method's error, O(h^p), which is all
that prolongation costs. Most of the work is done where layers are few (Haber, Ruthotto, Holtham and Jun, 2018; cascadic
multigrid: Bornemann and Deuflhard, 1996). Work is counted in passes of the whole set through a layer, each with its
way back: epochs x steps x stages.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lemmata import training
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.flows.basis import Spline
from lemmata.flows.control.penalty import TimePenalty
from lemmata.flows.flow import Flow
from lemmata.flows.grid import Grid
from lemmata.flows.layers import Residual
from lemmata.flows.required import require_kind, require_list
from lemmata.given import require_flag, require_model, require_tensor, require_whole
from lemmata.training.optimisers import Optimiser


@dataclass(frozen=True, eq=False)
class Level:
    """Training at one depth: `loss` (M, E + 1) before and after each epoch, at `work` (E + 1,) since the start."""

    steps: int
    loss: Tensor
    work: np.ndarray


@dataclass(frozen=True, eq=False)
class Cascade:
    """A cascade of M networks: its levels from shallow to deep, the trained deep networks, and the rival.

    `direct` is the training of networks as deep as the last level's from the start, for as much work.
    """

    levels: list[Level]
    models: list[nn.Module]
    direct: Level | None

    @property
    def jumps(self) -> Tensor:
        """What each prolongation did to the loss: first of a level less last of the one before, (M, levels - 1)."""
        pairs = zip(self.levels[:-1], self.levels[1:], strict=True)
        return torch.stack([fine.loss[:, 0] - coarse.loss[:, -1] for coarse, fine in pairs], 1)

    def plot(self) -> Figure:
        """Draw the training loss of every level against the work, geometric mean and 95 % band over networks."""
        series = [_line(f"{level.steps} steps", level) for level in self.levels]
        if self.direct is not None:
            series.append(_line(f"{self.direct.steps} steps from the start", self.direct, role="control"))
        panel = Panel(
            x=Axis(label="work", unit="passes through a layer"), y=Axis(label="training loss", log=True), series=series
        )
        caption = f"{len(self.models)} networks; each level starts from the weights of the one before, prolonged."
        return Figure(name="cascade", title="Training by refinement in depth", caption=caption, panels=[panel])


def _line(label: str, level: Level, **rest: Any) -> Series:
    rows = level.loss.double().numpy()
    mean, low, high = (np.exp(part) for part in mean_and_band(np.log(rows)))
    return Series(label=label, x=level.work, y=mean, low=low, high=high, seeds=rows, **rest)


def prolonged(model: nn.Module, times: int = 2) -> nn.Module:
    """Give a copy of a model that is or holds one flow, with `times` the steps and the same weights over time.

    Raises `InvalidInput` for a model without such a flow, or with several.

    >>> from lemmata import flows
    >>> flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4)
    >>> prolonged(flow).grid, prolonged(flow).field.basis
    (Grid(T=1.0, steps=8), PiecewiseConstant(size=8, T=1.0, degree=0))
    """
    require_whole(times, "times")
    own = copy.deepcopy(require_model(model))
    flow = flow_of(own)
    field = flow.field
    if not isinstance(field, Residual) or not isinstance(field.basis, Spline):
        raise InvalidInput(f"{type(field).__name__} has no weights in splines; prolongation refines their basis")
    flow.field = field.on(field.basis.refined(times))
    flow.grid = Grid(flow.grid.T, times * flow.grid.steps)
    return own


def flow_of(model: nn.Module) -> Flow:
    """Give the one flow that a model is or holds."""
    flows = [module for module in model.modules() if isinstance(module, Flow)]
    if len(flows) != 1:
        raise InvalidInput(f"the model holds {len(flows)} flows; give one that is a flows.Flow or holds one")
    return flows[0]


def cascade(
    models: Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    epochs: Sequence[int],
    optimiser: Optimiser,
    penalty: TimePenalty | None = None,
    compare: bool = True,
    **options: Any,
) -> Cascade:
    """Train M networks for epochs[0] epochs, prolong to twice the steps, train for epochs[1], and so on.

    `options` go to `lemmata.training.train` at every level: loss, batch_size, seeds and so on. With `compare`, networks
    of the last level's depth are trained from the first level's starting weights, prolonged, for as much work, to the
    next whole epoch. The models are not changed. Raises `InvalidInput` as `prolonged` and `train` do.
    """
    epochs = [require_whole(count, "epochs") for count in require_list(epochs, "epochs", "[10, 10]")]
    require_tensor(x, "x")
    require_tensor(y, "y")
    require_flag(compare, "compare")
    if penalty is not None:
        require_kind(penalty, TimePenalty, "penalty", "TimePenalty(smoothness=1e-3)")
    if not epochs:
        raise InvalidInput("epochs is empty; give the number of epochs of each level, from shallow to deep")
    models = require_list(models, "models", "[net]")
    if not models:
        raise InvalidInput("models is empty; give at least one network that is or holds a flow")
    for model in models:
        flow_of(require_model(model))
    now, levels, spent = list(models), [], 0.0
    for k, count in enumerate(epochs):
        now = now if k == 0 else [prolonged(model) for model in now]
        level, now = _train(now, x, y, count, spent, optimiser=optimiser, penalty=penalty, **options)
        levels.append(level)
        spent = float(level.work[-1])
    direct = None
    if compare:
        deep = [prolonged(model, 2 ** (len(epochs) - 1)) for model in models]
        count = -(-int(spent) // _passes(deep[0]))
        direct, _ = _train(deep, x, y, count, 0.0, optimiser=optimiser, penalty=penalty, **options)
    return Cascade(levels, now, direct)


def _passes(model: nn.Module) -> int:
    flow = flow_of(model)
    return flow.grid.steps * flow.method.stages


def _train(
    models: list[nn.Module],
    x: Tensor,
    y: Tensor,
    epochs: int,
    spent: float,
    *,
    penalty: TimePenalty | None,
    **options: Any,
) -> tuple[Level, list[nn.Module]]:
    at = training.epochs_at(range(epochs + 1))
    run = training.train(models, x, y, epochs=epochs, recipe=penalty, train_at=at, **options)
    _, losses = run.curves["train_loss"]
    work = spent + _passes(models[0]) * np.arange(epochs + 1)
    return Level(flow_of(models[0]).grid.steps, losses, work), [run.model(m) for m in range(len(models))]
