"""Stability training: fit the clean samples, and predict the same on noisy ones.

    cross-entropy(f(x), y)  -  lambda sum_j F(x)_j log F(x + sigma delta)_j,   delta ~ N(0, I),   F = softmax(f)

averaged over the samples, differentiated through both predictions. Cost of a step: 1 + `draws` steps, and one normal
number an entry of each copy. Where it fails: nothing asks the noisy copies for the true label but through F(x).

Sources: Zheng, Song, Leung, Goodfellow (2016), section 3; with Gaussian noise for certificates, Li, Chen, Wang, Carin
(2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.robustness.training.noisy_copies import NoisyCopies, require_count, require_probabilities
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper, per_member
from lemmata.training.losses import cross_entropy_values
from lemmata.training.probes import Samples
from lemmata.training.recipe import Batch, Selecting


def stability(sigma: Hyper, *, weight: Hyper = 2.0, draws: int = 1) -> Stability:
    """Train on the samples and, with `weight` lambda, on `draws` noisy copies of deviation `sigma` against them.

    Sigma and weight are one number, or (M,). Cross-entropy only. Raises `InvalidInput` for draws below 1 and, when
    training begins, for a sigma or weight that is negative, NaN or infinite, and another loss than cross-entropy.

    >>> stability(0.25).weight
    2.0
    """
    return Stability(sigma, weight, draws)


@dataclass(frozen=True)
class Stability:
    """The recipe of `stability`."""

    sigma: Hyper
    weight: Hyper
    draws: int

    def __post_init__(self) -> None:
        require_count("draws", self.draws)

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> _Course:
        """Begin a training of these members."""
        require_probabilities("stability", ensemble)
        noisy = NoisyCopies(self.sigma, self.draws, ensemble, seeds=seeds)
        return _Course(noisy, per_member("weight", self.weight, ensemble))


class _Course(Selecting):
    def __init__(self, noisy: NoisyCopies, weight: float | Tensor):
        self.noisy, self.weight = noisy, weight

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        return Batch(torch.cat([x, self.noisy.around(x)], 1), y, self._loss)

    def _loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        clean, noisy = outputs[:, : y.shape[1]], outputs[:, y.shape[1] :]
        log_noisy = noisy.unflatten(1, (self.noisy.draws, -1)).log_softmax(-1).mean(1)
        apart = -(clean.softmax(-1) * log_noisy).sum(-1)
        return cross_entropy_values(clean, y).mean(1) + self.weight * apart.mean(1)
