"""What closed-form training of the linearised network gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.kernels.dynamics.spectral_filter import GradientFlow, Rule, named
from lemmata.short_repr import short_repr

ROUNDED = 1e-25  # a share of the largest value below which nothing is drawn: what float64 leaves of a squared error


@dataclass(frozen=True, eq=False)
class LinearisedRun:
    """The linearised network at T times; everything float64, with a leading axis (M, ...) where M networks were given.

        train_outputs   (T, n, C)       test_outputs   (T, m, C), or None
        train_loss      (T,)            test_loss      (T,), or None where no test targets were given
        coefficients    (T, n, C)       c_t of the parameters w_t = w_0 - J^T c_t / scale
        distance        (T,)            |w_t - w_0|, from the kernel alone
        rates           (N,)            curvature of the loss times eigenvalue of the kernel, largest first

    `stable` says whether every direction's error shrinks; where it is False, the numbers grow without bound and are
    given as they are, infinite or NaN in the end. `critical` is the rate from which on the rule diverges.
    """

    times: Tensor
    rule: Rule
    loss: str
    train_outputs: Tensor
    train_loss: Tensor
    test_outputs: Tensor | None
    test_loss: Tensor | None
    coefficients: Tensor
    distance: Tensor
    rates: Tensor
    stable: bool
    critical: float
    evaluations: int = 0
    shift: Callable[[Tensor], dict[str, Tensor]] | None = field(default=None, repr=False)

    __repr__ = short_repr

    def parameters(self, place: int = -1) -> dict[str, Tensor]:
        """The parameters at the time of this index, where the run is of a model: one vector-Jacobian product.

        Raises `InvalidInput` where the run is of kernels alone, which do not know the parameters.
        """
        if self.shift is None:
            raise InvalidInput("a run of kernels has no parameters; use LinearisedTraining.of(model, ...)")
        count = len(self.times)
        if not isinstance(place, int) or not -count <= place < count:
            raise InvalidInput(f"place = {place!r}; the run has {count} times, at the places 0 to {count - 1}")
        return self.shift(self.coefficients[..., place, :, :])

    def plot(self) -> Figure:
        """Draw losses and the distance from the start against the time."""
        times, shown = self.times.numpy(), np.isfinite(self.times.numpy())
        log = bool((times[shown] > 0).sum() > 2 and times[shown].max() > 50 * np.median(times[shown][times[shown] > 0]))
        shown &= (times > 0) | (not log)
        what = "time" if isinstance(self.rule, GradientFlow) else "step"
        losses = [_series("training loss", self.train_loss, times, shown)]
        if self.test_loss is not None:
            losses.append(_series("test loss", self.test_loss, times, shown))
        distance = _series("linearised network", self.distance, times, shown)
        x = Axis(label=what, log=log)
        panels = [
            Panel(x=x, y=Axis(label=self.loss.replace("_", " "), log=True), series=losses),
            Panel(x=x, y=Axis(label="distance of the parameters from their start"), series=[distance]),
        ]
        rate = f"largest rate {float(self.rates.max()):.3g}"
        fate = "every direction shrinks" if self.stable else f"it diverges: {rate}, stable below {self.critical:.3g}"
        left = "" if not log or times.min() > 0 else f"; {what} 0 has no place on the logarithmic axis"
        caption = f"Closed form, {named(self.rule)}; {fate}{left}."
        return Figure(name="linearised-training", title="Training of the linearised network", caption=caption,
                      panels=panels)  # fmt: skip


def _series(label: str, values: Tensor, times: np.ndarray, shown: np.ndarray) -> Series:
    each = torch.atleast_2d(values.cpu()).numpy()[:, shown]
    size = np.max(each, where=np.isfinite(each), initial=0.0)
    each = np.where(np.isfinite(each) & (each > ROUNDED * size), each, np.nan)
    if len(each) == 1:
        return Series(label=label, x=times[shown], y=each[0])
    mean, low, high = mean_and_band(each)
    return Series(label=label, x=times[shown], y=mean, low=np.where(low > 0, low, mean), high=high, seeds=each)
