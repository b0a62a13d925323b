"""Lines below and above a nonlinear step: what it may do between its bounds, as two linear functions of its input.

    a_low z + t_low  <=  sigma(z)  <=  a_high z + t_high        for all z in [low, high]

A slope is chosen freely, and for the slope the intercept is computed that makes the line a bound, so that neither
rounding nor an approximate choice of a slope can make it wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Lines:
    """Slopes and intercepts, each (N, ...), of an activation; `size` bounds both lines' terms, slope times z and t."""

    low_slope: Tensor
    low_intercept: Tensor | None
    high_slope: Tensor
    high_intercept: Tensor
    size: Tensor


@dataclass(frozen=True, eq=False)
class Choice:
    """Of maxima over windows: which input is taken from below (N, C, L), and where it is the maximum for certain.

    Elsewhere the maximum is at most `high` (N, C, L) and `index` counts the inputs of a channel, flat.
    """

    index: Tensor
    certain: Tensor
    high: Tensor
