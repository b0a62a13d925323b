"""Classes that lie along curves in the plane: no line separates them, and a flow that untangles them is seen to.

    circles      y uniform,  x = r_y (cos phi, sin phi) + z,  phi uniform
    spirals      y uniform,  x = s (cos, sin)(2 pi (turns s + y / classes)) + z,  s uniform on [inner, 1]
    swiss_roll   y uniform,  x = (s + y / 5) (cos, sin)(4 pi s) + z,  s uniform on [0, 1]

with z ~ N(0, noise^2 I). As for the laws of `synthetic`, `n` is a number or a shape (members, n), the generator is
explicit, and values are float64 unless another dtype is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, pi

import torch
from torch import Generator, Tensor

from lemmata.data.synthetic import Shape, noisy, shape_of
from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_whole


def circles(
    n: Shape,
    *,
    radii: Sequence[float] = (1.0, 2.0),
    noise: float = 0.0,
    generator: Generator,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Concentric circles, one a class, equally likely: x (*n, 2), y (*n) int64, the radius being radii[y].

    No continuous flow of the plane untangles them without a further dimension: a flow is a homeomorphism, and the inner
    circle stays inside.

    >>> x, y = circles(5, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(x.norm(dim=1), y.double() + 1)
    True
    """
    shape, lengths = shape_of(n), [require_number(radius, "radius") for radius in radii]
    if len(lengths) < 2 or not all(isfinite(radius) and radius >= 0 for radius in lengths):
        raise InvalidInput(f"radii {lengths}: give two or more, finite and 0 or more")
    y = torch.randint(len(lengths), shape, generator=generator, device=generator.device)
    phi = 2 * pi * torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
    return noisy(_polar(torch.tensor(lengths, dtype=dtype, device=y.device)[y], phi), noise, generator), y


def spirals(
    n: Shape,
    *,
    classes: int = 2,
    turns: float = 1.0,
    inner: float = 0.0,
    noise: float = 0.0,
    generator: Generator,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Arms of a spiral, one a class, equally likely, each the first turned: x (*n, 2) in the unit disc, y (*n) int64.

    Along an arm the distance s from the middle is uniform on [inner, 1], and its angle 2 pi (turns s + y / classes).

    >>> x, y = spirals(100, turns=1.5, generator=torch.Generator().manual_seed(0))
    >>> arm = torch.where(y[:, None] == 1, -x, x)                   # half a turn takes the second arm to the first
    >>> s = arm.norm(dim=1)
    >>> torch.allclose(arm[:, 0], s * torch.cos(3 * torch.pi * s))
    True
    """
    shape = shape_of(n)
    if not isfinite(require_number(turns, "turns")) or not 0 <= require_number(inner, "inner") < 1:
        raise InvalidInput(f"turns = {turns}, inner = {inner}; give finite turns, and an inner radius in [0, 1)")
    if require_whole(classes, "classes", least=2) and turns == 0 and inner == 0:
        raise InvalidInput("turns = 0 leaves straight rays from one point; give turns, or an inner radius")
    y = torch.randint(classes, shape, generator=generator, device=generator.device)
    s = inner + (1 - inner) * torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
    return noisy(_polar(s, 2 * pi * (turns * s + y.to(dtype) / classes)), noise, generator), y


def swiss_roll(
    n: Shape, *, noise: float = 0.0, generator: Generator, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Two spirals of two turns, the second a fifth further out: x (*n, 2), y (*n) int64, both equally likely.

    The second test problem of Haber and Ruthotto (2017), arXiv:1705.03341, which takes 513 points at equal steps; here
    they are drawn. The arms come as near as 0.16 to each other, by the middle.

    >>> x, y = swiss_roll(100, generator=torch.Generator().manual_seed(0))
    >>> s = x.norm(dim=1) - 0.2 * y
    >>> torch.allclose(x[:, 0], (s + 0.2 * y) * torch.cos(4 * torch.pi * s))
    True
    """
    shape = shape_of(n)
    y = torch.randint(2, shape, generator=generator, device=generator.device)
    s = torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
    return noisy(_polar(s + 0.2 * y.to(dtype), 4 * pi * s), noise, generator), y


def _polar(radius: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
