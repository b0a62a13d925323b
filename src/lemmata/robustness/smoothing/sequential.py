"""The schedule of a sequential certification: one stream of forward passes serves all images that are undecided.

Each image wants its next few noisy copies: 25 at first, later 8 % of those it has had. A forward pass of one image's
copies would be mostly empty, so a round gathers what the images in flight want, oldest first, up to a number of rows
that fills many forward passes; whoever is decided leaves, and waiting images enter. Images of any stage share a pass.

A copy depends on the seed, its image and its number alone, and an image's decision on its own copies, so that neither
the order of the images, nor the rows of a round, nor what was interrupted when, changes any certificate. That is what
lets the rows follow the clock here: a round lasts about half a second, whatever the model costs.

Cost beside the forward passes: a few arrays of a round's images, and one `Progress.look` a stage and wave. Memory: O(1)
an image. Where it fails: a `Voting` whose counts depend on how they were asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lemmata.bernoulli.looks import require_count
from lemmata.bernoulli.procedure import IntArray, Procedure
from lemmata.errors import InvalidInput
from lemmata.given import require_number
from lemmata.robustness.smoothing.decided import Decided
from lemmata.robustness.smoothing.noise_seeds import BLOCK, Stream

ROWS = 10 * BLOCK  # of the first round, before anything is timed; whole blocks of noise, as the looks are
LEAST_ROWS, MOST_ROWS = 5 * BLOCK, 2**17 * BLOCK
LEAST_WAVE = 16  # images whose class is selected together, and that share a `Progress`


class Voting(Protocol):
    """Whoever can classify noisy copies of images (`Votes`), or another randomised classifier's draws, and count."""

    def count(self, images: IntArray, draws: IntArray, stream: Stream = "estimate") -> Any:
        """Classify the next `draws` (m,) copies of each of the `images` (m,) and count the classes: (m, classes)."""
        ...


@dataclass(frozen=True)
class Round:
    """What one round gave: the images it decided, perhaps none, and the `rows` it classified."""

    decided: Decided
    rows: int


def schedule(
    votes: Voting,
    procedure: Procedure,
    images: int | Sequence[int] | IntArray,
    *,
    n0: int = 100,
    seconds: float = 0.5,
) -> Iterator[Round]:
    """Choose a class for each of the `images` on n0 copies, let `procedure` decide on others, and yield round by round.

    `images` are positions in what `votes` holds, or their number. The class is the one with most of the n0 votes of the
    stream "selection"; its hits among the stream "estimate" are what the procedure sees. Each image is in just one
    round's `decided`, oldest first but for their difficulty. A round takes about `seconds`. Random is only what `votes`
    draws. Raises `InvalidInput` for no images, for images given twice, for n0 < 1, and for `seconds` that are not
    positive, and for votes that are no whole numbers (m, classes) or do not add up to the draws. Abandoning the
    iterator, by Ctrl-C say, loses the counts of the images in flight and nothing else.

    >>> from lemmata.bernoulli.fixed_sample import FixedSample
    >>> class AlwaysFirst:
    ...     def count(self, images, draws, stream="estimate"):
    ...         return np.stack([draws, 0 * draws], 1)
    >>> for round in schedule(AlwaysFirst(), FixedSample(100, alpha=0.001), 2):
    ...     print(round.rows, round.decided.images, round.decided.prediction, round.decided.lower.round(3))
    200 [] [] []
    200 [0 1] [0 0] [0.933 0.933]
    """
    for what, value, named in (("votes", votes, "count"), ("procedure", procedure, "looks, start")):
        if any(not hasattr(value, part) for part in named.split(", ")):
            raise InvalidInput(f"{what} = {value!r}; give an object that has {named}, as the protocols say")
    waiting = _positions(images)
    n0 = require_count(n0, "n0")
    if not 0 < require_number(seconds, "seconds") < np.inf:
        raise InvalidInput(f"seconds = {seconds}; a round takes a positive time, such as 0.5")
    return _rounds(votes, procedure, waiting, n0, seconds)


