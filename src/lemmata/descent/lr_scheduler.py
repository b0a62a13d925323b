"""A schedule as a learning-rate scheduler of PyTorch: the rate of every parameter group at step k is h_k / L.

    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = lr_scheduler(optimiser, dominant(127), L=L)
    for _ in range(127):
        ...; optimiser.step(); scheduler.step()

What is proven of a schedule is proven of plain gradient descent on the whole objective: momentum, weight decay inside
the optimiser, mini-batches or a group with another L void it, and so does an L that is too small. The rate of the
optimiser before does not matter. After the end of a schedule that is not cyclic the rate is 0: the parameters stay
where the guarantee puts them, however long the loop goes on.
"""

from __future__ import annotations

from typing import Any, Literal

from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lemmata.descent.method import Schedule
from lemmata.descent.numbers import is_positive
from lemmata.errors import InvalidInput, UnknownName

After = Literal["stay", "repeat", "descend"]


def lr_scheduler(
    optimizer: Optimizer, schedule: Schedule, *, L: float, after: After = "stay", last_epoch: int = -1
) -> StepSizes:
    """Let an optimiser take the steps of a schedule on a function whose gradient has the Lipschitz constant L.

    `after` says what follows the last step of a schedule that is not cyclic: "stay" (rate 0), "repeat" (from its first
    step), "descend" (steps 1/L). Its state is saved and loaded as that of any scheduler. Raises `InvalidInput` for an
    L that is not positive and finite, for a method with momentum (`optimizer` takes those), for an optimiser other than
    plain `torch.optim.SGD`, and `UnknownName` for another `after`.

    >>> import torch
    >>> from lemmata.descent import silver
    >>> x = torch.nn.Parameter(torch.ones(1))
    >>> scheduler = lr_scheduler(torch.optim.SGD([x], lr=1.0), silver(3), L=2.0)
    >>> round(scheduler.get_last_lr()[0], 4)
    0.7071
    """
    return StepSizes(optimizer, schedule, L=L, after=after, last_epoch=last_epoch)


class StepSizes(LRScheduler):
    """The scheduler that `lr_scheduler` makes."""

    def __init__(
        self, optimizer: Optimizer, schedule: Schedule, *, L: float, after: After = "stay", last_epoch: int = -1
    ):
        if not isinstance(schedule, Schedule):
            raise InvalidInput(f"{schedule!r:.80} is no Schedule; methods with momentum run by `descent.optimizer`")
        _require_plain(optimizer)
        if not is_positive(L):
            raise InvalidInput(f"L = {L}; it must be positive and finite: `descent.smoothness` estimates it")
        if after not in ("stay", "repeat", "descend"):
            raise UnknownName("ending", after, ("stay", "repeat", "descend"))
        self.schedule, self.L, self.after = schedule, L, after
        super().__init__(optimizer, last_epoch)

    def rate(self, k: int) -> float:
        """Give the learning rate of step k = 0, 1, ..."""
        steps, end = self.schedule.steps, self.schedule.length
        if end is None or k < end or self.after == "repeat":
            return float(steps[k % len(steps)]) / self.L
        return 1 / self.L if self.after == "descend" else 0.0

    def get_lr(self) -> list[float]:  # type: ignore[override]
        """Give the rate of each group; torch calls this."""
        return [self.rate(self.last_epoch)] * len(self.optimizer.param_groups)

    def state_dict(self) -> dict[str, Any]:
        """Give the state, numbers and text only: how far it is, and of what schedule."""
        state = {key: value for key, value in super().state_dict().items() if key != "schedule"}
        return {**state, "steps": self.schedule.steps.tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a scheduler of the same schedule was. Raises `InvalidInput` for a state of other steps."""
        state = dict(state_dict)
        if state.pop("steps", None) != self.schedule.steps.tolist():
            raise InvalidInput(f"the state is that of other steps than {self.schedule.name}'s; load it into its own")
        super().load_state_dict(state)


def _require_plain(optimizer: Any) -> None:
    """Refuse what does not take the steps x - lr g, of which alone something is proven."""
    if not isinstance(optimizer, SGD):
        raise InvalidInput(
            f"the optimiser is a {type(optimizer).__name__}; a schedule is of gradient descent: take torch.optim.SGD"
        )
    for group in optimizer.param_groups:
        for option in ("momentum", "dampening", "weight_decay", "nesterov", "maximize"):
            if group.get(option):
                raise InvalidInput(
                    f"the optimiser has {option} = {group[option]}; a schedule is of plain gradient descent: leave "
                    f"{option} out (a penalty belongs into the objective)"
                )
