"""What residual layers have in common: weights of given shapes, each expanded in a basis in time."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.flows.basis import Basis, require_basis
from lemmata.flows.field import VectorField
from lemmata.flows.layers.activation import Function, activation_of
from lemmata.flows.layers.maps import LinearMap, map_of
from lemmata.flows.required import require_dtype, require_kind, require_list
from lemmata.given import require_number, require_seed, require_whole


class Residual(VectorField):
    """A field whose weights are `coefficients[name]` (basis.size, *shape) in the basis.

    Weights with more than one axis are drawn from N(0, gain^2 / fan-in) in float64, whatever `dtype` they are kept in;
    the others are zeros.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        basis: Basis,
        *,
        gain: float = 1.0,
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        if not isinstance(basis, Basis):
            raise InvalidInput(f"basis = {basis!r}; give one in time, as flows.PiecewiseConstant(8, T=1.0)")
        if not math.isfinite(require_number(gain, "gain")):
            raise InvalidInput(f"gain = {gain}; give a finite factor of the initial weights")
        dtype = require_dtype(dtype)
        self.basis, self.T = basis, basis.T
        checked = require_seed(seed)
        generator = checked if isinstance(checked, torch.Generator) else torch.Generator().manual_seed(checked)
        self.coefficients = nn.ParameterDict()
        for name, shape in require_shapes(shapes).items():
            fan = torch.Size(shape[1:]).numel()
            scale = gain * fan**-0.5 if len(shape) > 1 else 0.0
            drawn = torch.randn(basis.size, *shape, generator=generator, dtype=torch.float64)
            self.coefficients[name] = nn.Parameter((scale * drawn).to(dtype))

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give sum_k B_k(t) theta_k at the times, each weight stacked along a first axis."""
        return tuple(self.basis.evaluate(theta, times, inside) for theta in self.coefficients.values())

    def on(self, basis: Basis) -> Self:
        """Give this field with its weights carried over to another basis: what is nearest to them in L2.

        On a basis that contains this one, as `Spline.refined` gives, it is the same field, to rounding: training goes
        on at twice the layers where it was.
        """
        moved = copy.deepcopy(self)
        moved.basis = require_basis(basis)
        for name, theta in self.coefficients.items():
            carried = basis.project(theta.detach(), self.basis)
            moved.coefficients[name] = nn.Parameter(carried, requires_grad=theta.requires_grad)
        return moved

    def extra_repr(self) -> str:
        """Name the basis."""
        return f"basis={self.basis}"


def each_sample(values: Tensor) -> Tensor:
    """Give the sum over each sample's numbers (samples, ...): (samples,)."""
    if values.ndim < 2:
        raise InvalidInput(f"a state of {values.ndim} axes has no samples; an energy is of states (samples, ...)")
    return values.flatten(1).sum(1)


def require_shapes(shapes: object) -> dict[str, tuple[int, ...]]:
    """Give the shapes of weights by their names back.

    >>> require_shapes({"K": (0, 2)})
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: shapes['K'] = 0; give a whole number, at least 1
    """
    found = {}
    for name, shape in require_kind(shapes, Mapping, "shapes", "{'K': (3, 3), 'b': (3,)}").items():
        if not isinstance(name, str) or not name.isidentifier() or hasattr(nn.ParameterDict, name):
            raise InvalidInput(f"shapes: {name!r} cannot name a weight; give such as 'K'")
        found[name] = tuple(
            require_whole(n, f"shapes[{name!r}]") for n in require_list(shape, f"shapes[{name!r}]", "(3, 3)")
        )
    if not found:
        raise InvalidInput("shapes is empty; give at least one weight, as {'K': (3, 3)}")
    return found


class Layer(Residual):
    """A residual layer of one linear map K and a bias b: the coefficients are ``K`` and ``b``."""

    def __init__(
        self,
        width: int | LinearMap,
        basis: Basis,
        *,
        activation: str | Function = "tanh",
        gain: float = 1.0,
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ):
        self.linear, self.activation = map_of(width), activation_of(activation)
        super().__init__(self.shapes(), basis, gain=gain, seed=seed, dtype=dtype)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Give the shape of each weight."""
        return {"K": self.linear.shape, "b": (self.linear.rows,)}

    def inner(self, K: Tensor, b: Tensor, y: Tensor) -> Tensor:
        """Give K y + b."""
        self.linear.check(K, y, type(self).__name__)
        return self.linear.apply(K, y, b)

    def symmetric(self, K: Tensor, b: Tensor, y: Tensor) -> Tensor:
        """Give K^T sigma(K y + b)."""
        return self.linear.adjoint(K, self.activation(self.inner(K, b, y)))

    def potential(self, K: Tensor, b: Tensor, y: Tensor) -> Tensor:
        """Give sum S(K y + b) for each sample, S' = sigma, (samples,): its gradient is `symmetric`."""
        if self.activation.integral is None:
            raise InvalidInput(
                f"activation {self.activation} has no closed integral here; an energy needs one, as tanh"
            )
        return each_sample(self.activation.integral(self.inner(K, b, y)))

    def extra_repr(self) -> str:
        """Name the map, the activation and the basis."""
        return f"{self.linear}, activation={self.activation}, basis={self.basis}"
