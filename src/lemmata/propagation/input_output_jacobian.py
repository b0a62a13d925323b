"""The Jacobian of a network's outputs by its inputs, and its singular values, sample by sample: dynamical isometry.

    J = d f(x) / d x = D_L W_L ... D_1 W_1      (fully connected);      (1/n) tr J J^T = chi_1^L in mean-field theory

Isometry means that all singular values, not their mean square alone, lie near 1: gradients then pass whatever their
direction.
`lemmata.propagation.expected_spectrum` has what theory expects of Gaussian and of orthogonal weights.

Source: Saxe, McClelland, Ganguli (2014); Pennington, Schoenholz, Ganguli (2017). Cost: n_out backward passes a sample,
and the singular values. Where it fails: in float32 singular values below 1e-7 of the largest are rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.given import require_whole
from lemmata.modes import Mode
from lemmata.objective import Objective
from lemmata.propagation.expected_spectrum import ExpectedSpectrum
from lemmata.propagation.inputs import read_inputs
from lemmata.propagation.passage import Passage, forward, weight_layers
from lemmata.propagation.sample_axis import entries_by_sample
from lemmata.propagation.sample_jacobians import sample_jacobians, singular_values
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class InputOutputJacobian:
    """Singular values (n, min(n_in, n_out)) of each sample's Jacobian (n_out, n_in), descending, in float64."""

    values: Tensor
    shape: tuple[int, int]
    of: str
    cost: float

    __repr__ = short_repr

    @property
    def mean_square(self) -> Tensor:
        """The mean squared singular value of each sample, (n,): (1/n) tr J J^T of a square Jacobian."""
        return self.values.square().mean(1)

    @property
    def condition(self) -> Tensor:
        """The largest over the smallest singular value, (n,)."""
        return self.values[:, 0] / self.values[:, -1]

    def moments(self, count: int = 2) -> Tensor:
        """The means of the squared singular values' powers 1, ..., count, by sample, (n, count)."""
        squares = self.values.square()
        return torch.stack([(squares**k).mean(1) for k in range(1, require_whole(count, "count") + 1)], 1)

    @property
    def variance(self) -> Tensor:
        """The variance of the squared singular values of each sample, (n,); 0 is isometry, up to a factor."""
        first, second = self.moments(2).unbind(1)
        return (second - first.square()).clamp(min=0)

    def plot(self, expected: ExpectedSpectrum | None = None) -> Figure:
        """Draw the distribution of the singular values, beside theory's where it is given."""
        from lemmata.propagation.jacobian_figures import spectrum_figure

        return spectrum_figure(self, expected)


def input_output_jacobian(
    model: nn.Module | Objective,
    x: Tensor | None = None,
    *,
    layer: str | None = None,
    mode: Mode | None = None,
    memory: int = 2**28,
) -> InputOutputJacobian:
    """Singular values of d outputs / d x at each sample of x (n, ...), inputs and outputs taken as vectors.

    `layer` names a weight layer whose activation (at its first call) is taken for the outputs. `memory` bounds the
    bytes of the Jacobians held at once. Nothing is random. Raises `InvalidInput` for what `read_inputs` refuses (batch
    statistics among it), samples of whole numbers, NaN, outputs that do not depend on x, and Jacobians of one sample
    beyond `memory`; `UnknownName` for a layer.

    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.eye_(model[0].weight), nn.init.orthogonal_(model[1].weight)
    >>> found = input_output_jacobian(model, torch.ones(1, 2))
    >>> found.values.round(decimals=6).tolist(), round(found.variance.item(), 6)
    ([[1.0, 1.0]], 0.0)
    """
    budget = require_whole(memory, "memory")
    copied, samples = read_inputs(model, x, mode)
    if not samples.is_floating_point():
        raise InvalidInput(f"samples x are {samples.dtype}; a Jacobian by x wants real numbers, x.double() say")
    found, start, count, shape, rows = [], 0, 1, (0, 0), None
    what = "the model" if layer is None else f"layer {layer!r}"
    while start < len(samples):
        batch = samples[start : start + count].clone().requires_grad_()
        start += len(batch)
        outputs = _outputs(copied, batch, layer)
        rows = len(outputs) if rows is None and outputs.ndim else rows
        entries_by_sample(outputs, len(batch), what, rows)
        J = sample_jacobians(outputs, batch, len(batch), budget, what)
        shape = (J.shape[1], J.shape[2])
        found.append(singular_values(J))
        count = max(1, min(256, budget // (4 * math.prod(shape) * J.element_size())))
    return InputOutputJacobian(torch.cat(found), shape, layer or "outputs", cost=shape[0] * len(samples) * 2 / 3)


def _outputs(model: nn.Module, x: Tensor, layer: str | None) -> Tensor:
    with torch.enable_grad():
        if layer is None:
            outputs = forward(lambda: model(x.clone()), x)  # which it may overwrite
        else:
            with Passage(weight_layers(model, [layer]), weight_layers(model)) as passage:
                forward(lambda: model(x.clone()), x)
            if not passage.calls:
                raise InvalidInput(f"layer {layer!r} was not called; there is nothing to differentiate")
            call = passage.calls[0]
            outputs = call.output if call.activated is None else call.activated
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        raise InvalidInput(f"the model gives {type(outputs).__name__}; a Jacobian is of one tensor of real numbers")
    if not bool(outputs.isfinite().all()):
        raise InvalidInput("the outputs hold NaN or infinity; check the weights and the scale of the data")
    if not outputs.requires_grad:
        raise InvalidInput("the outputs do not depend on x by operations that torch can differentiate")
    return outputs
