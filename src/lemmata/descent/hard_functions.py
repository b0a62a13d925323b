"""Convex functions of one variable on which n steps of gradient descent are exactly followed, over boxes of steps.

    g(x) = clip(c x, -left, right) + clip(x - start_right, 0, rise_right) - clip(-x - start_left, 0, rise_left)

with 0 < c <= 1, x_0 = 1 and x* = 0: quadratics, Huber functions, lopsided ones, and ones that rise a second time, after
a flat part, on either side. Each has a gradient with Lipschitz constant 1, so what gradient descent makes of it bounds
every schedule's worst case from below: f(x_n) the objective gap's (D = 1), g(x_n)^2/f(x_0) the gradient norm's given
the gap. Over a box of steps the range of x_{k+1} = x_k - h_k g(x_k) is found exactly, since h_k occurs once and
x - h g(x) is piecewise linear in x and linear in h: its extremes are at the ends and kinks. Floating point is accounted
for by widening each range by more than its rounding, so that the lower bounds are rigorous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lemmata.descent.method import Measure

ROUNDING = 2e-15  # above 8 u (|x| + |h g|), u = 2^-53: what x - h g, and g before it, are off by
RELATIVE = 1 - 1e-13  # a value is off by less than 1e-13 of itself: some ten roundings
CURVATURE, LEFT, RIGHT, START_LEFT, RISE_LEFT, START_RIGHT, RISE_RIGHT = range(7)


@dataclass(frozen=True, eq=False)
class HardFunctions:
    """J functions by their `numbers` (7, J): c, left, right, start_left, rise_left, start_right, rise_right.

    The second rise must start after the first has ended, start_left >= left/c and start_right >= right/c, or the
    gradient's Lipschitz constant would be 1 + c.
    """

    numbers: np.ndarray

    def __len__(self) -> int:
        return self.numbers.shape[1]

    def chosen(self, which: np.ndarray) -> HardFunctions:
        """Give the functions of these indices, an array of any shape: `numbers` has that shape after its 7."""
        return HardFunctions(self.numbers[:, which])

    def with_more(self, other: HardFunctions) -> HardFunctions:
        """Give these functions and the others after them."""
        return HardFunctions(np.concatenate([self.numbers, other.numbers], 1))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Give g at x, which broadcasts against the functions."""
        c, left, right, start_left, rise_left, start_right, rise_right = self.numbers
        again = np.clip(x - start_right, 0, rise_right) - np.clip(-x - start_left, 0, rise_left)
        return np.clip(c * x, -left, right) + again

    def value(self, x: np.ndarray) -> np.ndarray:
        """Give f at x, with f(0) = 0: a Huber function, and another beyond the second start."""
        c, left, right, start_left, rise_left, start_right, rise_right = self.numbers
        first = _huber(np.abs(x), np.where(x < 0, left, right), c)
        beyond = np.maximum(np.where(x < 0, -x - start_left, x - start_right), 0)
        return first + _huber(beyond, np.where(x < 0, rise_left, rise_right), 1.0)

    def after(self, steps: np.ndarray, of: Measure) -> np.ndarray:
        """Follow the steps (B, n) on all functions, (B, J): the gap f(x_n), or g(x_n)^2 / f(x_0)."""
        x = np.ones((len(steps), len(self)))
        for h in steps.T:
            x = x - h[:, None] * self.gradient(x)
        return self.value(x) if of == "gap" else self.gradient(x) ** 2 / self.value(np.ones(len(self)))

    def at_least(self, low: np.ndarray, high: np.ndarray, of: Measure) -> np.ndarray:
        """Bound `after` from below over the boxes low <= h <= high (B, n), on K functions of each box's own (B, K)."""
        c, left, right, start_left, rise_left, start_right, rise_right = self.numbers
        kinks = (-left / c, right / c, -start_left, start_right, -start_left - rise_left, start_right + rise_right)
        a = b = np.ones(c.shape)
        for p, q in zip(low.T[:, :, None], high.T[:, :, None], strict=True):
            points = [a, b, *(np.clip(kink, a, b) for kink in kinks)]
            lows, highs = zip(*(self._stepped(x, h) for x in points for h in (p, q)), strict=True)
            a, b = np.minimum.reduce(lows), np.maximum.reduce(highs)
        nearest = np.where(a > 0, a, np.where(b < 0, b, 0.0))
        if of == "gap":
            return self.value(nearest) * RELATIVE
        return self.gradient(nearest) ** 2 / self.value(np.ones(c.shape)) * RELATIVE

    def _stepped(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        move = h * self.gradient(x)
        slack = ROUNDING * (np.abs(x) + np.abs(move))
        return x - move - slack, x - move + slack


def _huber(distance: np.ndarray, slope: np.ndarray, c: np.ndarray | float) -> np.ndarray:
    g = np.minimum(c * distance, slope)
    return g * (distance - g / (2 * c))


def mesh(slopes: np.ndarray, curvatures: np.ndarray) -> HardFunctions:
    """Make all functions of curvature 1 with two of these slopes and no second rise, and quadratics of the curvatures.

    >>> len(mesh(np.array([0.1, 10.0]), np.array([0.5])))
    5
    """
    left, right = (side.ravel() for side in np.meshgrid(slopes, slopes))
    steep = np.full(len(curvatures), 1e6)  # a slope that is not reached
    c = np.concatenate([np.ones(len(left)), curvatures])
    left, right = np.concatenate([left, steep]), np.concatenate([right, steep])
    flat = np.zeros(len(c))
    return HardFunctions(np.stack([c, left, right, left / c, flat, right / c, flat]))


def varied(functions: HardFunctions, draw: np.random.Generator, spread: float) -> HardFunctions:
    """Vary all numbers at random by about `spread` of themselves; second rises may appear."""
    c, left, right, start_left, rise_left, start_right, rise_right = functions.numbers
    J = len(functions)
    factors = np.exp(spread * draw.standard_normal((5, J)))
    c = np.where(draw.random(J) < 0.5, c, np.minimum(c * factors[0], 1.0))
    new = [c, left * factors[1], right * factors[2]]
    for slope, start, rise, factor in ((new[1], start_left, rise_left, 3), (new[2], start_right, rise_right, 4)):
        flat = np.maximum(start - slope / c, 0) + np.where(draw.random(J) < 0.3, spread * draw.random(J), 0)
        rises = np.where(draw.random(J) < 0.3, spread * draw.random(J), 0) + rise * factors[factor]
        new += [(slope / c + flat) * (1 + 1e-15), np.where(draw.random(J) < 0.2, 0.0, rises)]
    return HardFunctions(np.stack(new))
