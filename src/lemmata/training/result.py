"""What training gives back."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import UnknownName
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band

Curve = tuple[Tensor, Tensor]


@dataclass(frozen=True, repr=False)
class Result:
    """The trained members, and what was measured on the way.

    M is the number of members:

        states       {name: (M, *shape)}, parameters and buffers of all members
        curves       {name: (epochs (T,), values (M, T))}. A stopped member's value stays what it was when it stopped;
                     a diverged member's is NaN. "running_loss", the mean of the batch losses met during an epoch,
                     is NaN from the epoch after a member stopped.
        final        {name: (M,)}, each measure on the final weights (NaN where diverged)
        stopped_at   (M,) the last epoch that a member trained
        stopped      (M,) bool: the stopping criterion was met (else the member ran out of epochs or diverged)
        diverged     (M,) bool: a NaN or infinity came in epoch `stopped_at`, where the member was frozen
        steps        (M,) the optimisation steps that each member took
    """

    states: dict[str, Tensor]
    curves: dict[str, Curve]
    final: dict[str, Tensor]
    stopped_at: Tensor
    stopped: Tensor
    diverged: Tensor
    steps: Tensor
    template: nn.Module

    def __len__(self) -> int:
        return len(self.stopped_at)

    def __repr__(self) -> str:
        fates = f"{int(self.stopped.sum())} stopped early, {int(self.diverged.sum())} diverged"
        return f"<Result of {len(self)} members: {fates}; curves: {', '.join(self.curves)}>"

    def plot(self, *names: str) -> Figure:
        """Draw the curves of these names (all, if none is given) against the epoch: every member, mean and 95 % band.

        Raises `UnknownName` for a curve that was not measured.
        """
        for name in names:
            if name not in self.curves:
                raise UnknownName("curve", name, self.curves)
        panels = []
        for name in names or self.curves:
            epochs, values = (part.detach().cpu().double().numpy() for part in self.curves[name])
            mean, low, high = mean_and_band(values)
            series = Series(label="members", x=epochs, y=mean, low=low, high=high, seeds=values)
            panels.append(Panel(x=Axis(label="epoch"), y=Axis(label=name.replace("_", " ")), series=[series]))
        caption = f"{len(self)} members: every one, their mean, and its 95 % interval."
        return Figure(name="training", title="Training", caption=caption, panels=panels)

    def model(self, i: int) -> nn.Module:
        """Give member i as a new module of its own, in evaluation mode."""
        model = copy.deepcopy(self.template).eval()
        own = dict([*model.named_parameters(), *model.named_buffers()])
        with torch.no_grad():
            for name, stacked in self.states.items():
                own[name].copy_(stacked[i])
        return model
