"""The pivots of M elastic bands as an ensemble that optimisers of `lemmata.training` move (Jonsson, Mills, Jacobsen).

With pivots p_0, ..., p_(N+1), the ends fixed, and tau_i the unit tangent at p_i, the loss pulls across the band only
and the springs along it only:

    g_i = grad L(p_i) - (grad L(p_i) . tau_i) tau_i - k (|p_(i+1) - p_i| - |p_i - p_(i-1)|) tau_i

so that springs do not cut corners and pivots do not slide down. With k = infinity there is no spring: after each step
the pivots are spread evenly over the band's length. The climbing pivot, the highest of a band, has
grad L - 2 (grad L . tau) tau and no spring: it goes up along the band and down across it, to the saddle itself
(Henkelman, Uberuaga and Jonsson, 2000).

Tangents are those of Henkelman and Jonsson (2000): towards the higher neighbour, at an extremum a mean of both sides
weighted by the differences of the loss, which does not flip. All pivots of all bands are evaluated in one batched call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from lemmata.landscape.states import State
from lemmata.training.ensemble import Ensemble
from lemmata.training.losses import BatchLoss, Loss
from lemmata.training.perceptron import assemble


class Pivots(Ensemble):
    """N pivots each of M bands, M N members in all; `control` {name: (M, N + 2, ...)} has the ends too.

    `end_losses` (M, 2) are those of the ends. Where `climbing` is set the highest pivot of each band climbs.
    """

    def __init__(self, models: Sequence[nn.Module], control: State, *, loss: Loss, end_losses: Tensor, spring: float):
        self.bands, self.spring, self.climbing = len(models), spring, False
        self.inner = next(iter(control.values())).shape[1] - 2
        self.networks = assemble([model for model in models for _ in range(self.inner)], loss)
        layout = self.networks.layout
        self.networks.theta.copy_(layout.pack({name: control[name][:, 1:-1] for name in layout.names}))
        theta = self.networks.theta
        super().__init__(self.networks.template, loss, theta, torch.zeros_like(theta), {})
        self.end_losses = end_losses.to(theta)
        self.losses = torch.zeros(self.bands, self.inner).to(theta)
        self._whole = [control[name].reshape(self.bands, self.inner + 2, -1).clone() for name in layout.names]
        self._pivots, self._slopes = self._blocks(theta), self._blocks(self.networks.gradient)

    def accumulate(
        self, x: Tensor, y: Tensor, *, shared: bool, keep: float | Tensor = 0.0, loss: BatchLoss | None = None
    ) -> Tensor:
        """Set gradient := keep * gradient + g; return the mean losses of the bands' pivots (M,)."""
        self.gradients += 1
        x, y = x if shared else self._repeated(x), self._repeated(y)
        self.losses = self.networks.accumulate(x, y, shared=shared, loss=loss).view(self.bands, self.inner)
        lengths = self._gather()
        highest = self._highest()
        mixing = tangents(torch.cat([self.end_losses[:, :1], self.losses, self.end_losses[:, 1:]], 1))
        along = [mixing @ points for points in self._whole]
        norm = _sum(tau.square().sum(2) for tau in along).sqrt().clamp_min(torch.finfo(self.theta.dtype).tiny)
        slope = _sum((g * tau).sum(2) for g, tau in zip(self._slopes, along, strict=True)) / norm
        pull = -slope
        if math.isfinite(self.spring):
            pull = pull - self.spring * (lengths[:, 1:] - lengths[:, :-1])
        if self.climbing:
            pull = torch.where(highest, -2 * slope, pull)
        for g, tau in zip(self._slopes, along, strict=True):
            g.addcmul_((pull / norm)[:, :, None], tau)
        self.gradient.mul_(keep) if isinstance(keep, Tensor) or keep else self.gradient.zero_()
        self.gradient.add_(self.networks.gradient)
        return self.losses.mean(1)

    def spread(self) -> None:
        """Put the pivots evenly over the length of their band; on either side of the climbing one, which stays."""
        lengths = self._gather()
        weights = even(lengths, self.losses.argmax(1) + 1 if self.climbing else None).to(self.theta)
        for pivots, points in zip(self._pivots, self._whole, strict=True):
            torch.bmm(weights, points, out=pivots)

    def control(self) -> State:
        """The points of all bands, ends included, {name: (M, N + 2, ...)}: copies."""
        self._gather()
        layout = self.layout
        return {
            name: points.view(self.bands, self.inner + 2, *shape).clone()
            for name, shape, points in zip(layout.names, layout.shapes, self._whole, strict=True)
        }

    def _gather(self) -> Tensor:
        """Copy the pivots between the ends; return the distances of neighbours (M, N + 1)."""
        for points, pivots in zip(self._whole, self._pivots, strict=True):
            points[:, 1:-1] = pivots
        return _sum((points[:, 1:] - points[:, :-1]).square().sum(2) for points in self._whole).sqrt()

    def _highest(self) -> Tensor:
        """Which pivot of each band has the largest loss (M, N)."""
        return torch.arange(self.inner, device=self.losses.device) == self.losses.argmax(1, keepdim=True)

    def _blocks(self, flat: Tensor) -> list[Tensor]:
        views = self.networks.layout.views(flat)
        return [views[name].view(self.bands, self.inner, -1) for name in self.networks.layout.names]

    def _repeated(self, own: Tensor) -> Tensor:
        return own[:, None].expand(-1, self.inner, *own.shape[1:]).flatten(0, 1)


