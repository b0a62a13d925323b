"""Consistency regularisation: noisy copies of a sample should be classified alike, and surely.

    p_c = softmax(f(x + sigma delta_c)),   p = (1/m) sum_c p_c,   delta_1, ..., delta_m ~ N(0, I)
    (1/m) sum_c cross-entropy(p_c, y)  +  lambda (1/m) sum_c KL(p || p_c)  +  eta H(p)

A classifier that is constant under the noise is certified as far as sampling can; the divergence asks for that at the
price of m forward passes and no attack. The source's setting for MNIST: m = 2, eta = 0.5, lambda = 10 for sigma = 0.25
and 5 above.

Cost of a step: m steps, and m normal numbers an entry. With `attack`, those of `smooth_adv`.

Where it fails: lambda trades accuracy for radius, and grows with sigma's difficulty, not by a rule.

Source: Jeong and Shin (2020), equations 7 and 8.
"""

from __future__ import annotations

from dataclasses import replace

from lemmata.errors import InvalidInput
from lemmata.robustness.training.penalty import Penalty
from lemmata.robustness.training.smoothing import Smoothing
from lemmata.training.hyper import Hyper


def consistency(
    sigma: Hyper, *, weight: Hyper = 10.0, entropy: Hyper = 0.5, draws: int = 2, attack: Smoothing | None = None
) -> Smoothing:
    """Train on `draws` noisy copies of standard deviation `sigma`, with the penalty of `weight` and `entropy`.

    `weight` is lambda, `entropy` eta; each, and sigma, is one number, or (M,). `attack`, a `smooth_adv` recipe, puts
    the copies around its adversarial examples; its sigma and draws give way to these. Cross-entropy only.

    Raises `InvalidInput` for fewer than two draws and, when training begins, for a sigma, weight or entropy that is
    negative, NaN or infinite, and another loss than cross-entropy.

    >>> import torch
    >>> from lemmata import nets
    >>> from lemmata.training import SGD, train
    >>> x, y = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 2
    >>> result = train(
    ...     [nets.mlp(2, [8], 2, seed=seed) for seed in range(3)], x, y, optimiser=SGD(lr=0.1), epochs=2, batch_size=16,
    ...     recipe=consistency(0.25, weight=[0.0, 5.0, 10.0]),
    ... )
    >>> bool(result.diverged.any())
    False
    """
    plain = Smoothing("consistency", sigma, draws, penalty=Penalty(weight, entropy))
    if attack is None:
        return plain
    if not isinstance(attack, Smoothing) or attack.ascent is None:
        raise InvalidInput("attack: give a smooth_adv(...) recipe, whose adversarial examples are then regularised")
    return replace(plain, ascent=attack.ascent)
