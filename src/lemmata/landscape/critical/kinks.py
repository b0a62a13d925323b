"""Kinks: operations whose derivative jumps, found by running the network once on two samples.

A network of rectifiers is smooth on pieces. On a piece the methods are what they are elsewhere, but where pieces meet
there is no Hessian, minima can lie there that no gradient vanishes at, and steps across lead into another piece: of a
critical point at a kink nothing here holds.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lemmata.errors import InvalidInput
from lemmata.objective import Objective

KINKED = {
    "abs", "clamp", "clamp_max", "clamp_min", "hardsigmoid", "hardshrink", "hardswish", "hardtanh", "huber_loss",
    "leaky_relu", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "maximum", "minimum", "amax",
    "amin", "prelu", "_prelu_kernel", "relu", "relu6", "rrelu_with_noise", "smooth_l1_loss", "softshrink", "threshold",
    "celu", "elu", "selu", "adaptive_max_pool2d", "max", "min", "fmax", "fmin", "median", "kthvalue", "sort", "topk",
    "sign", "round", "floor", "ceil", "trunc", "frac",
}  # fmt: skip


class _Seen(TorchDispatchMode):
    """The names of the elementary operations that were executed."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self.names.add(func.overloadpacket.__name__.rstrip("_") if func._schema.is_mutable else
                       func.overloadpacket.__name__)  # fmt: skip
        return func(*args, **(kwargs or {}))


def kinks(objective: Objective) -> tuple[str, ...]:
    """The kinked operations that the loss executes, by name; empty for a smooth loss.

    >>> x = torch.ones(2, 1)
    >>> kinks(Objective(torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU()), loss="mse", data=(x, x)))
    ('relu',)
    """
    x, y = objective.batches[0]
    with torch.no_grad(), _Seen() as seen:
        objective.loss(objective.outputs(objective.parameters, x[:2]), y[:2])
    return tuple(sorted(seen.names & KINKED))


def refuse_kinks(objective: Objective, *, allowed: bool) -> tuple[str, ...]:
    """Raise `InvalidInput` for a loss with kinks unless they are allowed; gives their names."""
    found = kinks(objective)
    if found and not allowed:
        raise InvalidInput(
            f"the loss runs through {', '.join(found)}, which has kinks: it is twice differentiable on pieces only, "
            "and at a kink there is no Hessian and no index. Take a smooth activation (softplus, gelu, tanh), or say "
            "kinks=True: what is found is then a critical point of the piece it lies in, and its certificate too"
        )
    return found
