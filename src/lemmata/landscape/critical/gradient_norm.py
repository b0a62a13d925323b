"""Gradient-norm minimisation: descend on |grad L|^2 / 2, whose gradient is H g, by limited-memory BFGS.

Every critical point of L, of any index, is a global minimum of |g|^2. But |g|^2 has stationary points of its own,
wherever H g = 0 without g = 0, and descent stops at those that are its local minima: gradient-flat points. So what this
method ends at has to be judged (`flatness`). Steps are those of L-BFGS (Nocedal, 1980) with a history for each member,
halved until |g|^2 falls. Cost of a step: one product with the Hessian (2 gradients), one gradient a factor tried. Its
condition number is the square of the Hessian's, so that it takes many more steps than `newton_mr`.
"""

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.line_search import shrink_gradient
from lemmata.landscape.critical.newton_mr import shortened
from lemmata.landscape.critical.walk import Moving

PAIRS = 20


class GradientNorm:
    """One step of L-BFGS on |g|^2 / 2 for every member; pairs that are not positive are left out of its history."""

    def __init__(self, field: Field, count: int, *, longest: float = 1.0):
        self.field, self.count, self.longest = field, count, longest
        self.s = self.y = self.rho = self.slope = torch.zeros(0)
        self.moved = torch.zeros(0)
        self.at = 0

    def step(self, moving: Moving) -> Tensor:
        """Update the histories, search along the direction; gives a mask (m,) of those whose gradient norm fell."""
        if self.at == 0:
            shape = (PAIRS, self.count, moving.Y.shape[1])
            self.s, self.y = moving.Y.new_zeros(shape), moving.Y.new_zeros(shape)
            self.rho = moving.Y.new_zeros(shape[:2])
            self.slope, self.moved = moving.Y.new_zeros(shape[1:]), moving.Y.new_zeros(shape[1:])
        rows = moving.rows
        q = self.field.products(moving.Y)(moving.g)
        if self.at:
            self._remember(rows, self.moved[rows], q - self.slope[rows])
        self.at += 1
        self.slope[rows] = q
        p = shortened(-self._apply(rows, q), self.longest * (1 + moving.Y.norm(dim=1)))
        slope = 2 * (q * p).sum(1)
        downhill = slope < 0
        steepest = shortened(-q, self.longest * (1 + moving.Y.norm(dim=1)))
        p = torch.where(downhill[:, None], p, steepest)
        slope = torch.where(downhill, slope, 2 * (q * steepest).sum(1))
        taken, moved = shrink_gradient(self.field, moving, p, slope)
        self.moved[rows] = taken[:, None] * p
        return moved

    def _remember(self, rows: Tensor, s: Tensor, y: Tensor) -> None:
        """Put a pair in the place of the oldest, where its curvature is positive."""
        curvature = (s * y).sum(1)
        good = curvature > 1e-10 * s.norm(dim=1) * y.norm(dim=1)
        slot = (self.at - 1) % PAIRS
        self.s[slot, rows], self.y[slot, rows] = s, y
        self.rho[slot, rows] = torch.where(good, 1 / torch.where(good, curvature, 1.0), 0.0)

    def _apply(self, rows: Tensor, q: Tensor) -> Tensor:
        """The two loops: the inverse of the Hessian of |g|^2 / 2 as the history knows it, times q."""
        used = min(self.at - 1, PAIRS)
        order = [(self.at - 2 - k) % PAIRS for k in range(used)]  # newest first
        q, a = q.clone(), {}
        for k in order:
            a[k] = self.rho[k, rows] * (self.s[k, rows] * q).sum(1)
            q -= a[k][:, None] * self.y[k, rows]
        if order:
            newest = order[0]
            s, y, good = self.s[newest, rows], self.y[newest, rows], self.rho[newest, rows] > 0
            scale = (s * y).sum(1) / y.square().sum(1).clamp(min=1e-300)
            q *= torch.where(good, scale, 1.0)[:, None]
        for k in reversed(order):
            b = self.rho[k, rows] * (self.y[k, rows] * q).sum(1)
            q += (a[k] - b)[:, None] * self.s[k, rows]
        return q
