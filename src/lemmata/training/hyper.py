"""Hyper-parameters that may differ from member to member: a number, or (M,) numbers, checked against their range."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.training.ensemble import Ensemble

Hyper = float | Sequence[float] | Tensor


def per_member(name: str, value: Hyper, ensemble: Ensemble, *, below: float = math.inf) -> float | Tensor:
    """Give a hyper-parameter back as a float, or as (M,) of the ensemble's type, if it is in [0, below).

    Raises `InvalidInput` for a wrong shape, a negative number, NaN and infinity.

    >>> from torch import nn
    >>> pair = Ensemble.of([nn.Linear(2, 1), nn.Linear(2, 1)], "mse")
    >>> per_member("sigma", 0.5, pair), per_member("sigma", [0.25, 0.5], pair)
    (0.5, tensor([0.2500, 0.5000]))
    """
    try:
        values = torch.as_tensor(value, dtype=ensemble.theta.dtype, device=ensemble.theta.device)
    except (TypeError, ValueError, RuntimeError):
        raise InvalidInput(f"{name} = {value!r}; give one number, or one for each member") from None
    if values.ndim and values.shape != (len(ensemble),):
        raise InvalidInput(
            f"{name} has shape {tuple(values.shape)}; give one number, or one for each of {len(ensemble)} members"
        )
    if not ((values >= 0) & (values < below)).all():
        raise InvalidInput(
            f"{name} = {value}: must be at least 0 and " + (f"below {below:g}" if below < math.inf else "finite")
        )
    return values if values.ndim else float(value)  # type: ignore[arg-type]
