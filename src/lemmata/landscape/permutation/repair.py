"""REPAIR (Jordan, Sedghi, Saukh, Entezari and Neyshabur, 2022): a merged network with the activation statistics of
those that it was merged from.

    theta = sum_i w_i theta_i,     y = the outputs of a layer at theta,     m, s their mean and deviation, by channel
    y  ->  s* (y - m) / s + m*,    m* = sum_i w_i m_i,    s* = sum_i w_i s_i

Averaging weights of aligned networks averages neurons that agree only in part, and the average of partly independent
variables varies less than they do: the variance collapses layer by layer. The correction is affine in each channel, so
that it is folded into the layer's own weight and bias, and what comes out is a network of the same architecture.

Order matters: to correct a layer changes what the next one sees. Layers are therefore corrected in the order in which
they run, each from the activations of the layers that were already corrected, so that the statistics of *all* of them
are the interpolated ones at once and not only to first order. Batch normalisation, in evaluation mode, is an affine map
of each channel as well, and is corrected the same way, by its scale and shift. To reset its running statistics, as is
usual, gives the same up to its stabilising constant and how stale the running averages of the ends were.

Cost: forward passes over the data: one for each end, two to measure the merged network before and after, and to correct
it one if the data are one chunk, else one a layer. Fails where a channel of the merged network is constant on the data:
there is no deviation to scale, and only its mean is corrected. A layer that runs more than once in a forward pass has
several statistics and one affine map; it is left as it is, and named in `skipped`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

from lemmata.batches import Data, read_batches
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.given import require_number
from lemmata.landscape.permutation.moments import Batches, Moments, Sums, as_channels, channel_axis, moments, watched
from lemmata.landscape.states import Place, State, mixed, stacked, state_of


@dataclass(frozen=True)
class Repaired:
    """A merged network with corrected statistics.

    `model` is new, in evaluation mode. For every corrected layer, in the order of execution, `before`, `after` and
    `target` hold its `Moments`: those of the merged weights as they were, of `model`, and the interpolated ones.
    `constant` counts channels without deviation, of which only the mean was corrected; `skipped` says which layers
    were left alone, and why. `passes` counts forward passes over the data.
    """

    model: nn.Module = field(repr=False)
    before: dict[str, Moments] = field(repr=False)
    after: dict[str, Moments] = field(repr=False)
    target: dict[str, Moments] = field(repr=False)
    constant: int
    skipped: dict[str, str]
    passes: int

    @property
    def layers(self) -> list[str]:
        """The corrected layers, in the order in which they run."""
        return list(self.target)

    def plot(self) -> Figure:
        """Draw each layer's variance, summed over channels, as a share of what the ends' deviations make of it."""
        place = [float(i) for i in range(len(self.layers))]
        series = [
            Series(label=label, x=place, y=[_share(found[name], self.target[name]) for name in self.layers])
            for label, found in (("merged weights", self.before), ("after REPAIR", self.after))
        ]
        level = Reference(label="interpolated deviations of the ends", value=1.0, role="theory")
        panel = Panel(
            x=Axis(label="layer, in the order of execution", ticks=tuple(self.layers)),
            y=Axis(label="variance of activations / target"), series=series, references=[level],
        )  # fmt: skip
        caption = f"{len(self.layers)} layers, {self.passes} passes over the data; {self.constant} constant channels."
        return Figure(name="repair", title="The variance that merging lost", caption=caption, panels=[panel])


def repair(
    model: nn.Module,
    state: Place | None,
    a: Place,
    b: Place,
    data: Data,
    *,
    t: float = 0.5,
    layers: Sequence[str] | None = None,
    chunk: int = 1024,
) -> Repaired:
    """Correct the statistics of `state`, a merger of a and b, to (1 - t) times those of a plus t times those of b.

    `state` None is (1 - t) a + t b; b is to be aligned to a before (`weight_matching`). States are models of the
    architecture of `model`, or their state dictionaries; nothing given is changed. `data` are those that statistics
    are taken on (their targets are not used), `chunk` samples at a time. `layers` names the layers to be corrected;
    by default all linear, convolutional and batch normalising ones but the last to run, which gives the outputs.

    Nothing is random. Cost: see the module. Raises `InvalidInput` for states that do not fit, layers that cannot be
    corrected, t outside [0, 1] and empty data.

    >>> a, b, x = {"0.weight": torch.ones(1, 1)}, {"0.weight": -torch.ones(1, 1)}, torch.tensor([[1.0], [-1.0]])
    >>> model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU())
    >>> merged = {"0.weight": torch.full((1, 1), 0.1)}     # a deviation of 0.1, where that of both ends is 1
    >>> found = repair(model, merged, a, b, (x, x), layers=["0"])
    >>> found.before["0"].deviation.item(), found.after["0"].deviation.item()
    (0.10000000149011612, 1.0)
    """
    share = require_number(t, "t")
    if not 0 <= share <= 1:
        raise InvalidInput(f"t = {share}: the merger lies between its ends, 0 <= t <= 1")
    return repair_merged(model, state, [a, b], data, weights=[1 - share, share], layers=layers, chunk=chunk)


@torch.no_grad()
def repair_merged(
    model: nn.Module,
    state: Place | None,
    ends: Sequence[Place],
    data: Data,
    *,
    weights: Sequence[float] | None = None,
    layers: Sequence[str] | None = None,
    chunk: int = 1024,
) -> Repaired:
    """`repair` for any number of ends; `weights` sum to 1 and are equal if they are left out.

    >>> states = [{"0.weight": torch.full((1, 1), w)} for w in (1.0, 2.0, 6.0)]
    >>> model, x = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU()), torch.tensor([[1.0], [-1.0]])
    >>> repair_merged(model, None, states, (x, x), layers=["0"]).target["0"].deviation.item()
    3.0
    """
    shares = _shares(weights, len(ends))
    batches = read_batches(data, chunk)
    states = [state_of(model, end, f"end {i}") for i, end in enumerate(ends)]
    copies = [_loaded(model, end) for end in states]
    merged = _loaded(model, mixed(shares, stacked(states)) if state is None else state_of(model, state))
    chosen, skipped = _sites(merged, batches[0][0], layers)
    parts = [moments(copied, chosen, batches) for copied in copies]
    target = {name: _interpolated([part[name] for part in parts], shares) for name in chosen}
    before = moments(merged, chosen, batches)
    constant = _correct(merged, chosen, target, batches)
    passes = len(copies) + 2 + (1 if len(batches) == 1 else len(chosen))
    return Repaired(merged, before, moments(merged, chosen, batches), target, constant, skipped, passes)


def _interpolated(ends: Sequence[Moments], shares: Sequence[float]) -> Moments:
    weights = torch.tensor(shares, dtype=torch.float64).to(ends[0].mean.device)
    return Moments(*(weights @ torch.stack(part) for part in zip(*ends, strict=True)))


def _correct(model: nn.Module, layers: Sequence[str], target: Mapping[str, Moments], batches: Batches) -> int:
    """Correct the layers in the order of execution; the number of constant channels."""
    constant = 0

    def fold(name: str, layer: nn.Module, output: Tensor) -> Tensor:
        nonlocal constant
        sums = Sums()
        sums.add(as_channels(layer, output))
        scale, shift, still = _affine(sums.moments(), target[name], _rounding(layer))
        constant += still
        _fold(layer, scale, shift)
        shape = [1] * output.ndim
        shape[channel_axis(layer)] = -1
        return output * scale.to(output).view(shape) + shift.to(output).view(shape)

    if len(batches) == 1:  # each layer's outputs are all there when it has run: corrected on the way, in one pass
        with watched(model, layers, fold):
            model(batches[0][0])
        return constant
    for name in layers:
        layer = model.get_submodule(name)
        scale, shift, still = _affine(moments(model, [name], batches)[name], target[name], _rounding(layer))
        constant += still
        _fold(layer, scale, shift)
    return constant


def _affine(own: Moments, target: Moments, rounding: float) -> tuple[Tensor, Tensor, int]:
    """Scale and shift that map one mean and deviation to another; how many channels have no deviation to scale.

    `rounding` is that of the activations: a deviation of its size, relative to the mean or to what is wanted, is noise.
    """
    still = own.deviation <= 16 * rounding * (own.mean.abs() + target.deviation) + torch.finfo(torch.float64).tiny
    scale = torch.where(
        still, torch.ones_like(own.deviation), target.deviation / torch.where(still, 1.0, own.deviation)
    )
    return scale, target.mean - scale * own.mean, int(still.sum())


def _rounding(layer: nn.Module) -> float:
    return max(torch.finfo(tensor.dtype).eps for tensor in layer.state_dict().values() if tensor.is_floating_point())


def _fold(layer: Any, scale: Tensor, shift: Tensor) -> None:
    """Make the layer's outputs scale * outputs + shift; a layer without a bias (or affine map) gets one."""
    weight, bias = layer.weight, layer.bias
    if isinstance(layer, _BatchNorm):
        weight = torch.ones_like(layer.running_mean) if weight is None else weight  # type: ignore[arg-type]
        layer.affine = True
        new = weight.double() * scale
    elif isinstance(layer, _ConvTransposeNd):
        rows = scale.view(layer.groups, 1, -1).expand(-1, len(weight) // layer.groups, -1).flatten(0, 1)
        new = weight.double() * rows.view(*rows.shape, *[1] * (weight.ndim - 2))
    else:
        new = weight.double() * scale.view(-1, *[1] * (weight.ndim - 1))
    old = torch.zeros_like(shift) if bias is None else bias.double()
    layer.weight = nn.Parameter(new.to(weight), requires_grad=weight.requires_grad)
    layer.bias = nn.Parameter((scale * old + shift).to(weight), requires_grad=weight.requires_grad)


# ---- which layers ----------------------------------------------------------------------------------------------------


def _sites(model: nn.Module, x: Tensor, wanted: Sequence[str] | None) -> tuple[list[str], dict[str, str]]:
    """The layers to be corrected in the order of execution, and those left alone with the reason."""
    ran, norms_on = _traced(model, x)
    if not ran:
        raise InvalidInput(
            "no linear, convolutional or batch normalising layer runs in the model; there is no statistic"
        )
    order = list(dict.fromkeys(ran))
    reasons: dict[str, str] = {}
    for name in order:
        layer = model.get_submodule(name)
        if ran.count(name) > 1:
            reasons[name] = f"runs {ran.count(name)} times, and has one affine map for all"
        elif isinstance(layer, _BatchNorm) and layer.running_mean is None:
            reasons[name] = "normalises by its batch, and so has the statistics of its scale and shift anyway"
        elif parametrize.is_parametrized(layer):
            reasons[name] = "is parametrised, and its weight cannot be replaced"
        elif wanted is None and name == order[-1]:
            reasons[name] = "gives the outputs"
        elif wanted is None and name in norms_on:
            reasons[name] = f"is normalised by {norms_on[name]!r}"
    chosen = [name for name in order if name not in reasons]
    if wanted is None:
        return chosen, reasons
    for name in wanted:
        if name not in order:
            raise UnknownName("layer", name, order)
        if name in reasons:
            raise InvalidInput(f"layer {name!r} cannot be corrected: it {reasons[name]}")
    return [name for name in chosen if name in set(wanted)], {n: r for n, r in reasons.items() if n in set(wanted)}


def _traced(model: nn.Module, x: Tensor) -> tuple[list[str], dict[str, str]]:
    """The layers that run, in order and with repetitions, and which batch normalisation takes which one's outputs."""
    ran: list[tuple[str, Tensor]] = []  # the outputs are kept, so that their identities stay theirs
    norms_on: dict[str, str] = {}

    def entering(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            norms_on.update({before: name for before, output in ran if output is inputs[0]})

        return hook

    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | _ConvNd | _BatchNorm)]
    norms = [name for name in names if isinstance(model.get_submodule(name), _BatchNorm)]
    handles = [model.get_submodule(name).register_forward_pre_hook(entering(name)) for name in norms]
    try:
        with watched(model, names, lambda name, _, output: ran.append((name, output))):
            model(x[:2])
    finally:
        for handle in handles:
            handle.remove()
    return [name for name, _ in ran], norms_on


def _share(found: Moments, target: Moments) -> float:
    return float(found.deviation.square().sum() / target.deviation.square().sum().clamp(min=1e-300))


# ---- what is given ---------------------------------------------------------------------------------------------------


def _shares(weights: Sequence[float] | None, ends: int) -> list[float]:
    if not ends:
        raise InvalidInput("no ends: give the networks that were merged, at least one")
    shares = [1 / ends] * ends if weights is None else [require_number(w, "a weight") for w in weights]
    if len(shares) != ends or not all(w >= 0 for w in shares) or abs(sum(shares) - 1) > 1e-6:
        raise InvalidInput(f"weights = {shares} for {ends} ends; give one for each, not negative, that sum to 1")
    return shares


def _loaded(model: nn.Module, state: State) -> nn.Module:
    """A copy of the model, in evaluation mode, with these parameters and buffers."""
    copied = copy.deepcopy(model).eval()
    copied.load_state_dict(state)
    return copied
