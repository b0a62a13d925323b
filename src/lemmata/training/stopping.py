"""Early stopping, decided for each member on its own.

A member that stops keeps the weights it has, exactly, and costs nothing more.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput


@dataclass(frozen=True)
class Stop:
    """Stop a member when any of the given criteria holds after an epoch.

    ``train_loss_below``    its training loss, measured on the whole set with its weights as they are, is
    below this
    ``running_loss_below``  the mean of the batch losses met during the epoch is below this (free, but stale)
    ``patience``            the curve `monitor` has not fallen by more than `min_delta` for so many epochs

    `monitor` is ``"train_loss"``, ``"running_loss"`` or the name of a probe, which is then measured every
    epoch.

    >>> Stop(train_loss_below=0.01).watched()
    {'train_loss'}
    """

    train_loss_below: float | None = None
    running_loss_below: float | None = None
    patience: int | None = None
    monitor: str = "train_loss"
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.train_loss_below is None and self.running_loss_below is None and self.patience is None:
            raise InvalidInput("Stop without a criterion; give train_loss_below, running_loss_below or patience")

    def watched(self) -> set[str]:
        """Name the curves that must be measured after every epoch."""
        names = {"train_loss"} if self.train_loss_below is not None else set()
        return names | ({self.monitor} if self.patience is not None else set())


class Watch:
    """What `Stop` remembers of each of M members: the best value of the monitored curve and its epoch."""

    def __init__(self, stop: Stop, members: int):
        self.stop = stop
        self.best = torch.full((members,), torch.inf, dtype=torch.float64)
        self.since = torch.zeros(members, dtype=torch.long)

    def met(self, live: Tensor, values: dict[str, Tensor]) -> Tensor:
        """Tell for the live members (indices) whether to stop, from the values of the watched curves: bool."""
        stop, met = self.stop, torch.zeros(len(live), dtype=torch.bool)
        if stop.train_loss_below is not None:
            met |= values["train_loss"] < stop.train_loss_below
        if stop.running_loss_below is not None:
            met |= values["running_loss"] < stop.running_loss_below
        if stop.patience is not None:
            better = values[stop.monitor] < self.best[live] - stop.min_delta
            self.best[live] = torch.where(better, values[stop.monitor], self.best[live])
            self.since[live] = torch.where(better, 0, self.since[live] + 1)
            met |= self.since[live] >= stop.patience
        return met
