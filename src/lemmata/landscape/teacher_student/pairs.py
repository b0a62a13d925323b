"""What a pair of neurons (w, v) contributes: f(w, v) = E[phi(w.x) phi(v.x)], x ~ N(0, I), and its derivatives.

For both activations here the derivatives lie in the span of the pair, but for multiples of the identity:

    df/dw      = alpha w + beta v
    d2f/dw2    = alpha I + ww w w' + wv (w v' + v w') + vv v v'
    d2f/dw dv  = beta I + ww w w' + wv w v' + vw v w' + vv v v'        (rows w, columns v)

so a pair costs one inner product and a handful of scalars. `Self` is the same for a neuron with itself, of f(w, w) as
a function of one w: gradient w, Hessian gain I + bend w w'.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class First(NamedTuple):
    """Values f and the coefficients of df/dw, each (..., n, m)."""

    value: Tensor
    alpha: Tensor
    beta: Tensor


class Curvature(NamedTuple):
    """Coefficients of a second derivative beyond the identity's, each (..., n, m)."""

    ww: Tensor
    wv: Tensor
    vw: Tensor
    vv: Tensor


class Second(NamedTuple):
    """The first derivatives' coefficients, and those of d2f/dw2 and d2f/dw dv."""

    first: First
    own: Curvature
    cross: Curvature


class Self(NamedTuple):
    """f(w, w), and the coefficients of its gradient and Hessian, each (..., n)."""

    value: Tensor
    gain: Tensor
    bend: Tensor


class Activation(Protocol):
    """One activation: everything of it that the loss of a two-layer network needs."""

    name: str
    trained_symmetry: bool  # whether (w, a) -> (c w, a / c) leaves the network as it is

    def first(self, W: Tensor, V: Tensor) -> First:
        """All pairs of rows of W (..., n, d) and V (..., m, d)."""
        ...

    def second(self, W: Tensor, V: Tensor) -> Second:
        """The same with second derivatives."""
        ...

    def alone(self, W: Tensor) -> Self:
        """Every row with itself."""
        ...

    def third(self, W: Tensor, V: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Bounds (..., n, m) on |d3f|: by w w w, w w v, w v v and v v v, while no row moves further than `reach`."""
        ...

    def third_alone(self, W: Tensor) -> Tensor:
        """Bounds (..., n) on |d3 f(w, w) / dw3|, anywhere."""
        ...
