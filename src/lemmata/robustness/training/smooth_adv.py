"""SmoothAdv: adversarial training of the smoothed classifier.

With draws delta_1, ..., delta_m of N(0, I) and F the softmax of the base classifier,

    x^ = argmax_{|z - x| <= eps}  -log( (1/m) sum_c F(z + sigma delta_c)_y )       projected gradient steps
    minimise  (1/m) sum_c cross-entropy(f(x^ + sigma delta_c), y)                  under the same draws

The ascent follows the log-odds of the averaged probabilities, an increasing function of that objective: its normalised
steps are the same, and do not die where the classifier is sure.

Cost of a step: m times (1 + 2/3 steps) steps, and m normal numbers an entry.

Where it fails: the mean over m draws inside the logarithm is a biased estimate of the smoothed classifier's loss, which
m = 1 turns into attacking the base classifier; eps costs accuracy without an attack, hence the warm-up.

Source: Salman, Yang, Li, Zhang, Zhang, Razenshteyn, Bubeck (2019), equation 8 and algorithm 1 (SmoothAdv_PGD).
"""

from __future__ import annotations

from lemmata.robustness.attacks.balls import Bounds
from lemmata.robustness.training.ascent import Ascent
from lemmata.robustness.training.smoothing import Smoothing
from lemmata.training.hyper import Hyper


def smooth_adv(
    sigma: Hyper,
    eps: Hyper,
    *,
    draws: int = 2,
    steps: int = 10,
    step_size: Hyper | None = None,
    warmup: int = 0,
    norm: str = "l2",
    clip: Bounds = (0.0, 1.0),
) -> Smoothing:
    """Train against attacks of radius `eps` on the classifier smoothed by noise `sigma`; either one number, or (M,).

    `draws` noisy copies of each sample, `steps` gradient steps of `step_size` (2 eps / steps) in the `norm` ``"l2"`` or
    ``"linf"``; the radius grows from 0 over the first `warmup` epochs. Before the noise is added, adversarial examples
    stay in the range `clip`. Cross-entropy only.

    Raises `InvalidInput` for steps or draws below 1, an unknown norm and, when training begins, for a sigma or eps that
    is negative, NaN or infinite, data outside `clip`, and another loss than cross-entropy.

    >>> import torch
    >>> from lemmata import nets
    >>> from lemmata.training import SGD, train
    >>> x, y = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 2
    >>> result = train(
    ...     [nets.mlp(2, [8], 2, seed=seed) for seed in range(3)], x, y, optimiser=SGD(lr=0.1), epochs=2, batch_size=16,
    ...     recipe=smooth_adv(0.25, eps=[0.0, 0.25, 0.5], steps=3),
    ... )
    >>> bool(result.diverged.any())
    False
    """
    ascent = Ascent(eps, norm, steps, step_size, random_start=False, warmup=warmup, clip=clip)
    return Smoothing("smooth_adv", sigma, draws, ascent=ascent)
