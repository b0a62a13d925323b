"""Images that a procedure has decided: the class of each, and what is proven of its probability.

This is what a schedule yields, before a noise law turns the bound into a radius; a log keeps it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from lemmata.bernoulli.procedure import FloatArray, IntArray
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False)
class Decided:
    """Of the `images` (m,), positions in the data: the selected class, and the proven lower bound of its probability.

    `hits` (m,) of `drawn` (m,) copies, which do not include those that selected the class, fell on `prediction` (m,).
    `lower` (m,) is 0 where nothing is proven.

    >>> one = Decided(np.array([7]), np.array([2]), np.array([0.9]), np.array([99]), np.array([100]))
    >>> Decided.together([one, Decided.none()])
    Decided(images=[7], prediction=[2], lower=[0.9], hits=[99], drawn=[100])
    """

    images: IntArray
    prediction: IntArray
    lower: FloatArray
    hits: IntArray
    drawn: IntArray

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def none(cls) -> Self:
        """No images."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, np.empty(0), empty, empty)

    @classmethod
    def together(cls, parts: Sequence[Decided]) -> Self:
        """The images of all parts, in the order of the parts."""
        several = [cls.none(), *parts]
        return cls(*(np.concatenate([getattr(part, f.name) for part in several]) for f in fields(cls)))
