"""Affine steps y = W x + b of a network: their products with x, with |x| and with a row of coefficients from the left.

A step knows W without holding it as a matrix: `product` gives W x, `absolute` gives |W| x, `transpose` gives W^T a for
rows a, and `terms` is the largest number of terms in a sum of any of these, from which their rounding is bounded.
`size` is a bound of |b| and of what b was computed from. All take a leading axis of samples (or of rows).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional, grad

from lemmata.robustness.linear_bounds.box import Box
from lemmata.robustness.linear_bounds.rounding import above, below, gamma

CONVOLVE: dict[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
PULL_BACK: dict[int, Callable[..., Tensor]] = {1: grad.conv1d_input, 2: grad.conv2d_input, 3: grad.conv3d_input}


class Affine(ABC):
    """What affine steps have in common; `shape` (given by the graph) is that of x, without the samples."""

    terms = 1
    bias: Tensor | None = None
    size: Tensor | None = None
    shape: torch.Size = torch.Size()

    @abstractmethod
    def product(self, x: Tensor) -> Tensor:
        """W x."""

    @abstractmethod
    def absolute(self, x: Tensor) -> Tensor:
        """|W| x."""

    @abstractmethod
    def transpose(self, rows: Tensor) -> Tensor:
        """W^T a for each row a."""

    @abstractmethod
    def row_norms(self, order: float) -> Tensor:
        """Bounds of the l1, l2 or linf norms of the rows of W, computed from |W|: the shape of y, with a leading 1."""

    def __call__(self, x: Tensor) -> Tensor:
        """W x + b."""
        y = self.product(x)
        return y if self.bias is None else y + self.bias

    def interval(self, box: Box) -> Box:
        """The box of W x + b over a box of x: exact but for an outward rounding that is bounded."""
        centre, radius = box.centred()
        g = gamma(self.terms, radius.dtype)
        return self.around(centre, self.absolute(radius + g * centre.abs()))

    def around(self, centre: Tensor, spread: Tensor) -> Box:
        """The box W c + b +- spread, with the rounding of W c taken from `spread` but that of b not yet."""
        g = gamma(self.terms, spread.dtype)
        y = self(centre)
        spread = (1 + g) * spread + self.terms * torch.finfo(spread.dtype).tiny
        if self.size is not None:
            spread = spread + g * self.size
        return Box(below(y - spread), above(y + spread))


class Dense(Affine):
    """A matrix (m, n), on the last axis."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None):
        self.weight, self.bias = weight, bias
        self.size = None if bias is None else bias.abs()
        self.positive = weight.abs()
        self.terms = max(weight.shape)

    def product(self, x: Tensor) -> Tensor:
        """W x."""
        return x @ self.weight.T

    def absolute(self, x: Tensor) -> Tensor:
        """|W| x."""
        return x @ self.positive.T

    def transpose(self, rows: Tensor) -> Tensor:
        """W^T a."""
        return rows @ self.weight

    def row_norms(self, order: float) -> Tensor:
        """The norms of the rows of W."""
        norms = torch.linalg.vector_norm(self.weight, order, dim=1)
        return norms.reshape(*[1] * len(self.shape), -1)


class Convolution(Affine):
    """A convolution in one, two or three dimensions, zeros padded."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, **options: Any):
        self.weight, self.options, self.dimensions = weight, options, weight.ndim - 2
        self.bias = None if bias is None else bias.reshape(-1, *[1] * self.dimensions)
        self.size = None if self.bias is None else self.bias.abs()
        self.positive = weight.abs()
        self.terms = max(weight[0].numel(), weight[:, 0].numel())

    def product(self, x: Tensor) -> Tensor:
        """W x."""
        return CONVOLVE[self.dimensions](x, self.weight, **self.options)

    def absolute(self, x: Tensor) -> Tensor:
        """|W| x."""
        return CONVOLVE[self.dimensions](x, self.positive, **self.options)

    def transpose(self, rows: Tensor) -> Tensor:
        """W^T a, by the transposed convolution."""
        return PULL_BACK[self.dimensions]((len(rows), *self.shape), self.weight, rows, **self.options)

    def row_norms(self, order: float) -> Tensor:
        """The norms of the rows of W, of which those at the border have fewer entries; for linf those of the kernel."""
        if order == math.inf:
            return self.positive.flatten(1).amax(1).reshape(1, -1, *[1] * self.dimensions)
        ones = self.weight.new_ones(1, *self.shape)
        return CONVOLVE[self.dimensions](ones, self.positive**order, **self.options) ** (1 / order)


class Scale(Affine):
    """One factor and one shift an entry: x -> (x - mean) factor + shift, as of batch normalisation in use."""

    terms = 4

    def __init__(self, factor: Tensor, shift: Tensor, mean: Tensor):
        self.factor, self.bias = factor, shift - mean * factor
        self.size = shift.abs() + (mean * factor).abs()

    def product(self, x: Tensor) -> Tensor:
        """W x."""
        return x * self.factor

    def absolute(self, x: Tensor) -> Tensor:
        """|W| x."""
        return x * self.factor.abs()

    def transpose(self, rows: Tensor) -> Tensor:
        """W^T a."""
        return rows * self.factor

    def row_norms(self, order: float) -> Tensor:
        """The size of each factor."""
        return self.factor.abs().expand(1, *self.shape)


class Average(Affine):
    """A linear map without negative weights that torch has a function for, described in `words`: averages, means."""

    def __init__(self, function: Callable[[Tensor], Tensor], terms: int, words: str):
        self.function, self.terms, self.words = function, terms, words

    def product(self, x: Tensor) -> Tensor:
        """W x."""
        return self.function(x)

    def absolute(self, x: Tensor) -> Tensor:
        """|W| x = W x."""
        return self.function(x)

    def transpose(self, rows: Tensor) -> Tensor:
        """W^T a, by differentiation."""
        return torch.func.vjp(self.function, rows.new_zeros(len(rows), *self.shape))[1](rows)[0]

    def row_norms(self, order: float) -> Tensor:
        """At most the l1 norm, which is W times ones, whatever the order."""
        del order
        return self.function(torch.ones(1, *self.shape, dtype=torch.float64))


class Reshape(Affine):
    """The same entries in another shape."""

    def __init__(self, shape: torch.Size):
        self.to = shape

    def product(self, x: Tensor) -> Tensor:
        """X in its new shape."""
        return x.reshape(len(x), *self.to)

    absolute = product

    def transpose(self, rows: Tensor) -> Tensor:
        """Rows in the old shape."""
        return rows.reshape(len(rows), *self.shape)

    def row_norms(self, order: float) -> Tensor:
        """Ones, whatever the order: each row of W has one entry, which is 1."""
        del order
        return torch.ones(1, *self.to, dtype=torch.float64)

    def interval(self, box: Box) -> Box:
        """The same numbers."""
        return Box(self.product(box.low), self.product(box.high))
