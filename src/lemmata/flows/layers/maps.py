"""Linear maps by name: what K and K^T are in a residual layer, matrices or convolutions.

    Dense(width)                    K (hidden, width):  K y = K y,  states (samples, width)
    Convolution(channels)           K (hidden, channels, k, k):  K y = K * y, zeros around the image, (samples, c, H, W)

K^T is the adjoint for the sums of products: <K y, z> = <y, K^T z>. For a convolution with an odd kernel and as many
zeros around the image as keep its size, it is the convolution with the flipped kernel, channels exchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lemmata.errors import InvalidInput
from lemmata.given import require_whole

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


@dataclass(frozen=True)
class LinearMap(ABC):
    """K of shape `shape`, from states with `width` entries a place to `hidden` ones (`width`, if None)."""

    width: int
    hidden: int | None = None

    def __post_init__(self):
        require_whole(self.width, "width")
        require_whole(self.rows, "hidden")

    @property
    def rows(self) -> int:
        """The entries of K y at a place, and of a bias added to it."""
        return self.width if self.hidden is None else self.hidden

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of K."""

    @abstractmethod
    def apply(self, K: Tensor, y: Tensor, b: Tensor | None = None) -> Tensor:
        """Give K y + b, b (rows,) being added at every place."""

    @abstractmethod
    def transpose(self, K: Tensor) -> Tensor:
        """Give the weight whose map is K^T."""

    @abstractmethod
    def gauss(self) -> float:
        """The standard deviation of a weight with which K keeps the size of a state: 1 / sqrt(fan-in)."""

    def adjoint(self, K: Tensor, z: Tensor) -> Tensor:
        """Give K^T z."""
        return self.apply(self.transpose(K), z)

    @abstractmethod
    def check(self, K: Tensor, y: Tensor, name: str) -> None:
        """Refuse a state that the map cannot take; `name` is the layer's."""

    def _refuse(self, K: Tensor, y: Tensor, name: str, *, fits: bool, wanted: str) -> None:
        if not isinstance(y, Tensor) or not fits:
            given = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise InvalidInput(f"{name} of width {self.width} takes states {wanted}, not {given}")
        if y.dtype != K.dtype and not torch.is_autocast_enabled(y.device.type):
            raise InvalidInput(
                f"{name} has weights in {K.dtype} and a state in {y.dtype}; give both one dtype, as dtype="
            )


@dataclass(frozen=True)
class Dense(LinearMap):
    """K y for a matrix K (hidden, width) and states (..., width).

    >>> Dense(2).apply(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([[4., 6.]])
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(hidden, width)."""
        return self.rows, self.width

    def apply(self, K: Tensor, y: Tensor, b: Tensor | None = None) -> Tensor:
        """Give K y + b."""
        return functional.linear(y, K, b)

    def transpose(self, K: Tensor) -> Tensor:
        """Give the transposed matrix."""
        return K.mT

    def gauss(self) -> float:
        """1 / sqrt(width)."""
        return self.width**-0.5

    def check(self, K: Tensor, y: Tensor, name: str) -> None:
        """Refuse another width or dtype."""
        fits = isinstance(y, Tensor) and y.ndim > 0 and y.shape[-1] == self.width
        self._refuse(K, y, name, fits=fits, wanted=f"(..., {self.width})")


@dataclass(frozen=True)
class Convolution(LinearMap):
    """K * y for a kernel (hidden, channels, k, k) and images (samples, channels, H, W), zeros around them.

    `kernel` is odd, so that images keep their size; `dimension` 1 takes signals (samples, channels, L), 3 volumes.

    >>> blur = torch.full((1, 1, 3, 3), 1 / 9)
    >>> Convolution(1).apply(blur, torch.ones(1, 1, 3, 3))[0, 0, 1]
    tensor([0.6667, 1.0000, 0.6667])
    """

    kernel: int = 3
    dimension: int = 2

    def __init__(self, channels: int, kernel: int = 3, *, hidden: int | None = None, dimension: int = 2):
        object.__setattr__(self, "kernel", require_whole(kernel, "kernel"))
        object.__setattr__(self, "dimension", require_whole(dimension, "dimension"))
        super().__init__(channels, hidden)
        if kernel % 2 == 0 or dimension not in CONVOLUTIONS:
            raise InvalidInput(f"kernel = {kernel}, dimension = {dimension}; a kernel is odd, a dimension 1, 2 or 3")

    @property
    def shape(self) -> tuple[int, ...]:
        """(hidden, channels, k, ..., k)."""
        return self.rows, self.width, *(self.kernel,) * self.dimension

    def apply(self, K: Tensor, y: Tensor, b: Tensor | None = None) -> Tensor:
        """Give K * y + b."""
        return CONVOLUTIONS[self.dimension](y, K, b, padding=self.kernel // 2)

    def transpose(self, K: Tensor) -> Tensor:
        """Give the flipped kernel, channels exchanged."""
        return K.transpose(0, 1).flip(tuple(range(2, K.ndim)))

    def gauss(self) -> float:
        """1 / sqrt(channels k^dimension)."""
        return (self.width * self.kernel**self.dimension) ** -0.5

    def check(self, K: Tensor, y: Tensor, name: str) -> None:
        """Refuse another number of channels or axes, or dtype."""
        fits = isinstance(y, Tensor) and y.ndim == self.dimension + 2 and y.shape[1] == self.width
        axes = ("length",) if self.dimension == 1 else ("depth", "height", "width")[-self.dimension :]
        self._refuse(K, y, name, fits=fits, wanted=f"(samples, {', '.join([str(self.width), *axes])})")


def map_of(width: int | LinearMap) -> LinearMap:
    """Give the map itself, or `Dense` of a width."""
    return width if isinstance(width, LinearMap) else Dense(width)


def square(linear: LinearMap, name: str) -> LinearMap:
    """Refuse a map to another width, for a layer that adds K y to y."""
    if linear.rows != linear.width:
        raise InvalidInput(f"{name} adds K y to the state and wants a square K, not {linear}; leave `hidden` out")
    return linear
