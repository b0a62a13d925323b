"""Lazy training by scale: alpha times a network, and the loss over alpha^2.

    F(x; w) = alpha f(x; w)    or    alpha (f(x; w) - f(x; w_0)),        L(w) = R(F(w)) / alpha^2

As alpha grows, the function moves as far as before while the parameters move by 1/alpha: the network trains as its
linearisation does, at any width (Chizat, Oyallon, Bach 2019, section 2), provided that F_0 stays bounded. That is
what centring is for, or an antisymmetric start, for which the network is doubled and its copy subtracted:

    f(x; w, w') = (f(x; w) - f(x; w')) / sqrt(2),    w' = w at the start

The root keeps the tangent kernel that of f. Cost: centring takes one more forward pass, doubling two networks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_model, require_number, require_tensor
from lemmata.kernels.dynamics.linearised_model import FromStart
from lemmata.objective import LOSSES, Loss


class ScaledModel(FromStart):
    """`scale` times a network, from which its start is subtracted if `centred`; the network given stays as it is.

    The scale is kept in a buffer, so that networks of different scales train together in one ensemble: on the plain
    loss then, each with its step size over scale^2. Raises `InvalidInput` for a scale that is not positive and finite.

    >>> model, x = nn.Linear(2, 1), torch.ones(3, 2)
    >>> torch.equal(ScaledModel(model, 10.0, centred=False)(x), 10 * model(x)), ScaledModel(model, 10.0)(x).any().item()
    (True, False)
    """

    def __init__(self, model: nn.Module, scale: float, *, centred: bool = True):
        if not (math.isfinite(require_number(scale, "scale")) and scale > 0):
            raise InvalidInput(f"scale = {scale}: it must be positive and finite")
        super().__init__(model)
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.centred = centred

    def forward(self, x: Tensor) -> Tensor:
        """F(x; w), of the network's output shape."""
        outputs = require_tensor(self.network(x), "the model's outputs")
        return self.get_buffer("scale") * (outputs - self.at(self.start, x) if self.centred else outputs)

    def loss(self, loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
        """A loss of the outputs F over scale^2: what a training loop is to minimise. `UnknownName` for a name.

        >>> ScaledModel(nn.Linear(1, 1), 2.0).loss("mse")(torch.ones(4, 1), torch.zeros(4, 1)).item()
        0.25
        """
        if not callable(loss) and loss not in LOSSES:
            raise UnknownName("loss", loss, LOSSES)
        inner = loss if callable(loss) else LOSSES[loss]
        square = float(self.get_buffer("scale")) ** 2
        return lambda outputs, targets: inner(outputs, targets) / square


class Antisymmetric(nn.Module):
    """The difference of a network and its copy over sqrt(2), both of which train: zero at the start.

    >>> Antisymmetric(nn.Linear(2, 1))(torch.ones(3, 2)).any().item()
    False
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.plus, self.minus = copy.deepcopy(require_model(model)), copy.deepcopy(model)

    def forward(self, x: Tensor) -> Tensor:
        """(f(x; w) - f(x; w')) / sqrt(2)."""
        plus = require_tensor(self.plus(x), "the model's outputs")
        return (plus - self.minus(x)) / math.sqrt(2)
