"""Gaussian augmentation: train on noisy copies of the samples, drawn anew at each step.

    L(theta) = E_delta (1/n) sum_i loss(f(x_i + sigma delta; theta), y_i),   delta ~ N(0, I)

so that the base classifier is right where the smoothed one asks it. With the squared error and a linear f(x) = W x the
expectation is that of the clean loss plus sigma^2 ||W||_F^2 / k, k outputs: ridge regression (Bishop, 1995).

Cost of a step: `copies` steps, and one normal number an entry of each copy.

Where it fails: the noise is not clipped to the range of the pixels, as in the source: the certificate is about the
unclipped noise. Batch normalisation takes its statistics over the noisy copies. The training loss that `train`
measures is the one on the clean samples, the running loss the one on the noisy.

Sources: Cohen, Rosenfeld, Kolter (2019), section 4; Lecuyer et al. (2019); Bishop (1995), *Training with noise is
equivalent to Tikhonov regularization*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from lemmata.robustness.training.noisy_copies import NoisyCopies, repeated
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper
from lemmata.training.probes import Samples
from lemmata.training.recipe import Batch, Selecting


def gaussian_augmentation(sigma: Hyper, *, copies: int = 1) -> GaussianAugmentation:
    """Train on `copies` noisy copies of each sample, of standard deviation `sigma` (one number, or (M,)).

    Any loss. The noise of a member comes from its seed alone. Raises `InvalidInput`, when training begins, for a sigma
    that is negative, NaN or infinite, and for copies below 1.

    >>> import torch
    >>> from lemmata import nets
    >>> from lemmata.training import SGD, train
    >>> x, y = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 2
    >>> result = train(
    ...     [nets.mlp(2, [8], 2, seed=seed) for seed in range(3)], x, y, optimiser=SGD(lr=0.1), epochs=2, batch_size=16,
    ...     recipe=gaussian_augmentation(sigma=[0.0, 0.25, 0.5]),
    ... )
    >>> result.final["train_loss"].shape
    torch.Size([3])
    """
    return GaussianAugmentation(sigma, copies)


@dataclass(frozen=True)
class GaussianAugmentation:
    """The recipe of `gaussian_augmentation`."""

    sigma: Hyper
    copies: int

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> _Course:
        """Begin a training."""
        return _Course(NoisyCopies(self.sigma, self.copies, ensemble, seeds=seeds))


class _Course(Selecting):
    def __init__(self, noisy: NoisyCopies):
        self.noisy = noisy

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        return Batch(self.noisy.around(x), repeated(y, self.noisy.copies))
