"""Rules of products: linear maps, convolutions, attention, embeddings. Axes that are summed over permute alike."""

from __future__ import annotations

from lemmata.landscape.permutation.calls import Call, Layout, broadcast, layout_of, rule, shape_of, unify_all
from lemmata.landscape.permutation.terms import Leaf, Prod, Term


@rule("linear")
def linear(call: Call) -> Layout:
    """Of the last axis: y[..., o] = sum_i x[..., i] W[o, i] + b[o]."""
    x, weight = call.layout("input"), call.layout("weight")
    call.unify(x[-1], weight[-1])
    if call.has("bias"):
        call.unify(weight[0], call.layout("bias")[0])
    call.at_once(*x[:-1], *weight)
    return (*x[:-1], *weight[:-1])


@rule("mm", "bmm", "matmul", "mv", "dot", "vdot")
def matmul(call: Call) -> Layout:
    """Products of matrices, in batches or not; a vector lacks its row or its column."""
    second = next(name for name in ("mat2", "other", "vec", "tensor") if name in call.values)
    return _product(call, call.layout("self"), call.layout(second), call.shape_of("self"), call.shape_of(second))


@rule("addmm", "baddbmm", "addmv")
def addmm(call: Call) -> Layout:
    """A product, and a term that is broadcast to it."""
    a, b = {"addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2"), "addmv": ("mat", "vec")}[call.name]
    made = _product(call, call.layout(a), call.layout(b), call.shape_of(a), call.shape_of(b))
    return broadcast(call, [made, call.layout("self")], [call.shape, call.shape_of("self")])


def _product(call: Call, a: Layout, b: Layout, m: tuple[int, ...], n: tuple[int, ...]) -> Layout:
    inner = b[max(len(b) - 2, 0)]
    row, column = (a[-2:-1] if len(a) > 1 else ()), (b[-1:] if len(b) > 1 else ())
    batch = broadcast(call, [a[:-2], b[:-2]], [m[:-2], n[:-2]])
    call.unify(a[len(a) - 1], inner)
    call.at_once(*batch, *row, inner, *column)
    return (*batch, *row, *column)


@rule("einsum")
def einsum(call: Call) -> Layout:
    """Axes with one letter permute alike; those that the result lacks are summed over."""
    operands = call["tensors"]
    equation = call["equation"].replace(" ", "")
    inputs, arrow, output = equation.partition("->")
    terms = inputs.split(",")
    if "." in equation or not arrow:
        return call.pin_everything()  # type: ignore[return-value]
    axes: dict[str, Term] = {}
    pairs = []
    for letters, node in zip(terms, operands, strict=True):
        for letter, term, size in zip(letters, layout_of(node, call.layouts), shape_of(node), strict=True):
            if letter not in axes or (size > 1 and call.groups.size(axes[letter]) == 1):
                axes[letter] = term
            elif size > 1:
                pairs.append((axes[letter], term))
    unify_all(call, pairs)
    call.at_once(*axes.values())
    return tuple(axes[letter] for letter in output)


@rule("conv1d", "conv2d", "conv3d", "convolution")
def convolution(call: Call) -> Layout:
    """Channels permute; with groups, they do as blocks, and within each block."""
    if call.values.get("transposed"):
        return _convolution(call, transposed=True)
    return _convolution(call, transposed=False)


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(call: Call) -> Layout:
    """The same with the weight's first two axes exchanged."""
    return _convolution(call, transposed=True)


def _convolution(call: Call, transposed: bool) -> Layout:
    x, weight, shape = call.layout("input"), call.layout("weight"), call.shape_of("weight")
    rank = len(weight) - 2
    batch, channels, blocks = x[: -rank - 1], x[-rank - 1], call["groups"]
    call.pin([*x[-rank:], *weight[2:]])
    outer = call.groups.leaf(blocks)
    inside = (outer.group,) if isinstance(outer, Leaf) else ()
    fan_in, fan_out = (shape[0] // blocks, shape[1]) if transposed else (shape[1], shape[0] // blocks)
    taken, made = call.groups.leaf(fan_in, inside=inside), call.groups.leaf(fan_out, inside=inside)
    read, written = Prod((outer, taken)), Prod((outer, made))
    call.unify(channels, read)
    call.unify(weight[0], read if transposed else written)
    call.unify(weight[1], made if transposed else taken)
    if call.has("bias"):
        call.unify(call.layout("bias")[0], written)
    call.at_once(*batch, outer, taken, made)
    out = (*batch, call.groups.resolve(written))
    return (*out, *call.pinned(call.shape[len(out) :]))


@rule("scaled_dot_product_attention")
def attention(call: Call) -> Layout:
    """softmax(q k^T + mask) v: heads permute as blocks, q and k alike within each, v and what it makes alike too."""
    q, k, v = (call.layout(name) for name in ("query", "key", "value"))
    shapes = [call.shape_of(name)[:-2] for name in ("query", "key", "value")]
    if call.values.get("enable_gqa") and shapes[0] != shapes[1]:
        heads = _shared_heads(call, q[-3], k[-3], v[-3], shapes[0][-1] // shapes[1][-1])
        batch = (*broadcast(call, [q[:-3], k[:-3], v[:-3]], [shape[:-1] for shape in shapes]), heads)
    else:
        batch = broadcast(call, [q[:-2], k[:-2], v[:-2]], shapes)
    call.unify(k[-2], v[-2])
    if call["is_causal"]:
        call.pin([q[-2], k[-2]])
    if call.has("attn_mask"):
        scores, mask = (*batch, q[-2], k[-2]), call.layout("attn_mask")
        sizes = (*call.shape[:-1], call.shape_of("key")[-2])
        broadcast(call, [scores, mask], [sizes, call.shape_of("attn_mask")])
    call.unify(q[-1], k[-1])
    call.at_once(*batch, q[-2], k[-2], q[-1])
    call.at_once(*batch, q[-2], v[-2], v[-1])
    return (*batch, q[-2], v[-1])


def _shared_heads(call: Call, q: Term, k: Term, v: Term, each: int) -> Term:
    """Heads of q in blocks that share a head of k and v: the blocks permute, and the heads within each."""
    call.unify(k, v)
    k = call.groups.resolve(k)
    heads = Prod((k, call.groups.leaf(each, inside=[k.group] if isinstance(k, Leaf) else [])))
    call.unify(q, heads)
    return call.groups.resolve(heads)


@rule("embedding")
def embedding(call: Call) -> Layout:
    """A table's row for each index: rows are read by position, columns permute."""
    weight = call.layout("weight")
    call.pin(weight[:1])
    return (*call.layout("indices"), weight[1])
