"""What regressions say of samples they were not fitted on, for every ridge: leave-one-out, or folds of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """`predictions` (R, n) or (R, n, k) by `rule`, each of a fit without the sample's fold, at the `ridges` (R,).

    `targets` (n,) or (n, k) are what was to be predicted, `folds` (n,) which fold each sample is in (None: its own).
    """

    ridges: Tensor
    predictions: Tensor
    targets: Tensor
    rule: str
    folds: Tensor | None = None

    __repr__ = short_repr

    @property
    def squared_errors(self) -> Tensor:
        """The squared error of each sample, summed over the outputs (R, n)."""
        squares = (self.predictions - self.targets.double()).square()
        return squares.sum(-1) if squares.ndim == 3 else squares

    @property
    def squared_error(self) -> Tensor:
        """The mean over the samples (R,)."""
        return self.squared_errors.mean(1)

    @property
    def standard_error(self) -> Tensor:
        """The standard error of `squared_error` over the samples (R,), as if they were independent."""
        return self.squared_errors.std(1) / self.predictions.shape[1] ** 0.5

    def error_rate(self, labels: Tensor | None = None) -> Tensor:
        """The share of samples whose largest output, or sign with one output, is not that of the targets (R,).

        `labels` (n,) name the right output of each; by default it is the targets' largest, or their sign.
        """
        if self.targets.ndim == 1:
            if labels is not None:
                raise InvalidInput("with one output the sign of the targets is the label; leave labels out")
            return (self.predictions.sign() != self.targets.sign()).double().mean(1)
        right = self.targets.argmax(1) if labels is None else labels.to(self.targets.device)
        if right.shape != self.targets.shape[:1]:
            raise InvalidInput(f"labels of shape {tuple(right.shape)} for {len(self.targets)} samples")
        return (self.predictions.argmax(2) != right).double().mean(1)

    @property
    def best(self) -> float:
        """The ridge of least squared error."""
        return float(self.ridges[int(self.squared_error.argmin())])

    def plot(self) -> Figure:
        """Draw the held-out error against the ridge; with one ridge, the predictions against the targets.

        >>> import torch
        >>> ones = torch.ones(1, 3, dtype=torch.float64)
        >>> HeldOut(ridges=ones[0, :1], predictions=ones, targets=ones[0], rule="leave-one-out").plot().name
        'held-out'
        """
        panel = self._against_targets() if len(self.ridges) == 1 else self._against_ridges()
        n = self.predictions.shape[1]
        best = f"least squared error {float(self.squared_error.min()):.4g} at ridge {self.best:.4g}"
        return Figure(name="held-out", title=f"Error by {self.rule}", caption=f"{n:,} samples; {best}.", panels=[panel])

    def _against_ridges(self) -> Panel:
        above = self.ridges > 0  # a ridge of 0 has no place on a logarithmic axis
        x, mean, error = (part[above].cpu().numpy() for part in (self.ridges, self.squared_error, self.standard_error))
        drawn = Series(label=self.rule, x=x, y=mean, low=np.maximum(mean - error, mean * 1e-3), high=mean + error)
        lines = [Reference(label=f"least: {self.best:.3g}", value=self.best, axis="x", role="theory")] * (self.best > 0)
        error_axis = Axis(label="squared error ± standard error", log=True)
        return Panel(x=Axis(label="ridge", log=True), y=error_axis, series=[drawn], references=lines)

    def _against_targets(self) -> Panel:
        y = self.targets.double().flatten().cpu().numpy()
        points = Series(label=self.rule, x=y, y=self.predictions[0].flatten().cpu().numpy(), style="points")
        ends = np.array([y.min(), y.max()])
        exact = Series(label="prediction = target", x=ends, y=ends, role="theory")
        return Panel(x=Axis(label="target"), y=Axis(label="held-out prediction"), series=[points, exact])
