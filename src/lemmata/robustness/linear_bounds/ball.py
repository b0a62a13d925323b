"""The inputs that are considered: a ball around each image, cut by the range that inputs have.

    { x + d :  |d|_p <= eps,  lo <= x + d <= hi },      p = inf, 2 or 1

The least value of a linear function a . x over the ball alone is a . x - eps |a|_q with the dual norm q. With the range
it is a convex problem in one multiplier, any value of which gives a lower bound (weak duality):

    min_d a . d  >=  -lambda c(eps) + sum_i min_{l_i <= d_i <= u_i} ( a_i d_i + lambda c(d_i) ),    lambda >= 0

with c(d) = |d| for l1 and d^2 / 2 for l2. For l1 some |a_i| is the best multiplier, for l2 it is found by bisection.
For linf ball and range make a box, over which the least value is read off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_number, require_tensor
from lemmata.robustness.linear_bounds.affine import Affine
from lemmata.robustness.linear_bounds.box import Box
from lemmata.robustness.linear_bounds.rounding import above, below, gamma

DUAL = {"linf": 1.0, "l2": 2.0, "l1": math.inf}
MULTIPLIERS = 24  # steps of the search for the multiplier; each gives a bound, the best is kept


@dataclass(frozen=True, eq=False)
class Ball:
    """Balls around N images x (N, ...) of radii eps (N,) in the norm, within `clip`."""

    x: Tensor
    eps: Tensor
    norm: str
    clip: tuple[float, float] | None

    @classmethod
    def of(
        cls, x: Tensor, eps: float | Tensor, norm: str, clip: tuple[float, float] | None, dtype: torch.dtype
    ) -> Ball:
        """Check what was given. Raises `InvalidInput` and `UnknownName`."""
        if norm not in DUAL:
            raise UnknownName("norm", norm, DUAL)
        x = require_tensor(x, "x").detach()
        x = x.clone() if x.is_inference() else x  # into one that slopes can be optimised around
        if x.ndim < 2 or not len(x):
            raise InvalidInput(f"x of shape {tuple(x.shape)}; give images along a leading axis, (N, ...)")
        if not x.is_floating_point():
            raise InvalidInput(f"x of {x.dtype}; give images as floating-point numbers, such as x / 255")
        if not x.isfinite().all():
            raise InvalidInput("x holds NaN or infinity; remove or replace those images")
        clip = required_clip(clip)
        if clip is not None and ((x < clip[0]).any() or (x > clip[1]).any()):
            raise InvalidInput(
                f"x from {float(x.min()):.4g} to {float(x.max()):.4g} is outside clip = {clip}, the range of inputs; "
                "rescale the images, or give the range that the model takes, or None"
            )
        radii = eps if isinstance(eps, Tensor) else x.new_tensor(require_number(eps, "eps"), dtype=dtype)
        proper = not radii.is_complex() and bool((radii >= 0).all()) and bool(radii.isfinite().all())
        if not proper or radii.ndim > 1 or (radii.ndim == 1 and len(radii) != len(x)):
            raise InvalidInput(f"eps = {eps!r}; give one radius >= 0, or one an image, ({len(x)},), finite")
        radii = above_zero(radii.to(x.device), dtype).expand(len(x))
        return cls(x.to(dtype), _widened(x, radii, norm), norm, clip)

    def at(self, images: slice) -> Ball:
        """Some of the images."""
        return Ball(self.x[images], self.eps[images], self.norm, self.clip)

    @property
    def box(self) -> Box:
        """The least box that holds ball and range."""
        eps = self._per_image(self.eps)
        box = Box(torch.where(eps > 0, below(self.x - eps), self.x), torch.where(eps > 0, above(self.x + eps), self.x))
        if self.clip is None:
            return box
        return Box(box.low.clamp(min=self.clip[0]), box.high.clamp(max=self.clip[1]))

    def image(self, step: Affine, around: Box) -> Box:
        """The box of an affine map of the ball: of the box `around` it, and of the ball by the norms of W's rows."""
        box = step.interval(around)
        if self.norm == "linf":
            return box
        x = self.x.reshape(len(self.x), *step.shape)
        g = gamma(step.terms, x.dtype)
        rows = step.row_norms(DUAL[self.norm]).to(x)
        reach = (1 + g) * rows * self.eps.reshape(-1, *[1] * (rows.ndim - 1))
        return box.within(step.around(x, reach + g * step.absolute(x.abs())))

    def least(self, A: Tensor, *, cut: bool = True) -> Tensor:
        """Lower bounds (N, S) of rows A (N, S, *shape) over the ball of each image.

        Without `cut` the better of the ball alone and the box alone is taken for l2 and l1, for a fraction of the time.
        """
        flat, x = A.flatten(2), self.x.flatten(1)
        box = Box(self.box.low.flatten(1), self.box.high.flatten(1))
        share = 2 if self.norm == "linf" else 8  # of the terms below, each at most so many times |A| . |x + d|
        error = share * gamma(flat.shape[2], flat.dtype) * _dot(flat.abs(), box.size)
        centre, radius = box.centred()
        best = _dot(flat, centre) - _dot(flat.abs(), radius)
        if self.norm != "linf":
            at_x = _dot(flat, x)
            dual = torch.linalg.vector_norm(flat, DUAL[self.norm], dim=2)
            best = torch.maximum(best, at_x - dual * self.eps[:, None])
            if cut and self.clip is not None:
                best = torch.maximum(best, at_x + self._cut(flat, box, x))
        return below(best - above(error))

    def _cut(self, A: Tensor, box: Box, x: Tensor) -> Tensor:
        """Lower bounds (N, S) of a . d over ball and range, by the multiplier."""
        down, up = (box.low - x)[:, None], (box.high - x)[:, None]
        eps = self.eps[:, None]
        size = A.abs()
        room = torch.where(A > 0, -down, up)  # how far d_i may go to make a_i d_i small
        least, most = torch.zeros_like(size[..., 0]), size.amax(2)
        if self.norm == "l2":
            most = torch.linalg.vector_norm(size, dim=2) / eps.clamp(min=torch.finfo(A.dtype).tiny ** 0.5)
        best = torch.full_like(most, -torch.inf)
        for step in range(MULTIPLIERS):
            multiplier = most if step == 0 else (least + most) / 2
            m = multiplier[..., None]
            if self.norm == "l1":
                value = -m[..., 0] * eps - ((size - m).clamp(min=0) * room).sum(2)
                spent = torch.where(size > m, room, 0.0).sum(2) > eps
            else:
                d = torch.minimum(size / m.clamp(min=torch.finfo(A.dtype).tiny ** 0.5), room)
                value = -m[..., 0] * eps**2 / 2 + (m / 2 * d**2 - size * d).sum(2)
                spent = (d**2).sum(2) > eps**2
            best = torch.maximum(best, torch.where(value.isfinite(), value, -torch.inf))
            least = torch.where(spent, multiplier, least)
            most = torch.where(spent, most, multiplier)
        return best

    def _per_image(self, values: Tensor) -> Tensor:
        return values.reshape(-1, *[1] * (self.x.ndim - 1))


