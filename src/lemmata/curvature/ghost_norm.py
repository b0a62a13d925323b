"""Squares of per-sample gradients without the gradients: `ghost norms` (Goodfellow, 2015; Li et al., 2022).

One backward pass through the activations gives the gradient d by the output of a layer for every sample, and the
gradient by the layer's parameters follows from d and the layer's input a. For sample n with positions t (of a
convolution, a sequence; one for a plain linear layer) and channels in g groups

    weight of a linear layer or convolution   G_n = sum_t d_nt a_nt^T          (a: the patches under the kernel)
    scale of a normalisation by constants     G_n = sum_t d_nt x_nt            (x: the normalised input)
    shift                                     G_n = sum_t d_nt

Wanted are the squared norm |G_n|^2 and, for the diagonal, the sum over samples of the squared entries of G_n.

    one position     |G_n|^2 = |d_n|^2 |a_n|^2;  sum_n G_n^2 = (d^2)^T (a^2): G_n is never formed
    many positions   |G_n|^2 = sum_{t,t'} (a_t . a_t') (d_t . d_t'), or from G_n itself: whichever takes fewer flops,
                     T^2 C_out a backward pass (and T^2 K once) against T K C_out, for T positions and K = |a_nt|

A parameter that is used several times has the sum of the gradients of its uses.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Node = torch.autograd.graph.Node


class Use(ABC):
    """One use of one parameter at one node of the autograd graph of n samples' outputs.

    `factor` multiplies the parameter on its way to the node. `samples_first` says how the rows of the node's output
    are ordered: (samples, positions) or (positions, samples).
    """

    def __init__(self, node: Node, name: str, shape: torch.Size, n: int, *, factor: float = 1.0):
        self.node, self.name, self.shape, self.n, self.factor = node, name, shape, n, factor
        self.samples_first = True

    @abstractmethod
    def gradients(self, d: Tensor) -> Tensor:
        """The per-sample gradients (n, *shape) for the gradient d by the node's output."""

    def square_norms(self, d: Tensor) -> Tensor:
        """|G_n|^2, (n,)."""
        return torch.linalg.vector_norm(self.gradients(d).flatten(1), dim=1).square()

    def flops(self, entries: bool, passes: int) -> tuple[float, float]:
        """Multiplications and additions of the layer itself, and of the squares in all `passes`: a sample."""
        return 0.0, 0.0

    def bytes(self, entries: bool, several: bool) -> int:
        """What the squares keep besides the activations, a sample; `several`: the parameter has other uses."""
        return 0

    def signal(self, d: Tensor) -> Tensor:
        """The node's gradient as (n, T, C, L): T rows a sample of C channels with L places each."""
        return self.arranged(self.channels(d))

    def channels(self, d: Tensor) -> Tensor:
        """Lay (rows, C, *places) out as (rows, C, L), and (..., C) of a node with channels last as (rows, C, 1)."""
        if self.node.name() in CHANNELS_LAST:
            return d.reshape(-1, self.shape.numel(), 1)
        return d.flatten(2) if d.ndim > 2 else d[:, :, None]

    def arranged(self, rows: Tensor) -> Tensor:
        """Split the rows (n T, ...) into (n, T, ...)."""
        if self.samples_first:
            return rows.unflatten(0, (self.n, -1))
        return rows.unflatten(0, (-1, self.n)).transpose(0, 1)


class Shift(Use):
    """A bias: of a linear layer, a convolution or a normalisation."""

    def gradients(self, d: Tensor) -> Tensor:
        """sum_t d_nt."""
        total = d if d.numel() == self.n * self.shape.numel() else self.signal(d).sum((1, 3))
        return (total if self.factor == 1 else self.factor * total).reshape(self.n, *self.shape)


class Scale(Use):
    """The scale of a normalisation whose statistics do not depend on it."""

    def __init__(self, node: Node, name: str, shape: torch.Size, n: int, *, factor: float = 1.0):
        super().__init__(node, name, shape, n, factor=factor)
        self._normalised: Tensor | None = None

    def gradients(self, d: Tensor) -> Tensor:
        """sum_t d_nt x_nt."""
        if self._normalised is None:
            self._normalised = self.arranged(self._input())
        return self.factor * (self.signal(d) * self._normalised).sum((1, 3)).reshape(self.n, *self.shape)

    def _input(self) -> Tensor:
        node: Any = self.node
        if node.name() == "NativeLayerNormBackward0":
            return self.channels((node._saved_input - node._saved_result1) * node._saved_result2)
        mean, variance = node._saved_running_mean[:, None], node._saved_running_var[:, None]
        return (self.channels(node._saved_input) - mean) * (variance + node._saved_eps).rsqrt()


