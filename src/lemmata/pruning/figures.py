"""Figures of tickets: accuracy and early stopping against sparsity, and instability against the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band

if TYPE_CHECKING:
    from lemmata.pruning.instability import Instability
    from lemmata.pruning.tickets import Tickets

LABELS = {
    "magnitude": "iterative magnitude", "random": "random mask", "reinitialised": "new weights", "one shot": "one shot",
}  # fmt: skip


def ticket_curves(compared: Sequence[Tickets]) -> Figure:
    """Test accuracy at the end, at early stopping, and the step of early stopping, against the weights left."""
    measures = [("test accuracy at the last step", "accuracy")]
    if compared[0].setting.validation is not None:
        measures += [("test accuracy at early stopping", "stopping_accuracy"), ("step of early stopping", "stopping")]
    panels = []
    for label, name in measures:
        series = [_series(tickets, name, dense=i == 0) for i, tickets in enumerate(compared)]
        references = []
        if compared[0].rounds[0] == 0:
            dense = float(np.nanmean(getattr(compared[0], name)[0].numpy()))
            references = [Reference(label="dense network", value=dense, role="theory")]
        axis = Axis(label="share of the weights left", unit="%", log=True)
        panels.append(Panel(x=axis, y=Axis(label=label), series=series, references=references))
    first = compared[0]
    caption = (
        f"{first.members} networks: each, their mean, and its 95 % interval; trained from step {first.rewind} on, for "
        f"{first.setting.steps - first.rewind} steps."
    )
    return Figure(name="tickets", title="Tickets by sparsity", caption=caption, panels=panels)


def _series(tickets: Tickets, name: str, dense: bool) -> Series:
    values = getattr(tickets, name).double().numpy().T  # (M, L)
    mean, low, high = mean_and_band(values)
    x = 100 * tickets.density.mean(1).numpy()
    role = "measured" if dense else "control"
    return Series(label=LABELS[tickets.kind], x=x, y=mean, low=low, high=high, seeds=values, role=role)


def instability_curves(found: Instability) -> Figure:
    """Instability against the step that both copies start from, and the error along the lines."""
    values = found.instability.numpy().T
    mean, low, high = mean_and_band(values)
    at = np.array(found.steps, dtype=float)
    curve = Series(label="instability", x=at, y=mean, low=low, high=high, seeds=values)
    left = Panel(
        x=Axis(label="step k from which both are trained"), y=Axis(label="largest error above the ends'"),
        series=[curve], references=[Reference(label="stable", value=0.0, role="theory")],
    )  # fmt: skip
    series = []
    for step, errors in zip(found.steps, found.error.numpy(), strict=True):
        mean, low, high = mean_and_band(errors)
        series.append(Series(label=f"k = {step}", x=found.t.numpy(), y=mean, low=low, high=high))
    right = Panel(x=Axis(label="t, from one copy to the other"), y=Axis(label="test error"), series=series)
    caption = (
        f"{values.shape[0]} networks, two copies of each trained from step k to step {found.training_steps} with "
        f"different data orders; {found.samples:,} test samples. Every network, mean, and its 95 % interval."
    )
    return Figure(name="instability", title="Instability", caption=caption, panels=[left, right])
