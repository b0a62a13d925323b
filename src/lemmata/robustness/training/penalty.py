"""The consistency penalty of predictions under m draws of noise: how far they are from their mean, and how vague it is.

    p_c = softmax(f(x + sigma delta_c)),   p = (1 / m) sum_c p_c
    lambda (1 / m) sum_c KL(p || p_c)  +  eta H(p)

averaged over the samples; lambda and eta are a number, or one for each member. Source: Jeong and Shin (2020), eq. (8).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lemmata.robustness.attacks.losses import log_mean_softmax
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper, per_member
from lemmata.training.recipe import Selecting


@dataclass(frozen=True)
class Penalty:
    """The weights lambda of the divergence and eta of the entropy."""

    weight: Hyper
    entropy: Hyper

    def start(self, ensemble: Ensemble) -> Penalising:
        """Begin: refuse weights that are negative or NaN."""
        return Penalising(per_member("weight", self.weight, ensemble), per_member("entropy", self.entropy, ensemble))


class Penalising(Selecting):
    """The penalty for the live members.

    >>> import torch
    >>> logits = torch.log(torch.tensor([[0.9, 0.1], [0.1, 0.9]]))[None, :, None]
    >>> Penalising(1.0, 0.0)(logits), Penalising(0.0, 1.0)(logits)
    (tensor([0.5108]), tensor([0.6931]))
    """

    def __init__(self, weight: float | Tensor, entropy: float | Tensor):
        self.weight, self.entropy = weight, entropy

    def __call__(self, logits: Tensor) -> Tensor:
        """The penalty (M,) of logits (M, m, b, k)."""
        log_mean = log_mean_softmax(logits, dim=1)
        mean = log_mean.exp()
        entropy = -(mean * log_mean).sum(-1)
        divergence = -(mean * logits.log_softmax(-1).mean(1)).sum(-1) - entropy
        return self.weight * divergence.mean(1) + self.entropy * entropy.mean(1)
