"""Step-size schedules: the factor that multiplies the step size at step t (from 0).

    constant       1
    cosine         (1 + cos(pi t / T)) / 2, T the number of all steps
    exponential    rate^e, e = floor(t / steps per epoch): constant within an epoch
    inverse_sqrt   1 / sqrt(1 + e / scale), e as above (or t, with per="step")

A schedule is a callable ``schedule(step) -> factor``, or one of these, which `train` first tells the number
of steps in an epoch and in all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

Factor = Callable[[int], float]


@dataclass(frozen=True)
class Schedule:
    """A schedule that needs to know the steps per epoch and the steps in all.

    >>> factor = exponential(0.95).bind(10, 100)
    >>> factor(9), round(factor(25), 4)
    (1.0, 0.9025)
    """

    bind: Callable[[int, int], Factor]


def bound(schedule: "Factor | Schedule | None", steps_per_epoch: int, epochs: int) -> Factor:
    """Give the factor as a function of the step alone."""
    if schedule is None:
        return lambda step: 1.0
    if isinstance(schedule, Schedule):
        return schedule.bind(steps_per_epoch, steps_per_epoch * epochs)
    return schedule


def constant() -> Schedule:
    """Keep the step size.

    >>> constant().bind(10, 100)(50)
    1.0
    """
    return Schedule(lambda steps_per_epoch, steps: lambda step: 1.0)


def cosine() -> Schedule:
    """Fall from 1 to 0 over the whole training like half a cosine (Loshchilov and Hutter, 2017, without
    restarts).

    >>> round(cosine().bind(10, 100)(50), 12)
    0.5
    """
    return Schedule(lambda steps_per_epoch, steps: lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))


def exponential(rate: float) -> Schedule:
    """Multiply the step size by `rate` after each epoch.

    >>> exponential(0.5).bind(10, 100)(20)
    0.25
    """
    return Schedule(lambda steps_per_epoch, steps: lambda step: rate ** (step // steps_per_epoch))


def inverse_sqrt(scale: float = 1.0, *, per: str = "epoch") -> Schedule:
    """Fall like 1 / sqrt(1 + t / scale), t in epochs or steps.

    >>> inverse_sqrt().bind(10, 100)(30)
    0.5
    """

    def bind(steps_per_epoch: int, steps: int) -> Factor:
        length = steps_per_epoch if per == "epoch" else 1
        return lambda step: 1 / math.sqrt(1 + (step // length) / scale)

    return Schedule(bind)