def tangents(losses: Tensor) -> Tensor:
    """The tangents at the pivots as combinations of the points: losses (M, N + 2) -> (M, N, N + 2), not normalised.

    >>> tangents(torch.tensor([[0.0, 1.0, 2.0]])).tolist()  # uphill: towards the next
    [[[-0.0, -1.0, 1.0]]]
    """
    before, here, after = losses[:, :-2], losses[:, 1:-1], losses[:, 2:]
    up, down = (after - here).abs(), (before - here).abs()
    more, less = torch.maximum(up, down), torch.minimum(up, down)
    forward_higher = after > before
    forward = torch.where(forward_higher, more, less)
    backward = torch.where(forward_higher, less, more)
    rising, falling = (after > here) & (here > before), (after < here) & (here < before)
    forward = torch.where(rising, 1.0, torch.where(falling, 0.0, forward))
    backward = torch.where(falling, 1.0, torch.where(rising, 0.0, backward))
    level = (forward == 0) & (backward == 0)  # neighbours all alike: straight from one to the other
    forward, backward = torch.where(level, 0.5, forward), torch.where(level, 0.5, backward)
    inner = here.shape[1]
    mixing = losses.new_zeros(len(losses), inner, inner + 2)
    i = torch.arange(inner)
    mixing[:, i, i], mixing[:, i, i + 1], mixing[:, i, i + 2] = -backward, backward - forward, forward
    return mixing


def even(lengths: Tensor, fixed: Tensor | None = None) -> Tensor:
    """Weights (M, N, N + 2) that put pivots evenly over chains with sides of `lengths` (M, N + 1).

    With `fixed` (M,), the number of a point that stays, evenly on either side of it. Float64.

    >>> even(torch.tensor([[1.0, 3.0]])).tolist()
    [[[0.0, 0.6666666666666667, 0.3333333333333333]]]
    """
    sides = lengths.double()
    count, points = sides.shape[0], sides.shape[1] + 1
    reached = torch.cat([sides.new_zeros(count, 1), sides.cumsum(1)], 1)
    k = torch.arange(1, points - 1, dtype=torch.float64, device=sides.device).expand(count, -1)
    total, last = reached[:, -1:], points - 1
    if fixed is None:
        target = total * k / last
    else:
        at, middle = fixed[:, None].double(), reached.gather(1, fixed[:, None])
        after = middle + (total - middle) * (k - at) / (last - at)
        target = torch.where(k <= at, middle * k / at, after)
    side = torch.searchsorted(reached[:, 1:-1].contiguous(), target.contiguous())
    width = sides.gather(1, side)
    share = torch.where(width > 0, (target - reached.gather(1, side)) / width, 0.0)
    weights = sides.new_zeros(count, points - 2, points)
    weights.scatter_(2, side[:, :, None], (1 - share)[:, :, None])
    return weights.scatter_(2, side[:, :, None] + 1, share[:, :, None])


def _sum(parts: Iterable[Tensor]) -> Tensor:
    total = None
    for part in parts:
        total = part if total is None else total + part
    assert total is not None
    return total
