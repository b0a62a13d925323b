"""What an integration leaves: the states at its times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.flows.field import State

DRAWN = 3  # coordinates drawn apart; of more the norms are


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The states at the grid's times: `states` (N + 1, ...), or a pair of such; `evaluations` of the field it cost."""

    times: Tensor
    states: State
    evaluations: int

    @property
    def final(self) -> State:
        """The state at T."""
        return tuple(part[-1] for part in self.states) if isinstance(self.states, tuple) else self.states[-1]

    def plot(self) -> Figure:
        """Draw the coordinates over time, mean and range over samples, or of wide states the norms.

        A pair has a panel for q and one for p.
        """
        pair = isinstance(self.states, tuple)
        parts = zip("qp", self.states, strict=True) if pair else [("y", self.states)]
        panels = [_panel(name, self.times.numpy(), part) for name, part in parts]
        (count, samples), shape = panels[0][1], panels[0][2]
        caption = (
            f"{count - 1} steps in {self.evaluations} evaluations of the field; {samples} samples of shape {shape}: "
            f"mean (line) and range (band)."
        )
        title = "The state over time"
        return Figure(name="trajectory", title=title, caption=caption, panels=[panel for panel, *_ in panels])


def _panel(name: str, times: np.ndarray, states: Tensor) -> tuple[Panel, tuple[int, int], tuple[int, ...]]:
    values = states.detach().double().cpu().numpy()
    rows = values.reshape(*values.shape[:2], -1)  # (times, samples, width)
    width = rows.shape[2]
    if width <= DRAWN:
        series = [_series(f"{name}_{i + 1}", times, rows[:, :, i]) for i in range(width)]
        label = f"{name}, coordinates"
    else:
        series, label = [_series(f"|{name}|", times, np.linalg.norm(rows, axis=2))], f"|{name}|, Euclidean norm"
    panel = Panel(x=Axis(label="time t"), y=Axis(label=label), series=series)
    return panel, values.shape[:2], values.shape[2:]


def _series(label: str, times: np.ndarray, values: np.ndarray) -> Series:
    return Series(label=label, x=times, y=values.mean(1), low=values.min(1), high=values.max(1))
