"""The Jacobian of each layer's activation by what the layer got, and its singular values, sample by sample.

    J_l = d a_l / d a_(l-1) = diag(phi'(u_l)) W_l       for a linear layer whose output goes to an elementwise phi

What a layer got is the activation before it, or whatever stands between (a normalisation, a residual sum); paths around
the layer are not counted. The product diag(phi') W is formed without a backward pass; any other layer (convolution,
normalisation before the activation, attention) is differentiated row by row. Where singular values lie near 1 gradients
pass unharmed; their mean is the number that Glorot and Bengio (2010, section 4.2.1) give for initialisations.

Cost: the singular values, about 4 n_out n_in min(n_out, n_in) operations a sample and layer (one for all samples where
no activation follows), and n_out backward passes through each layer that is differentiated. Where it fails: Jacobians
of large convolutions, refused beyond `memory`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.given import require_whole
from lemmata.modes import Mode
from lemmata.objective import Objective
from lemmata.propagation.inputs import chosen_layers, read_inputs
from lemmata.propagation.passage import Call, Passage, forward, require_recorded, weight_layers
from lemmata.propagation.sample_axis import entries_by_sample
from lemmata.propagation.sample_jacobians import require_room, sample_jacobians, singular_values
from lemmata.short_repr import short_repr

STRUCTURE, AUTOGRAD = "diag(phi') W", "automatic differentiation"


@dataclass(frozen=True, eq=False)
class LayerJacobians:
    """Singular values at L calls of weight layers; `values[l]` is (n, min(n_in, n_out)), descending, in float64.

    `shapes` are (n_out, n_in) of one sample, `ways` how each Jacobian was found, `skipped` layers that take no real
    numbers (embeddings). `flops` counts the decompositions and products.
    """

    names: tuple[str, ...]
    activations: tuple[str | None, ...]
    values: tuple[Tensor, ...]
    shapes: tuple[tuple[int, int], ...]
    ways: tuple[str, ...]
    skipped: tuple[str, ...]
    flops: float

    __repr__ = short_repr

    @property
    def means(self) -> Tensor:
        """The mean singular value of each sample, (n, L)."""
        return torch.stack([each.mean(1) for each in self.values], 1)

    @property
    def mean(self) -> Tensor:
        """The mean singular value over samples, (L,): Glorot's average singular value."""
        return self.means.mean(0)

    @property
    def mean_square(self) -> Tensor:
        """The mean squared singular value over samples, (L,)."""
        return torch.stack([each.square().mean() for each in self.values])

    @property
    def condition(self) -> Tensor:
        """The largest over the smallest singular value, (n, L); infinite where the smallest is 0."""
        return torch.stack([each[:, 0] / each[:, -1] for each in self.values], 1)

    def plot(self) -> Figure:
        """Draw the mean singular value by layer and the singular values in order."""
        from lemmata.propagation.jacobian_figures import layers_figure

        return layers_figure(self)


def layer_jacobians(
    model: nn.Module | Objective,
    x: Tensor | None = None,
    *,
    layers: Sequence[str] | None = None,
    mode: Mode | None = None,
    memory: int = 2**28,
) -> LayerJacobians:
    """Singular values of every weight layer's Jacobian d activation / d input, at each sample of x (n, ...).

    Where no activation follows a layer, of its output. `model` is any module, or an `Objective` without x; `layers`
    names weight layers or prefixes; `memory` bounds the bytes of the Jacobians held at once. Nothing is random; the
    model stays as it is. Raises `InvalidInput` for what `read_inputs` refuses (batch statistics among it), a model
    without weight layers, NaN, and Jacobians of one sample beyond `memory`; `UnknownName` for a layer.

    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    >>> _ = nn.init.eye_(model[0].weight)
    >>> found = layer_jacobians(model, torch.tensor([[1.0, -1.0], [2.0, 3.0]]))
    >>> found.values[0].tolist(), found.mean.tolist()
    ([[1.0, 0.0], [1.0, 1.0]], [0.75])
    """
    budget = require_whole(memory, "memory")
    copied, samples = read_inputs(model, x, mode)
    chosen, everywhere = chosen_layers(model, copied, layers), weight_layers(copied)
    parts: dict[str, list[_Found]] = {}
    skipped: list[str] = []
    rows: dict[str, int] = {}  # of one sample alone
    start = 0
    count = 1  # the first sample shows how many fit the budget
    while start < len(samples):
        batch = samples[start : start + count]
        start += len(batch)
        calls = _watched(copied, chosen, everywhere, batch)
        for call in calls:
            if call.input is None or not call.input.is_floating_point():
                skipped += [] if call.name in skipped else [call.name]
                continue
            rows.setdefault(call.name, len(call.output))
            entries_by_sample(call.output, len(batch), f"layer {call.name!r}", rows[call.name])
            parts.setdefault(call.name, []).append(_of_call(call, len(batch), budget))
        if count == 1 and parts:
            largest = max(math.prod(found[0].shape) for found in parts.values()) * samples.element_size()
            count = max(1, min(256, budget // (4 * largest)))
    if not parts:
        raise InvalidInput(f"no weight layer with real inputs was called ({', '.join(chosen)}); there is no Jacobian")
    return LayerJacobians(
        names=tuple(parts),
        activations=tuple(each[0].activation for each in parts.values()),
        values=tuple(torch.cat([each.values for each in one]) for one in parts.values()),
        shapes=tuple(each[0].shape for each in parts.values()),
        ways=tuple(each[0].way for each in parts.values()),
        skipped=tuple(skipped),
        flops=sum(each.flops for one in parts.values() for each in one),
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """One call's singular values for one batch."""

    activation: str | None
    values: Tensor
    shape: tuple[int, int]
    way: str
    flops: float


def _watched(model: nn.Module, chosen: dict[str, nn.Module], everywhere: dict[str, nn.Module], x: Tensor) -> list[Call]:
    """The calls of one batch, in a graph that begins at the parameters and the samples."""
    theta = {name: p.detach().requires_grad_() for name, p in model.named_parameters() if p.is_floating_point()}
    with torch.enable_grad(), Passage(chosen, everywhere) as passage:
        forward(lambda: torch.func.functional_call(model, theta, (x.clone(),)), x)  # which it may overwrite
    require_recorded(passage.calls)
    return passage.calls


def _of_call(call: Call, samples: int, memory: int) -> _Found:
    a = call.input
    assert a is not None
    outputs = call.output if call.activated is None else call.activated
    what = f"layer {call.name!r}"
    shape = (entries_by_sample(outputs, samples, what), entries_by_sample(a, samples, what))
    weight = getattr(call.module, "weight", None)
    structured = type(call.module).forward is nn.Linear.forward and a.ndim == 2 and len(a) == samples
    if structured and call.activation is None and isinstance(weight, Tensor):
        values = singular_values(weight.detach()).expand(samples, -1)
        return _Found(None, values, shape, STRUCTURE, _flops(shape))
    if structured and call.direct and call.slope is not None and isinstance(weight, Tensor):
        require_room((samples, *shape), a.element_size(), memory, what)
        J, way = call.slope[:, :, None] * weight.detach(), STRUCTURE
    else:
        J, way = sample_jacobians(outputs, a, samples, memory, what), AUTOGRAD
    return _Found(call.activation, singular_values(J), shape, way, samples * _flops(shape))


def _flops(shape: tuple[int, int]) -> float:
    """Of singular values alone: reduction to bidiagonal form, 4 m n^2 - 4 n^3 / 3 for n <= m, and the scaling."""
    n, m = sorted(shape)
    return 4 * m * n**2 - 4 * n**3 / 3 + m * n
