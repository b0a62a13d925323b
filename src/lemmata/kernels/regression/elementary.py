"""Kernels of two points that need no network: Gaussian, Laplace, polynomial.

    Gaussian    exp(-|x - z|^2 / (2 s^2))        analytic: eigenvalues fall faster than any power
    Laplace     exp(-|x - z| / s)                eigenvalues fall as those of the ReLU tangent kernel on the sphere
    polynomial  (scale x.z + offset)^degree      of finite rank: singular beyond binom(d + degree, degree) points

Each is a function (x, z) -> values: x (n, d), z (m, d) gives (n, m), and z = None the symmetric (n, n), whose diagonal
is exact. Cost: 2 n m d flops for the products, one elementary function an entry. Slow where most points are nearer to
each other than to 0, so that distances have to be computed from differences: shift such data by their mean.

Sources: Schoelkopf, Smola (2002), Learning with Kernels, 2.3; Geifman, Yadav, Kasten, Galun, Jacobs, Basri (2020),
arXiv:2007.01580, and Chen, Xu (2021), arXiv:2009.10683 (Laplace against tangent kernels).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_tensor

NEAR = 1e-3  # |x - z|^2 / |x|^2 below which three digits and more would be lost
AT_ONCE = 2**22  # numbers in a batch of differences


@dataclass(frozen=True)
class Gaussian:
    """exp(-|x - z|^2 / (2 bandwidth^2)).

    >>> Gaussian(1.0)(torch.tensor([[0.0], [2.0]]))
    tensor([[1.0000, 0.1353],
            [0.1353, 1.0000]])
    """

    bandwidth: float

    def __post_init__(self) -> None:
        _require_positive("bandwidth", self.bandwidth)

    def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Give the values (n, m) at x (n, d) and z (m, d), in one buffer."""
        return squared_distances(x, z).mul_(-0.5 / self.bandwidth**2).exp_()


@dataclass(frozen=True)
class Laplace:
    """exp(-|x - z| / bandwidth), the distance being Euclidean.

    >>> Laplace(2.0)(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0]])).T
    tensor([[1.0000, 0.3679]])
    """

    bandwidth: float

    def __post_init__(self) -> None:
        _require_positive("bandwidth", self.bandwidth)

    def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Give the values (n, m) at x (n, d) and z (m, d), in one buffer."""
        return squared_distances(x, z).sqrt_().div_(-self.bandwidth).exp_()


@dataclass(frozen=True)
class Polynomial:
    """(scale x.z + offset)^degree: positive semidefinite for offset >= 0 and scale > 0.

    >>> Polynomial(2, offset=1.0)(torch.tensor([[1.0], [2.0]]))
    tensor([[ 4.,  9.],
            [ 9., 25.]])
    """

    degree: int
    offset: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        _require_positive("scale", self.scale)
        if not (isinstance(self.degree, int) and self.degree >= 1):
            raise InvalidInput(f"degree = {self.degree}; it must be a whole number from 1")
        if not 0 <= self.offset < float("inf"):
            raise InvalidInput(f"offset = {self.offset}; a negative one gives no positive semidefinite kernel")

    def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Give the values (n, m) at x (n, d) and z (m, d)."""
        _require_points(x, z)
        out = (x @ (x if z is None else z).mT).mul_(self.scale).add_(self.offset).pow_(self.degree)
        return out if z is not None else out.tril() + out.tril(-1).mT


def squared_distances(x: Tensor, z: Tensor | None = None) -> Tensor:
    """|x_i - z_j|^2 (n, m), computed in one buffer; without z exactly 0 on the diagonal.

    Products give |x|^2 + |z|^2 - 2 x.z, off by the rounding of |x|^2; pairs so near that this shows, below a thousandth
    of |x|^2, are computed again from their differences.

    >>> squared_distances(torch.tensor([[0.0], [3.0]]))
    tensor([[0., 9.],
            [9., 0.]])
    """
    _require_points(x, z)
    other = x if z is None else z
    squares = x.square().sum(1)[:, None]
    out = torch.addmm(other.square().sum(1)[None], x, other.mT, alpha=-2)
    near = out.add_(squares) < NEAR * squares
    if z is None:
        near.tril_(-1)
    for i, j in (pairs.unbind(1) for pairs in near.nonzero().split(max(1, AT_ONCE // x.shape[1]))):
        out[i, j] = (x[i] - other[j]).square().sum(1)
    return out if z is not None else out.tril_(-1).add_(out.mT.clone())


def _require_points(x: Tensor, z: Tensor | None) -> None:
    for name, part in (("points x", x), ("points z", x if z is None else z)):
        require_tensor(part, name)
    if x.ndim != 2 or (z is not None and (z.ndim != 2 or z.shape[1] != x.shape[1])):
        shapes = tuple(x.shape) if z is None else f"{tuple(x.shape)} and {tuple(z.shape)}"
        raise InvalidInput(f"points of shape {shapes}; expected (n, d) and (m, d): flatten images first")
    for part in (x, x if z is None else z):
        if not part.numel() or not part.is_floating_point() or not bool(part.isfinite().all()):
            raise InvalidInput(
                f"points of shape {tuple(part.shape)} and {part.dtype}; expected finite floating-point numbers, one "
                "point of one dimension at least"
            )
    if z is not None and (z.dtype, z.device) != (x.dtype, x.device):
        raise InvalidInput(f"points in {x.dtype} on {x.device} and {z.dtype} on {z.device}; bring them together")


def _require_positive(name: str, value: float) -> None:
    if not 0 < require_number(value, name) < float("inf"):
        raise InvalidInput(f"{name} = {value}; it must be positive and finite")
