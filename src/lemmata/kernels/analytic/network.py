r"""The law of a wide fully-connected network, of which the kernels are computed.

Parameters are those of the "NTK parameterisation" (Jacot, Gabriel, Hongler 2018; ``Dense(width, W_std, b_std,
parameterization="ntk")`` of neural-tangents). With w = sqrt(weight_variance), b = sqrt(bias_variance) and all entries
of W_l and B_l standard normal, a network of `depth` L weight layers is

    h_1 = w W_1 x / sqrt(d) + b B_1
    h_l = w W_l phi(h_(l-1)) / sqrt(width) + b B_l         l = 2, ..., L;  f = h_L

The factors stand outside of the parameters, so that the tangent kernel contains them. `layer_norm` normalises each
pre-activation h_l, l < L, to variance 1 over its channels before phi (as a LayerNorm after each hidden layer);
`residual` makes the hidden layers l = 2, ..., L - 1 add to what they got: h_l = h_(l-1) + w W_l phi(...) / sqrt(width)
+ b B_l, the branch holding the normalisation. `fixed_layers` says how many of the first layers are not trained: the
tangent kernel is the gradients' of the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_number
from lemmata.kernels.analytic.activations import NAMED, Activation
from lemmata.kernels.analytic.hermite import HermiteExpansion

Kernel = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class FullyConnected:
    """A fully-connected network by its law: `depth` weight layers, hence depth - 1 layers of the activation.

    `activation` is a name (`activations.NAMED`), an object of this package (``Rectifier(0.2)``, ``Monomial(3)``, ...),
    or any callable on tensors that works elementwise, whose dual is then found by quadrature (`HermiteExpansion`).
    Raises `InvalidInput` for a depth below 1 and variances that are negative or not finite, `UnknownName` for a name.

    >>> FullyConnected(depth=3, activation="erf", weight_variance=1.5, bias_variance=0.1).depth
    3
    """

    depth: int
    activation: str | Activation | Callable[[Tensor], Tensor] = "relu"
    weight_variance: float = 2.0
    bias_variance: float = 0.0
    residual: bool = False
    layer_norm: bool = False
    fixed_layers: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.depth, int) or isinstance(self.depth, bool) or self.depth < 1:
            raise InvalidInput(f"depth = {self.depth}; a network has at least one weight layer")
        for name in ("weight_variance", "bias_variance"):
            value = require_number(getattr(self, name), name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidInput(f"{name} = {value}; a variance is finite and at least 0")
        if self.weight_variance == 0:
            raise InvalidInput("weight_variance = 0; the network would not depend on its input")
        if not isinstance(self.fixed_layers, int) or not 0 <= self.fixed_layers < self.depth:
            raise InvalidInput(
                f"fixed_layers = {self.fixed_layers} of {self.depth} layers; at least the last one is trained"
            )
        if isinstance(self.activation, str) and self.activation not in NAMED:
            raise UnknownName("activation", self.activation, NAMED)
        if not isinstance(self.activation, str) and not callable(self.activation) and not is_dual(self.activation):
            raise InvalidInput(f"activation = {self.activation!r}; give a name, an activation object or a callable")

    @property
    def dual(self) -> Activation:
        """The activation as an object that has a dual."""
        if isinstance(self.activation, str):
            return NAMED[self.activation]
        if is_dual(self.activation):
            return self.activation  # type: ignore[return-value]
        return HermiteExpansion(self.activation)  # type: ignore[arg-type]

    def kernel(self, which: Literal["ntk", "nngp"] = "ntk") -> Kernel:
        """The kernel as a function (x, z) -> values (n, m), where z may be None: what solvers take.

        >>> import torch
        >>> k = FullyConnected(depth=2).kernel("nngp")
        >>> k(torch.eye(2), None).shape
        torch.Size([2, 2])
        """
        from lemmata.kernels.analytic.fully_connected import analytic_nngp, analytic_ntk

        functions = {"ntk": analytic_ntk, "nngp": analytic_nngp}
        if which not in functions:
            raise UnknownName("kernel", which, functions)
        return lambda x, z=None: functions[which](x, z, network=self).values


def is_dual(activation: object) -> bool:
    """Whether an object is an `Activation`."""
    return hasattr(activation, "form") and hasattr(activation, "dual")
