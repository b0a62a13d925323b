"""Gradient flow: descent in the limit of small steps, with its loss and sharpness along the way.

    d theta / dt = -grad L(theta),      t = (step size) x (number of steps) of the descent it is the limit of

Descent at the edge of stability leaves the flow; the flow itself knows no 2 / eta, and its sharpness may rise without
bound. It is integrated by the Runge-Kutta-Chebyshev method of second order (`lemmata.curvature.chebyshev_step`): the
flow's eigenvalues are real, and what limits an explicit method is the sharpness, which is tracked anyway and says how
many stages a step needs. The step follows the error estimate: |error| <= tolerance |theta| for each step.

Cost: about sqrt(1.5 h lambda_max) gradients for a step of time h, against 1.4 h lambda_max by the classical method of
fourth order, and at each time recorded some 5 Hessian products. Fails where the gradient jumps: on a network with kinks
(ReLU) the error estimate sees them and the steps become small.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from lemmata.curvature.chebyshev_step import chebyshev_step, stable_reach, stages
from lemmata.curvature.sharpness_probe import SharpnessTracker
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band
from lemmata.objective import Objective, Subject, Tree

MARGIN = 1.2  # by which the sharpness may rise over what was measured before a step becomes unstable
MOST_STAGES = 200


@dataclass(frozen=True)
class Flow:
    """A gradient flow at T times: `times` (T,), `loss` and `sharpness` (T,), or (M, T) from M starts; float64.

    `theta` is where it ends. `gradients` counts evaluations for each start, of which a Hessian product is two;
    `steps` those accepted, `rejected` those taken back.
    """

    times: Tensor
    loss: Tensor
    sharpness: Tensor
    theta: Tree = field(repr=False)
    gradients: float
    steps: int
    rejected: int

    def plot(self, *, lr: float | Sequence[float] = ()) -> Figure:
        """Draw loss and sharpness against time, with the 2 / eta of the step sizes `lr`."""
        rates = [float(rate) for rate in np.atleast_1d(np.asarray(lr, dtype=float))]
        lines = [Reference(label=f"2/η, η = {rate:g}", value=2 / rate, role="theory") for rate in rates]
        panels = []
        for label, values in (("sharpness", self.sharpness), ("training loss", self.loss)):
            each = np.atleast_2d(values.numpy())
            mean, low, high = mean_and_band(each) if len(each) > 1 else (each[0], None, None)
            series = Series(label="gradient flow", x=self.times.numpy(), y=mean, low=low, high=high, seeds=each)
            sharp = label == "sharpness"
            panels.append(
                Panel(x=Axis(label="time"), y=Axis(label=label, log=not sharp), series=[series],
                      references=lines if sharp else [])
            )  # fmt: skip
        caption = f"{self.steps} steps of the Chebyshev method, {self.gradients:.0f} gradients a start."
        return Figure(name="gradient-flow", title="Gradient flow", caption=caption, panels=panels)


def gradient_flow(
    subject: Subject,
    times: Sequence[float] | Tensor,
    *,
    start: Tree | None = None,
    tolerance: float = 1e-5,
    sharpness_tolerance: float = 1e-3,
    max_gradients: int = 1_000_000,
    memory: int = 2**30,
    seed: int = 0,
) -> Flow:
    """Integrate the gradient flow from the model's own parameters, or from `start`, and record it at `times` (T,).

    A leading axis on every tensor of `start` means M flows at once, which share their step. `tolerance` bounds the
    error that a step makes, relative to the norm of theta; the errors add up. `sharpness_tolerance` is for the
    residual of the sharpness at each time. Random: where the first search for the sharpness starts, by `seed`.

    Raises `NotConverged` beyond `max_gradients`, with the flow up to there, and `InvalidInput` for times that do not
    increase from 0 on, or a gradient that is not finite.

    >>> x = torch.eye(2, dtype=torch.float64)
    >>> model = torch.nn.Linear(2, 1, bias=False).double()
    >>> start = {"weight": torch.tensor([[3.0, 1.0]], dtype=torch.float64)}
    >>> flow = gradient_flow((model, "mse", (x, x[:, :1])), [0.0, 1.0], start=start)    # H is the identity
    >>> [round(float(loss), 3) for loss in flow.loss], round(2.5 * float(np.exp(-2)), 3)
    ([2.5, 0.338], 0.338)
    """
    objective = Objective.of(subject)
    when = _checked(times, tolerance)
    theta = objective.vector(objective.parameters if start is None else start)
    tracker = SharpnessTracker(objective, tolerance=sharpness_tolerance, memory=memory, seed=seed)
    march = _March(objective, tracker, torch.atleast_2d(theta), tolerance=tolerance, limit=max_gradients)
    records = []

    def flow() -> Flow:
        loss, sharpness = (torch.stack(part, 1).reshape(*theta.shape[:-1], -1) for part in zip(*records, strict=True))
        last = objective.tree(march.y.reshape(theta.shape))
        reached = torch.tensor(when[: len(records)], dtype=torch.float64)
        return Flow(reached, loss, sharpness, last, march.gradients, march.steps, march.rejected)

    for t in when:
        if not march.to(t):
            raise NotConverged(
                "the gradient flow", best=flow(), residual=t - march.t, tolerance=0.0,
                remedy=f"{march.gradients:.0f} gradients led to time {march.t:.4g}; allow more, or a larger tolerance",
            )  # fmt: skip
        records.append(march.record())
    return flow()


def _checked(times: Sequence[float] | Tensor, tolerance: float) -> list[float]:
    when = [float(t) for t in times]
    if not when or not all(np.isfinite(when)) or when[0] < 0 or any(b <= a for a, b in pairwise(when)):
        raise InvalidInput(f"times = {when}: they must be finite, not negative, and increase")
    if not 0 < tolerance < 1:
        raise InvalidInput(f"tolerance = {tolerance}: it is relative to the norm of the parameters, between 0 and 1")
    return when


class _March:
    """The flow at its present time t: y (M, size), f = -grad L there, and the sharpness that was last measured."""

    def __init__(self, objective: Objective, tracker: SharpnessTracker, y: Tensor, *, tolerance: float, limit: int):
        self.objective, self.tracker, self.tolerance, self.limit = objective, tracker, tolerance, limit
        self.t, self.y, self.gradients, self.steps, self.rejected = 0.0, y, 0.0, 0, 0
        self.f = self._field(y)
        if not self.f.isfinite().all():
            raise InvalidInput("the gradient is not finite where the flow starts; check the parameters and the data")
        self.sharpness = self._measure()
        self.h = 1 / self.rate

    @property
    def rate(self) -> float:
        """What bounds the sharpness of all members over the next step."""
        return MARGIN * max(float(self.sharpness.max()), torch.finfo(torch.float32).eps)

    def to(self, t: float) -> bool:
        """Go on to the time t; False if that takes more gradients than are allowed."""
        while self.t < t:
            if self.gradients > self.limit:
                return False
            longest = stable_reach(MOST_STAGES) / self.rate
            h = min(self.h, longest)
            self._try(t - self.t if h > 0.99 * (t - self.t) else h, t)
        return True

    def record(self) -> tuple[Tensor, Tensor]:
        """Loss and sharpness at the present time, (M,) each."""
        if self.steps:
            self.sharpness = self._measure()
        self.gradients += 1 / 3
        return self.objective.value(self.objective.tree(self.y)).double().cpu(), self.sharpness

    def _try(self, h: float, end: float) -> None:
        """Take a step of h, or make the next one smaller."""
        s = stages(h * self.rate)
        y = chebyshev_step(self._field, self.y, self.f, h, s)
        f = self._field(y)
        error = (0.8 * (self.y - y) + 0.4 * h * (self.f + f)).norm(dim=1)
        size = torch.maximum(self.y.norm(dim=1), y.norm(dim=1)).clamp(min=torch.finfo(y.dtype).tiny)
        off = float((error / size).max()) / self.tolerance
        better = 0.8 * h * max(off, 1e-3) ** (-1 / 3) if np.isfinite(off) else 0.1 * h
        if not off <= 1:
            self.rejected += 1
            self.h = max(better, 0.1 * h)
            self.sharpness = self._measure()
            return
        self.y, self.f, self.steps = y, f, self.steps + 1
        reached = self.t + h
        cut = reached >= end * (1 - 1e-12)
        self.t = end if cut else reached
        self.h = max(better, self.h) if cut and h < self.h else better

    def _field(self, y: Tensor) -> Tensor:
        self.gradients += 1
        if len(y) == 1:  # without the overhead of mapping over one
            return -self.objective.vector(self.objective.gradient(self.objective.tree(y[0])))[None]
        return -self.objective.vector(self.objective.gradient(self.objective.tree(y)))

    def _measure(self) -> Tensor:
        measured = self.tracker.measure(self.objective.tree(self.y))
        self.gradients += measured.cost / len(self.y)
        return measured.value