def required_clip(clip: object) -> tuple[float, float] | None:
    """The range of inputs, low < high, or None. Raises `InvalidInput` for anything else."""
    if clip is None:
        return None
    if isinstance(clip, str) or not isinstance(clip, Sequence) or len(clip) != 2:
        raise InvalidInput(f"clip = {clip!r}; give the range of inputs as (low, high), such as (0, 1), or None")
    low, high = (require_number(end, "an end of clip") for end in clip)
    if not low < high:
        raise InvalidInput(f"clip = {clip!r}; give the range of inputs as (low, high) with low < high")
    return low, high


def _widened(x: Tensor, radii: Tensor, norm: str) -> Tensor:
    """Radii (N,) of balls around x as rounded to their dtype that hold the balls around x as given."""
    rounded = x.to(radii.dtype)
    if x.dtype == radii.dtype or bool((rounded.double() == x.double()).all()):
        return radii
    off = (rounded.double() - x.double()).flatten(1)
    moved = torch.linalg.vector_norm(off, {"linf": math.inf, "l2": 2.0, "l1": 1.0}[norm], dim=1) * (1 + 1e-12)
    return above_zero(radii.double() + moved, radii.dtype)


def above_zero(eps: Tensor, dtype: torch.dtype) -> Tensor:
    """Radii in the dtype, rounded up, with 0 kept."""
    radii = eps.to(dtype)
    return torch.where(radii > 0, above(radii), 0.0)


def _dot(A: Tensor, z: Tensor) -> Tensor:
    """Rows (N, S, n) times one vector an image (N, n): (N, S)."""
    return (A @ z[..., None])[..., 0]
