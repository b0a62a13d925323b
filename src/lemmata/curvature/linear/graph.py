"""A function of a network as a graph of tensor operations, traced once for each shape of batch.

The network is traced first, its normalisation by running statistics folded (`batch_norm.fold`), and then the function
with it, so that a gradient is one graph of forward and backward operations. The graph is that of the values: what stops
or replaces gradients inside the network (``detach``, ``no_grad``, an own ``autograd.Function``) leaves no trace in it.
Where such a thing is met, or the network branches on values, `Untraceable` is raised, and the product is done by
differentiating twice with autograd instead.

Cost: 3 gradients or so of a large network, mostly of Python; fractions of a second of a small one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from lemmata.curvature.linear.batch_norm import fold
from lemmata.objective import Objective, Tree

Forward = Callable[[Tree, Tensor], Tensor]
STOPS = {torch.Tensor.detach, torch.Tensor.detach_, torch.detach, torch.Tensor.data.__get__}  # type: ignore[attr-defined]
LAYOUT = {
    torch.ops.aten.as_strided.default,
    torch.ops.aten._reshape_alias.default,
    torch.ops.aten.as_strided_scatter.default,
}


class Untraceable(Exception):
    """The function has no faithful graph; the message says why."""


@contextmanager
def elementary() -> Iterator[None]:
    """Let attention be computed by operations that can be differentiated twice: no fused kernels, no fast path."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def network_graph(objective: Objective, theta: Tree, x: Tensor) -> Forward:
    """The network as a graph: a function of (theta, x) for tensors of these shapes. Raises `Untraceable`."""
    names = list(theta)

    def forward(*values: Tensor) -> Tensor:
        with _Watch():
            return objective.outputs(dict(zip(names, values, strict=False)), values[-1])

    graph = _traced(forward, [*theta.values(), x])
    fold(graph)
    return lambda theta, x: graph(*(theta[name] for name in names), x)


def function_graph(function: Callable[..., Sequence[Tensor]], values: Sequence[Tensor]) -> GraphModule:
    """``function(*values)`` as a graph without operations in place. Raises `Untraceable`."""
    graph = _traced(function, values)
    if any(node.target in LAYOUT for node in graph.graph.nodes):
        raise Untraceable("an operation depends on the layout of memory")
    return graph


def _traced(function: Callable, values: Sequence[Tensor]) -> GraphModule:
    # fresh tensors: a trace may mark its arguments as requiring a gradient
    fresh = [value.detach() for value in values]
    try:
        with elementary(), torch.enable_grad():
            graph = make_fx(function)(*fresh)
            if any(_in_place(node) for node in graph.graph.nodes):
                graph = make_fx(functionalize(graph))(*fresh)
    except (RuntimeError, TypeError, ValueError) as error:
        raise Untraceable(str(error).split("\n")[0]) from error
    graph.graph.set_codegen(CodeGen())
    graph.recompile()
    return graph


def _in_place(node: Any) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


class _Watch(TorchFunctionMode):
    """Refuses what stops gradients and would leave no trace in a graph of values."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[override]
        if func in STOPS or not torch.is_grad_enabled():
            raise RuntimeError(f"the network stops gradients at {getattr(func, '__name__', func)}")
        return func(*args, **(kwargs or {}))
