"""L-BFGS on many small problems at once, each with its own history and step: the layers of a network, decoupled.

All problems advance in one batched call of value and gradient a trial, of those alone that still need one. Curvature
pairs that are not positive count for nothing in their own problem only. A step is cut, by the parabola through what is
known of the line, until it satisfies Armijo's condition, or, where two values differ by rounding only, a condition on
slopes that says the same of quadratics (Hager and Zhang, 2005). A problem that finds no step rests. So no value rises,
but for rounding.
Cost: one gradient of each problem an iteration, and one for each cut that it needs. Memory: 2 m B P numbers.
Source: Nocedal and Wright (2006), algorithms 7.4 and 3.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.required import require_matrix
from lemmata.given import require_callable, require_number, require_whole

Function = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (b, P), which b of the B problems -> (b,), (b, P)
PAIRS = 2**20  # of steps and differences that are remembered; far beyond what iterations make
CUTS, DECREASE = 12, 1e-4
ROUNDING, TURNED = 1e2, 0.9  # units in the last place within which values do not differ; slope that may be left


def batched_lbfgs(
    function: Function, start: Tensor, *, iterations: int, memory: int = 10, tolerance: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Minimise B functions from start (B, P); give the points (B, P) and the values (B,).

    `function`(x, which) gives values (b,) and gradients (b, P) of the problems `which` (b,) at x (b, P).
    A problem rests once its gradient is no longer than `tolerance`.

    >>> d = torch.tensor([[1.0, 10.0], [1.0, 2.0]], dtype=torch.float64)
    >>> x, _ = batched_lbfgs(lambda x, k: ((d[k] * x * x).sum(1) / 2, d[k] * x), torch.ones_like(d), iterations=20)
    >>> bool(x.abs().max() < 1e-6)
    True
    """
    iterations, memory = require_whole(iterations, "iterations"), min(require_whole(memory, "memory"), PAIRS)
    if not 0 <= require_number(tolerance, "tolerance") < torch.inf:
        raise InvalidInput(f"tolerance = {tolerance}; give a length of the gradient, 0 or more")
    x = require_matrix(start, "start")
    answer = require_callable(function, "function")(x, torch.arange(len(x), device=x.device))
    _check(answer, x)
    value, gradient = answer
    pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=memory)
    scale, live = torch.ones_like(value), torch.ones_like(value, dtype=torch.bool)
    for _ in range(iterations):
        live &= gradient.norm(dim=1) > tolerance
        if not live.any():
            break
        direction = -_two_loops(gradient, pairs, scale)
        slope = (direction * gradient).sum(1)
        uphill = ~(slope < 0)
        direction = torch.where(uphill[:, None], -gradient, direction)
        slope = torch.where(uphill, -gradient.square().sum(1), slope)
        first = 1.0 / gradient.norm(dim=1).clamp_min(1.0) if not pairs else torch.ones_like(value)
        moved, new_value, new_gradient = _search(function, (x, value, gradient), direction, slope, first * live)
        s, y = moved - x, new_gradient - gradient
        curvature = (s * y).sum(1)
        good = curvature > 1e-12 * s.norm(dim=1) * y.norm(dim=1)
        inverse = torch.where(good, 1 / torch.where(good, curvature, 1.0), 0.0)
        scale = torch.where(good, curvature / y.square().sum(1).clamp_min(1e-300), scale)
        pairs.append((s, y, inverse))
        live &= (s != 0).any(1)
        x, value, gradient = moved, new_value, new_gradient
    return x, value


def _check(answer: object, x: Tensor) -> None:
    """Refuse what is not a value and a gradient of each problem."""
    parts = answer if isinstance(answer, tuple) and len(answer) == 2 else (None, None)
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else None for part in parts]
    if shapes != [(len(x),), tuple(x.shape)]:
        raise InvalidInput(
            f"function gave {type(answer).__name__} of shapes {shapes} for {len(x)} problems of {x.shape[1]} numbers; "
            f"it must give values (b,) and gradients (b, P)"
        )


def _two_loops(g: Tensor, pairs: deque[tuple[Tensor, Tensor, Tensor]], scale: Tensor) -> Tensor:
    """The inverse quasi-Newton Hessians times g; a pair with inverse curvature 0 changes nothing."""
    q, weights = g, []
    for s, y, inverse in reversed(pairs):
        weights.append(inverse * (s * q).sum(1))
        q = q - weights[-1][:, None] * y
    q = scale[:, None] * q
    for (s, y, inverse), weight in zip(pairs, reversed(weights), strict=True):
        q = q + (weight - inverse * (y * q).sum(1))[:, None] * s
    return q


def _search(
    function: Function, at: tuple[Tensor, Tensor, Tensor], direction: Tensor, slope: Tensor, t: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the steps t from (x, value, gradient) until each problem falls enough; those that do not, stay."""
    x, value, gradient = at
    moved, new_value, new_gradient = x.clone(), value.clone(), gradient.clone()
    rounding = ROUNDING * torch.finfo(value.dtype).eps * value.abs()
    which = (t > 0).nonzero().flatten()
    for _ in range(CUTS):
        if not len(which):
            break
        step, m, base = t[which], slope[which], value[which]
        trial = x[which] + step[:, None] * direction[which]
        f, g = function(trial, which)
        lower = (f < base) & (f <= base + DECREASE * step * m)
        left = (g * direction[which]).sum(1)
        flat = ((f - base).abs() <= rounding[which]) & (left >= TURNED * m) & (left <= -TURNED * m)
        fell = (lower | flat) & f.isfinite() & g.isfinite().all(1)
        found = which[fell]
        moved[found], new_value[found], new_gradient[found] = trial[fell], f[fell], g[fell]
        rise = f - base - step * m
        parabola = torch.where(rise.isfinite() & (rise > 0), -0.5 * m * step * step / rise, 0.0)
        t = t.index_copy(0, which, torch.maximum(torch.minimum(parabola, 0.5 * step), 0.1 * step))
        which = which[~fell]
    return moved, new_value, new_gradient
