"""What an attack climbs: of logits and labels, one number an image that is large where the classifier is wrong.

    log_odds   s = log sum_{j != y} exp z_j - z_y          the cross-entropy is log(1 + e^s)
    margin     max_{j != y} z_j - z_y                      positive where the class is wrong (Carlini and Wagner, 2017)

Cross-entropy grows with s, and its gradient is that of s times e^s / (1 + e^s). Steps of an attack are normalised, so
that climbing s *is* climbing cross-entropy, without its trap: on a confident classifier, in float32 where 1 - p_y is
below 6e-8, the term of z_y rounds to 0 and at last the factor, and an attack that follows the rounded gradient goes
astray or stays where it is. s has a gradient as long as the logits have one.

`log_mean_softmax` is the smoothed classifier's loss (Salman et al. 2019, equation 8): the logarithm of the softmax
averaged over noisy copies, which serves as logits, as its exponentials sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.errors import UnknownName

Values = Callable[[Tensor, Tensor], Tensor]


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """The log-odds against class y: logits (..., C), labels (...) -> (...).

    >>> torch.nn.functional.softplus(log_odds(torch.tensor([[0.0, 0.0]]), torch.tensor([0])))
    tensor([0.6931])
    """
    others = _without(logits, y).logsumexp(-1)
    return others - logits.gather(-1, y[..., None]).squeeze(-1)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of class y: logits (..., C), labels (...) -> (...).

    >>> margin(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([1]))
    tensor([-1.])
    """
    return _without(logits, y).amax(-1) - logits.gather(-1, y[..., None]).squeeze(-1)


def log_mean_softmax(logits: Tensor, dim: int) -> Tensor:
    """The logarithm of the softmax over the last axis, averaged over the noisy copies along `dim`.

    >>> log_mean_softmax(torch.tensor([[9.0, 0.0], [0.0, 9.0]]), dim=0).exp()
    tensor([0.5000, 0.5000])
    """
    return logits.log_softmax(-1).logsumexp(dim) - math.log(logits.shape[dim])


LOSSES: dict[str, Values] = {"cross_entropy": log_odds, "margin": margin}


def values_of(loss: str | Values) -> Values:
    """The function to climb: one of `LOSSES` by name, or the caller's own (logits (n, C), labels (n,)) -> (n,)."""
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise UnknownName("loss", loss, LOSSES)
    return LOSSES[loss]


def _without(logits: Tensor, y: Tensor) -> Tensor:
    own = torch.arange(logits.shape[-1], device=logits.device) == y[..., None]
    return logits.masked_fill(own, -torch.inf)
