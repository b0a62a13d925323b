"""Whether samples lie along the first axis of what a layer gives, found out by passing one sample alone.

A layer may give several rows a sample, sample by sample: (n T, width) of a sequence. Then n samples have n times the
rows of one. Where they lie along another axis, (T, n, width), they have not, whatever T is.
"""

from __future__ import annotations

from torch import Tensor

from lemmata.errors import InvalidInput


def entries_by_sample(values: Tensor, samples: int, what: str, rows: int | None = None) -> int:
    """How many entries belong to each sample; `rows` are those that one sample alone had, where that is known.

    >>> import torch
    >>> entries_by_sample(torch.zeros(6, 4), 2, "layer 'a'", rows=3)
    12
    >>> entries_by_sample(torch.zeros(6, 2, 4), 2, "layer 'a'", rows=6)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: layer 'a' gives (6, 2, 4) for 2 samples, not along its first axis; leave it out by \
layers=, or build it with batch_first=True
    """
    fits = values.ndim and (len(values) % samples == 0 if rows is None else len(values) == rows * samples)
    if not fits:
        raise InvalidInput(
            f"{what} gives {tuple(values.shape)} for {samples} samples, not along its first axis; leave it out "
            "by layers=, or build it with batch_first=True"
        )
    if not values.numel():
        raise InvalidInput(f"{what} gives {tuple(values.shape)}, no entries at all; give a model that has some there")
    return values.numel() // samples
