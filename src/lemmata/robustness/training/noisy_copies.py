"""Copies of a batch under Gaussian noise, each member's from its own stream and of its own sigma.

    x'_{c, i} = x_i + sigma delta_{c, i},   delta ~ N(0, I),   c = 1, ..., m

Copies are laid out one after the other along the samples' axis: (M, m * b, ...). Cost: one normal number an entry,
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

NOISE, START = 0, 1  # purposes of streams: how many numbers one takes does not shift the other


class NoisyCopies(Selecting):
    """Draws the noise of a training.

    >>> from torch import nn, ones
    >>> pair = Ensemble.of([nn.Linear(2, 1), nn.Linear(2, 1)], "mse")
    >>> noisy = NoisyCopies([0.0, 1.0], 3, pair, seeds=[0, 1])
    >>> copies = noisy.around(ones(2, 5, 2))
    >>> copies.shape, bool((copies[0] == 1).all())
    (torch.Size([2, 15, 2]), True)
    """

    def __init__(self, sigma: Hyper, draws: int, ensemble: Ensemble, *, seeds: Sequence[int]):
        self.sigma = per_member("sigma", sigma, ensemble)
        self.draws = draws
        self.streams = Streams(seeds, purpose=NOISE, device=ensemble.theta.device)
        self._room: dict[tuple[int, ...], Tensor] = {}  # where noise is drawn, allocated once for each shape

    def noise(self, x: Tensor) -> Tensor:
        """Noise sigma delta for each copy of samples x (M, b, ...): (M, draws, b, ...), good until the next call."""
        shape = (x.shape[0], self.draws, *x.shape[1:])
        if shape not in self._room:
            self._room = {kept: room for kept, room in self._room.items() if kept[0] == shape[0]}
            self._room[shape] = x.new_empty(shape)
        noise = self.streams.normal(self._room[shape])
        return noise.mul_(spread_over(self.sigma, noise))

    def around(self, x: Tensor) -> Tensor:
        """Copies of samples x (M, b, ...) under fresh noise: (M, draws * b, ...), good until the next call."""
        return self.noise(x).add_(x[:, None]).flatten(1, 2)


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


def require_probabilities(recipe: str, ensemble: Ensemble) -> None:
    """Refuse an ensemble whose outputs are not trained as the logits of classes."""
    if ensemble.loss != "cross_entropy":
        loss = ensemble.loss if isinstance(ensemble.loss, str) else "a function"
        raise InvalidInput(f"{recipe} compares class probabilities; train with loss='cross_entropy', not {loss!r}")
