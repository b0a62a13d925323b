"""How far a certification is, for whoever waits: images decided, copies classified, and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """`decided` images of `total`, `fresh` of them by this call, by `copies` noisy copies in its `seconds`.

    >>> print(Standing(decided=30, total=50, fresh=20, copies=40_000, seconds=10.0))
    30 of 50 images, 40000 copies, 10 s, about 10 s left
    """

    decided: int
    total: int
    fresh: int
    copies: int
    seconds: float

    @property
    def remaining(self) -> float:
        """Seconds that this call's pace leaves; NaN before its first image."""
        return self.seconds / self.fresh * (self.total - self.decided) if self.fresh else float("nan")

    def __str__(self) -> str:
        left = f", about {self.remaining:.0f} s left" if self.fresh and self.decided < self.total else ""
        return f"{self.decided} of {self.total} images, {self.copies} copies, {self.seconds:.0f} s{left}"
