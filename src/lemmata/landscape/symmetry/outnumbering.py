"""The curve on which saddles that symmetry makes give way to global minima, as a network grows wider than needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.given import require_whole
from lemmata.landscape.symmetry.outnumber import neurons_to_win, saddle_ratio


@dataclass(frozen=True)
class Outnumbering:
    """Saddle subspaces over minimum subspaces at `r_star` + `extra` (H,) neurons.

    `one_fewer` (H,) counts the saddles of r_star - 1 neurons alone, `all_fewer` (H,) those of 1 to r_star - 1, one
    critical point each; exact fractions. `wins` is the first number of extra neurons at which `all_fewer` is below 1.
    """

    r_star: int
    extra: tuple[int, ...]
    one_fewer: tuple[Fraction, ...]
    all_fewer: tuple[Fraction, ...]
    wins: int

    def plot(self) -> Figure:
        """Draw both ratios against the extra neurons, with the line at which minima outnumber saddles."""
        r = self.r_star
        series = [
            Series(label=f"one critical point of each r < {r}", x=self.extra, y=_floats(self.all_fewer)),
            Series(label=f"one critical point of {r - 1} neurons", x=self.extra, y=_floats(self.one_fewer)),
        ]
        panel = Panel(
            x=Axis(label="extra neurons h"),
            y=Axis(label="saddle subspaces / minimum subspaces", log=True),
            series=series,
            references=[
                Reference(label="as many", value=1.0, role="theory"),
                Reference(label=f"minima more from h = {self.wins}", value=self.wins, axis="x", role="theory"),
            ],
        )
        caption = f"Sum of G(r, {r} + h) over T({r}, {r} + h): affine subspaces, exact counts."
        title = f"When minima outnumber saddles: a task for {r} neurons"
        return Figure(name="outnumbering", title=title, caption=caption, panels=[panel])


def outnumbering(r_star: int, extra: Sequence[int] | None = None) -> Outnumbering:
    """Both ratios at several numbers of extra neurons: by default from 0 to twice as many as minima need to win.

    Raises `InvalidInput` for a task of one neuron, below which there is no saddle.

    >>> curve = outnumbering(10)
    >>> curve.wins, [round(float(ratio), 2) for ratio in curve.all_fewer[:4]]
    (3, [27.18, 5.78, 2.07, 0.94])
    """
    if require_whole(r_star, "r_star") < 2:
        raise InvalidInput(f"r_star = {r_star}; a task of at least two neurons has critical points of fewer")
    wins = neurons_to_win(r_star)
    chosen = range(2 * wins + 3) if extra is None else extra
    h = tuple(require_whole(own, "extra", least=0) for own in chosen)
    one = tuple(saddle_ratio(r_star, r_star + own, r=r_star - 1) for own in h)
    return Outnumbering(r_star, h, one, tuple(saddle_ratio(r_star, r_star + own) for own in h), wins)


def _floats(ratios: tuple[Fraction, ...]) -> np.ndarray:
    """Ratios below what floating point holds are left out of a drawing."""
    values = np.array([float(ratio) for ratio in ratios])
    return np.where(values > 0, values, np.nan)
