"""Batch normalisation by running statistics, folded into the convolution before it.

    (W * x - m) / sqrt(v + eps) gamma + beta  =  (s W) * x + (beta - s m),      s = gamma / sqrt(v + eps)

With m and v constant, normalising is a scale and a shift of each channel. Applied to the weights, of which there are
few, instead of the activations, it costs nothing, its derivatives by gamma and beta neither, and the activations before
it need not be kept. Where no convolution comes before (or others read it too) it stays a scale and a shift of the
activations. The values agree to rounding.
"""

from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

aten: Any = torch.ops.aten
EVAL_NORMS = {aten.native_batch_norm.default, aten.cudnn_batch_norm.default, aten.miopen_batch_norm.default}


def fold(module: GraphModule) -> None:
    """Rewrite every batch normalisation in evaluation mode of the graph, in place."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target in EVAL_NORMS and node.args[5] is False:
            normalised = [user for user in node.users if user.args[1] == 0]
            with graph.inserting_before(node):
                folded = _folded(graph, node)
            for user in normalised:
                user.replace_all_uses_with(folded)
    graph.eliminate_dead_code()
    module.recompile()


def _folded(graph: Graph, node: Node) -> Node:
    """The nodes that do the same as this normalisation."""
    x, gamma, beta, mean, variance, _, _, epsilon = node.args

    def call(operation: Any, *args: Any) -> Node:
        return graph.call_function(operation, args)

    scale = call(aten.rsqrt.default, call(aten.add.Tensor, variance, epsilon))
    scale = scale if gamma is None else call(aten.mul.Tensor, scale, gamma)
    shift = call(aten.neg.default, call(aten.mul.Tensor, mean, scale))
    shift = shift if beta is None else call(aten.add.Tensor, beta, shift)
    assert isinstance(x, Node)
    rank = len(x.meta["tensor_meta"].shape)
    plain = x.target is aten.convolution.default and len(x.users) == 1 and not x.args[6]  # args[6]: transposed
    if not plain:
        scale, shift = (call(aten.view.default, part, [-1] + [1] * (rank - 2)) for part in (scale, shift))
        return call(aten.add.Tensor, call(aten.mul.Tensor, x, scale), shift)
    _, weight, bias, *rest = x.args
    weight = call(aten.mul.Tensor, weight, call(aten.view.default, scale, [-1] + [1] * (rank - 1)))
    shift = shift if bias is None else call(aten.add.Tensor, call(aten.mul.Tensor, bias, scale), shift)
    return call(aten.convolution.default, x.args[0], weight, shift, *rest)
