"""How tickets are trained: one setting for the dense network, for its tickets and for what they are compared with.

Everything that a comparison must hold equal is here; a ticket is then a start and a mask. Members are trained together.
Data orders come from the members' seeds and the number of the training, so that no two trainings share one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lemmata.pruning.masks import Masks, check_masks
from lemmata.pruning.steps import Pruned
from lemmata.pruning.trace import Trace, Watch
from lemmata.training import Schedule, last_epoch, train
from lemmata.training.losses import Loss
from lemmata.training.optimisers import Optimiser
from lemmata.training.probes import Samples
from lemmata.training.schedules import Factor
from lemmata.training.streams import derived

if TYPE_CHECKING:
    from lemmata.training.ensemble import Ensemble

States = dict[str, Tensor]
Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Trained:
    """One training of M members: their weights and buffers at the end, and what was seen on the way."""

    states: States
    trace: Trace
    diverged: Tensor
    snapshots: Mapping[int, States]


@dataclass(frozen=True)
class Setting:
    """What M members are trained on, and how: see `lemmata.pruning.iterative_magnitude` for each field."""

    template: nn.Module = field(repr=False)
    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    optimiser: Optimiser
    epochs: int
    batch_size: int | None
    seeds: tuple[int, ...]
    loss: Loss = "cross_entropy"
    schedule: Schedule | Factor | None = None
    validation: Pair | None = field(default=None, repr=False)
    test: Pair | None = field(default=None, repr=False)
    every: int | None = None

    def __post_init__(self) -> None:
        """Batches are gathered from samples that lie in one piece; of a slice, each would copy the whole set."""
        object.__setattr__(self, "x", self.x.contiguous())
        object.__setattr__(self, "y", self.y.contiguous())

    @property
    def steps_per_epoch(self) -> int:
        """Optimisation steps in an epoch."""
        n = Samples(self.x, self.y, len(self.seeds), name="data").n
        return 1 if self.batch_size is None else -(-n // min(self.batch_size, n))

    @property
    def steps(self) -> int:
        """Optimisation steps of a whole training."""
        return self.epochs * self.steps_per_epoch

    @torch.enable_grad()
    def train(
        self,
        starts: States,
        masks: Masks | None,
        *,
        number: int,
        skip: int = 0,
        snapshots: Sequence[int] = (),
    ) -> Trained:
        """Train from `starts`, (M, *shape) each, from step `skip` on, with `masks`, (M, *shape) each.

        `number` tells this training's data order from those of others; `snapshots` are steps whose weights are kept.
        """
        members = len(next(iter(starts.values())))
        models = [member(self.template, starts, i) for i in range(members)]
        if masks is not None:
            check_masks(self.template, masks, members)
        watch = Watch(self, members, skip)
        taken: dict[int, States] = {}

        def after(steps: int, ensemble: Ensemble, live: Tensor) -> None:
            watch(steps, ensemble, live)
            if steps in snapshots:
                keep = taken.setdefault(steps, {name: _unknown(t) for name, t in starts.items()})
                for name, tensor in ensemble.states().items():
                    keep[name][live.to(tensor.device)] = tensor

        rule: Any = Pruned(self.optimiser, masks, skip, after)
        result = train(
            models, self.x, self.y, optimiser=rule, epochs=self.epochs,
            loss=self.loss, batch_size=self.batch_size, seeds=derived(self.seeds, number),
            schedule=self.schedule, train_at=last_epoch,
        )  # fmt: skip
        return Trained(result.states, watch.trace(), result.diverged, taken)


def _unknown(tensor: Tensor) -> Tensor:
    """NaN, or zero where there is none: batch normalisation counts its batches in whole numbers."""
    return torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else torch.zeros_like(tensor)


def of_member(pair: Pair, i: int, members: int) -> Pair:
    """The samples of member i: its own, where x is (M, n, ...), or those that all share."""
    samples = Samples(*pair, members, name="data")
    return (samples.x if samples.x_shared else samples.x[i]), (samples.y if samples.y_shared else samples.y[i])


def stacked(models: Sequence[nn.Module]) -> States:
    """Parameters and buffers of M models, (M, *shape) each, copied.

    >>> stacked([nn.Linear(3, 2), nn.Linear(3, 2)])["weight"].shape
    torch.Size([2, 2, 3])
    """
    own = [dict([*model.named_parameters(), *model.named_buffers()]) for model in models]
    return {name: torch.stack([tensors[name].detach() for tensors in own]) for name in own[0]}


def member(template: nn.Module, states: States, i: int) -> nn.Module:
    """Member i as a module of its own.

    >>> member(nn.Linear(2, 1), {"weight": torch.ones(3, 1, 2), "bias": torch.zeros(3, 1)}, 2).weight.tolist()
    [[1.0, 1.0]]
    """
    model = copy.deepcopy(template)
    own = dict([*model.named_parameters(), *model.named_buffers()])
    with torch.no_grad():
        for name, tensor in states.items():
            own[name].copy_(tensor[i])
    return model
