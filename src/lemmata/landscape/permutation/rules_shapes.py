"""Rules of operations that only move entries: views, transpositions, concatenation, selection."""

from __future__ import annotations

from math import prod

from torch.fx import Node

from lemmata.landscape.permutation.calls import Call, Layout, broadcast, layout_of, rule, shape_of, unify_all
from lemmata.landscape.permutation.terms import Leaf, Prod, Sum, Term


@rule(
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel",
    "squeeze_", "unsqueeze_", "_reshape_alias",
)  # fmt: skip
def view(call: Call) -> Layout:
    """The same entries in the same order on other axes: axes are merged to products, and split into factors."""
    layout, old, new = call.layout("self"), call.shape_of("self"), call.shape
    made: list[Term] = []
    i = j = 0
    while i < len(old) or j < len(new):
        taken, given = [], []
        while (not taken and not given) or prod(old[k] for k in taken) != prod(new[k] for k in given):
            if i < len(old) and (j == len(new) or prod(old[k] for k in taken) <= prod(new[k] for k in given)):
                taken.append(i)
                i += 1
            else:
                given.append(j)
                j += 1
        flat = Prod(tuple(layout[k] for k in taken))
        made += call.groups.factors(flat, [new[k] for k in given], call.why)
    return tuple(made)


@rule("transpose", "swapaxes", "transpose_", "t", "numpy_T", "mT", "adjoint", "permute", "movedim", "moveaxis")
def permute(call: Call) -> Layout:
    """Axes in another order."""
    layout = list(call.layout("self"))
    if call.name == "permute":
        return tuple(layout[d] for d in call["dims"])
    if call.name in ("transpose", "swapaxes", "transpose_"):
        one, two = (call["dim0"], call["dim1"]) if "dim0" in call.values else (call["axis0"], call["axis1"])
        if layout:
            layout[one], layout[two] = layout[two], layout[one]
        return tuple(layout)
    if call.name in ("mT", "adjoint"):
        return (*layout[:-2], layout[-1], layout[-2])
    if call.name in ("movedim", "moveaxis"):
        return _moved(call, layout)
    return tuple(reversed(layout))


def _moved(call: Call, layout: list[Term]) -> Layout:
    rank = len(layout)
    source, target = ([d] if isinstance(d, int) else list(d) for d in (call["source"], call["destination"]))
    source, target = [d % rank for d in source], [d % rank for d in target]
    rest = iter([d for d in range(rank) if d not in source])
    at = dict(zip(target, source, strict=True))
    return tuple(layout[at[d] if d in at else next(rest)] for d in range(rank))


