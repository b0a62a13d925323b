"""Balls around images, cut by the box of allowed values: projections on them, and where a linear function is largest.

For an image x, a radius eps and a box [low, high]^D that holds x (or no box), the set is

    { z : |z - x| <= eps, low <= z_i <= high }

In the maximum norm it is a box itself, and everything is a clamp. In the Euclidean norm both the projection of a point
p and the maximiser of <g, z> have the form

    z(t) = clip(x + t d),   d = p - x (t <= 1)  or  d = g,

with the largest t for which |z(t) - x| <= eps: the first by the Karush-Kuhn-Tucker conditions (with the multiplier m of
the ball, z = clip((p + m x) / (1 + m)) and t = 1 / (1 + m)), the second as its limit for a far point. |z(t) - x| grows
in t; with the coordinates that stand at the box held, t solves one equation, and holding more of them only raises t. So
the active set grows until it is right, after a handful of passes, D at most. Clipping after scaling, as is common,
stays inside the set too but ends short of the sphere: on images with much black or white it wastes much of eps.

Shapes: images (B, ...), radii (B,). Cost: passes over the entries, no sorting.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput

Bounds = tuple[float, float] | None
NORMS = ("linf", "l2")


def require_norm(norm: str) -> str:
    """Give the norm back.

    >>> require_norm("l1")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: norm = 'l1'; give 'linf' or 'l2'
    """
    if norm not in NORMS:
        raise InvalidInput(f"norm = {norm!r}; give {' or '.join(map(repr, NORMS))}")
    return norm


def distance(z: Tensor, x: Tensor, norm: str) -> Tensor:
    """The distance of each row: (B,)."""
    return _length((z - x).flatten(1), norm)


def dual_norm(g: Tensor, norm: str) -> Tensor:
    """How fast a function of gradient g can grow a unit of `norm`: the l1 norm of g for linf, l2 for l2; (B,)."""
    rows = g.flatten(1)
    return rows.abs().sum(1) if norm == "linf" else _length(rows, norm)


def steepest(g: Tensor, norm: str) -> Tensor:
    """The unit step along which a function of gradient g grows fastest: its signs, or g / |g|; zero where g is.

    However small g is: it is scaled before its squares are taken.

    >>> steepest(torch.tensor([[3e-30, -4e-30]]), "l2")
    tensor([[ 0.6000, -0.8000]])
    """
    if norm == "linf":
        return g.sign()
    scaled = _scaled(g.flatten(1))
    return (scaled / _nonzero(scaled.norm(dim=1, keepdim=True))).view_as(g)


def inward(g: Tensor, z: Tensor, clip: Bounds) -> Tensor:
    """The gradient g at z without entries that lead out of the box, on which a Euclidean step would waste length.

    >>> inward(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.5, 1.0]]), (0.0, 1.0))
    tensor([[3., 0.]])
    """
    if clip is None:
        return g
    return g.masked_fill(((z <= clip[0]) & (g < 0)) | ((z >= clip[1]) & (g > 0)), 0.0)


def projected(z: Tensor, x: Tensor, eps: Tensor, norm: str, clip: Bounds) -> Tensor:
    """The nearest point to z (Euclidean distance) in the ball and in the box, which must hold x.

    >>> x, far = torch.tensor([[0.0, 0.9]]), torch.tensor([[0.0, 9.0]])
    >>> projected(far, x, torch.tensor([0.5]), "l2", (0.0, 1.0))
    tensor([[0., 1.]])
    """
    if norm == "linf":
        radius = _column(eps, x)
        inside = torch.clamp(z, x - radius, x + radius)
        return inside if clip is None else inside.clamp_(*clip)
    inside = clipped(z, clip)
    outside = distance(inside, x, norm) > eps
    if not bool(outside.any()):
        return inside
    at = outside.nonzero().flatten()
    inside = inside.clone() if inside is z else inside
    inside[at] = _along(x[at], (z - x)[at], eps[at], clip)
    return inside


def farthest(x: Tensor, g: Tensor, eps: Tensor, norm: str, clip: Bounds) -> Tensor:
    """The point of the ball and the box at which the linear function <g, z> is largest; x itself where g = 0.

    >>> farthest(torch.tensor([[0.5, 0.9]]), torch.tensor([[1.0, 1.0]]), torch.tensor([0.5]), "l2", (0.0, 1.0))
    tensor([[0.9899, 1.0000]])
    """
    if norm == "linf":
        return clipped(x + _column(eps, x) * g.sign(), clip)
    return _along(x, g, eps, clip)


def uniform_points(draws: Tensor, shares: Tensor, norm: str) -> Tensor:
    """Points uniform in the unit ball of R^D, from `draws` (B, ...) and `shares` (B,) uniform in [0, 1).

    `draws` are uniform in [-1, 1] for linf, and the answer; for l2 they are standard normal and give the direction,
    with the radius share^(1/D).
    """
    if norm == "linf":
        return draws
    dimension = draws[0].numel()
    return steepest(draws, "l2") * _column(shares ** (1 / dimension), draws)


def clipped(z: Tensor, clip: Bounds) -> Tensor:
    """The point of the box next to z."""
    return z if clip is None else z.clamp(*clip)


def _along(x: Tensor, d: Tensor, eps: Tensor, clip: Bounds) -> Tensor:
    """clip(x + t d) at Euclidean distance eps from x, or as far as the box lets it go."""
    flat, start = _scaled(d.flatten(1)), x.flatten(1)
    speed, radius = flat.abs(), eps[:, None].to(x.dtype)
    t = radius / _nonzero(flat.norm(dim=1, keepdim=True))
    if clip is None:
        return (start + t * flat).view_as(x)
    room = torch.where(flat > 0, clip[1] - start, start - clip[0])  # up to the face that d heads for
    held = torch.full_like(t, -1.0)
    for _ in range(flat.shape[1] + 1):
        stopped = (t * speed >= room) & (speed > 0)
        count = stopped.sum(1, keepdim=True).to(held.dtype)
        if bool((count == held).all()):
            break
        held = count
        left = (radius.square() - torch.where(stopped, room, 0.0).square().sum(1, keepdim=True)).clamp(min=0.0)
        free = torch.where(stopped, 0.0, speed).square().sum(1, keepdim=True)
        t = torch.maximum(t, torch.where(free > 0, (left / _nonzero(free)).sqrt(), t))
    moved = torch.minimum(t * speed, room).where(speed > 0, 0.0)
    return clipped(start + moved * flat.sign(), clip).view_as(x)


def _length(rows: Tensor, norm: str) -> Tensor:
    if norm == "linf":
        return rows.abs().amax(1)
    largest = rows.abs().amax(1)
    return (rows / _nonzero(largest)[:, None]).norm(dim=1) * largest


def _scaled(rows: Tensor) -> Tensor:
    """Rows divided by their largest entries, so that no square underflows."""
    return rows / _nonzero(rows.abs().amax(1, keepdim=True))


def _nonzero(values: Tensor) -> Tensor:
    return torch.where(values == 0, torch.ones_like(values), values)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.ndim - 1)).to(like.dtype)
