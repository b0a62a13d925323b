"""Rules of functions that act on each entry, reduce axes, or normalise over them."""

from __future__ import annotations

from torch.fx import Node

from lemmata.landscape.permutation.calls import Call, Layout, broadcast, layout_of, rule, shape_of, unify_all
from lemmata.landscape.permutation.terms import ONE, Leaf, Prod, Term


def pointwise(call: Call) -> Layout:
    """Any function of entries at the same place: what is broadcast against one another permutes alike."""
    nodes = [node for node in call.tensors() if isinstance(call.layouts[node], tuple)]
    return broadcast(call, [layout_of(node, call.layouts) for node in nodes], [shape_of(node) for node in nodes])


@rule(
    "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "contiguous", "clone", "detach", "alias",
    "lift_fresh_copy", "to", "_to_copy", "type_as", "float", "double", "softmax", "log_softmax", "_softmax",
    "_log_softmax", "softmin", "dropout_", "detach_", "requires_grad_", "cumsum_like",
)  # fmt: skip
def same(call: Call) -> Layout:
    """What has the shape of its first argument, and permutes as that does (softmax along any axis does)."""
    return call.layout("input" if "input" in call.values else "self")


@rule("copy_", "copy", "masked_fill", "masked_fill_", "where", "lerp", "addcmul", "addcdiv", "rsub", "add_", "mul_")
def entries(call: Call) -> Layout:
    """Functions of entries that are not always marked as such."""
    return pointwise(call)


@rule("prelu")
def prelu(call: Call) -> Layout:
    """One slope for all, or one a channel."""
    x, weight = call.layout("self"), call.layout("weight")
    if call.shape_of("weight") != (1,) and len(x) > 1 and len(weight) == 1:
        call.unify(x[1], weight[0])
    return x


@rule(
    "sum", "mean", "amax", "amin", "prod", "var", "std", "logsumexp", "norm", "linalg_vector_norm", "any", "all",
    "nansum", "max", "min", "aminmax", "var_mean", "std_mean",
)  # fmt: skip
def reduction(call: Call) -> Layout | list[Layout]:
    """Symmetric functions of the entries along axes, which do not depend on their order."""
    if "other" in call.values:
        return pointwise(call)
    layout, name = call.layout("self"), call.name
    if name in ("max", "min") and "dim" in call.values:  # the indices of the extremes tell the order
        call.pin([layout[call["dim"]]])
    dims = _dims(call, len(layout))
    keep = bool(call.values.get("keepdim"))
    kept = tuple(ONE if i in dims else t for i, t in enumerate(layout) if keep or i not in dims)
    made = call.orphan(kept, [layout[i] for i in dims])
    value = call.node.meta["val"]
    return [made] * len(value) if isinstance(value, (tuple, list)) else made


def _dims(call: Call, rank: int) -> set[int]:
    dims = call.values.get("dim")
    dims = list(range(rank)) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    return {d % rank for d in dims} if rank else set()


@rule("argmax", "argmin", "cumsum", "cumprod", "flip", "roll", "sort", "topk", "argsort")
def ordered(call: Call) -> Layout | list[Layout]:
    """What tells the order along an axis: pinned there."""
    dims = call.values.get("dims", call.values.get("dim"))
    if dims is None or dims == []:
        return call.pin_everything()
    layout = call.layout("self")
    rank = len(layout)
    chosen = {d % rank for d in ([dims] if isinstance(dims, int) else dims)}
    call.pin([layout[d] for d in chosen])
    if call.name in ("argmax", "argmin"):
        keep = call["keepdim"]
        return tuple(ONE if i in chosen else t for i, t in enumerate(layout) if keep or i not in chosen)
    if call.name == "topk":
        made = tuple(t if i not in chosen else call.pinned([call["k"]])[0] for i, t in enumerate(layout))
        return [made, made]
    return [layout, layout] if call.name == "sort" else layout


@rule("batch_norm", "instance_norm", "native_batch_norm", "_native_batch_norm_legit_no_training")
def batch_norm(call: Call) -> Layout | list[Layout]:
    """Each channel by statistics and coefficients of its own."""
    x = call.layout("input")
    for name in ("weight", "bias", "running_mean", "running_var"):
        if call.has(name):
            call.unify(x[1], call.layout(name)[0])
    return x if "native" not in call.name else [x, (x[1],), (x[1],)]


@rule("layer_norm", "rms_norm")
def layer_norm(call: Call) -> Layout:
    """Over the last axes, whose order does not matter but to the coefficients."""
    x = call.layout("input")
    for name in ("weight", "bias"):
        if call.has(name):
            own = call.layout(name)
            unify_all(call, list(zip(x[-len(own) :], own, strict=True)))
    return x


@rule("group_norm")
def group_norm(call: Call) -> Layout:
    """Channels in blocks with common statistics: the blocks permute, and the channels within each."""
    x = call.layout("input")
    outer = call.groups.leaf(call["num_groups"])
    inside = (outer.group,) if isinstance(outer, Leaf) else ()
    inner = call.groups.leaf(call.shape_of("input")[1] // call["num_groups"], inside=inside)
    call.unify(x[1], Prod((outer, inner)))
    for name in ("weight", "bias"):
        if call.has(name):
            call.unify(x[1], call.layout(name)[0])
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
    """a sigmoid(b) of the two halves of an axis, which permute alike."""
    x = list(call.layout("self"))
    dim, half = call["dim"], call.shape[call["dim"]]
    first, second = call.groups.cut(x[dim], [half, half], call.why)
    call.unify(first, second)
    x[dim] = first
    return tuple(x)


def is_tensor(value: object) -> bool:
    """Whether an argument is a tensor of the graph."""
    return isinstance(value, Node)


def pool_layout(call: Call, channels: tuple[Term, ...]) -> Layout:
    """Channels kept, places pinned."""
    return (*channels, *call.pinned(call.shape[len(channels) :]))


@rule(
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "lp_pool2d",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_bicubic2d",
    "max_pool2d_with_indices",
)  # fmt: skip
def pool(call: Call) -> Layout | list[Layout]:
    """Functions of places, the same in each channel."""
    x = call.layout("input" if "input" in call.values else "self")
    digits = next(int(c) for c in call.name[::-1] if c.isdigit()) if call.name[-1] != "s" else 2
    call.pin(x[-digits:])
    value = call.node.meta["val"]
    if isinstance(value, (tuple, list)):
        return [(*x[:-digits], *call.pinned(part.shape[len(x) - digits :])) for part in value]
    return pool_layout(call, x[:-digits])
