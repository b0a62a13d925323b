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

import inspect
import math
from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_tensor

Values = Callable[[Tensor, Tensor], Tensor]


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """The log-odds against class y: logits (..., C), labels (...) -> (...).

    >>> torch.nn.functional.softplus(log_odds(torch.tensor([[0.0, 0.0]]), torch.tensor([0])))
    tensor([0.6931])
    """
    return _checked(unchecked_log_odds, logits, y)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest other logit minus that of class y: logits (..., C), labels (...) -> (...).

    >>> margin(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([1]))
    tensor([-1.])
    """
    return _checked(unchecked_margin, logits, y)


def unchecked_log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """`log_odds` of what is known to be logits and labels."""
    return _without(logits, y).logsumexp(-1) - logits.gather(-1, y[..., None]).squeeze(-1)


def unchecked_margin(logits: Tensor, y: Tensor) -> Tensor:
    """`margin` of what is known to be logits and labels."""
    return _without(logits, y).amax(-1) - logits.gather(-1, y[..., None]).squeeze(-1)


def log_mean_softmax(logits: Tensor, dim: int) -> Tensor:
    """The logarithm of the softmax over the last axis, averaged over the noisy copies along `dim`.

    >>> log_mean_softmax(torch.tensor([[9.0, 0.0], [0.0, 9.0]]), dim=0).exp()
    tensor([0.5000, 0.5000])
    """
    return logits.log_softmax(-1).logsumexp(dim) - math.log(logits.shape[dim])


LOSSES: dict[str, Values] = {"cross_entropy": unchecked_log_odds, "margin": unchecked_margin}


def values_of(loss: str | Values) -> Values:
    """The function to climb: one of `LOSSES` by name, or the caller's own (logits (n, C), labels (n,)) -> (n,)."""
    if callable(loss):
        try:
            inspect.signature(loss).bind(None, None)
        except ValueError:  # what is compiled need not have a signature
            return loss
        except TypeError:
            raise InvalidInput("loss: a function of two arguments, (logits (n, C), labels (n,)) -> (n,)") from None
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise UnknownName("loss", loss, LOSSES)
    return LOSSES[loss]


def require_values(values: object, logits: Tensor) -> None:
    """Refuse what a caller's loss gave for logits (n, C), unless it is one finite number an image, with a gradient."""
    wanted = "one number an image, as nn.CrossEntropyLoss(reduction='none') does"
    if not isinstance(values, Tensor) or values.shape != logits.shape[:1] or not values.is_floating_point():
        got = f"{values.dtype} {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise InvalidInput(f"the loss gives {got} for {len(logits)} images; it must give {wanted}")
    if not bool(values.isfinite().all()):
        raise InvalidInput("the loss gives NaN or infinity; mend it, for an attack compares its values")
    if logits.requires_grad and not values.requires_grad:
        raise InvalidInput("the loss has no gradient by the logits; compute it by torch, without detaching them")


def _without(logits: Tensor, y: Tensor) -> Tensor:
    own = torch.arange(logits.shape[-1], device=logits.device) == y[..., None]
    return logits.masked_fill(own, -torch.inf)


def _checked(values: Values, logits: Tensor, y: Tensor) -> Tensor:
    """The values of logits (..., C), C >= 2, and labels (...) that are checked."""
    classes = require_tensor(logits, "logits").shape[-1] if logits.ndim else 0
    if classes < 2 or not logits.is_floating_point():
        raise InvalidInput(
            f"logits: {logits.dtype} of shape {tuple(logits.shape)}; give floating-point (..., C), C >= 2"
        )
    if require_tensor(y, "labels y").shape != logits.shape[:-1] or y.dtype.is_floating_point or y.dtype == torch.bool:
        raise InvalidInput(
            f"labels y: {y.dtype} of shape {tuple(y.shape)}; give whole numbers {tuple(logits.shape[:-1])}"
        )
    if y.numel() and not bool(((y >= 0) & (y < classes)).all()):
        raise InvalidInput(f"labels y run from {int(y.min())} to {int(y.max())}, but there are {classes} classes")
    found = values(logits, y.long())
    if bool(found.isnan().any()):
        raise InvalidInput("logits hold NaN, or infinities of which no difference can be taken; give finite ones")
    return found
