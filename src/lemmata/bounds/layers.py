"""The layers of a network and their norms, each as the operator that it is on the inputs that it sees.

    |W|           spectral norm, between two proven bounds                         (low, high)
    |W - M|_21    sum over outputs of the length of what goes into each            two_one
    |w - m|       length of the weights' way from M, the network before training   distance

A convolution is a matrix T whose rows are its outputs, a channel and a position each: a row holds the kernel of its
channel where that lies on the image, so that |T|_21 = sum_o sum_p |w_o on the image at p|, which is a convolution of
ones with the squared kernel, and exact. Seen as one matrix that is applied to all patches, which share it, its (2, 1)
norm is sum_o |w_o|, while the patches are longer than the image by at most the root of the number that one pixel lies
in: `shared_two_one` has both factors. The norm of the kernel as a matrix, `reshaped`, bounds nothing.

Batch normalisation in use is multiplied into the layer in front of it. Cost: two spectral norms a layer (one without
`initial`), seconds for the largest. Fails: with the tracing, for models that are no sums of such layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.bounds.norms.dense_norm import dense_norm
from lemmata.bounds.norms.folded import UP, Folded, Weights, fold_both
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_number
from lemmata.linalg.convolution_norm import FLOPS, OperatorNorm, convolution_norm, matrix_norm
from lemmata.robustness.linear_bounds.affine import Convolution
from lemmata.short_repr import short_repr

DENSE = 1024  # the longest shorter side of a matrix that is bounded by dense algebra


@dataclass(frozen=True)
class Layer:
    """The norms of one layer; W are its weights, M those of `initial` (0 without one).

    `low` <= |W| <= `high` and `distance_low` <= |W - M| <= `distance_high` as operators, `reshaped` that of the kernel
    as a matrix. `frobenius` and `distance` are lengths of the weights W and W - M, `operator_frobenius` of W as a
    matrix. `two_one` and `shared_two_one` are those of W - M, see the head of this module. `bias` is the length of the
    bias at all outputs; `bias_distance` is the length of its own way and `bias_two_one` the sum of what its entries
    went, times the root of how many outputs share each. `parameters` counts the numbers in W and bias, `inputs` and
    `outputs` those of one sample.
    """

    name: str
    kind: str
    low: float
    high: float
    way: str
    reshaped: float
    frobenius: float
    operator_frobenius: float
    two_one: float
    shared_two_one: float
    distance: float
    distance_low: float
    distance_high: float
    bias: float
    bias_distance: float
    bias_two_one: float
    parameters: int
    inputs: int
    outputs: int


@dataclass(frozen=True, eq=False)
class Layers:
    """All layers with weights in the order of evaluation; `folded` and `reference` are the network and its start."""

    layers: tuple[Layer, ...]
    folded: Folded = field(repr=False)
    reference: Folded = field(repr=False)

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def plot(self) -> Figure:
        """Draw each layer's spectral norm, that of its reshaped kernel, its Frobenius norm and its way."""
        index = np.arange(len(self.layers))
        few = len(self.layers) <= 6
        ticks = tuple(layer.name for layer in self.layers) if few else tuple(map(str, index + 1))

        def of(label: str, name: str, **rest: object) -> Series:
            return Series(label=label, x=index, y=[getattr(one, name) for one in self.layers], **rest)  # type: ignore[arg-type]

        series = [
            of("spectral norm of the operator", "high"),
            of("spectral norm of the reshaped kernel (no bound)", "reshaped", role="control"),
            of("Frobenius norm of the weights", "frobenius"),
            of("way of the weights from the start", "distance"),
        ]
        panel = Panel(x=Axis(label="layer", ticks=ticks), y=Axis(label="norm", log=True), series=series)
        return Figure(
            name="layers", title="Norms of the layers", panels=[panel],
            caption="Batch normalisation is part of the layer in front of it; the norms are those of the operators.",
        )  # fmt: skip


