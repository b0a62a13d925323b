"""Means over normal variables, E g(u) with u ~ N(0, q), and over pairs of them, to a stated error, in float64.

The line is cut into panels at the kinks of g, at whole standard deviations, and at geometrically growing distances from
0, since an activation has its own scale, 1, beside that of u; on each panel the integrand is smooth and its nearest
singularity no nearer than about the panel is long, so that the Gauss-Legendre rule of 16 nodes gains a factor of 10^-16
or so. Every mean is computed again with all panels halved (over pairs, with 8 nodes instead of 12); the difference is
its error, and panels are halved further until it is below the tolerance. Cost: about 10^3 evaluations of g a mean, some
10^5 a mean over pairs.

Where it fails: g with a jump or kink that was not named, and g that grows so fast that the normal density has not done
with it at 10 standard deviations (exp(2 u) at q = 16); both raise `NotConverged`, with the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

TOLERANCE = 1e-9  # relative to E |g|
HALVINGS = 6
REACH = 10.0  # standard deviations; the rest has mass 1.5e-23
FLOOR = 1e-18  # what may lie beyond the reach, however small E |g| is: all of g, if it starts out there
NODES = 16  # of a panel
PAIR_NODES = (8, 12)  # of a panel, for a rule and a better one
FINEST = 2.0**-4  # of the panels next to 0, in units of u


def gaussian_mean(g: Callable[[Tensor], Tensor], q: Tensor, kinks: Sequence[float] = ()) -> tuple[Tensor, Tensor]:
    """E g(u) over u ~ N(0, q) for variances q (m,) >= 0: the means (m,) and the error of each (m,).

    Raises `NotConverged` where halving all panels six times does not bring the error below 1e-9 of E |g|, and where |g|
    times the normal density is above that, and above 1e-18, at 10 standard deviations, beyond which nothing is seen.

    >>> mean, error = gaussian_mean(torch.relu, torch.tensor([2 * math.pi], dtype=torch.float64))
    >>> round(mean.item(), 12), bool(error < 1e-12)
    (1.0, True)
    """
    q = q.double()
    before, size = _on_panels(g, q, kinks, 0)
    for halvings in range(1, HALVINGS + 1):
        now, size = _on_panels(g, q, kinks, halvings)
        error = (now - before).abs()
        if bool((error <= TOLERANCE * size).all()):
            _require_nothing_beyond(g, q, now, size)
            return now, error
        before = now
    raise _not_converged(now, float((error / size.clamp(min=1e-300)).max()))


def gaussian_rule(q: float, kinks: Sequence[float] = (), halvings: int = 2) -> tuple[Tensor, Tensor]:
    """Nodes u (N,) and weights (N,) of E over u ~ N(0, q), for functions of phi(u) with features finer than phi's own.

    >>> u, weights = gaussian_rule(4.0)
    >>> round(float(weights.sum()), 12), round(float(weights @ u.square()), 12)
    (1.0, 4.0)
    """
    scale = math.sqrt(q)
    z, weights = _rule(torch.cat([_deviations(), _own_scale(scale, kinks) / max(scale, 1e-150)])[None], halvings, NODES)
    weights = weights * _density(z)
    live = weights > 1e-22
    return scale * z[live], weights[live]


def pair_mean(g: Callable[[Tensor], Tensor], q: float, c: float, kinks: Sequence[float] = ()) -> tuple[float, float]:
    """E g(u) g(v) over normal u and v of variance q > 0 and correlation c, and its error.

    v given u is normal of mean c u and variance q (1 - c^2): for every node of u the inner mean is split where v
    crosses a kink; the outer one is split about the kinks down to the width of the inner normal. Raises `NotConverged`
    where the error is above 1e-9 of E |g(u) g(v)| though all panels were halved three times.
    """
    if abs(c) >= 1:
        sign = math.copysign(1.0, c)
        both = [*kinks, *(-k for k in kinks)]
        mean, error = gaussian_mean(lambda u: g(u) * g(sign * u), torch.tensor([q], dtype=torch.float64), both)
        return float(mean), float(error)
    now, size, error = 0.0, 1.0, math.inf
    for halvings in range(4):
        (before, _), (now, size) = (
            _pair_on_panels(g, q, c, kinks, halvings=halvings, count=count) for count in PAIR_NODES
        )
        error = abs(now - before)
        if error <= TOLERANCE * size:
            return now, error
    raise _not_converged(now, error / max(size, 1e-300))


def _not_converged(best: Tensor | float, residual: float) -> NotConverged:
    return NotConverged(
        "the mean of the activation over a normal variable", best=best, residual=residual, tolerance=TOLERANCE,
        remedy="name the points where it or its slope jumps, Nonlinearity(name, function, kinks=(...))",
    )  # fmt: skip


def _require_nothing_beyond(g: Callable[[Tensor], Tensor], q: Tensor, means: Tensor, size: Tensor) -> None:
    ends = torch.tensor([-REACH, REACH], dtype=torch.float64)
    left = (g(q.sqrt()[:, None] * ends).abs() * _density(ends)).amax(1)
    if not bool((left <= TOLERANCE * size + FLOOR).all()):
        raise NotConverged(
            f"the mean of the activation over a normal variable of variance up to {float(q.max()):.3g}", best=means,
            residual=float((left / size).max()), tolerance=TOLERANCE,
            remedy="the activation grows faster than the normal density falls; take smaller variances",
        )  # fmt: skip


def _on_panels(
    g: Callable[[Tensor], Tensor], q: Tensor, kinks: Sequence[float], halvings: int
) -> tuple[Tensor, Tensor]:
    scale = q.sqrt()[:, None]
    cuts = torch.cat(
        [_deviations().expand(len(q), -1), _own_scale(float(scale.max()), kinks) / scale.clamp(min=1e-150)], 1
    )
    z, weights = _rule(cuts, halvings, NODES)
    values = g(scale * z)
    if not bool(values.isfinite().all()):
        raise InvalidInput(f"the activation is not finite between {float((scale * z).min()):.3g} and "
                           f"{float((scale * z).max()):.3g}")  # fmt: skip
    weights = weights * _density(z)
    return (values * weights).sum(1), (values.abs() * weights).sum(1)


def _pair_on_panels(
    g: Callable[[Tensor], Tensor], q: float, c: float, kinks: Sequence[float], *, halvings: int, count: int
) -> tuple[float, float]:
    scale, spread = math.sqrt(q), math.sqrt((1 - c) * (1 + c))
    own = _own_scale(scale, kinks) / scale
    near = [own]
    if spread < 0.5:  # the inner mean has a feature of this width at each kink: at the image of it
        steps = spread * 2.0 ** torch.arange(-1, math.ceil(-math.log2(spread)) + 1, dtype=torch.float64)
        at = torch.tensor([0.0, *kinks], dtype=torch.float64)[:, None] / (scale * c)
        near += [at.flatten(), (at + steps).flatten(), (at - steps).flatten()]
    z, weights = _rule(torch.cat([_deviations(), *near])[None], halvings, count)
    z, weights = z[0], (weights * _density(z))[0]
    live = weights > 1e-25
    z, weights = z[live], weights[live]
    cuts = (own[None] - c * z[:, None]) / spread
    inner, total, size = _deviations().expand(len(z), -1), 0.0, 0.0
    for part in torch.arange(len(z)).split(200):  # of a few million values at most at once
        y, w = _rule(torch.cat([inner[part], cuts[part]], 1), halvings, count)
        values = g(scale * (c * z[part, None] + spread * y)) * w * _density(y)
        outer = g(scale * z[part]) * weights[part]
        total, size = total + float(values.sum(1) @ outer), size + float(values.abs().sum(1) @ outer.abs())
    return total, size


def _rule(cuts: Tensor, halvings: int, count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights (m, N) on the panels between the cuts (m, k), those beyond the reach left out."""
    ends = cuts.clamp(-REACH, REACH).sort(1).values
    parts = 2**halvings
    x, weights = _legendre(count)
    steps = torch.arange(parts, dtype=torch.float64)
    width = ends.diff(dim=1)[..., None] / parts
    start = ends[:, :-1, None] + width * steps
    nodes = start[..., None] + width[..., None] * (x + 1) / 2
    return nodes.flatten(1), (width[..., None] * weights / 2).expand_as(nodes).flatten(1)


def _density(z: Tensor) -> Tensor:
    return (-z.square() / 2).exp() / math.sqrt(2 * math.pi)


@cache
def _deviations() -> Tensor:
    return torch.arange(-REACH, REACH + 1, dtype=torch.float64)


def _own_scale(scale: float, kinks: Sequence[float]) -> Tensor:
    """Cuts in units of u: the kinks, and distances from 0 that double from 1/16 to the reach."""
    doublings = max(0, math.ceil(math.log2(max(REACH * scale / FINEST, 1))))
    grown = FINEST * 2.0 ** torch.arange(doublings + 1, dtype=torch.float64)
    return torch.cat([grown, -grown, torch.tensor([0.0, *kinks], dtype=torch.float64)])


@cache
def _legendre(count: int) -> tuple[Tensor, Tensor]:
    x, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy(x), torch.from_numpy(weights)
