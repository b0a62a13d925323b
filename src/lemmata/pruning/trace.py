"""What is measured while tickets are trained: losses and accuracies by step, and when one would have stopped.

The iteration of early stopping is that of the least validation loss (Frankle and Carbin, 2019), and the accuracy there
is that on the test set at that step. Cost: a forward pass over validation and test set at each point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.training.probes import Samples, measure

if TYPE_CHECKING:
    from lemmata.pruning.setting import Setting
    from lemmata.training.ensemble import Ensemble


@dataclass(frozen=True)
class Trace:
    """Losses and accuracies (M, T) of M members at the steps (T,); NaN where there is no such set, or no class.

    `stopping` (M,) is the step of the least validation loss and `stopping_accuracy` (M,) the test accuracy there;
    without a validation set it is the last step. `accuracy` (M,) is that of the last step.
    """

    steps: Tensor
    validation_loss: Tensor
    test_loss: Tensor
    test_accuracy: Tensor

    def without(self, lost: Tensor) -> Trace:
        """The same with NaN for the members that are `lost`, (M,) bool."""
        gone = lost.cpu()[:, None]
        return replace(
            self,
            validation_loss=self.validation_loss.masked_fill(gone, torch.nan),
            test_loss=self.test_loss.masked_fill(gone, torch.nan),
            test_accuracy=self.test_accuracy.masked_fill(gone, torch.nan),
        )

    @property
    def _best(self) -> Tensor:
        loss = self.validation_loss.nan_to_num(torch.inf, posinf=torch.inf)
        last = torch.full((len(loss),), len(self.steps) - 1)
        return torch.where(loss.isfinite().any(1), loss.argmin(1), last)

    @property
    def stopping(self) -> Tensor:
        """The step of the least validation loss, (M,)."""
        return self.steps[self._best]

    @property
    def stopping_accuracy(self) -> Tensor:
        """The test accuracy at that step, (M,)."""
        return self.test_accuracy.gather(1, self._best[:, None]).squeeze(1)

    @property
    def accuracy(self) -> Tensor:
        """The test accuracy at the last step, (M,)."""
        return self.test_accuracy[:, -1]


class Watch:
    """Measures the members of a setting at every so many steps, at the first and at the last."""

    def __init__(self, setting: Setting, members: int, skip: int):
        last, every = setting.steps, setting.every or setting.steps_per_epoch
        self.at = sorted({skip, *range(-(-skip // every) * every, last + 1, every), last})
        self.place = {step: place for place, step in enumerate(self.at)}
        self.classes = setting.loss == "cross_entropy"
        self.metrics = [setting.loss, "accuracy"] if self.classes else [setting.loss]
        self.sets = {
            name: None if pair is None else Samples(*pair, members, name=f"{name} data")
            for name, pair in (("validation", setting.validation), ("test", setting.test))
        }
        self.table = torch.full((3, members, len(self.at)), torch.nan, dtype=torch.float64)

    def __call__(self, steps: int, ensemble: Ensemble, live: Tensor) -> None:
        """Measure the live members if it is time; a step that was passed over is not measured."""
        if steps not in self.place:
            return
        for row, samples, metrics in (
            (0, self.sets["validation"], self.metrics[:1]), (1, self.sets["test"], self.metrics),
        ):  # fmt: skip
            if samples is None:
                continue
            if steps == self.at[0]:
                samples.check(ensemble, metrics[0])
            for k, values in enumerate(measure(ensemble, samples, live, metrics)):
                self.table[row + k, live, self.place[steps]] = values

    def trace(self) -> Trace:
        """What was measured."""
        return Trace(torch.tensor(self.at), *self.table)
