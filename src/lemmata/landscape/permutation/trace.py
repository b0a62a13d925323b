"""A model's computation as a graph of ATen operations, on one batch: `torch.fx` by `make_fx`, before autograd.

Tracing runs the model once, in evaluation mode, on a copy: whatever Python it is written in, the graph holds the tensor
operations that ran, with the shapes they had. Modules, functions and methods that spell one operation in many ways are
one operation here, and multi-head attention is its matrix products. Branches on shapes and settings go the way they
went; a branch on the values of a tensor cannot be followed, since permutations that are right on one side of it need
not be on the other, and is refused with its line.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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

    Raises `InvalidInput` for a model that fails on x, cannot be copied, or needs the value of a tensor in Python, as
    branches on values do. Costs one forward pass and about a millisecond an operation.
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
        raise InvalidInput(_reason(failed, inputs)) from failed
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return Trace(module, names, aliases)


def _reason(failed: Exception, inputs: tuple[Tensor, ...]) -> str:
    """What keeps a model from being traced: the value of a tensor that its Python asks for, or a failure of its own."""
    if "value out of a tracing tensor" not in str(failed):
        shapes = [tuple(part.shape) for part in inputs]
        return f"the model fails on inputs {shapes}: {type(failed).__name__} {failed}"
    library = Path(torch.__file__).parent, Path(__file__).parent
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(failed.__traceback__)]
    own = [(file, line) for file, line in lines if not any(at in Path(file).parents for at in library)]
    file, line = (own or lines)[-1]
    return (
        f"{file}, line {line}, needs the value of a tensor, as a branch, a loop or a number does: "
        f"`{linecache.getline(file, line).strip()}`. The computation could be another for other values, so that no "
        "graph of it can be traced. Write it with tensors (torch.where, masks), or give a model of one branch"
    )


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
