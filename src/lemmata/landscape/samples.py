"""What is known of the loss at the points of a grid while it is being evaluated, and what is left after Ctrl-C."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.landscape.slice import Slice

Progress = Callable[[int, int], None]


@dataclass
class Samples:
    """The points of a grid, coordinates (n, k), with the loss (n,) and misclassified share (n,) at each.

    Points not known have NaN with the error infinity; evaluated ones have error 0, whatever their loss (it may be
    NaN or infinite far out, and stays so); interpolated ones have an estimated error.
    """

    coordinates: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    misclassified: np.ndarray
    misclassified_error: np.ndarray
    evaluated: np.ndarray
    evaluations: int = 0

    @classmethod
    def on(cls, *axes: np.ndarray) -> "Samples":
        """Nothing known yet on the grid of these axes: x varies fastest, then y."""
        mesh = np.meshgrid(*axes[::-1], indexing="ij")[::-1]
        coordinates = np.stack([part.ravel() for part in mesh], axis=1)
        n = len(coordinates)
        unknown, unsure = np.full((2, n), np.nan), np.full((2, n), np.inf)
        return cls(coordinates, unknown[0], unsure[0], unknown[1], unsure[1], np.zeros(n, bool))

    def evaluate(self, cut: Slice, where: np.ndarray, progress: Callable[[int], None]) -> None:
        """Evaluate the points with these indices that are not known yet; each is kept as soon as it is."""
        missing = where[~self.evaluated[where]]
        for start in range(0, len(missing), cut.at_once):
            part = missing[start : start + cut.at_once]
            self.loss[part], self.misclassified[part] = cut(self.coordinates[part])
            self.error[part] = self.misclassified_error[part] = 0.0
            self.evaluated[part] = True
            self.evaluations += len(part)
            progress(int(self.evaluated.sum()))

    def take(self, other: "Samples", cut: Slice) -> None:
        """Take over what was evaluated at points that are on both grids; one of them is evaluated again to make sure.

        Raises `InvalidInput` if it has another loss now: other parameters, data or directions.
        """
        known = np.flatnonzero(other.evaluated)
        width = np.ptp(self.coordinates, axis=0)
        gaps = np.abs(self.coordinates[:, None] - other.coordinates[None, known]) / width
        same = gaps.max(2, initial=0.0) < 1e-9
        mine, theirs = np.nonzero(same)
        theirs = known[theirs]
        if len(mine) == 0:
            return
        again = cut(self.coordinates[mine[:1]])[0]
        if not np.allclose(again, other.loss[theirs[:1]], rtol=1e-4, equal_nan=True):
            raise InvalidInput(
                f"known has the loss {other.loss[theirs[0]]:.6g} at {self.coordinates[mine[0]].tolist()}, where it is "
                f"{again[0]:.6g} now: it was made with other parameters, data or directions"
            )
        self.evaluations += 1
        for name in ("loss", "error", "misclassified", "misclassified_error", "evaluated"):
            getattr(self, name)[mine] = getattr(other, name)[theirs]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during an evaluation; `partial` is the result so far, and ``known=partial`` in the same call goes on."""

    def __init__(self, partial: object):
        self.partial = partial
        super().__init__("stopped; .partial holds what was evaluated, and the same call with known=it goes on")
