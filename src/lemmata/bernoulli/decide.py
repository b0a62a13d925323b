"""Is this probability above that? Of any stream of tosses, with as few of them as the answer takes.

`draw` gives hits: a loss below its bound, a test that passes, a noisy copy that keeps its class, a rounded coin for a
bounded loss (a hit with probability loss). The answer errs with probability at most alpha, whatever p is and however
often it was looked at on the way, and takes a few hundred samples where p is far from the threshold.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lemmata.bernoulli.boundaries_figure import Path, boundaries_figure
from lemmata.bernoulli.fixed_sequence import FixedSequence
from lemmata.bernoulli.looks import require_count
from lemmata.bernoulli.one_sided_test import Boundaries, Level
from lemmata.bernoulli.procedure import FloatArray, IntArray
from lemmata.bernoulli.samples_needed import samples_needed
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Figure
from lemmata.given import require_callable
from lemmata.short_repr import short_repr

Ending = Literal["accepted", "given up", "undecided"]
Side = Literal["above", "below"]
NAMES = ("selected hits", "selected samples")


@dataclass(frozen=True, eq=False)
class Decision:
    """Whether p was proven to lie on the `side` of the threshold(s), after `samples` tosses with `hits` hits.

    `proven` is the furthest of the thresholds (R,) that p was proven beyond, None where it is none; `ending` says why
    it ended: "accepted" (all thresholds), "given up" (more tosses would hardly prove more), or "undecided" at the
    last look. `path_samples`, `path_hits` (K,) are the looks that were taken; `tests` the boundaries they were held
    against.
    """

    proven: float | None
    thresholds: FloatArray
    side: Side
    ending: Ending
    samples: int
    hits: int
    alpha: float
    path_samples: IntArray
    path_hits: IntArray
    tests: tuple[Boundaries, ...]

    __repr__ = short_repr

    @property
    def accepted(self) -> bool:
        """Whether every threshold was proven."""
        return self.ending == "accepted"

    def _found(self) -> str:
        """What was found, a threshold that was proven first."""
        if self.proven is None or self.accepted:
            return f"{self.ending.capitalize()} after"
        beyond = "<" if self.side == "below" else ">"
        return f"p {beyond} {self.proven:.4g}, next {self.ending}:"

    def plot(self) -> Figure:
        """Draw the boundaries and the path that the hits took."""
        below = self.side == "below"
        hits = self.path_samples - self.path_hits if below else self.path_hits
        title = f"{self._found()} {self.samples:,} samples, alpha = {self.alpha:g}"
        return boundaries_figure(
            self.tests, [Path("the samples", self.path_samples, hits)], complement=below, title=title
        )


def decide(
    draw: Callable[[int], int],
    thresholds: float | Sequence[float],
    *,
    side: Side = "above",
    n: int = 100_000,
    alpha: float = 0.001,
    futility: float = 0.01,
    final: float = 2 / 3,
    level: Level = "exact",
    looks: IntArray | None = None,
    selected: tuple[int, int] = (0, 0),
) -> Decision:
    """Decide whether p lies above (or below) one threshold or each of several, drawing at most `n` samples.

    ``draw(m)`` draws m new samples, independent with the same unknown p, and gives the number of hits among them.
    `selected` are hits and samples drawn before: they choose the bets, and are never counted as evidence. The other
    options are those of `FixedSequence`. What is random is `draw` alone. Costs the samples, and some 10 ms a
    threshold once. Raises `InvalidInput` where `draw` gives what cannot be hits (anything but a whole number of type
    int, numpy's or torch's included, from 0 to m), and where n tosses can never prove the last threshold.

    >>> generator = np.random.default_rng(0)
    >>> decide(lambda m: generator.binomial(m, 0.97), 0.9)
    Decision(proven=0.9, thresholds=[0.9], side='above', ending='accepted', samples=300, hits=290, ...)
    >>> decide(lambda m: generator.binomial(m, 0.02), [0.05, 0.01], side="below").proven
    0.05
    """
    if side not in ("above", "below"):
        raise UnknownName("side", side, ("above", "below"))
    require_callable(draw, "draw")
    below = side == "below"
    try:
        wanted = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    except (TypeError, ValueError):
        raise InvalidInput(f"thresholds = {thresholds!r}; give a probability, or several in a list") from None
    tested = np.sort(1 - wanted if below else wanted)
    test = FixedSequence(tested, n=n, alpha=alpha, futility=futility, final=final, level=level, looks=looks)
    _require_reach(test, below)
    chosen, n0 = _selected(selected)
    chosen = n0 - chosen if below else chosen
    progress, one = test.start(np.array([chosen]), n0), np.zeros(1, dtype=np.int64)
    path: list[int] = []
    for k, more in enumerate(np.diff(test.looks, prepend=0)):
        hits = _drawn(draw, int(more))
        path.append((path[-1] if path else 0) + hits)
        counted = int(test.looks[k]) - path[-1] if below else path[-1]
        if progress.look(k, one, np.array([counted]))[0]:
            break
    tests = test.boundaries(chosen, n0)
    return _decision(test, int(progress.accepted[0]), np.array(path), wanted=wanted, side=side, tests=tests)


def _drawn(draw: Callable[[int], int], samples: int) -> int:
    found = draw(samples)
    try:
        if isinstance(found, bool | np.bool_) or (isinstance(found, np.ndarray) and found.ndim):
            raise TypeError("no number of hits")
        hits = operator.index(found)  # what would have to be rounded is refused
    except TypeError:
        raise InvalidInput(
            f"draw({samples}) gave {type(found).__name__} {found!r:.60}; it must give the hits among {samples} new "
            "samples, an int"
        ) from None
    if not 0 <= hits <= samples:
        raise InvalidInput(f"draw({samples}) gave {hits}; it must give the hits among {samples} new samples")
    return hits


def _require_reach(test: FixedSequence, below: bool) -> None:
    """Refuse too few tosses to prove the last threshold, however they fall."""
    last = float(test.thresholds[-1])
    least = samples_needed(last, alpha=test.alpha)
    if test.n < least:
        claim = f"p < {1 - last:.6g}" if below else f"p > {last:.6g}"
        raise InvalidInput(
            f"n = {test.n} can never prove {claim} at alpha = {test.alpha:g}, however the tosses fall; take n >= "
            f"{least:,}, or leave that threshold out"
        )


def _selected(value: object) -> tuple[int, int]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise InvalidInput(f"selected = {value!r}; give (hits, samples) of the selection, such as (90, 100)")
    hits, samples = (require_count(each, name, least=0) for each, name in zip(value, NAMES, strict=True))
    if hits > samples:
        raise InvalidInput(f"selected = {value!r}: {hits} hits in {samples} samples; give (hits, samples)")
    return hits, samples


def _decision(
    test: FixedSequence, accepted: int, path: IntArray, *, wanted: FloatArray, side: Side, tests: list[Boundaries]
) -> Decision:
    ordered = np.sort(wanted)[::-1] if side == "below" else np.sort(wanted)
    ending: Ending = "given up" if len(path) < len(test.looks) else "undecided"
    return Decision(
        proven=float(ordered[accepted - 1]) if accepted else None,
        thresholds=ordered,
        side=side,
        ending="accepted" if accepted == len(ordered) else ending,
        samples=int(test.looks[len(path) - 1]),
        hits=int(path[-1]),
        alpha=test.alpha,
        path_samples=test.looks[: len(path)],
        path_hits=path,
        tests=tuple(tests),
    )