def layers(
    model: nn.Module,
    where: Tensor | Sequence[int],
    initial: nn.Module | None = None,
    *,
    tolerance: float = 1e-6,
    flops: float = FLOPS,
    seed: int = 0,
) -> Layers:
    """The norms of all layers of `model` on samples like those of `where` (n, ...), or of that shape.

    `initial` is the network before training, from which ways are measured; from 0 without it (from 1 for a factor an
    entry that stands alone). `tolerance` and `flops` are those of `convolution_norm`. Everything is in float64; sums
    are rounded up. Nothing of the bounds is random; `seed` draws where Lanczos starts. Raises `InvalidInput` for models
    that cannot be read and an `initial` that does not fit.

    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    >>> model[0].weight.data, model[2].weight.data = torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.ones(1, 2)
    >>> [(round(layer.high, 3), round(layer.two_one, 3)) for layer in layers(model, [2])]
    [(4.0, 7.0), (1.414, 1.414)]
    """
    if not 0 < require_number(tolerance, "tolerance") < 1:
        raise InvalidInput(f"tolerance = {tolerance!r} is not between 0 and 1; it is relative to a norm, take 1e-6")
    found, before = fold_both(model, initial, where)
    options = {"tolerance": tolerance, "flops": flops, "seed": seed}
    pairs = zip(found.layers, before.layers, strict=True)
    return Layers(tuple(_layer(own, start, initial is None, options) for own, start in pairs), found, before)


def operator_norm(weights: Weights, *, tolerance: float = 1e-6, flops: float = FLOPS, seed: int = 0) -> OperatorNorm:
    """The spectral norm of one layer on the inputs that it sees; for a factor an entry, the largest.

    >>> from lemmata.bounds.norms.folded import fold
    >>> round(operator_norm(fold(nn.Linear(1, 1, bias=False).requires_grad_(False).double(), [1]).layers[0]).gap, 5)
    0.0
    """
    weight, step = weights.weight, weights.step
    if weights.kind == "scale":
        most = float(weight.abs().max())
        return OperatorNorm(most, most, "largest entry", weight, most, 0)
    if isinstance(step, Convolution):
        size = tuple(weights.inputs[1:])
        return convolution_norm(weight, size, **step.options, tolerance=tolerance, flops=flops, seed=seed)
    if min(weight.shape) <= DENSE:
        return dense_norm(weight, tolerance=tolerance)
    return matrix_norm(weight, tolerance=tolerance, seed=seed)


def overlap(weights: Weights) -> int:
    """The most patches of a convolution that one pixel lies in; 1 for other layers.

    >>> from lemmata.bounds.norms.folded import fold
    >>> model = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.Flatten())
    >>> overlap(fold(model, [1, 9, 9]).layers[0])
    4
    """
    if not isinstance(weights.step, Convolution):
        return 1
    ones = torch.ones(1, 1, *weights.weight.shape[2:], dtype=torch.float64)
    counting = Convolution(ones, **{**weights.step.options, "groups": 1})
    counting.shape = torch.Size([1, *weights.inputs[1:]])
    return round(float(counting.transpose(torch.ones(1, 1, *weights.outputs[1:], dtype=torch.float64)).max()))


def _layer(own: Weights, start: Weights, without: bool, options: dict[str, float]) -> Layer:
    """The norms of one layer, `without` a start that its way would be measured from."""
    way = own.away_from(start)
    norm = operator_norm(own, **options)  # type: ignore[arg-type]
    gone = norm if without and own.kind != "scale" else operator_norm(way, **options)  # type: ignore[arg-type]
    each = 0.0 if way.bias is None else float(way.bias.abs().sum())
    length = 0.0 if way.bias is None else float(way.bias.norm())
    return Layer(
        name=own.name, kind=own.kind, low=norm.low, high=norm.high * UP, way=norm.way, reshaped=norm.reshaped,
        frobenius=float(own.weight.norm()) * UP, operator_frobenius=float(_rows(own).norm()) * UP,
        two_one=_two_one(way, _rows(way)), shared_two_one=_shared(way),
        distance=float(way.weight.norm()) * UP, distance_low=gone.low, distance_high=gone.high * UP,
        bias=0.0 if own.bias is None else float(own.bias.norm()) * math.sqrt(own.copies) * UP,
        bias_distance=length * UP, bias_two_one=each * math.sqrt(way.copies) * UP,
        parameters=own.weight.numel() + (0 if own.bias is None else own.bias.numel()),
        inputs=own.inputs.numel(), outputs=own.outputs.numel(),
    )  # fmt: skip


def _rows(weights: Weights) -> Tensor:
    """The lengths of the rows of the operator, one an output."""
    return weights.step.row_norms(2.0).expand(1, *weights.outputs)


def _two_one(weights: Weights, rows: Tensor) -> float:
    """The (2, 1) norm of the operator; of a factor an entry its length, which serves in the same place."""
    return float(rows.norm() if weights.kind == "scale" else rows.sum()) * UP


def _shared(weights: Weights) -> float:
    """The (2, 1) norm of the kernel, times how much longer all patches together are than the image."""
    if weights.kind == "scale":
        return _two_one(weights, _rows(weights))
    return float(weights.weight.flatten(1).norm(dim=1).sum()) * math.sqrt(overlap(weights)) * UP
