"""A Lipschitz constant of a network, from the spectral norms of its layers.

    |f(x) - f(x')| <= L |x - x'|,   L = prod_l |W_l|    for layers in a chain, with activations of slope at most 1

and along any graph: a layer multiplies, a sum adds the constants of what is summed, so that a residual block
x + F(x) has 1 + L_F. Norms are those of the layers as operators on the images they see, with stride, padding,
dilation and groups (`lemmata.linalg.convolution_norm`), proven upper bounds; batch normalisation in use is a factor a
channel and is multiplied into the convolution in front of it, as is any scale that is constant on its channels. Norms
of kernels reshaped to matrices, which are often
taken instead, give a product that is no bound; it is reported beside.

Pairs of logits have constants of their own: |w_i - w_j| in place of |W| for the last layer, at most sqrt(2) |W|.
Cost: one norm a layer, with no data. Where it fails: the constant holds everywhere and is attained nowhere: layers
never stretch the same direction most, so that it exceeds what data see by orders of magnitude with depth.

Source: Szegedy et al. (2014), section 4.3; Tsuzuku, Sato, Sugiyama (2018); Gouk et al. (2021).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_model, require_number
from lemmata.linalg.convolution_norm import FLOPS, convolution_norm, matrix_norm
from lemmata.robustness.linear_bounds.affine import Affine, Average, Convolution, Dense, Reshape, Scale
from lemmata.robustness.linear_bounds.graph import Graph, Node, Sum
from lemmata.robustness.linear_bounds.tracing import trace
from lemmata.short_repr import short_repr

UP = 1 + 1e-14  # more than a few roundings of positive numbers


@dataclass(frozen=True)
class LayerNorm:
    """The norm of one layer: `low` <= |W| <= `high`; `reshaped` is that of its kernel as a matrix, `way` the proof.

    `total` is the Lipschitz constant from the input to this layer's output.
    """

    name: str
    kind: str
    low: float
    high: float
    reshaped: float
    way: str
    total: float


@dataclass(frozen=True, eq=False)
class LipschitzBound:
    """`value`: a Lipschitz constant (l2 to l2) of the outputs; `layers` those with weights, in order.

    `pairs` (C, C) are constants of f_i - f_j. `of_reshaped` is what the norms of reshaped kernels give: no bound.
    `digest` says of which function, on which shape of inputs, these are constants.
    """

    value: float
    pairs: Tensor
    layers: tuple[LayerNorm, ...]
    of_reshaped: float
    digest: str = ""

    __repr__ = short_repr

    def plot(self) -> Figure:
        """Draw each layer's norm, and that of its reshaped kernel."""
        index = np.arange(len(self.layers))
        few = len(self.layers) <= 6
        ticks = tuple(layer.name for layer in self.layers) if few else tuple(map(str, index + 1))
        norms = Series(
            label="operator norm (proven bounds)", x=index, y=[layer.high for layer in self.layers],
            low=np.array([layer.low for layer in self.layers]), high=np.array([layer.high for layer in self.layers]),
        )  # fmt: skip
        reshaped = Series(
            label="kernel as a matrix (no bound)", x=index, y=[layer.reshaped for layer in self.layers], role="control"
        )
        panel = Panel(x=Axis(label="layer", ticks=ticks), y=Axis(label="spectral norm"), series=[norms, reshaped])
        caption = f"Their product bounds the Lipschitz constant by {self.value:.4g}; reshaped, {self.of_reshaped:.4g}."
        return Figure(name="lipschitz", title="Norms of the layers", caption=caption, panels=[panel])


