"""Activations of residual layers: the function, and its integral where a closed form is known.

=================  ==========================================  ==================================
name               sigma                                       S, S' = sigma
=================  ==========================================  ==================================
``identity``       x                                           x^2 / 2
``tanh``           tanh x                                      log cosh x
``relu``           max(x, 0)                                   max(x, 0)^2 / 2
``softplus``       log(1 + e^x)                                none elementary
``sigmoid``        1 / (1 + e^-x)                              log(1 + e^x)
``softsign``       x / (1 + |x|)                               |x| - log(1 + |x|)
``arctan``         arctan x                                    x arctan x - log(1 + x^2) / 2
``leaky_relu``     max(x, 0.01 x)                              x leaky_relu(x) / 2
``elu``            x, or e^x - 1 below 0                       x^2 / 2, or e^x - 1 - x below 0
``sin``            sin x                                       1 - cos x
``gelu``           x Phi(x)                                    none given
``silu``           x / (1 + e^-x)                              none given
=================  ==========================================  ==================================

The last three fall somewhere: what parabolic and hyperbolic layers promise needs an activation that never does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lemmata.errors import InvalidInput, UnknownName

Function = Callable[[Tensor], Tensor]
LOOKED_AT = torch.linspace(-20.0, 20.0, 4001, dtype=torch.float64)


@dataclass(frozen=True)
class Activation:
    """sigma, and S with S' = sigma, or None."""

    name: str
    function: Function
    integral: Function | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Give sigma(x)."""
        return self.function(x)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self):
        known = ACTIVATIONS.get(self.name) is self  # its functions need not be picklable: another process has them
        return (activation_of, (self.name,)) if known else (Activation, (self.name, self.function, self.integral))


def _log_cosh(x: Tensor) -> Tensor:
    return x.abs() + functional.softplus(-2 * x.abs()) - math.log(2)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", lambda x: x, lambda x: x.square() / 2),
        Activation("tanh", torch.tanh, _log_cosh),
        Activation("relu", torch.relu, lambda x: x.relu().square() / 2),
        Activation("softplus", functional.softplus),
        Activation("sigmoid", torch.sigmoid, functional.softplus),
        Activation("softsign", functional.softsign, lambda x: x.abs() - x.abs().log1p()),
        Activation("arctan", torch.arctan, lambda x: x * x.arctan() - x.square().log1p() / 2),
        Activation("leaky_relu", functional.leaky_relu, lambda x: x * functional.leaky_relu(x) / 2),
        Activation("elu", functional.elu, lambda x: torch.where(x > 0, x.square() / 2, x.clamp(max=0).expm1() - x)),
        Activation("sin", torch.sin, lambda x: 1 - x.cos()),
        Activation("gelu", functional.gelu),
        Activation("silu", functional.silu),
    )
}


def activation_of(activation: str | Function) -> Activation:
    """Give the activation of this name, or a function of tensors as one.

    >>> activation_of("tanh")(torch.zeros(2))
    tensor([0., 0.])
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise UnknownName("activation", activation, ACTIVATIONS)
        return ACTIVATIONS[activation]
    if not callable(activation) or isinstance(activation, type):
        raise InvalidInput(f"activation = {activation!r}; give one of {', '.join(ACTIVATIONS)}, or a function")
    if isinstance(activation, nn.Module) and any(True for _ in activation.parameters()):
        raise InvalidInput(f"activation {activation} has parameters of its own, which no basis holds; give one without")
    return Activation(getattr(activation, "__name__", type(activation).__name__), activation)


def require_monotone(activation: Activation, layer: str) -> Activation:
    """Refuse an activation that falls somewhere on [-20, 20], as far as 4,001 points and rounding tell."""
    try:
        values = activation(LOOKED_AT)
    except (TypeError, ValueError, IndexError, RuntimeError) as failed:
        raise InvalidInput(f"activation {activation} cannot be applied to a vector: {failed}") from failed
    if not isinstance(values, Tensor) or values.shape != LOOKED_AT.shape:
        raise InvalidInput(f"activation {activation} does not give a number for each; give a function of tensors")
    if values.is_complex():
        raise InvalidInput(f"activation {activation} gives complex numbers; give a function of real ones")
    values = values.detach()
    if bool((values.diff() < -1e-9 * values.abs().max()).any()):
        at = float(LOOKED_AT[values.diff().argmin()])
        raise InvalidInput(
            f"activation {activation} falls near {at:.3g}, and {layer} promises nothing unless it never does; take one "
            f"that rises, as tanh, relu or softplus, or a Plain layer"
        )
    return activation
