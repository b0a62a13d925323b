"""How a curve mixes its control points: theta(t) = sum_k c_k(t) w_k, k = 0, ..., K + 1, with sum_k c_k = 1.

    Bezier    c_k(t) = C(K + 1, k) t^k (1 - t)^(K + 1 - k)      smooth, inside the convex hull of its points
    polygon   c_k(t) = max(0, 1 - |(K + 1) t - k|)              straight from point to point, each passed at k / (K + 1)

(Garipov et al., 2018.) Both are 1 for the first point at t = 0 and for the last at t = 1, and 0 for the others, to the
bit: a curve ends where it is said to. With control points evenly spaced on a line both run along it at constant speed.
"""

from collections.abc import Callable
from math import comb
from typing import Literal

import torch
from torch import Tensor

from lemmata.errors import UnknownName

Kind = Literal["bezier", "polygon"]


def bernstein(t: Tensor, points: int) -> Tensor:
    """Weights of a Bezier curve's control points at t (...): (..., points), float64.

    >>> bernstein(torch.tensor([0.0, 0.5]), 3).tolist()
    [[1.0, 0.0, 0.0], [0.25, 0.5, 0.25]]
    """
    k = torch.arange(points, dtype=torch.float64, device=t.device)
    binomials = torch.tensor([comb(points - 1, j) for j in range(points)], dtype=torch.float64, device=t.device)
    u = t.double()[..., None]
    return binomials * u**k * (1 - u) ** (points - 1 - k)


def hats(t: Tensor, points: int) -> Tensor:
    """Weights of a polygonal chain's corners at t (...): (..., points), float64.

    >>> hats(torch.tensor([0.0, 0.25, 0.5]), 3).tolist()
    [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]
    """
    k = torch.arange(points, dtype=torch.float64, device=t.device)
    return (1 - ((points - 1) * t.double()[..., None] - k).abs()).clamp_min(0.0)


BASES: dict[str, Callable[[Tensor, int], Tensor]] = {"bezier": bernstein, "polygon": hats}


def basis_of(kind: str) -> Callable[[Tensor, int], Tensor]:
    """The weights of a kind of curve; raises `UnknownName`."""
    if kind not in BASES:
        raise UnknownName("kind of curve", kind, BASES)
    return BASES[kind]
