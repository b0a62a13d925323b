"""Rules of functions that reduce axes, normalise over them, or pool places."""

from __future__ import annotations

from lemmata.landscape.permutation.calls import Call, Layout, rule, unify_all
from lemmata.landscape.permutation.rules_elementwise import pointwise
from lemmata.landscape.permutation.terms import ONE, Leaf, Prod


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
    value = call.node.meta["val"]
    return [kept] * len(value) if isinstance(value, (tuple, list)) else kept


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
    call.at_once(*(t for i, t in enumerate(layout) if i not in chosen))
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
    if call.name == "instance_norm" or call.values.get("training"):
        call.at_once(*x[:2])
    for name in ("weight", "bias", "running_mean", "running_var"):
        if call.has(name):
            call.unify(x[1], call.layout(name)[0])
    return x if "native" not in call.name else [x, (x[1],), (x[1],)]


@rule("layer_norm", "rms_norm")
def layer_norm(call: Call) -> Layout:
    """Over the last axes, whose order does not matter but to the coefficients."""
    x = call.layout("input")
    call.at_once(*x[: -len(call["normalized_shape"])])
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
    return (*x[:-digits], *call.pinned(call.shape[len(x) - digits :]))
