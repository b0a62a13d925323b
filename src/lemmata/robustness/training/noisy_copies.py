"""Copies of a batch under Gaussian noise, each member's from its own stream and of its own sigma.

    x'_{c, i} = x_i + sigma delta_{c, i},   delta ~ N(0, I),   c = 1, ..., copies

Copies are laid out one after the other along the samples' axis: (M, copies * b, ...). Cost: one normal number an entry,
which for a small perceptron is as dear as its forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper, per_member
from lemmata.training.recipe import Selecting
from lemmata.training.streams import Streams

NOISE, START = 0, 1  # purposes of streams: another one's numbers do not shift this one's


class NoisyCopies(Selecting):
    """Draws the noise of a training.

    >>> from torch import nn
    >>> pair = Ensemble.of([nn.Linear(2, 1), nn.Linear(2, 1)], "mse")
    >>> noisy = NoisyCopies([0.0, 1.0], 3, pair, seeds=[0, 1])
    >>> noisy.around(torch.ones(2, 5, 2)).shape
    torch.Size([2, 15, 2])
    >>> bool((noisy.around(torch.ones(2, 5, 2))[0] == 1).all())
    True
    """

    def __init__(self, sigma: Hyper, copies: int, ensemble: Ensemble, *, seeds: Sequence[int]):
        self.sigma = per_member("sigma", sigma, ensemble)
        self.copies = require_count("copies", copies)
        self.streams = Streams(seeds, purpose=NOISE, device=ensemble.theta.device)

    def noise(self, x: Tensor) -> Tensor:
        """Noise for each copy of samples x (M, b, ...): sigma delta (M, copies, b, ...), new each time."""
        shape = (x.shape[0], self.copies, *x.shape[1:])
        return scaled(self.streams.normal(x.new_empty(shape)), self.sigma)

    def around(self, x: Tensor) -> Tensor:
        """Noisy copies of samples x (M, b, ...): (M, copies * b, ...)."""
        return self.noise(x).add_(x[:, None]).flatten(1, 2)


def scaled(x: Tensor, factor: float | Tensor) -> Tensor:
    """Multiply (M, ...) in place by a number, or by one for each member (M,)."""
    return x.mul_(factor if isinstance(factor, float) else spread_over(factor, x))


def spread_over(values: float | Tensor, x: Tensor) -> float | Tensor:
    """Give one number a member the axes of x (M, ...), to be broadcast."""
    return values.view(-1, *[1] * (x.ndim - 1)) if isinstance(values, Tensor) else values


def repeated(y: Tensor, copies: int) -> Tensor:
    """Targets of `copies` copies of a batch: (M, b, ...) to (M, copies * b, ...)."""
    return y if copies == 1 else y[:, None].expand(-1, copies, *y.shape[1:]).flatten(1, 2)


def require_count(name: str, count: int, *, least: int = 1) -> int:
    """Refuse what is no whole number, or less than `least`."""
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        raise InvalidInput(f"{name} = {count!r}; give a whole number, at least {least}")
    return count
