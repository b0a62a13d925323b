"""Huber's function of one variable: the worst smooth convex function of many methods, at the right threshold.

    f(x) = L x^2 / 2  for |x| <= tau,      L (tau |x| - tau^2 / 2)  beyond;      x_0 = 1, D = 1, f* = 0

Gradient descent with steps h/L, S = sum h, that never overshoots goes down the linear part by tau h at each step. With

    tau = 1 / (2 S + 1)      it ends at 1 - S tau = (1 + tau) / 2 ... f_N = L D^2 / (2 (2 S + 1))

so that no schedule has a worst case below this number (Drori and Teboulle, 2014; Taylor, Hendrickx and Glineur, 2017),
and constant steps up to a limit, silver and dominant schedules have exactly this one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lemmata.descent.problems.problem import Bracket, Problem
from lemmata.errors import InvalidInput


def huber(steps: Sequence[float] | np.ndarray | Tensor | None = None, *, threshold: float | None = None, L: float = 1.0,
          dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Problem:  # fmt: skip
    """The worst function for gradient descent with these `steps` (N,), in units of 1/L; or that of a `threshold`.

    Raises `InvalidInput` unless exactly one of the two is given, for a threshold that is not positive, and for
    steps that are none or negative.

    >>> worst = huber([1.0] * 10)
    >>> x = worst.x0
    >>> for _ in range(10):
    ...     x = x - worst.gradient(x)
    >>> round(float(worst.value(x)), 12) == round(1 / 42, 12)
    True
    """
    if (steps is None) == (threshold is None):
        raise InvalidInput("huber wants either the steps whose worst function it should be, or a threshold")
    if steps is not None:
        h = np.asarray(steps, dtype=float)
        total = float(h.sum())
        if h.ndim != 1 or not len(h) or not np.isfinite(total) or h.min() < 0:
            raise InvalidInput(f"the steps are {h!r:.60}; give one or more, none negative, with a finite sum")
        threshold = 1 / (2 * total + 1)
    if threshold is None or not 0 < threshold < float("inf"):
        raise InvalidInput(f"threshold = {threshold} must be positive and finite")
    tau = float(threshold)

    def value(x: Tensor) -> Tensor:
        size = x[..., 0].abs()
        return L * torch.where(size <= tau, size.square() / 2, tau * size - tau**2 / 2)

    def gradient(x: Tensor) -> Tensor:
        return L * x.clamp(-tau, tau)

    return Problem(
        name=f"Huber, threshold {tau:.4g}", value=value, gradient=gradient,
        x0=torch.ones(1, dtype=dtype, device=device), L=L, minimum=Bracket(0.0, 0.0), nearest=torch.zeros_like,
    )  # fmt: skip
