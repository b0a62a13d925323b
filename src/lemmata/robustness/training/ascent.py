"""Adversarial examples for all members at once: projected steps up what the recipe says, by the inputs alone.

    z_0 = x, or a uniform point of the ball;   z_{k+1} = P(z_k + eta s(g_k)),   k = 0, ..., steps - 1

where g is the gradient by z, s(g) its signs (linf) or g / |g| (l2), and P the nearest point of the ball of radius eps
around x, cut by the box of allowed values: the steps and projections of `lemmata.robustness.attacks`. One step with no
random start is the fast gradient (sign) method.

The radius may differ from member to member, and grow over the first epochs. Members are in evaluation mode meanwhile
(running statistics of batch normalisation, unchanged). Cost: `steps` forward and backward passes by the inputs, two
thirds of a step's each, and some passes over the inputs' entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.robustness.attacks.balls import Bounds, projected, require_norm, steepest, uniform_points
from lemmata.robustness.training.noisy_copies import START, require_count
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper, per_member
from lemmata.training.probes import Samples
from lemmata.training.recipe import Selecting
from lemmata.training.streams import Streams


@dataclass(frozen=True)
class Ascent:
    """How adversarial examples are sought.

    `step_size` None is 2 eps / steps: twice what would just reach the sphere. With `warmup` the radius in epoch e is
    min(1, e / warmup) eps. `clip` is the range of allowed values, None for no limits.
    """

    eps: Hyper
    norm: str
    steps: int
    step_size: Hyper | None
    random_start: bool
    warmup: int
    clip: Bounds

    def __post_init__(self) -> None:
        require_norm(self.norm)
        require_count("steps", self.steps)
        require_count("warmup", self.warmup, least=0)
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise InvalidInput(f"clip = {self.clip}; give (low, high) with low < high, or None")

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> Ascending:
        """Begin: refuse radii and data that do not fit."""
        ascending = Ascending(self, ensemble, seeds)
        if self.clip is not None:
            low, high = float(samples.x.min()), float(samples.x.max())
            if low < self.clip[0] or high > self.clip[1]:
                raise InvalidInput(
                    f"{samples.name}: x runs from {low:g} to {high:g}, outside clip = {self.clip}; give their range, "
                    "or clip=None"
                )
        return ascending


class Ascending(Selecting):
    """An ascent under way, for the live members."""

    def __init__(self, ascent: Ascent, ensemble: Ensemble, seeds: Sequence[int]):
        self.ascent = ascent
        self.eps = per_member("eps", ascent.eps, ensemble)
        self.step = 2 / ascent.steps * self.eps
        if ascent.step_size is not None:
            self.step = per_member("step_size", ascent.step_size, ensemble)
        self.streams = Streams(seeds, purpose=START, device=ensemble.theta.device)

    def climb(self, x: Tensor, slope: Callable[[Tensor], Tensor], *, epoch: int) -> Tensor:
        """Move samples x (M, b, ...) up the function whose gradient by z (M, b, ...) is ``slope(z)``."""
        growth = min(1.0, epoch / self.ascent.warmup) if self.ascent.warmup else 1.0
        eps, step = (growth * _by_row(values, x) for values in (self.eps, self.step))
        norm, clip = self.ascent.norm, self.ascent.clip
        rows = x.flatten(0, 1)
        z = rows
        if self.ascent.random_start:
            z = projected(rows + _column(eps, rows) * self._inside(x), rows, eps, norm, clip)
        for _ in range(self.ascent.steps):
            g = slope(z.view(x.shape)).flatten(0, 1)
            z = projected(z + _column(step, rows) * steepest(g, norm), rows, eps, norm, clip)
        return z.view(x.shape)

    def _inside(self, x: Tensor) -> Tensor:
        """Points uniform in the unit ball for each sample: (M * b, ...)."""
        draw = self.streams.uniform if self.ascent.norm == "linf" else self.streams.normal
        draws = draw(torch.empty_like(x, memory_format=torch.contiguous_format))
        shares = (self.streams.uniform(x.new_empty(x.shape[:2])) + 1) / 2
        return uniform_points(draws.flatten(0, 1), shares.flatten(), self.ascent.norm)


def _by_row(values: float | Tensor, x: Tensor) -> Tensor:
    """One number for each sample of x (M, b, ...): (M * b,)."""
    one = values[:, None] if isinstance(values, Tensor) else x.new_tensor(values)
    return one.expand(x.shape[:2]).reshape(-1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1))
