"""Forward differences on a line or a grid, their adjoint, and systems with their normal matrix in O(n log n).

(D x)_i = x_{i+1} - x_i along each axis, 0 beyond the end, so that D'D is the Laplacian with reflecting ends. Continued
evenly to twice the length, x is periodic and D'D a circular convolution, which the Fourier transform makes diagonal:
(shift I + weight D'D)^-1 costs two transforms of 2^d n entries. With shift 0 it is the pseudo-inverse, on mean 0.
"""

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator


def gradient(x: Tensor) -> Tensor:
    """D x of shape (d, *x.shape) for x (n,) or (h, w).

    >>> gradient(torch.tensor([1.0, 3.0, 2.0]))
    tensor([[ 2., -1.,  0.]])
    """
    parts = torch.zeros(x.ndim, *x.shape, dtype=x.dtype, device=x.device)
    for axis in range(x.ndim):
        parts[axis].narrow(axis, 0, x.shape[axis] - 1).copy_(x.diff(dim=axis))
    return parts


def adjoint(p: Tensor) -> Tensor:
    """D' p, of the shape of one component of p (d, ...): minus the divergence.

    >>> adjoint(torch.tensor([[1.0, 1.0, 5.0]]))  # what p has beyond the last difference is not seen
    tensor([-1.,  0.,  1.])
    """
    total = torch.zeros_like(p[0])
    for axis in range(len(p)):
        n = total.shape[axis] - 1
        inside = p[axis].narrow(axis, 0, n)
        total.narrow(axis, 0, n).sub_(inside)
        total.narrow(axis, 1, n).add_(inside)
    return total


def solve_laplacian(q: Tensor, *, shift: float, weight: float = 1.0) -> Tensor:
    """(shift I + weight D'D)^-1 q; for shift 0 the solution of mean 0 for the part of q of mean 0.

    >>> x = torch.tensor([1.0, 2.0, 4.0])
    >>> found = solve_laplacian(x + 2 * adjoint(gradient(x)), shift=1.0, weight=2.0)
    >>> bool(torch.allclose(found, x))
    True
    """
    even, symbol = q, torch.zeros((), dtype=q.dtype, device=q.device)
    for axis, n in enumerate(q.shape):
        even = torch.cat([even, even.flip(axis)], axis)
        k = torch.arange(2 * n, dtype=q.dtype, device=q.device)
        wave = 2 - 2 * (math.pi * k / n).cos()
        symbol = symbol[..., None] + wave
    scale = shift + weight * symbol
    inverse = torch.where(scale > 0, 1 / scale.where(scale > 0, torch.ones_like(scale)), 0)
    whole = torch.fft.ifftn(torch.fft.fftn(even) * inverse).real
    for axis, n in enumerate(q.shape):
        whole = whole.narrow(axis, 0, n)
    return whole.contiguous()


def differences(n: int, order: int = 1, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Matrix of differences of an order on n points, (n - order, n): an L for `tikhonov` that asks for smoothness.

    >>> differences(4, 2).int().tolist()
    [[1, -2, 1, 0], [0, 1, -2, 1]]
    """
    if not 1 <= order < n:
        raise InvalidInput(f"order = {order} on n = {n} points; take an order from 1 to {n - 1}")
    return torch.eye(n, dtype=dtype).diff(order, dim=0)


def gradient_operator(
    shape: tuple[int, ...], *, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> LinearOperator:
    """D on arrays of this shape as an operator on flat vectors, (d n, n): an L for large images.

    >>> gradient_operator((2, 2)).dense().int().tolist()[0]
    [-1, 0, 1, 0]
    """
    n, d = math.prod(shape), len(shape)

    def apply(V: Tensor) -> Tensor:
        return torch.stack([gradient(v.reshape(shape)).flatten() for v in V.T], 1)

    def back(P: Tensor) -> Tensor:
        return torch.stack([adjoint(p.reshape(d, *shape)).flatten() for p in P.T], 1)

    return LinearOperator(apply, (d * n, n), adjoint=back, dtype=dtype, device=device)
