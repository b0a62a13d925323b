"""Which rectified units changed sides: the share of (unit, sample) pairs whose ReLU was on and is off, or vice versa.

    flips = (1 / (n m)) #{(i, r) : [w_r . x_i > 0] != [w_r(0) . x_i > 0]}

As long as no unit changes sides on any sample, a two-layer ReLU network is linear in its first layer and trains as its
linearisation does; at width m the share stays O(m^-1/2) in the NTK parameterisation (Du, Zhai, Poczos, Singh 2019,
section 3). Every call of a ReLU or leaky ReLU is seen, as a module or as a function, in
the order in which the network makes them; other activations have no sides and are passed over.

Cost: one forward pass at each of the two states. Memory: samples are taken in chunks that fit a byte budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.given import require_tensor
from lemmata.kernels.dynamics.two_states import State, TwoStates
from lemmata.short_repr import short_repr

RECTIFIERS: set[Callable[..., Any]] = {
    functional.relu,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
    functional.leaky_relu,
    functional.leaky_relu_,
}


@dataclass(frozen=True)
class ActivationFlips:
    """Shares of (unit, sample) pairs whose unit changed sides, float64: () for one network, (M,) for M.

    `share` is over all rectified units, `layers` over those of each call (``"relu1"``, ``"relu2"``, ... in order);
    `samples` has each call's share for every sample, (n,) or (M, n). `units` counts the units of each call.
    """

    share: Tensor
    layers: dict[str, Tensor]
    samples: dict[str, Tensor]
    units: dict[str, int]

    __repr__ = short_repr

    def plot(self) -> Figure:
        """Draw the share of flips of every layer, with all members, their mean and its 95 % interval."""
        names = list(self.layers)
        each = torch.stack([self.layers[name].reshape(-1) for name in names], 1).cpu().numpy()
        mean, low, high = mean_and_band(each) if len(each) > 1 else (each[0], None, None)
        series = Series(
            label="networks", x=np.arange(len(names)), y=mean, low=low, high=high, seeds=each, style="points"
        )
        x, y = Axis(label="rectified layer", ticks=tuple(names)), Axis(label="share of pairs that flipped")
        n = next(iter(self.samples.values())).shape[-1]
        caption = f"Pairs of a unit and one of {n} samples whose unit is on the other side of zero than at the start."
        return Figure(
            name="flips", title="Activation flips", caption=caption, panels=[Panel(x=x, y=y, series=[series])]
        )


def activation_flips(
    now: State,
    start: State,
    x: Tensor,
    *,
    model: nn.Module | None = None,
    members: bool = False,
    memory: int = 2**28,
) -> ActivationFlips:
    """Measure which rectified units are on another side of zero than they were at the start, on samples x (n, ...).

    `now` and `start` are as for `distance_from_initialisation`; `model` gives the architecture where both are
    mappings. Networks are evaluated together, in evaluation mode, the samples in chunks of about `memory` bytes of
    pre-activations. Nothing is random and nothing of the models changes. Raises `InvalidInput` for states that do not
    match, NaN in x, and a network without ReLU.

    >>> net = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU())
    >>> start = {"0.weight": torch.tensor([[1.0], [1.0]])}
    >>> now = {"0.weight": torch.tensor([[2.0], [-0.1]])}
    >>> activation_flips(now, start, torch.tensor([[1.0], [3.0]]), model=net).share.item()
    0.5
    """
    both = TwoStates.of(now, start, members=members)
    template = both.template if model is None else TwoStates.of(model, model).template
    if template is None:
        raise InvalidInput("both states are mappings, which say nothing of the architecture; give model=")
    if require_tensor(x, "x").ndim < 1 or not x.numel() or not bool(x.isfinite().all()):
        raise InvalidInput("x is empty, or holds NaN or infinity; remove or replace those samples")
    number = len(next(iter(both.start.values())))
    try:
        units = [part[0].numel() for part in _sides(template, both.start, both.constants, x[:1])]
    except RuntimeError as failed:
        raise InvalidInput(f"the network does not take x of shape {tuple(x.shape)} in {x.dtype}: {failed}") from failed
    if not units:
        raise InvalidInput("the network calls no ReLU or leaky ReLU, so that nothing can change sides")
    chunk = max(1, memory // (2 * number * sum(units) * x.element_size()))
    parts = []
    for some in x.split(chunk):
        pairs = zip(*(_sides(template, side, both.constants, some) for side in (both.now, both.start)), strict=True)
        parts.append([(a != b).flatten(2).double().mean(2) for a, b in pairs])
    shares = [torch.cat(each, 1) for each in zip(*parts, strict=True)]
    names = [f"relu{place}" for place in range(1, len(units) + 1)]
    total = sum(count * share.mean(1) for count, share in zip(units, shares, strict=True)) / sum(units)
    one = (lambda t: t) if both.members else (lambda t: t[0])
    samples = {name: one(share) for name, share in zip(names, shares, strict=True)}
    layers = {name: share.mean(-1) for name, share in samples.items()}
    return ActivationFlips(one(torch.as_tensor(total)), layers, samples, dict(zip(names, units, strict=True)))


@torch.no_grad()
def _sides(
    template: nn.Module, parameters: Mapping[str, Tensor], constants: Mapping[str, Tensor], x: Tensor
) -> list[Tensor]:
    """Whether each rectified unit is on, (M, n, ...) bool for every call of a ReLU."""

    def sides(parameters: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> list[Tensor]:
        with _Rectified() as seen:
            functional_call(template, {**parameters, **constants}, (x,))
        return seen.sides

    return vmap(sides)(dict(parameters), dict(constants))


class _Rectified(TorchFunctionMode):
    """Notes the sign of what every rectifier is given, before it may be overwritten in place."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in RECTIFIERS:
            given = args[0] if args else (kwargs or {})["input"]
            self.sides.append(given > 0)
        return func(*args, **(kwargs or {}))
