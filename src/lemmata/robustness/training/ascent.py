"""Adversarial examples for all members at once: projected steps up what the recipe says, by the inputs alone.

    z_0 = x, or a uniform point of the ball;   z_{k+1} = P(z_k + eta s(g_k)),   k = 0, ..., steps - 1

where g is the gradient by z, s(g) its signs (linf) or g / |g| (l2), and P brings z back into the box of allowed values
and the ball of radius eps around x: by clamping in linf, by clamping and then scaling z - x in l2. That is not the
nearest point, which `lemmata.robustness.attacks` finds in some twenty passes over the entries: while training, the
next step makes up for it. One step with no random start is the fast gradient (sign) method.

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
from lemmata.given import require_flag
from lemmata.robustness.attacks.balls import Bounds, require_norm, uniform_points
from lemmata.robustness.attacks.problem import require_clip
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
        require_flag(self.random_start, "random_start")
        require_clip(self.clip)

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
        eps, step = (growth * _by_sample(values, x) for values in (self.eps, self.step))
        z = x
        if self.ascent.random_start:
            z = self._within(x + eps * self._inside(x), x, eps)
        for _ in range(self.ascent.steps):
            z = self._within(self._stepped(z, slope(z), step), x, eps)
        return z

    def _stepped(self, z: Tensor, g: Tensor, step: Tensor) -> Tensor:
        """A step along the signs of g, or along g / |g|; none where g is 0."""
        if self.ascent.norm == "linf":
            return torch.addcmul(z, g.sign(), step)
        length = _lengths(g)
        return torch.addcmul(z, g, torch.where(length > 0, step / length, 0.0))

    def _within(self, z: Tensor, x: Tensor, eps: Tensor) -> Tensor:
        """Bring z back, in place: into the box by clamping, into the ball by scaling z - x, which keeps the box."""
        if self.ascent.norm == "linf":
            z = torch.minimum(torch.maximum(z, x - eps, out=z), x + eps, out=z)
        if self.ascent.clip is not None:
            z.clamp_(*self.ascent.clip)
        if self.ascent.norm == "linf":
            return z
        moved = z.sub_(x)
        return torch.addcmul(x, moved, (eps / _lengths(moved)).clamp_(max=1.0).nan_to_num_(1.0), out=moved)

    def _inside(self, x: Tensor) -> Tensor:
        """Points uniform in the unit ball for each sample: (M, b, ...)."""
        draw = self.streams.uniform if self.ascent.norm == "linf" else self.streams.normal
        draws = draw(torch.empty_like(x, memory_format=torch.contiguous_format))
        shares = (self.streams.uniform(x.new_empty(x.shape[:2])) + 1) / 2
        return uniform_points(draws.flatten(0, 1), shares.flatten(), self.ascent.norm).view(x.shape)


def _by_sample(values: float | Tensor, x: Tensor) -> Tensor:
    """One number a member, to be broadcast over x (M, b, ...)."""
    numbers = values if isinstance(values, Tensor) else x.new_tensor([values])
    return numbers.view(-1, *[1] * (x.ndim - 1))


def _lengths(x: Tensor) -> Tensor:
    """The Euclidean length of each sample of x (M, b, ...): (M, b, 1, ...)."""
    return torch.linalg.vector_norm(x, dim=tuple(range(2, x.ndim)), keepdim=True)
