"""Activations and back-propagated gradients layer by layer, of any model, by one watched forward and backward pass.

At every weight layer, for the samples of the data: the pre-activation u (the layer's output), the activation after it,
the gradient d C_i / d u of each sample's own loss C_i, and that of the weights, d C_i / d W. Mean and variance are over
units (channels and positions of a convolution) and samples, the samples' own moments are kept. What counts as a weight
layer and as its activation is said in `lemmata.propagation.passage`.

Gradients are of the sum of the losses over the samples, so that those of sample i are its own, without a factor 1 / n;
this is exact unless samples act on each other, as they do through batch normalisation in training mode, where d C / d u
of sample i is that of all samples' losses. In evaluation a batch normalisation without running statistics is refused.

An entry is *saturated* where |phi'(u)| < 0.1 max |phi'| (`saturation`): for tanh |phi| > 0.949, for softsign
|phi| > 0.684, for sigmoid phi outside [0.026, 0.974], for hard tanh |u| > 1, for ReLU u <= 0. The slope is that of the
function as it was called, with its parameters.

Source: Glorot, Bengio (2010), sections 3 and 4, figures 2 to 10. Cost: one gradient of the data, a pass over each
activation more, and for convolutions one backward pass through each layer sample by sample. Where it fails: entries of
samples that lie along another axis than the first (refused).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.batches import Data
from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.given import require_number
from lemmata.modes import Mode
from lemmata.objective import Loss, Objective
from lemmata.propagation.inputs import mixing_samples, require_layers
from lemmata.propagation.moments import Moments, Tally
from lemmata.propagation.passage import (
    Call,
    Passage,
    forward,
    owners,
    require_recorded,
    steepest,
    weight_layers,
)
from lemmata.propagation.sample_axis import entries_by_sample
from lemmata.propagation.weight_gradients import weight_gradient_moments
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class Signals:
    """Signals at L calls of weight layers, in the order of the calls; tensors in float64 on the CPU.

    `names` (a second call of one module is "name (2)"), `activations` the name of each layer's activation or None, in
    which case `activation` repeats the pre-activation and the share saturated is NaN. Each of `preactivation`,
    `activation`, `gradient` and `weight_gradient` has `.mean`, `.variance`, `.std`, `.square`, `.percentile` (of |.|,
    98 %), all (L,), and `.sample_mean`, `.sample_square`, `.sample_variance` (n, L). `sample_saturated` (n, L) is the
    share of the units. `weight_gradient` is through that call alone and has no percentile; it is NaN for
    a parametrised convolution, whose weight is no parameter, and for recurrent layers that are given states, which do
    not lie by samples. `uncalled` names weight layers that no sample passed.
    """

    names: tuple[str, ...]
    activations: tuple[str | None, ...]
    preactivation: Moments
    activation: Moments
    gradient: Moments
    weight_gradient: Moments
    sample_saturated: Tensor
    uncalled: tuple[str, ...]
    mode: Mode
    cost: float = field(default=1.0)

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.names)

    @property
    def samples(self) -> int:
        """How many samples."""
        return len(self.sample_saturated)

    @property
    def saturated(self) -> Tensor:
        """The share of entries that are saturated, (L,)."""
        return self.sample_saturated.mean(0)

    def plot(self) -> Figure:
        """Draw standard deviations of activations and gradients, and the share saturated, layer by layer."""
        from lemmata.propagation.signals_figure import signals_figure

        return signals_figure(self)


def signals(
    model: torch.nn.Module | Objective,
    data: Data | None = None,
    *,
    loss: Loss = "cross_entropy",
    layers: Sequence[str] | None = None,
    mode: Mode | None = None,
    saturation: float = 0.1,
    chunk: int = 256,
) -> Signals:
    """Measure activations and back-propagated gradients at every weight layer of `model` on `data` = (x, y).

    `model` is any module, or an `Objective` (then without data and loss; its layers are those with a parameter of the
    objective). `layers` names weight layers, or prefixes of names; `mode` is that of `Objective`: "train" means the
    statistics of the batch in batch normalisation. `chunk` samples are passed at once. Nothing is random; model and
    data stay as they are. Raises `InvalidInput` for what `Objective` refuses, complex data, a model without weight
    layers, statistics of the batch in evaluation, layers that give their samples along another axis than the first, and
    layers of whose tuple the loss uses more than the first tensor; `UnknownName` for a layer.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Tanh(), nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.eye_(model[0].weight), nn.init.eye_(model[2].weight)
    >>> found = signals(model, (torch.tensor([[3.0, -1.0]]), torch.tensor([0])))
    >>> found.names, found.activations, found.saturated.tolist()
    (('0', '2'), ('tanh', None), [0.5, nan])
    >>> found.preactivation.variance
    tensor([4.0000, 0.7715], dtype=torch.float64)
    """
    if not 0 < require_number(saturation, "saturation") < 1:
        raise InvalidInput(f"saturation = {saturation}; a share of the steepest slope, between 0 and 1: take 0.1")
    objective = _objective(model, data, loss, mode, chunk)
    everywhere = weight_layers(objective.model)
    chosen = owners(objective.model, objective.names) if layers is None else weight_layers(objective.model, layers)
    tallies: dict[str, _Layer] = {}
    for x, y in objective.batches:
        rows = _rows_of_one(objective, chosen, everywhere, x)
        for call, d in _passed(objective, chosen, everywhere, x, y):
            entries_by_sample(call.output, len(x), f"layer {call.name!r}", rows.get(call.name))
            layer = tallies.setdefault(call.name, _Layer(call.name, call.activation, objective.n))
            layer.take(call, d, len(x), saturation)
    if not tallies:
        raise InvalidInput(f"no weight layer was called ({', '.join(chosen)}); does the model use its modules?")
    return _gathered(list(tallies.values()), objective, chosen)


def _objective(
    model: torch.nn.Module | Objective, data: Data | None, loss: Loss, mode: Mode | None, chunk: int
) -> Objective:
    if isinstance(model, Objective):
        if data is not None:
            raise InvalidInput("an Objective has its data; give signals(objective), or signals(model, data, loss=...)")
        objective = model
    elif data is None:
        raise InvalidInput("data are missing; give (x, y), tensors of samples and targets")
    else:
        if isinstance(data, tuple) and any(isinstance(part, Tensor) and part.is_complex() for part in data):
            raise InvalidInput("the data are complex; variances of signals are those of real numbers")
        objective = Objective(require_layers(model), loss=loss, data=data, mode=mode, chunk=chunk)
    if any(x.is_complex() for x, _ in objective.batches):
        raise InvalidInput("the data are complex; variances of signals are those of real numbers")
    if objective.mode == "eval" and (mixing := mixing_samples(objective.model, "eval")):
        raise InvalidInput(
            f"{mixing[0]!r} has no running statistics, and those of the batch in evaluation too, by which each "
            "sample's loss depends on all others; say mode='train', or give it track_running_stats=True"
        )
    return objective


def _rows_of_one(
    objective: Objective, chosen: dict[str, torch.nn.Module], everywhere: dict[str, torch.nn.Module], x: Tensor
) -> dict[str, int]:
    """How many rows each call gives for one sample alone; none in training mode, where one may have no statistics."""
    if objective.mode == "train" or len(x) == 1:
        return {}
    with torch.no_grad(), Passage(chosen, everywhere) as passage:
        forward(lambda: objective.model(x[:1].clone()), x[:1])
    return {call.name: len(call.output) for call in passage.calls if call.output.ndim}


def _passed(
    objective: Objective,
    chosen: dict[str, torch.nn.Module],
    everywhere: dict[str, torch.nn.Module],
    x: Tensor,
    y: Tensor,
) -> list[tuple[Call, Tensor]]:
    """The calls of one batch, each with the gradient at its output."""
    theta = {
        name: p.detach().requires_grad_() if p.is_floating_point() else p
        for name, p in objective.model.named_parameters()
    }
    with torch.enable_grad():
        with Passage(chosen, everywhere) as passage:
            own = x.clone()
            version = own._version  # of a tensor made in inference mode not 0
            z = forward(lambda: torch.func.functional_call(objective.model, theta, (own,)), x)
        if own._version > version:
            raise InvalidInput("the model overwrites its samples in place, so that no two passes see the same; let it "
                               "work on a copy, x = x.clone()")  # fmt: skip
        total = objective.loss(z, y) * len(x)
        if not passage.calls:
            return []
        require_recorded(passage.calls)
        return list(zip(passage.calls, _gradients(total, passage.calls), strict=True))


def _gradients(total: Tensor, calls: Sequence[Call]) -> Sequence[Tensor]:
    if not total.requires_grad:
        raise InvalidInput("the loss hangs on nothing that can be differentiated; compute it by torch, without detach")
    others = [(call.name, each) for call in calls for each in call.others]
    try:
        found = torch.autograd.grad(total, [*(c.output for c in calls), *(t for _, t in others)], allow_unused=True)
    except RuntimeError as failed:  # something that the backward pass needs was overwritten in place
        raise InvalidInput(f"the loss cannot be differentiated: {failed}") from failed
    for (name, _), d in zip(others, found[len(calls) :], strict=True):
        if d is not None:
            raise InvalidInput(
                f"layer {name!r} gives several tensors, and the loss depends on others than the first, by which alone "
                "the layer's gradients are seen; let the model use the first (of a recurrent layer out[:, -1] for the "
                "last state), or leave the layer out by layers="
            )
    return [torch.zeros_like(call.output) if d is None else d for call, d in zip(calls, found, strict=False)]


class _Layer:
    """Tallies of one call."""

    def __init__(self, name: str, activation: str | None, samples: int):
        self.name, self.activation_name = name, activation
        self.preactivation, self.activation, self.gradient = Tally(samples), Tally(samples), Tally(samples)
        self.weight_gradient = Tally(samples)
        self.saturated: list[Tensor] = []

    def take(self, call: Call, d: Tensor, samples: int, saturation: float) -> None:
        """Count a batch in."""
        u = call.output.reshape(samples, -1)
        self.preactivation.take(u)
        self.gradient.take(d.reshape(samples, -1))
        if call.activated is None or call.slope is None:
            self.activation.take(u)
            self.saturated.append(torch.full((samples,), math.nan, dtype=torch.float64))
        else:
            entries_by_sample(call.activated, samples, f"the activation after layer {self.name!r}")
            self.activation.take(call.activated.reshape(samples, -1))
            flat = call.slope.abs() < saturation * steepest(call)
            self.saturated.append(flat.reshape(samples, -1).double().mean(1).cpu())
        mean, square = weight_gradient_moments(call, d, samples)
        self.weight_gradient.means.append(mean.cpu())
        self.weight_gradient.squares.append(square.cpu())


def _gathered(found: list[_Layer], objective: Objective, chosen: dict[str, torch.nn.Module]) -> Signals:
    called = {layer.name.partition(" (")[0] for layer in found}
    return Signals(
        names=tuple(layer.name for layer in found),
        activations=tuple(layer.activation_name for layer in found),
        preactivation=Tally.finished([layer.preactivation for layer in found]),
        activation=Tally.finished([layer.activation for layer in found]),
        gradient=Tally.finished([layer.gradient for layer in found]),
        weight_gradient=Tally.finished([layer.weight_gradient for layer in found]),
        sample_saturated=torch.stack([torch.cat(layer.saturated) for layer in found], 1),
        uncalled=tuple(name for name in chosen if (name or "model") not in called),
        mode=objective.mode,
    )