def _rounds(votes: Voting, procedure: Procedure, waiting: IntArray, n0: int, seconds: float) -> Iterator[Round]:
    waves: list[_Wave] = []
    rows = ROWS
    while len(waiting) or waves:
        began = time.perf_counter()
        if len(waiting) and sum(wave.wanted for wave in waves) < rows:
            entering, waiting = np.split(waiting, [max(rows // n0, LEAST_WAVE)])
            counts, step = [], max(rows // n0, 1)
            for part in (entering[i : i + step] for i in range(0, len(entering), step)):
                counts.append(_counted(votes, part, np.full(len(part), n0), "selection"))
                yield Round(Decided.none(), rows=len(part) * n0)
            waves.append(_Wave(entering, np.concatenate(counts), procedure, n0))
        else:
            decided, drawn = _advance(votes, waves, rows)
            waves = [wave for wave in waves if wave.wanted]
            rows = _paced(rows, drawn, seconds / max(time.perf_counter() - began, 1e-6))
            yield Round(decided, rows=drawn)


def _advance(votes: Voting, waves: list[_Wave], rows: int) -> tuple[Decided, int]:
    """Give up to `rows` rows to the waves, the oldest first, and let them look."""
    requests = []
    left = rows
    for wave in waves:
        active, draws = wave.request(left)
        requests.append((wave, active, draws))
        left -= int(draws.sum())
        if not left:
            break
    images = np.concatenate([wave.images[active] for wave, active, _ in requests])
    counts = _counted(votes, images, np.concatenate([draws for *_, draws in requests]), "estimate")
    ends = np.cumsum([len(active) for _, active, _ in requests])
    parts = zip(requests, np.split(counts, ends[:-1]), strict=True)
    return Decided.together([wave.receive(active, draws, part) for (wave, active, draws), part in parts]), rows - left


def _counted(votes: Voting, images: IntArray, draws: IntArray, stream: Stream) -> IntArray:
    """The votes of the next draws, whoever counted them, if they are votes."""
    counts = np.asarray(votes.count(images, draws, stream=stream))
    if counts.ndim != 2 or len(counts) != len(images) or not np.issubdtype(counts.dtype, np.integer):
        raise InvalidInput(
            f"votes.count gave {counts.dtype} of shape {counts.shape} for {len(images)} images; give whole numbers "
            "(images, classes)"
        )
    if (counts < 0).any() or (wrong := counts.sum(1) != draws).any():
        at = int((counts < 0).any(1).argmax() if (counts < 0).any() else wrong.argmax())
        raise InvalidInput(
            f"votes.count gave {counts[at].tolist()} for {draws[at]} copies of image {images[at]}; each copy has one "
            "vote, with a class of its own for those that abstain"
        )
    return counts


def _paced(rows: int, drawn: int, ratio: float) -> int:
    """The rows of the next round, of which `drawn` took 1 / ratio of the time that is wanted; at most doubled."""
    wanted = min(drawn * ratio, 2 * rows) if drawn == rows or ratio < 1 else rows
    return int(np.clip(wanted, LEAST_ROWS, MOST_ROWS)) // BLOCK * BLOCK


class _Wave:
    """Images that entered together: what each has drawn, and the stage of the procedure it is at."""

    def __init__(self, images: IntArray, selection: IntArray, procedure: Procedure, n0: int):
        self.images, self.looks = images, np.asarray(procedure.looks)
        self.prediction = selection.argmax(1)
        self.progress = procedure.start(selection.max(1).astype(np.int64), n0)
        self.hits, self.drawn, self.stage = np.zeros((3, len(images)), dtype=np.int64)
        self.undecided = np.arange(len(images))

    @property
    def wanted(self) -> int:
        """How many rows its images want before their next look."""
        return int((self.looks[self.stage[self.undecided]] - self.drawn[self.undecided]).sum())

    def request(self, rows: int) -> tuple[IntArray, IntArray]:
        """Who draws how many copies, at most `rows` together: places in the wave (m,), and draws (m,), above 0."""
        want = self.looks[self.stage[self.undecided]] - self.drawn[self.undecided]
        draws = np.diff(np.minimum(np.cumsum(want), rows), prepend=0)
        return self.undecided[draws > 0], draws[draws > 0]

    def receive(self, places: IntArray, draws: IntArray, counts: IntArray) -> Decided:
        """Count the copies in, let the procedure look where a stage is complete, and say who is decided."""
        self.drawn[places] += draws
        self.hits[places] += counts[np.arange(len(places)), self.prediction[places]]
        complete = places[self.drawn[places] == self.looks[self.stage[places]]]
        stages = self.stage[complete]
        left = [np.empty(0, dtype=np.int64)]
        for k in np.unique(stages):
            active = complete[stages == k]
            done = self.progress.look(int(k), active, self.hits[active])
            left.append(active[done] if k < len(self.looks) - 1 else active)
            self.stage[active] += 1
        gone = np.concatenate(left)
        self.undecided = np.setdiff1d(self.undecided, gone, assume_unique=True)
        return Decided(
            self.images[gone], self.prediction[gone], self.progress.lower[gone], self.hits[gone], self.drawn[gone]
        )


def _positions(images: int | Sequence[int] | IntArray) -> IntArray:
    found = np.arange(images) if isinstance(images, int | np.integer) else np.asarray(images, dtype=np.int64)
    if found.ndim != 1 or not len(found):
        raise InvalidInput("there are no images to certify; give at least one")
    if len(np.unique(found)) < len(found):
        raise InvalidInput("an image is given twice; each is decided once")
    return found
