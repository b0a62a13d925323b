"""What is to be found of each image, and by which procedure: the bound at n copies, decisions at radii, or a radius to
within a tolerance.

A procedure bounds the probability p of the selected class from below; the noise law turns the bound into a radius.
Where radii were asked for, the thresholds p(r) are tested in order, and the radius of an image is the largest whose
threshold was accepted: a decision says nothing of radii in between, and nothing beyond.

A configuration that can certify nothing, whatever the model, is refused with what it would take: n hits of n prove
p > alpha^(1/n) and no more, so that n copies reach no further than the radius of that p. How far a procedure reaches is
found by showing it nothing but hits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.bernoulli.fixed_sample import FixedSample
from lemmata.bernoulli.fixed_sequence import FixedSequence
from lemmata.bernoulli.group_sequential import GroupSequential
from lemmata.bernoulli.looks import require_count
from lemmata.bernoulli.procedure import FloatArray, Procedure
from lemmata.bernoulli.samples_needed import samples_needed
from lemmata.errors import InvalidInput
from lemmata.given import require_number
from lemmata.robustness.smoothing.noise import Noise

MOST_COPIES = 10**9  # of an image: a month of forward passes at a few milliseconds each
TRIED = 10**7  # copies up to which the number that suffices is verified by trying it


@dataclass(frozen=True, eq=False)
class Aim:
    """A procedure, and how its bound becomes a class and a radius; `thresholds` (R,) belong to the `radii` (R,)."""

    procedure: Procedure
    noise: Noise
    radii: FloatArray | None = None
    thresholds: FloatArray | None = None

    def certified(self, lower: FloatArray) -> np.ndarray:
        """Whose class is certified at all, (N,) bool: p > 1/2 is proven, or the smallest of the radii is."""
        return lower > 0.5 if self.thresholds is None else lower >= self.thresholds[0]

    def radius(self, lower: FloatArray) -> FloatArray:
        """The radii (N,) float64 that lower bounds (N,) of p prove, 0 where nothing is certified."""
        if self.radii is None or self.thresholds is None:
            return np.where(self.certified(lower), self.noise.radius(lower), 0.0)
        place = np.searchsorted(self.thresholds, lower, side="right")
        return np.concatenate([[0.0], self.radii])[place]


def aim_at(
    noise: Noise,
    *,
    radii: float | Sequence[float] | None = None,
    tolerance: float | None = None,
    relative: bool = False,
    n: int = 100_000,
    alpha: float = 0.001,
    futility: float = 0.01,
) -> Aim:
    """The procedure for what is asked: decisions at `radii`, the radius within `tolerance`, or else the bound at n.

    Raises `InvalidInput` where both are asked for, for radii that are negative, not increasing or out of reach of n
    copies, for a tolerance that is not positive (a relative one below 1), and for n copies that can certify nothing.
    `futility` is that of the procedure; the fixed sample has none.

    >>> from lemmata.robustness.smoothing.noise import Gaussian
    >>> aim_at(Gaussian(0.5), radii=[0.5, 1.0]).thresholds.round(4)
    array([0.8413, 0.9772])
    >>> aim_at(Gaussian(0.5), n=9)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: n = 9 can never certify at alpha = 0.001: even 9 hits of 9 prove only p > 0.4642, and a
    certificate needs p > 0.5; take n >= 10
    """
    n = require_copies(n, "n")
    if not isinstance(relative, bool | np.bool_):
        raise InvalidInput(
            f"relative = {relative!r}; give True for a tolerance that is a share of the radius, or False"
        )
    if not 0 <= require_number(futility, "futility") < 1:
        raise InvalidInput(f"futility = {futility}; give a share of the images from 0 to below 1, such as 0.01")
    if radii is not None and tolerance is not None:
        raise InvalidInput("radii=... decides at radii and tolerance=... finds the radius itself; give one of them")
    if relative and tolerance is None:
        raise InvalidInput("relative=True says how tolerance is meant; give a tolerance too, such as 0.1 of the radius")
    if radii is not None:
        return _at_radii(noise, _increasing(radii), n, alpha, futility)
    build = _fixed(alpha) if tolerance is None else _to_tolerance(noise, tolerance, relative, alpha, futility)
    procedure = build(n)
    if (proven := reach(procedure)) <= 0.5:
        raise InvalidInput(
            f"n = {n} can never certify at alpha = {alpha:g}: even {n} hits of {n} prove only p > {proven:.4g}, and a "
            f"certificate needs p > 0.5; take n >= {_sufficient(build, 0.5, alpha)}"
        )
    return Aim(procedure, noise)


def require_copies(value: object, name: str) -> int:
    """Give a number of noisy copies of an image back: a whole number from 1 to 10^9.

    >>> require_copies(10**12, "n")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: n = 1000000000000 copies of each image; give at most 1000000000, which may take weeks
    """
    count = require_count(value, name)
    if count > MOST_COPIES:
        raise InvalidInput(f"{name} = {count} copies of each image; give at most {MOST_COPIES}, which may take weeks")
    return count


def reach(procedure: Procedure) -> float:
    """The largest lower bound that `procedure` can prove: that of a coin which only ever falls on one side.

    >>> round(reach(FixedSample(100_000, alpha=0.001)), 7)
    0.9999309
    """
    progress = procedure.start(np.array([1]), 1)
    coin = np.array([0])
    for k, samples in enumerate(procedure.looks):
        if progress.look(k, coin, np.array([samples]))[0]:
            break
    return float(progress.lower[0])


def _fixed(alpha: float) -> Callable[[int], Procedure]:
    return lambda n: FixedSample(n, alpha=alpha)


def _to_tolerance(
    noise: Noise, tolerance: float, relative: bool, alpha: float, futility: float
) -> Callable[[int], Procedure]:
    """Looks that stop once the radius cannot grow by more than the tolerance, which is a share of it if relative."""
    wanted = require_number(tolerance, "tolerance")
    if not (0 < wanted < 1 if relative else 0 < wanted < np.inf):
        unit = "a share of the radius between 0 and 1" if relative else f"a positive {noise.norm} distance"
        raise InvalidInput(f"tolerance = {wanted:g}; give {unit}, such as {0.1 if relative else 0.05}")

    def log_radius(lower: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.log(noise.radius(lower))

    scale, step = (log_radius, -np.log1p(-wanted)) if relative else (noise.radius, wanted)
    return lambda n: GroupSequential(n, alpha=alpha, futility=futility, tolerance=step, scale=scale)


def _at_radii(noise: Noise, radii: FloatArray, n: int, alpha: float, futility: float) -> Aim:
    """Tests of the thresholds of the radii in order, all of which n copies can accept."""
    thresholds = noise.threshold(radii)
    farthest = float(noise.radius(min(alpha ** (1 / n), 1.0)))
    far = [f"{radius:g}" for radius, threshold in zip(radii, thresholds, strict=True) if threshold >= 1]
    if far:
        raise InvalidInput(
            f"radii [{', '.join(far)}] under {noise}: no number of copies certifies them, since p would have to be 1; "
            f"leave them out, or take wider noise (n = {n} reaches {farthest:.4g})"
        )

    def build(m: int) -> Procedure:
        return FixedSequence(thresholds, n=m, alpha=alpha, futility=futility)

    procedure = build(n)
    proven = reach(procedure)
    beyond = [f"{radius:g}" for radius, threshold in zip(radii, thresholds, strict=True) if threshold > proven]
    if beyond:
        raise InvalidInput(
            f"radii [{', '.join(beyond)}] under {noise} can never be certified with n = {n} at alpha = {alpha:g}, "
            f"which reach {farthest:.4g}; leave them out (their certified accuracy is 0), or take n >= "
            f"{_sufficient(build, float(thresholds[-1]), alpha)}"
        )
    return Aim(procedure, noise, radii, thresholds)


def _sufficient(build: Callable[[int], Procedure], p0: float, alpha: float) -> int:
    """The n at which nothing but hits proves p > p0: to within 1 %, for looks before the last take some of alpha."""
    n = samples_needed(p0, alpha=alpha)
    while n < TRIED and not reach(build(n)) >= p0:
        n = max(n + 1, round(1.01 * n))
    return n


def _increasing(radii: float | Sequence[float]) -> FloatArray:
    several: Any = radii if np.ndim(radii) else [radii]
    found = np.asarray([require_number(radius, "a radius") for radius in several], dtype=np.float64)
    if not len(found):
        raise InvalidInput("radii is empty; give the radii to decide at, such as [0.25, 0.5], or leave it out")
    if not ((found >= 0) & (found < np.inf)).all():
        raise InvalidInput(f"radii = {found.tolist()}; radii are distances, 0 (the class alone) or more, and finite")
    if (np.diff(found) <= 0).any():
        raise InvalidInput(
            f"radii = {found.tolist()} are not increasing; they are tested in order, so give "
            f"{np.unique(found).tolist()}"
        )
    return found