class Outer(Use):
    """The weight of a linear layer or convolution: a sum of outer products over positions.

    With g groups, `patches` a is (n g, K, P) and the signal d is (n g, C_out / g, P), where P = T L positions.
    """

    def __init__(
        self, node: Node, name: str, shape: torch.Size, n: int, *, factor: float = 1.0, transposed: bool = False
    ):
        super().__init__(node, name, shape, n, factor=factor)
        self.transposed = transposed
        self.linear = node.name() in LINEAR_INPUT
        self.groups = 1 if self.linear else int(node._saved_groups)  # type: ignore[attr-defined]
        out = shape[-1] if transposed else shape[0]
        self.channels_out, self.K = out // self.groups, shape.numel() // out
        self.positions = self._positions()
        self._patches: Tensor | None = None
        self._gram: Tensor | None = None
        self._squares: Tensor | None = None

    @property
    def patches(self) -> Tensor:
        """The inputs a (n g, K, P), made once."""
        if self._patches is None:
            self._patches = self._rows_as_patches()
        return self._patches

    def outer_signal(self, d: Tensor) -> Tensor:
        """The signal as (n g, C_out / g, P)."""
        D = self.signal(d).unflatten(2, (self.groups, -1)).permute(0, 2, 3, 1, 4)
        return D.reshape(self.n * self.groups, self.channels_out, -1)

    def gradients(self, d: Tensor) -> Tensor:
        """sum_t d_nt a_nt^T."""
        G = torch.bmm(self.outer_signal(d), self.patches.mT).unflatten(0, (self.n, -1)).flatten(1, 2)
        return self.factor * (G.mT if self.transposed else G).reshape(self.n, *self.shape)

    def square_norms(self, d: Tensor) -> Tensor:
        """|G_n|^2 by the cheapest of the three forms."""
        D = self.outer_signal(d)
        if self.positions == 1:
            squares = torch.linalg.vector_norm(D, dim=(1, 2)).square() * self._gram_of_patches()[:, 0, 0]
        elif self.by_gram:
            squares = (torch.bmm(D.mT, D) * self._gram_of_patches()).sum((1, 2))
        else:
            squares = torch.linalg.vector_norm(torch.bmm(self.patches, D.mT), dim=(1, 2)).square()
        return self.factor**2 * squares.unflatten(0, (self.n, -1)).sum(1)

    @property
    def by_gram(self) -> bool:
        """Whether products of positions take at most half the flops of the gradients, so that making them pays."""
        return 2 * self.positions <= self.K

    def flops(self, entries: bool, passes: int) -> tuple[float, float]:
        """Forward 2 P K C_out; squares as `square_norms` and `square_entries` take them."""
        P, K, out = self.positions, self.K, self.shape.numel() // self.K
        layer = 2.0 * P * K * out
        if P == 1:
            return layer, layer if entries else 2.0 * (passes * out + K)
        if self.by_gram and not entries:
            return layer, 2.0 * P * P * (passes * out + K * self.groups)
        return layer, passes * layer

    def bytes(self, entries: bool, several: bool) -> int:
        """The patches of a convolution, the products of positions, and gradients where they are formed."""
        P, K, g, out = self.positions, self.K, self.groups, self.shape.numel() // self.K
        formed = several or (P > 1 and (entries or not self.by_gram))
        kept = P * P * g if P > 1 and not formed else 0 if self.linear else P * K * g
        return self.layer_input.element_size() * (kept + (K * out if formed else 0))

    def add_square_entries(self, d: Tensor, signs: Tensor | None) -> None:
        """Take in one column's d at one position; the matrix product waits for `square_entries`."""
        squares = self.outer_signal(d)[:, :, 0].square().unflatten(0, (self.n, -1))
        squares = squares if signs is None else squares * signs[:, None, None]
        self._squares = squares if self._squares is None else self._squares + squares

    def square_entries(self) -> Tensor:
        """The sum over samples and columns of s G_n^2 from what was taken in, of the parameter's shape."""
        assert self._squares is not None
        inputs = self.patches[:, :, 0].square().unflatten(0, (self.n, -1))
        total = torch.einsum("ngo,ngk->gok", self._squares, inputs).flatten(0, 1)
        return self.factor**2 * (total.mT if self.transposed else total).reshape(self.shape)

    def _gram_of_patches(self) -> Tensor:
        """The products a_t . a_t' (n g, P, P); the patches themselves are let go."""
        if self._gram is None:
            a = self._rows_as_patches()
            self._gram = a.square().sum(1, keepdim=True) if a.shape[2] == 1 else torch.bmm(a.mT, a)
        return self._gram

    @property
    def layer_input(self) -> Tensor:
        """The layer's input, as its node keeps it."""
        return getattr(self.node, LINEAR_INPUT.get(self.node.name(), "_saved_input"))

    def _positions(self) -> int:
        rows = len(self.layer_input) // self.n
        return rows if self.linear else rows * math.prod(_places(self.layer_input, *self._geometry()))

    def _geometry(self) -> tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]:
        node: Any = self.node
        return self.shape[2:], node._saved_stride, node._saved_padding, node._saved_dilation

    def _rows_as_patches(self) -> Tensor:
        if self.linear:
            return self.arranged(self.layer_input).mT
        rows = patches(self.layer_input, *self._geometry())
        a = self.arranged(rows).unflatten(2, (self.groups, -1)).permute(0, 2, 3, 1, 4)
        return a.reshape(self.n * self.groups, self.K, -1)


CHANNELS_LAST = ("NativeLayerNormBackward0", "AddBackward0")
LINEAR_INPUT = {"AddmmBackward0": "_saved_mat1", "MmBackward0": "_saved_self"}


def patches(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """What a convolution's kernel sees of x (n, C, *spatial) at each place: (n, C * |kernel|, places), any dimension.

    >>> x = torch.arange(4.0).reshape(1, 1, 4)
    >>> patches(x, [2], [1], [0], [1])
    tensor([[[0., 1., 2.],
             [1., 2., 3.]]])
    """
    places = _places(x, kernel, stride, padding, dilation)
    if any(padding):
        x = functional.pad(x, [side for p in reversed(padding) for side in (p, p)])
    n, C, *steps = x.stride()
    inside = [step * r for step, r in zip(steps, dilation, strict=True)]
    between = [step * s for step, s in zip(steps, stride, strict=True)]
    windows = x.as_strided((*x.shape[:2], *kernel, *places), (n, C, *inside, *between), x.storage_offset())
    return windows.reshape(len(x), x.shape[1] * math.prod(kernel), math.prod(places))


def _places(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """The size of a convolution's output along each dimension of space."""
    sizes = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    return [(size + 2 * p - r * (k - 1) - 1) // s + 1 for size, k, s, p, r in sizes]
