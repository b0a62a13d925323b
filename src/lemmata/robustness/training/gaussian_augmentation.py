"""Gaussian augmentation: train on noisy copies of the samples, drawn anew at each step.

    L(theta) = E_delta (1/n) sum_i loss(f(x_i + sigma delta; theta), y_i),   delta ~ N(0, I)

so that the base classifier is right where the smoothed one asks it. With the squared error and a linear f(x) = W x the
expectation is that of the clean loss plus sigma^2 ||W||_F^2 / k, k outputs: ridge regression (Bishop, 1995).

Cost of a step: `draws` steps, and one normal number an entry of each copy.

Where it fails: the noise is not clipped to the range of the pixels, as in the source, since the certificate is about
unclipped noise. Batch normalisation takes its statistics over the noisy copies. The training loss that `train`
measures is the one on the clean samples, the running loss the one on the noisy.

Sources: Cohen, Rosenfeld, Kolter (2019), section 4; Bishop (1995), *Training with noise is equivalent to Tikhonov
regularization*.
"""

from __future__ import annotations

from lemmata.robustness.training.smoothing import Smoothing
from lemmata.training.hyper import Hyper


def gaussian_augmentation(sigma: Hyper, *, draws: int = 1) -> Smoothing:
    """Train on `draws` noisy copies of each sample, of standard deviation `sigma` (one number, or (M,)).

    Any loss. The noise of a member comes from its seed alone. Raises `InvalidInput` for draws below 1 and, when
    training begins, for a sigma that is negative, NaN or infinite.

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
    return Smoothing("gaussian_augmentation", sigma, draws)
