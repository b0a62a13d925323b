"""Adversarial training: on the worst samples that an attack finds within eps, drawn anew for the weights of each step.

    x^ = argmax_{|z - x| <= eps} loss(f(z), y)         projected gradient steps
    L  = alpha loss(f(x), y) + (1 - alpha) loss(f(x^), y)

`adversarial_training` is the saddle point of Madry et al. (alpha = 0, several steps from a random point),
`fast_gradient_training` the mixture of Goodfellow et al. (alpha = 1/2, one step from the sample).

Cost of a step: 1 + 2/3 steps, and one step more where alpha > 0.

Where it fails: the one-step attack is answered by gradients that point nowhere (masking, "catastrophic overfitting"):
judge a model so trained by attacks of many steps, from many starts. The attack knows the label, and a one-step attack
may leak it. No certificate follows.

Sources: Goodfellow, Shlens, Szegedy (2015), section 6; Madry, Makelov, Schmidt, Tsipras, Vladu (2018), equation 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lemmata.robustness.attacks.balls import Bounds
from lemmata.robustness.attacks.losses import unchecked_log_odds
from lemmata.robustness.training.ascent import Ascending, Ascent
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper, per_member
from lemmata.training.losses import Loss, losses_of
from lemmata.training.probes import Samples
from lemmata.training.recipe import Batch, Selecting


def adversarial_training(
    eps: Hyper,
    *,
    norm: str = "linf",
    steps: int = 10,
    step_size: Hyper | None = None,
    random_start: bool = True,
    warmup: int = 0,
    clip: Bounds = (0.0, 1.0),
    alpha: Hyper = 0.0,
) -> Adversarial:
    """Train on adversarial examples of radius `eps` (one number, or (M,)) and, with weight `alpha`, on the samples.

    `steps` gradient steps of `step_size` (2 eps / steps) in the `norm` ``"linf"`` or ``"l2"``, from a uniform point of
    the ball or from the sample; the radius grows over the first `warmup` epochs; examples stay in the range `clip`. Any
    loss. The random starts of a member come from its seed alone.

    Raises `InvalidInput` for steps below 1, an unknown norm and, when training begins, for an eps that is negative, NaN
    or infinite, an alpha outside [0, 1), and data outside `clip`.

    >>> import torch
    >>> from lemmata import nets
    >>> from lemmata.training import SGD, train
    >>> x, y = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 2
    >>> result = train(
    ...     [nets.mlp(2, [8], 2, seed=seed) for seed in range(3)], x, y, optimiser=SGD(lr=0.1), epochs=2, batch_size=16,
    ...     recipe=adversarial_training(eps=[0.0, 0.1, 0.2], steps=3),
    ... )
    >>> bool(result.diverged.any())
    False
    """
    return Adversarial(Ascent(eps, norm, steps, step_size, random_start, warmup, clip), alpha)


def fast_gradient_training(
    eps: Hyper, *, alpha: Hyper = 0.5, norm: str = "linf", clip: Bounds = (0.0, 1.0)
) -> Adversarial:
    """Train on alpha loss(x) + (1 - alpha) loss(x + eps sign(gradient)); in ``"l2"``, eps g / |g|.

    As `adversarial_training`, with one step from the sample.

    >>> fast_gradient_training(0.25).alpha
    0.5
    """
    return Adversarial(Ascent(eps, norm, 1, None, random_start=False, warmup=0, clip=clip), alpha)


@dataclass(frozen=True)
class Adversarial:
    """The recipe of `adversarial_training`."""

    ascent: Ascent
    alpha: Hyper = 0.0

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> _Course:
        """Begin a training of these members."""
        alpha = per_member("alpha", self.alpha, ensemble, below=1.0)
        return _Course(self.ascent.start(ensemble, samples, seeds), alpha)


class _Course(Selecting):
    def __init__(self, ascending: Ascending, alpha: float | Tensor):
        self.ascending, self.alpha = ascending, alpha

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        loss = ensemble.loss

        def value(outputs: Tensor) -> Tensor:
            return unchecked_log_odds(outputs, y) if loss == "cross_entropy" else losses_of(outputs, y, loss)

        worst = self.ascending.climb(x, lambda z: ensemble.input_gradient(z, value), epoch=epoch)
        if isinstance(self.alpha, float) and self.alpha == 0:
            return Batch(worst, y)
        return Batch(torch.cat([x, worst], 1), y, partial(self._mixed, loss))

    def _mixed(self, loss: Loss, outputs: Tensor, y: Tensor) -> Tensor:
        clean, worst = (losses_of(part, y, loss) for part in outputs.split(y.shape[1], 1))
        return self.alpha * clean + (1 - self.alpha) * worst
