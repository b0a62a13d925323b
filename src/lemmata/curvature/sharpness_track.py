"""Sharpness along a training, beside the largest one at which that training is stable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from lemmata.curvature.stability import stability_threshold
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band
from lemmata.training import Result


@dataclass(frozen=True)
class SharpnessTrack:
    """`sharpness` (M, T) and `loss` (M, T or other points) of M trainings, and `thresholds` (M,) of their stability.

    `steps` (T,) and `loss_steps` count epochs, which are steps in full-batch training.
    """

    steps: np.ndarray
    sharpness: np.ndarray
    loss_steps: np.ndarray
    loss: np.ndarray
    thresholds: np.ndarray

    @classmethod
    def of(
        cls,
        result: Result,
        *,
        lr: float | Sequence[float],
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str = "sharpness",
    ) -> Self:
        """Read the curve of a sharpness probe called `name` off a training's result; `lr` is one number, or (M,).

        Raises `UnknownName` where there is no such curve.
        """
        if name not in result.curves:
            raise UnknownName("curve", name, result.curves)
        if np.shape(lr) not in ((), (len(result),)):
            raise InvalidInput(f"lr of shape {np.shape(lr)}: give one number, or one for each of {len(result)} members")
        rates = np.broadcast_to(np.asarray(lr, dtype=float), (len(result),))
        limits = [stability_threshold(float(rate), momentum, nesterov=nesterov) for rate in rates]
        return cls(*_numpy(result.curves[name]), *_numpy(result.curves["train_loss"]), np.array(limits))

    @property
    def ratio(self) -> np.ndarray:
        """Sharpness over threshold, (M, T): 1 is the edge of stability."""
        return self.sharpness / self.thresholds[:, None]

    def plot(self) -> Figure:
        """Draw sharpness and loss against the step, the trainings of one threshold together, with the thresholds."""
        steps, limits = Axis(label="step"), np.unique(self.thresholds)
        panels = []
        for label, x, y, log in (
            ("sharpness", self.steps, self.sharpness, False),
            ("training loss", self.loss_steps, self.loss, True),
        ):
            series = []
            for limit in limits:
                values = y[self.thresholds == limit]
                mean, low, high = mean_and_band(values)
                series.append(Series(label=f"threshold {limit:.4g}", x=x, y=mean, low=low, high=high, seeds=values))
            references = [Reference(label=f"stable below {limit:.4g}", value=limit, role="theory") for limit in limits]
            panels.append(
                Panel(x=steps, y=Axis(label=label, log=log), series=series, references=[] if log else references)
            )
        caption = "Each member, their mean and its 95 % interval; the lines are where descent loses its stability."
        return Figure(name="sharpness", title="Sharpness along training", caption=caption, panels=panels)


def _numpy(curve: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    x, y = curve
    return x.detach().cpu().double().numpy(), y.detach().cpu().double().numpy()
