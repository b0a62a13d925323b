"""A model's computation as a graph of ATen operations, on one batch: `torch.fx` by `make_fx`, before autograd.

Tracing runs the model once, in evaluation mode, on a copy: whatever Python it is written in, the graph holds the tensor
operations that ran, with the shapes they had. Modules, functions and methods that spell one operation in many ways are
one operation here, and multi-head attention is its matrix products. Branches that the data did not take are not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_model
from lemmata.modes import copied_in

Inputs = Tensor | Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class Trace:
    """The graph, whose placeholders are the tensors of the state (`names`, in order) and then the model's inputs.

    `aliases` maps a name of the state to the name under which the same tensor is in `names` (tied weights).
    """

    module: torch.fx.GraphModule
    names: tuple[str, ...]
    aliases: dict[str, str]


def trace(model: nn.Module, x: Inputs) -> Trace:
    """Trace the model on x, a tensor or several in the order of the model's arguments.

    Raises `InvalidInput` for a model that fails on x or cannot be copied. Costs one forward pass and about a
    millisecond an operation.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    copied = copied_in(require_model(model), "eval").requires_grad_(True)
    state, aliases = tensors_of(copied)
    names, inputs = tuple(state), as_inputs(x)

    def run(*tensors: Tensor) -> Any:
        own, given = tensors[: len(names)], tensors[len(names) :]
        return torch.func.functional_call(copied, dict(zip(names, own, strict=True)), given)

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one fused operation would hide the heads
    try:
        module = make_fx(run, pre_dispatch=True)(*state.values(), *inputs)
    except Exception as failed:  # whatever the model's own code raises
        shapes = [tuple(part.shape) for part in inputs]
        raise InvalidInput(f"the model fails on inputs {shapes}: {type(failed).__name__} {failed}") from failed
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return Trace(module, names, aliases)


def as_inputs(x: Inputs) -> tuple[Tensor, ...]:
    """The model's arguments as a tuple; raises `InvalidInput` for anything but tensors."""
    parts = (x,) if isinstance(x, Tensor) else tuple(x)
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise InvalidInput("x: give a tensor, or a sequence of tensors in the order of the model's arguments")
    return parts


def tensors_of(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Parameters and buffers of a `state_dict`, each tensor once, and the other names of those that are tied."""
    own: dict[str, Tensor] = {}
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if not isinstance(tensor, Tensor):
            continue  # what get_extra_state gave
        if id(tensor) in first:
            aliases[name] = first[id(tensor)]
        else:
            first[id(tensor)], own[name] = name, tensor
    return own, aliases
