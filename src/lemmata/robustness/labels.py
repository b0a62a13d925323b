"""True classes of images, checked against the classes that a model has."""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor


def require_labels(y: object, count: int, classes: int) -> Tensor:
    """Give labels (count,) back as int64 on the host. Raises `InvalidInput` for any that are not among the classes.

    >>> require_labels(torch.tensor([0, 3]), 2, 3)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: labels y from 0 to 3, but the model has classes 0 to 2; give labels among them
    """
    labels = require_tensor(y, "labels y")
    if labels.shape != (count,) or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InvalidInput(
            f"labels y: {labels.dtype} of shape {tuple(labels.shape)} for {count} images; give one whole number "
            "an image"
        )
    if not bool(((labels >= 0) & (labels < classes)).all()):
        raise InvalidInput(
            f"labels y from {int(labels.min())} to {int(labels.max())}, but the model has classes 0 to "
            f"{classes - 1}; give labels among them"
        )
    return labels.detach().cpu().to(torch.int64)