@rule("expand", "expand_as", "broadcast_to", "repeat")
def expand(call: Call) -> Layout:
    """Copies along an axis of size 1, which may permute in any way; other repetitions are products."""
    layout, old, new = call.layout("self"), call.shape_of("self"), call.shape
    lead = len(new) - len(old)
    made = list(call.free(new[:lead], beside=layout))
    for term, n, m in zip(layout, old, new[lead:], strict=True):
        made.append(term if n == m else Prod((*call.free([m // n], beside=layout), term)))
    return tuple(made)


@rule("repeat_interleave")
def repeat_interleave(call: Call) -> Layout:
    """Each index several times in a row."""
    if not isinstance(call.values.get("repeats"), int) or call.values.get("dim") is None:
        return call.pin_everything()  # type: ignore[return-value]
    layout = list(call.layout("self"))
    layout[call["dim"]] = Prod((layout[call["dim"]], *call.free([call["repeats"]], beside=tuple(layout))))
    return tuple(layout)


@rule("cat", "concat", "concatenate")
def cat(call: Call) -> Layout:
    """One after the other along an axis; the others permute alike."""
    nodes = [node for node in call["tensors"] if shape_of(node) != (0,)]
    layouts = [layout_of(node, call.layouts) for node in nodes]
    dim = call["dim"] % len(layouts[0])
    unify_all(
        call, [(a, b) for own in layouts[1:] for i, (a, b) in enumerate(zip(layouts[0], own, strict=True)) if i != dim]
    )
    made = list(layouts[0])
    made[dim] = Sum(tuple(own[dim] for own in layouts))
    return tuple(made)


@rule("stack")
def stack(call: Call) -> Layout:
    """Side by side along a new axis, which is read by position; the others permute alike."""
    layouts = [layout_of(node, call.layouts) for node in call["tensors"]]
    shapes = [shape_of(node) for node in call["tensors"]]
    made = list(broadcast(call, layouts, shapes))
    made.insert(call["dim"] % (len(made) + 1), call.pinned([len(layouts)])[0])
    return tuple(made)


@rule("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split", "hsplit")
def split(call: Call) -> list[Layout]:
    """The parts of an axis, which is cut into them."""
    layout = call.layout("self")
    dim = call.values.get("dim", -1 if len(layout) == 1 else 1) % len(layout)
    sizes = [part.shape[dim] for part in call.node.meta["val"]]
    parts = call.groups.cut(layout[dim], sizes, call.why)
    return [(*layout[:dim], part, *layout[dim + 1 :]) for part in parts]


@rule("slice", "narrow")
def slice_(call: Call) -> Layout:
    """A stretch of an axis, which is cut at its ends; with steps it is read by position."""
    layout, dim = list(call.layout("self")), call["dim"]
    n, m = call.shape_of("self")[dim], call.shape[dim]
    if n == m:
        return tuple(layout)
    start = call["start"] or 0
    if not isinstance(start, int):
        return call.pin_everything()  # type: ignore[return-value]
    start = min(max(start + n if start < 0 else start, 0), n)
    if call.values.get("step", 1) != 1:
        call.pin([layout[dim]])
        layout[dim] = call.pinned([m])[0]
        return tuple(layout)
    layout[dim] = call.groups.cut(layout[dim], [start, m, n - start - m], call.why)[1]
    return tuple(layout)


@rule("select", "unbind")
def select(call: Call) -> Layout | list[Layout]:
    """One index of an axis: pinned there, and what lies inside it becomes one group an index."""
    layout = call.layout("self")
    dim = call["dim"] % len(layout)
    index, n = call.values.get("index"), call.shape_of("self")[dim]
    call.pin([layout[dim]])
    if call.name == "unbind":
        return [_selected(call, layout, dim, i) for i in range(n)]
    if not isinstance(index, int):
        return call.pin_everything()
    return _selected(call, layout, dim, index % n)


def _selected(call: Call, layout: Layout, dim: int, index: int) -> Layout:
    rest = (*layout[:dim], *layout[dim + 1 :])
    over = call.groups.resolve(layout[dim])
    if not isinstance(over, Leaf):
        return rest
    inner = sorted({g for t in rest for g in call.groups.leaves(t)}, key=lambda g: -len(call.groups.parents(g)))
    for g in inner:  # the innermost first, while what they lie in is still there to be read
        call.groups.case(Leaf(g), over.group, index)
    return tuple(call.groups.case(term, over.group, index) for term in rest)


@rule("index")
def index(call: Call) -> Layout:
    """Entries at places given by one tensor of indices along one axis."""
    layout, places = call.layout("self"), list(call["indices"])
    used = [i for i, place in enumerate(places) if isinstance(place, Node)]
    call.pin([layout[i] for i in used])
    if len(used) != 1 or call.layouts[places[used[0]]] == ():
        return call.pin_everything()  # type: ignore[return-value]
    at = used[0]
    rows = len(shape_of(places[at]))
    own = call.pinned(call.shape[at : at + rows])
    return (*layout[:at], *own, *layout[at + 1 :])


@rule("index_select")
def index_select(call: Call) -> Layout:
    """Entries at given places of an axis."""
    layout, dim = list(call.layout("self")), call["dim"]
    call.pin([layout[dim]])
    layout[dim] = call.pinned([call.shape[dim]])[0]
    return tuple(layout)


@rule("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def pad(call: Call) -> Layout:
    """Entries added at the ends of axes, which are read by position where any are."""
    layout, old, new = list(call.layout("self")), call.shape_of("self"), call.shape
    for i, (n, m) in enumerate(zip(old, new, strict=True)):
        if n != m:
            call.pin([layout[i]])
            layout[i] = call.pinned([m])[0]
    return tuple(layout)


@rule("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(call: Call) -> Layout:
    """Blocks of channels that are laid out as places permute as blocks; within a block they are read by position."""
    x, old, new = call.layout("self"), call.shape_of("self"), call.shape
    few = min(old[-3], new[-3])
    channels, inner = call.groups.leaf(few), call.pinned([max(old[-3], new[-3]) // few])
    call.unify(x[-3], Prod((channels, *inner)) if old[-3] > few else channels)
    call.pin(x[-2:])
    made = channels if old[-3] > few else Prod((channels, *inner))
    return (*x[:-3], made, *call.pinned(new[-2:]))


@rule("tril", "triu", "tril_", "triu_")
def triangle(call: Call) -> Layout:
    """A triangle of a matrix: its rows and columns are read by position."""
    layout = call.layout("self")
    call.pin(layout[-2:])
    return layout
