"""One claim on one set of records: its components tested, and three p-values for the claim as a whole.

A claim holds if and only if all its components hold. So

- "the claim holds" is the intersection of the components' statements: the largest p_inside is a p-value for it without
  any correction (intersection-union, Berger 1982);
- "the claim fails" is the union of their negations: any component may refute it, and the smallest p_outside is
  multiplied by the number of components (Bonferroni);
- "the direction is right" is an intersection again. A component without a direction (a location, an identity) is right
  only inside its region.

Exact components know no chance: inside in every record, or refuted; they take no share of the level.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.study.claim import Claim
from lemmata.study.kinds.component import INF, Component
from lemmata.verdicts.statistics import one_sided_tests, side

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 3  # seeds below which no statistic is judged


@dataclass(frozen=True)
class Judged:
    """A component with its tests. `method` is "t", "constant", "sign" (`mean` is then the median), "exact" or
    "too few".

    `low` and `high` bound the mean with 95 % confidence; of an exact component they are its smallest and largest value.
    """

    component: Component
    mean: float
    low: float
    high: float
    p_inside: float
    p_outside: float
    p_direction: float
    sd: float = np.nan
    method: str = "t"

    @property
    def outliers(self) -> tuple[int, ...]:
        """The seeds whose own number lies outside the region."""
        part = self.component
        beyond = (part.samples < part.low) | (part.samples > part.high)
        return tuple(sorted({seed for seed, out in zip(part.seeds, beyond, strict=False) if out}))


@dataclass(frozen=True)
class Evidence:
    """What the records say about a claim; `problem` tells why they cannot say anything, if they cannot."""

    components: tuple[Judged, ...] = ()
    p_inside: float = 1.0
    p_outside: float = 1.0
    p_direction: float = 1.0
    seeds: tuple[int, ...] = ()
    diverged: tuple[int, ...] = ()
    problem: str = ""

    @property
    def exact(self) -> bool:
        """Whether no component is a statistic: such a claim takes no part in the correction for many claims."""
        return bool(self.components) and all(judged.component.exact for judged in self.components)

    @property
    def n(self) -> int:
        """The number of seeds that the scarcest statistic rests on; of an exact claim, the number of seeds."""
        counts = [judged.component.n for judged in self.components if not judged.component.exact]
        return min(counts) if counts else len(self.seeds)

    @property
    def absent(self) -> Judged | None:
        """A statistic that has a finite value in none of enough seeds, as the place of a peak where there is none."""
        enough = len(self.seeds) - len(self.diverged) >= FEWEST
        statistics = [judged for judged in self.components if not judged.component.exact]
        return next((judged for judged in statistics if enough and _nowhere(judged.component)), None)


def assess(
    claim: Claim, rows: pd.DataFrame, *, paper: float | None, region: tuple[float, float], missing: int = 0
) -> Evidence:
    """Test a claim on its rows; errors of the kind become the evidence's `problem`, never an exception.

    Where `missing` records are wanted, an identity is not shown to hold in every one.
    """
    seeds = tuple(sorted(int(seed) for seed in rows["seed"].unique())) if len(rows) else ()
    if not seeds:
        return Evidence(problem="no records at this scale")
    gone = rows["status"] != "ok" if "status" in rows else np.zeros(len(rows), dtype=bool)
    diverged = tuple(sorted({int(seed) for seed in rows.loc[gone, "seed"]}))
    if np.all(gone):
        return Evidence(seeds=seeds, diverged=diverged, problem="every run diverged")
    assert claim.kind is not None
    try:
        components = claim.kind.components(rows[~gone], paper, region)
    except InvalidInput as error:
        return Evidence(seeds=seeds, diverged=diverged, problem=str(error))
    if all(part.low == -INF and part.high == INF for part in components):
        problem = "the claim states no margin, so that any number would do; give it `margin` or `within`"
        return Evidence(seeds=seeds, diverged=diverged, problem=problem)
    return combine(
        [weigh(part, complete=not diverged and not missing) for part in components], seeds=seeds, diverged=diverged
    )


def weigh(component: Component, *, complete: bool = True) -> Judged:
    """Test one component; `complete` is False where runs are missing, so that an identity is not shown everywhere.

    >>> weigh(Component("gap", np.array([0.9, 1.0, 1.2]), low=0.0, null=0.0)).p_inside < 0.01
    True
    """
    x, none = component.samples, np.nan
    if component.exact and len(x):
        held = bool(((x >= component.low) & (x <= component.high)).all())
        shown = held and complete and not component.dropped
        p_inside, p_outside = float(not shown), float(held)
        return Judged(component, x.mean(), x.min(), x.max(), p_inside, p_outside, p_inside, none, "exact")
    if len(x) < FEWEST:
        mean = x.mean() if len(x) else none
        return Judged(component, mean, none, none, 1.0, 1.0, 1.0, none, "too few")
    null = none if component.null is None else component.null
    t = one_sided_tests(x, low=component.low, high=component.high, null=null, resolution=component.resolution)
    p = float(t.p_inside), float(t.p_outside), float(t.p_direction)
    return Judged(component, float(t.centre), float(t.low), float(t.high), *p, float(t.sd), str(t.method))


def combine(parts: Collection[Judged], *, seeds: tuple[int, ...], diverged: tuple[int, ...]) -> Evidence:
    """The claim's p-values from its components'; see the head of this file."""
    statistics = [part for part in parts if not part.component.exact]
    violated = any(part.p_outside == 0 for part in parts if part.component.exact)
    refuting = min((len(statistics) * part.p_outside for part in statistics), default=1.0)
    return Evidence(
        tuple(parts),
        p_inside=max(part.p_inside for part in parts),
        p_outside=0.0 if violated else min(1.0, refuting),
        p_direction=max(part.p_direction if directed(part.component) else part.p_inside for part in parts),
        seeds=seeds,
        diverged=diverged,
    )


def _nowhere(component: Component) -> bool:
    """Whether no sample is finite, nor in the region (as infinity is in "at least 2")."""
    x = component.samples
    return not (np.isfinite(x) | ((x >= component.low) & (x <= component.high))).any()


def directed(component: Component) -> bool:
    """Whether a component has a right side of "no effect".

    >>> directed(Component("ratio", np.ones(3), low=2, high=10, null=1.0))
    True
    """
    null = np.nan if component.null is None else component.null
    return bool(side(np.asarray(component.low), np.asarray(component.high), np.asarray(null)))
