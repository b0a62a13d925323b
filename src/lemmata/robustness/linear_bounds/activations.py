"""Activations, entry by entry: their intervals and the lines between which they run.

Rectifiers max(z, a z) with 0 <= a <= 1 are convex: the chord is the line above, and below runs any line through 0 with
a slope in [a, 1]; the adaptive one is 1 where the interval reaches further up than down (Zhang et al., 2018, section
3.3). Sigmoid and tanh are convex left of 0 and concave right of it: below and above run chords and tangents, across 0
the tangent that meets the far end (Zhang et al., 2018, table 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.robustness.linear_bounds.box import Box
from lemmata.robustness.linear_bounds.relaxation import Lines
from lemmata.robustness.linear_bounds.rounding import above, below

BISECTIONS = 30  # for the point where a tangent meets the far end; its slope need not be exact
FUNCTION_ERROR = 8  # units in the last place that torch's tanh and sigmoid may be off


class Rectifier:
    """max(z, slope z): ReLU with slope 0, leaky ReLU; the slope is rounded to the dtype of z."""

    lipschitz = 1.0

    def __init__(self, slope: float = 0.0):
        self.slope = slope

    def __call__(self, z: Tensor) -> Tensor:
        """The activation."""
        return torch.maximum(z, self.slope * z)

    def interval(self, box: Box) -> Box:
        """Its values over a box: it increases."""
        low, high = self(box.low), self(box.high)
        return Box(low, high) if self.slope == 0 else Box(below(low), above(high))

    def unsettled(self, box: Box) -> Tensor:
        """Where the lines depend on the bounds."""
        return (box.low < 0) & (box.high > 0)

    def lines(self, box: Box, low_slope: Tensor | None = None) -> Lines:
        """The chord above; below the adaptive slope, or the one that is given."""
        low, high = box.low, box.high
        left, right = self(low), self(high)
        crossing = self.unsettled(box)
        one, slope = low.new_tensor(1.0), low.new_tensor(self.slope)
        side = torch.where(low >= 0, one, slope)
        chord = torch.where(crossing, (right - left) / torch.where(crossing, high - low, 1.0), side)
        at_ends = torch.maximum(left - chord * low, right - chord * high)
        error = torch.finfo(low.dtype).eps * (left.abs() + right.abs() + (chord * low).abs() + (chord * high).abs())
        intercept = torch.where(crossing, above(at_ends + 4 * error), 0.0)
        if low_slope is None:
            low_slope = torch.where(high > -low, one, slope)
        below_slope = torch.where(crossing, low_slope.clamp(self.slope, 1.0), side)
        return Lines(below_slope, None, chord, intercept, box.size + intercept.abs())


class Sigmoid:
    """tanh or the logistic function: `scale` tanh(z scale') + shift, increasing, with an inflection at 0."""

    def __init__(self, name: str):
        self.name = name
        self.lipschitz = 1.0 if name == "tanh" else 0.25

    def __call__(self, z: Tensor) -> Tensor:
        """The activation."""
        return torch.tanh(z) if self.name == "tanh" else torch.sigmoid(z)

    def derivative(self, z: Tensor) -> Tensor:
        """Its slope."""
        return 1 / torch.cosh(z) ** 2 if self.name == "tanh" else 0.25 / torch.cosh(z / 2) ** 2

    def interval(self, box: Box) -> Box:
        """Its values over a box: it increases."""
        low, high = self(box.low), self(box.high)
        error = FUNCTION_ERROR * torch.finfo(low.dtype).eps
        return Box(below(low - error * low.abs()), above(high + error * high.abs()))

    def unsettled(self, box: Box) -> Tensor:
        """Where the lines depend on the bounds: everywhere."""
        return torch.ones_like(box.low, dtype=torch.bool)

    def lines(self, box: Box, low_slope: Tensor | None = None) -> Lines:
        """Chords and tangents."""
        low, high = box.low, box.high
        width = high - low
        middle = self.derivative(low + width / 2)
        chord = torch.where(width > 0, (self(high) - self(low)) / torch.where(width > 0, width, 1.0), middle)
        over = torch.where(low >= 0, middle, torch.where(high <= 0, chord, self._tangent(low, high, chord)))
        under = torch.where(low >= 0, chord, torch.where(high <= 0, middle, self._tangent(-high, -low, chord)))
        under = under if low_slope is None else low_slope
        least, most = self._intercept(under, box, -1.0), self._intercept(over, box, 1.0)
        size = torch.maximum(under.abs(), over.abs()) * box.size + torch.maximum(least.abs(), most.abs())
        return Lines(under, least, over, most, size)

    def _tangent(self, low: Tensor, high: Tensor, chord: Tensor) -> Tensor:
        """The slope above across 0: of the chord where it lies above, else of the tangent that meets (low, f(low))."""
        a, b = torch.zeros_like(low), high.clamp(min=0)
        start = self(low)
        for _ in range(BISECTIONS):
            d = (a + b) / 2
            under_start = self(d) - self.derivative(d) * (d - low) < start
            a, b = torch.where(under_start, d, a), torch.where(under_start, b, d)
        return torch.where(self.derivative(high) >= chord, chord, self.derivative(b))

    def _intercept(self, slope: Tensor, box: Box, sign: float) -> Tensor:
        """The largest f(z) - slope z over the box (sign 1), or the least (sign -1), rounded outwards.

        It is taken at an end or where f' = slope; there an error of the point counts but by its square.
        """
        steepest = 1.0 if self.name == "tanh" else 0.25
        ratio = (steepest / slope.clamp(min=1e-300 if slope.dtype == torch.float64 else 1e-30)).clamp(min=1).sqrt()
        stationary = torch.acosh(ratio) * (1.0 if self.name == "tanh" else 2.0)
        eps = torch.finfo(slope.dtype).eps
        best = torch.full_like(slope, -torch.inf)
        for z in (box.low, box.high, stationary, -stationary):
            inside = torch.minimum(torch.maximum(z, box.low), box.high)
            value, line = self(inside), slope * inside
            error = FUNCTION_ERROR * eps * (value.abs() + line.abs() + slope.abs())
            best = torch.maximum(best, sign * (value - line) + error)
        return sign * above(best)
