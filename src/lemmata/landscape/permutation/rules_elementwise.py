"""Rules of functions that act on each entry, and of tensors whose entries are all alike."""

from __future__ import annotations

from lemmata.landscape.permutation.calls import Call, Layout, broadcast, layout_of, rule, shape_of


def pointwise(call: Call) -> Layout:
    """Any function of entries at the same place: what is broadcast against one another permutes alike."""
    nodes = [node for node in call.tensors() if isinstance(call.layouts[node], tuple)]
    return broadcast(call, [layout_of(node, call.layouts) for node in nodes], [shape_of(node) for node in nodes])


@rule(
    "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "contiguous", "clone", "detach", "alias",
    "lift_fresh_copy", "to", "_to_copy", "type_as", "float", "double", "softmax", "log_softmax", "_softmax",
    "_log_softmax", "softmin", "dropout_", "detach_", "requires_grad_",
)  # fmt: skip
def same(call: Call) -> Layout:
    """What has the shape of its first argument, and permutes as that does (softmax along any axis does)."""
    layout = call.layout("input" if "input" in call.values else "self")
    if "softm" in call.name and layout:  # a sum along one axis: what lies inside it there must not depend on it
        call.at_once(*(t for i, t in enumerate(layout) if i != call["dim"] % len(layout)))
    return layout


@rule(
    "copy_", "copy", "masked_fill", "masked_fill_", "where", "rsub", "hardswish", "hardswish_", "log_sigmoid", "divide",
    "true_divide", "multiply", "subtract", "floor_divide", "absolute", "negative", "special_expit", "fill_", "zero_",
    "__and__", "__or__", "__xor__",
)  # fmt: skip
def entries(call: Call) -> Layout:
    """Functions of entries that are not always marked as such."""
    return pointwise(call)


@rule("_weight_norm")
def weight_norm(call: Call) -> Layout:
    """G v / |v|, the norm of each slice along one axis."""
    v, g = call.layout("v"), call.layout("g")
    return broadcast(call, [v, g], [call.shape_of("v"), call.shape_of("g")])


@rule("prelu")
def prelu(call: Call) -> Layout:
    """One slope for all, or one a channel."""
    x, weight = call.layout("self"), call.layout("weight")
    if call.shape_of("weight") != (1,) and len(x) > 1 and len(weight) == 1:
        call.unify(x[1], weight[0])
    return x


@rule(
    "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones",
    "new_full", "new_empty", "scalar_tensor",
)  # fmt: skip
def constant(call: Call) -> Layout:
    """Tensors whose entries are all equal, or of no consequence."""
    return call.free(call.shape)


@rule("glu")
def glu(call: Call) -> Layout:
    """The product a sigmoid(b) of the two halves of an axis, which permute alike."""
    x = list(call.layout("self"))
    dim, half = call["dim"], call.shape[call["dim"]]
    first, second = call.groups.cut(x[dim], [half, half], call.why)
    call.unify(first, second)
    x[dim] = first
    return tuple(x)