def lipschitz(
    model: nn.Module, input_shape: Sequence[int], *, tolerance: float = 1e-6, flops: float = FLOPS, seed: int = 0
) -> LipschitzBound:
    """Bound the Lipschitz constant of `model`, in evaluation mode, on inputs of `input_shape` (without the samples).

    `tolerance` (below 1) and `flops` are those of `convolution_norm`. Nothing of the answer is random; `seed` draws
    where Lanczos starts. Raises `InvalidInput` as `interval_bounds` does for models it cannot read, and for settings
    that are none.

    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    >>> model[0].weight.data, model[2].weight.data = 2 * torch.eye(2), 3 * torch.eye(2)
    >>> bound = lipschitz(model, [2])
    >>> round(bound.value, 3), round(bound.pairs[0, 1].item(), 3)                   # 2 x 3, and 2 x |(3, -3)|
    (6.0, 8.485)
    """
    shape = _shape(input_shape)
    if not 0 < require_number(tolerance, "tolerance") < 1:
        raise InvalidInput(f"tolerance = {tolerance!r} is not between 0 and 1; it is relative to a norm, take 1e-6")
    if not require_number(flops, "flops") >= 0:
        raise InvalidInput(f"flops = {flops!r}; give the operations that a factorisation may take, such as {FLOPS:g}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InvalidInput(f"seed = {seed!r}; give a whole number")
    device = next((p.device for p in require_model(model).parameters()), "cpu")
    graph = trace(model, shape, torch.float64, device)
    walk = _Walk(graph, tolerance, flops, seed)
    for i in range(1, len(graph.nodes)):
        walk.visit(i)
    return LipschitzBound(walk.total[-1], walk.pairs(), tuple(walk.layers), walk.reshaped[-1], graph.digest)


def _shape(input_shape: object) -> torch.Size:
    """The shape of one input."""
    sides = list(input_shape) if isinstance(input_shape, Sequence) and not isinstance(input_shape, str) else []
    if not sides or any(isinstance(side, bool) or not isinstance(side, int) or side < 1 for side in sides):
        raise InvalidInput(f"input_shape = {input_shape!r}; give the shape of one input, such as (1, 28, 28)")
    return torch.Size(sides)


class _Walk:
    """Constants from the input to each node, and what reshaped kernels would give."""

    def __init__(self, graph: Graph, tolerance: float, flops: float, seed: int):
        self.graph, self.options = graph, {"tolerance": tolerance, "seed": seed}
        self.flops = flops
        self.total, self.reshaped = [1.0], [1.0]
        self.layers: list[LayerNorm] = []
        readers = Counter(parent for node in graph.nodes for parent in node.parents)
        self.absorbed: dict[int, Tensor] = {}  # layers to the factors of their channels in the scale behind them
        for node in graph.nodes[1:]:
            if isinstance(node.step, Scale) and readers[node.parents[0]] == 1:
                factors = _of_channels(node.step, graph.nodes[node.parents[0]])
                if factors is not None:
                    self.absorbed[node.parents[0]] = factors

    def visit(self, i: int) -> None:
        """The constant of one node from those of its parents."""
        node = self.graph.nodes[i]
        step, parent = node.step, node.parents[0]
        if isinstance(step, Dense | Convolution):
            if i in self.absorbed:
                self._add(math.nan, math.nan)  # nobody reads it but the scale that it is bounded with
            else:
                self._layer(node, step.weight, step, parent)
        elif parent in self.absorbed:
            before = self.graph.nodes[parent]
            inner: Dense | Convolution = before.step  # type: ignore[assignment]
            factors = self.absorbed[parent].reshape(-1, *[1] * (inner.weight.ndim - 1))
            self._layer(before, inner.weight * factors, inner, before.parents[0])
        elif isinstance(step, Sum):
            self._add(sum(self.total[p] for p in node.parents) * UP, sum(self.reshaped[p] for p in node.parents))
        else:
            factor = _factor(node)
            self._add(self.total[parent] * factor * UP, self.reshaped[parent] * factor)

    def pairs(self) -> Tensor:
        """Constants (C, C) of differences of outputs."""
        C, last = self.graph.outputs, self.graph.nodes[-1]
        if not isinstance(last.step, Dense):
            return torch.full((C, C), math.sqrt(2) * self.total[-1] * UP, dtype=torch.float64).fill_diagonal_(0)
        weight = last.step.weight
        lengths = torch.linalg.vector_norm(weight[:, None] - weight, dim=2).cpu()
        rounding = 1 + 1e-15 * (weight.shape[1] + 8)
        most = math.sqrt(2) * self.total[-1] * UP
        return (lengths * rounding * self.total[last.parents[0]] * UP).clamp(max=most).fill_diagonal_(0)

    def _layer(self, node: Node, weight: Tensor, step: Dense | Convolution, parent: int) -> None:
        if isinstance(step, Dense):
            norm = matrix_norm(weight, **self.options)
        else:
            norm = convolution_norm(weight, step.shape[1:], **step.options, **self.options, flops=self.flops)
        high = norm.high * UP
        self._add(self.total[parent] * high * UP, self.reshaped[parent] * norm.reshaped)
        kind = type(step).__name__.lower()
        self.layers.append(LayerNorm(node.name, kind, norm.low, high, norm.reshaped, norm.way, self.total[-1]))

    def _add(self, total: float, reshaped: float) -> None:
        self.total.append(total)
        self.reshaped.append(reshaped)


def _of_channels(scale: Scale, layer: Node) -> Tensor | None:
    """The factor of each output channel of a layer with weights, None where a channel has several."""
    if not isinstance(layer.step, Dense | Convolution):
        return None
    axis = 0 if isinstance(layer.step, Convolution) else -1
    factors = scale.factor.expand(layer.shape).movedim(axis, 0).reshape(layer.shape[axis], -1)
    return factors[:, 0] if bool((factors == factors[:, :1]).all()) else None


def _factor(node: Node) -> float:
    """The constant of a step without a weight matrix."""
    step = node.step
    if isinstance(step, Reshape):
        return 1.0
    if isinstance(step, Scale):
        return float(step.factor.abs().max()) * UP
    if isinstance(step, Average):
        ones = torch.ones(1, *step.shape, dtype=torch.float64)
        rows = float(step.product(ones).max())
        columns = float(step.transpose(torch.ones(1, *node.shape, dtype=torch.float64)).max())
        return math.sqrt(rows * columns) * (1 + 1e-12)  # |W|^2 <= |W|_1 |W|_inf
    assert not isinstance(step, Affine | Sum | None)
    return step.lipschitz
