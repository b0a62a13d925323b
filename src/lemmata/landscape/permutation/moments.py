"""Mean and deviation of each channel of the activations of a model's layers, watched by hooks while it runs.

A channel is an output of a linear layer (last axis) or of a convolution or batch normalisation (second axis); its
statistics are over samples and positions. Batches are joined by the rule of Chan, Golub and LeVeque (1979), so that
the result does not depend on how the data are cut. Cost: one forward pass over the data for any number of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

Batches = list[tuple[Tensor, Tensor]]
Watch = Callable[[str, nn.Module, Tensor], Tensor | None]


class Moments(NamedTuple):
    """Mean and standard deviation (over samples and positions, not corrected for n) of each channel: (C,) float64."""

    mean: Tensor
    deviation: Tensor


@torch.no_grad()
def moments(model: nn.Module, layers: Sequence[str], batches: Batches) -> dict[str, Moments]:
    """Mean and deviation of every channel of the outputs of these layers, in one pass over the batches."""
    sums = {name: Sums() for name in layers}

    def watch(name: str, layer: nn.Module, output: Tensor) -> None:
        sums[name].add(as_channels(layer, output))

    with watched(model, layers, watch):
        for x, _ in batches:
            model(x)
    return {name: total.moments() for name, total in sums.items()}


class Sums:
    """Count, mean and sum of squared deviations of each channel, batches joined by the rule of Chan et al. (1979)."""

    def __init__(self) -> None:
        self.n: float = 0.0
        self.mean: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, values: Tensor) -> None:
        """Take in values (n, C)."""
        n, values = len(values), values.double()
        mean = values.mean(0)
        shift, total = mean - self.mean, self.n + n
        self.squares = self.squares + (values - mean).square().sum(0) + shift.square() * (self.n * n / total)
        self.mean, self.n = self.mean + shift * (n / total), total

    def moments(self) -> Moments:
        """What has been taken in."""
        return Moments(torch.as_tensor(self.mean), torch.as_tensor(self.squares / self.n).sqrt())


@contextmanager
def watched(model: nn.Module, layers: Sequence[str], watch: Watch) -> Iterator[None]:
    """Call ``watch(name, layer, output)`` after each of these layers; what it gives takes the output's place."""

    def hooked(name: str) -> Callable[..., Tensor | None]:
        return lambda layer, _, output: watch(name, layer, output)

    handles = [model.get_submodule(name).register_forward_hook(hooked(name)) for name in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def channel_axis(layer: nn.Module) -> int:
    """The axis of a layer's outputs that its channels are on."""
    return -1 if isinstance(layer, nn.Linear) else 1


def as_channels(layer: nn.Module, output: Tensor) -> Tensor:
    """Outputs as (samples and positions, channels)."""
    return output.movedim(channel_axis(layer), -1).flatten(0, -2)
