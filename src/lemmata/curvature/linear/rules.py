"""How each tensor operation carries a tangent: the derivative of its outputs along those of its inputs.

    y = f(a, b)   ->   dy = (df/da) da + (df/db) db,   a term for each input that moves

`RULES` has the operations that most networks are made of, where a rule of one's own saves time: no term is written for
an input that does not move, and constants stay outside. Of all others torch's own derivative is traced
(`tangent.derived`). `STILL` are operations whose outputs do not move: they count, compare or read only shapes.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch.fx import Node

aten: Any = torch.ops.aten


class Carrier(Protocol):
    """What a rule writes with: values and tangents of the arguments of a node, and calls."""

    def value(self, argument: Any) -> Any:
        """The argument in the graph being written."""
        ...

    def tangent(self, argument: Any) -> Any:
        """Its tangent, None where it does not move."""
        ...

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Node:
        """Write a call."""
        ...

    def total(self, *terms: Node | None) -> Node | None:
        """Write the sum of those terms that there are; each is its own, so that it may be added to in place."""
        ...


Rule = Callable[[Carrier, Node], Any]


def _linear(c: Carrier, node: Node) -> Any:
    """Linear in the first argument; the others are constants, or tensors of which only the shape is read."""
    tangent = c.tangent(node.args[0])
    if tangent is None:
        return None
    return c.call(node.target, tangent, *(c.value(argument) for argument in node.args[1:]), **node.kwargs)


def _same(c: Carrier, node: Node) -> Any:
    """The identity on values."""
    return c.tangent(node.args[0])


def _transposed(c: Carrier, node: Node) -> Any:
    """Transposed twice is as it was."""
    tangent = c.tangent(node.args[0])
    twice = isinstance(tangent, Node) and tangent.target is aten.t.default
    return tangent.args[0] if twice else c.call(node.target, tangent)


def _first(c: Carrier, node: Node) -> Any:
    """The same of the first of two outputs; the second is a count."""
    both = _linear(c, node)
    return None if both is None else (c.call(operator.getitem, both, 0), None)


def _padded(c: Carrier, node: Node) -> Any:
    return c.call(node.target, c.tangent(node.args[0]), node.args[1])


def _reshaped(c: Carrier, node: Node) -> Any:
    return c.call(aten.reshape.default, c.tangent(node.args[0]), node.args[1])


def _item(c: Carrier, node: Node) -> Any:
    of, index = node.args
    tangents: Any = c.tangent(of)
    place: Any = index
    return tangents[place] if isinstance(tangents, tuple) else c.call(operator.getitem, tangents, index)


def _bilinear(c: Carrier, node: Node) -> Any:
    a, b = node.args[:2]
    da, db = c.tangent(a), c.tangent(b)
    return c.total(
        None if da is None else c.call(node.target, da, c.value(b)),
        None if db is None else c.call(node.target, c.value(a), db),
    )


def _add(c: Carrier, node: Node) -> Any:
    a, b = node.args[:2]
    da, db = c.tangent(a), c.tangent(b)
    alpha = node.kwargs.get("alpha", 1)
    if db is not None and alpha != 1:
        db = c.call(aten.mul.Scalar, db, alpha)
    if da is not None and db is not None:
        return c.call(node.target, da, db)
    if da is None and node.target is aten.sub.Tensor:
        return _as_wide(c, c.call(aten.neg.default, db), node)
    return _as_wide(c, db if da is None else da, node)


def _as_wide(c: Carrier, tangent: Any, node: Node) -> Node:
    """The tangent of one summand, in the shape of the sum."""
    return c.call(aten.expand.default, tangent, list(node.meta["tensor_meta"].shape))


def _divide(c: Carrier, node: Node) -> Any:
    a, b = node.args
    da, db = c.tangent(a), c.tangent(b)
    slope = None if db is None else c.call(aten.neg.default, c.call(aten.div.Tensor, c.value(node), c.value(b)))
    return c.total(
        None if da is None else c.call(aten.div.Tensor, da, c.value(b)),
        None if db is None else c.call(aten.mul.Tensor, slope, db),
    )


def _affine(c: Carrier, node: Node) -> Any:
    """addmm: b + A B; the tangent of b rides on a product with A."""
    b, A, B = node.args[:3]
    dA, dB, db = c.tangent(A), c.tangent(B), c.tangent(b)
    by_input = None if dA is None else c.call(aten.mm.default, dA, c.value(B))
    if db is None:
        return c.total(None if dB is None else c.call(aten.mm.default, c.value(A), dB), by_input)
    if dB is None:
        return _as_wide(c, db, node) if dA is None else c.call(aten.addmm.default, db, dA, c.value(B))
    return c.total(c.call(aten.addmm.default, db, c.value(A), dB), by_input)


def _relu(c: Carrier, node: Node) -> Any:
    return c.call(aten.threshold_backward.default, c.tangent(node.args[0]), c.value(node), 0)


def _log_softmax(c: Carrier, node: Node) -> Any:
    """Of y = x - log sum exp x: dx - sum_j p_j dx_j."""
    dx, p = c.tangent(node.args[0]), c.call(aten.exp.default, c.value(node))
    mean = c.call(aten.sum.dim_IntList, c.call(aten.mul.Tensor, p, dx), [node.args[1]], True)
    return c.call(aten.sub.Tensor, dx, mean)


def _log_softmax_backward(c: Carrier, node: Node) -> Any:
    """Of g - p sum_j g_j, with p = exp of the output y."""
    g, y, axis, dtype = node.args
    dg, dy = c.tangent(g), c.tangent(y)
    slope = None
    if dy is not None:
        whole = c.call(aten.sum.dim_IntList, c.value(g), [axis], True)
        slope = c.call(aten.neg.default, c.call(aten.mul.Tensor, c.call(aten.exp.default, c.value(y)), whole))
    return c.total(
        None if dg is None else c.call(node.target, dg, c.value(y), axis, dtype),
        None if dy is None else c.call(aten.mul.Tensor, slope, dy),
    )


def _convolution(c: Carrier, node: Node) -> Any:
    x, weight, bias, *rest = node.args
    dx, dw, db = c.tangent(x), c.tangent(weight), c.tangent(bias)
    terms = [None if dx is None else c.call(node.target, dx, c.value(weight), None, *rest)]
    if dw is not None:
        terms.append(c.call(node.target, c.value(x), dw, db, *rest))
    elif db is not None:
        channels = c.call(aten.reshape.default, db, [-1] + [1] * (len(node.meta["tensor_meta"].shape) - 2))
        terms.insert(0, c.call(aten.mul.Tensor, c.call(aten.ones_like.default, c.value(node)), channels))
    return c.total(*terms)


def _convolution_backward(c: Carrier, node: Node) -> Any:
    """Its three outputs: by the input (bilinear in g, w), the weight (bilinear in g, x) and the bias (linear in g)."""
    g, x, weight, *rest, wanted = node.args
    used = [user.args[1] for user in node.users if user.target is operator.getitem]
    dg, dx, dw = c.tangent(g), c.tangent(x), c.tangent(weight)

    def part(i: int, *inputs: Any) -> Node | None:
        if any(tensor is None for tensor in inputs):
            return None
        only = [j == i for j in range(3)]
        return c.call(operator.getitem, c.call(node.target, *inputs, *rest, only), i)

    v = c.value
    assert isinstance(wanted, Sequence)
    by_input = c.total(part(0, dg, v(x), v(weight)), part(0, v(g), v(x), dw)) if wanted[0] and 0 in used else None
    by_weight = c.total(part(1, dg, v(x), v(weight)), part(1, v(g), dx, v(weight))) if wanted[1] and 1 in used else None
    by_bias = None
    if wanted[2] and 2 in used and dg is not None:
        assert isinstance(g, Node)
        axes = [axis for axis in range(len(g.meta["tensor_meta"].shape)) if axis != 1]
        by_bias = c.call(aten.sum.dim_IntList, dg, axes)
    return by_input, by_weight, by_bias


def _squares_backward(c: Carrier, node: Node) -> Any:
    """Of 2 g (x - y) / count: linear in g, and in x and y."""
    g, x, y, reduction = node.args
    dg, dx, dy = c.tangent(g), c.tangent(x), c.tangent(y)
    terms = [] if dg is None else [c.call(node.target, dg, c.value(x), c.value(y), reduction)]
    if dx is not None or dy is not None:
        filled = [c.call(aten.zeros_like.default, c.value(a)) if d is None else d for a, d in ((x, dx), (y, dy))]
        terms.append(c.call(node.target, c.value(g), *filled, reduction))
    return c.total(*terms)


def _joined(c: Carrier, node: Node) -> Any:
    """Cat and stack: zeros for the parts that do not move."""
    parts, *rest = node.args
    assert isinstance(parts, Sequence)
    tangents = [(part, c.tangent(part)) for part in parts]
    filled = [c.call(aten.zeros_like.default, c.value(part)) if t is None else t for part, t in tangents]
    return c.call(node.target, filled, *rest)


def _pooled(c: Carrier, node: Node) -> Any:
    """Max-pooling: the tangent at the place of each maximum."""
    dx = c.tangent(node.args[0])
    places = c.call(operator.getitem, c.value(node), 1)
    axes = 2  # the places count within the last two axes
    flat = c.call(aten.flatten.using_ints, dx, -axes, -1)
    taken = c.call(aten.gather.default, flat, -1, c.call(aten.flatten.using_ints, places, -axes, -1))
    return c.call(aten.view_as.default, taken, places), None


LINEAR = [
    aten.transpose.int, aten.permute.default, aten.expand.default, aten.slice.Tensor,
    aten.slice_backward.default, aten.select.int, aten.select_backward.default, aten.unsqueeze.default,
    aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, aten.split.Tensor, aten.split_with_sizes.default,
    aten.unbind.int, aten.sum.default, aten.sum.dim_IntList, aten.mean.default, aten.mean.dim, aten.div.Scalar,
    aten.mul.Scalar, aten.neg.default, aten.clone.default,
    aten.threshold_backward.default, aten.max_pool2d_with_indices_backward.default, aten.avg_pool2d.default,
    aten.avg_pool2d_backward.default, aten._adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d_backward.default,
    aten.nll_loss_backward.default, aten.embedding.default, aten.embedding_dense_backward.default,
]  # fmt: skip
STILL = {
    aten.ones_like.default, aten.zeros_like.default, aten.empty_like.default, aten.full_like.default,
    aten.empty.memory_format, aten.new_zeros.default, aten.new_ones.default, aten.new_full.default,
    aten.eq.Tensor, aten.eq.Scalar, aten.ne.Tensor, aten.ne.Scalar, aten.gt.Tensor, aten.gt.Scalar, aten.ge.Tensor,
    aten.ge.Scalar, aten.lt.Tensor, aten.lt.Scalar, aten.le.Tensor, aten.le.Scalar, aten.sign.default,
    aten.argmax.default, aten.is_same_size.default,
}  # fmt: skip
RULES: dict[Any, Rule] = {
    **dict.fromkeys(LINEAR, _linear),
    **dict.fromkeys([aten.mul.Tensor, aten.mm.default, aten.bmm.default, aten.mv.default, aten.dot.default], _bilinear),
    **dict.fromkeys([aten.view.default, aten._unsafe_view.default], _reshaped),
    **dict.fromkeys([aten.add.Tensor, aten.sub.Tensor], _add),
    **dict.fromkeys([aten.cat.default, aten.stack.default], _joined),
    **dict.fromkeys([aten.detach.default, aten.alias.default], _same),
    operator.getitem: _item,
    aten.t.default: _transposed,
    aten.nll_loss_forward.default: _first,
    aten.constant_pad_nd.default: _padded,
    aten.div.Tensor: _divide,
    aten.addmm.default: _affine,
    aten.relu.default: _relu,
    aten._log_softmax.default: _log_softmax,
    aten._log_softmax_backward_data.default: _log_softmax_backward,
    aten.convolution.default: _convolution,
    aten.convolution_backward.default: _convolution_backward,
    aten.max_pool2d_with_indices.default: _pooled,
    aten.mse_loss_backward.default: _squares_backward,
}
