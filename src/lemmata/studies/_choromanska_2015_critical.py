"""Critical points of spherical spin glasses in `choromanska_2015`: counted one by one, and by random matrices.

`count_points` draws small Hamiltonians and finds all critical points of each (`_choromanska_2015_homotopy`); beside
the counts stand those that the theory expects at this very size. `weigh_minima` asks the same theory at sizes that
cannot be enumerated: which share of all minima lies above the edge -E_inf N of the paper's band, or above the edge
raised by `widened` a unit.
"""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from pydantic import Field

from lemmata.studies import _choromanska_2015_theory as theory
from lemmata.studies._choromanska_2015_homotopy import critical_points, directions, symmetric
from lemmata.study import Config, Measurements

ATTEMPTS = 3  # paths by another complex number, where two have met
MATRICES = 20_000  # of the expected energies of an index


class Points(Config):
    """Small spin glasses, all of whose critical points are found."""

    units: int = Field(default=4, ge=2, le=7, description="N")
    degree: int = Field(default=3, ge=3, le=4, description="p: spins that interact at a time")
    draws: int = Field(default=40, ge=1, description="Hamiltonians a seed")
    indices: Literal["own", "shuffled"] = Field(default="own", description="shuffled: among the points of all draws")


class Band(Config):
    """A spin glass of any size, by the theory's random matrices."""

    units: int = Field(default=50, ge=2, description="N")
    degree: int = Field(default=3, ge=3, description="p")
    widened: float = Field(default=0.2, ge=0, description="what the edge -E_inf is raised by, in energy a unit")
    matrices: int = Field(default=1000, ge=10, description="random matrices a seed")


def count_points(configs: Sequence[Points]) -> list[Measurements]:
    """Draw the Hamiltonians of each member and find their critical points."""
    return [_counted(config) for config in configs]


def _counted(config: Points) -> Measurements:
    N, p = config.units, config.degree
    random = np.random.default_rng([theory.FRESH + config.seed, N, p])
    S = symmetric(random.standard_normal((config.draws, *(N,) * p)))
    found, complete = directions(S, random)
    for _ in range(ATTEMPTS):
        if complete.all():
            break
        found[~complete], complete[~complete] = directions(S[~complete], random)
    if not complete.all():
        return Measurements(status="diverged")
    points = [critical_points(one, own) for one, own in zip(S, found, strict=True)]
    energy = np.concatenate([f for f, _ in points]) / np.sqrt(N)
    index = np.concatenate([k for _, k in points])
    euler = np.array([((-1.0) ** k).sum() for _, k in points])
    if config.indices == "shuffled":
        index = random.permutation(index)
    expected = _expected(N, p)
    count = np.array([(index == k).sum() for k in range(N)]) / config.draws
    layer = np.array([energy[index == k].mean() if (index == k).any() else np.nan for k in range(N)])
    return Measurements.of(
        count=len(energy) / config.draws,
        expected=theory.total(N, p),
        lowest_layer_off=_lower_half(layer - expected.energy),
        layer_step=np.diff(layer).min(),
        euler_off=np.abs(euler - (2.0 if N % 2 else 0.0)).max(),
        counts=count,
        layers=layer,
        expected_counts=expected.count,
        expected_layers=expected.energy,
    )


@cache
def _expected(N: int, p: int) -> theory.Layers:
    """What the theory expects: its own means, from random numbers of its own, the same for every seed."""
    return theory.layers(N, p, matrices=MATRICES, random=np.random.default_rng(theory.FRESH - 1))


def _lower_half(off: np.ndarray) -> float:
    """The mean over the lower half of the indices; the upper one is its mirror image, or nearly."""
    return float(off[: len(off) // 2].mean())


def weigh_minima(configs: Sequence[Band]) -> list[Measurements]:
    """The energies of minima of each member, and the share of them above the edge."""
    measured = []
    for config in configs:
        random = np.random.default_rng([theory.FRESH + config.seed, config.units, config.degree])
        energy, weight = theory.minima(config.units, config.degree, matrices=config.matrices, random=random)
        edge = -theory.threshold(config.degree) + config.widened
        measured.append(
            Measurements.of(
                outside=weight[energy > edge].sum(),
                energy=(weight * energy).sum(),
                effective=1 / (weight**2).sum(),
            )
        )
    return measured
