"""Counting for the study of Simsek et al. (2021): formulas beside enumeration, and where minima outnumber saddles."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lemmata.landscape import symmetry
from lemmata.study import Config, Measurements


class Count(Config):
    """A network of `neurons` neurons, as many as are needed, among `extra` more."""

    neurons: int = Field(default=3, ge=1)
    extra: int = Field(default=1, ge=0)
    rule: Literal["full", "no cancelling", "unlabelled"] = "full"


class Width(Config):
    """A task that just wants `neurons` neurons; widths up to `most` more."""

    neurons: int = Field(default=10, ge=2)
    extra: int = Field(default=0, ge=0)


def enumerate_subspaces(configs: Sequence[Count]) -> list[Measurements]:
    """Both formulas over what is listed one by one under a rule, and the connected pieces found by comparing."""
    return [_enumerated(config) for config in configs]


def _enumerated(config: Count) -> Measurements:
    r, m = config.neurons, config.neurons + config.extra
    copies = list(symmetry.configurations(r, m, cancelling=False))
    every = list(symmetry.configurations(r, m, cancelling=config.rule != "no cancelling"))
    if config.rule == "unlabelled":  # neurons not told apart: how many copies each has, in what order does not matter
        copies, every = ({tuple(sorted(labels)) for labels in some} for some in (copies, every))
    return Measurements.of(
        T_over_listed=symmetry.T(r, m) / len(every),
        G_over_listed=symmetry.G(r, m) / len(copies),
        pieces=symmetry.components(r, m),
        T=float(symmetry.T(r, m)),
    )


def outnumber(configs: Sequence[Width]) -> list[Measurements]:
    """The ratio at a width, and the first width at which minima are more, by a recurrence that knows no formula."""
    made = {}
    for config in configs:
        if config.neurons not in made:
            made[config.neurons] = first_width(config.neurons)
    return [
        Measurements.of(
            first_width=made[config.neurons],
            first_width_over_formula=made[config.neurons] - symmetry.neurons_to_win(config.neurons),
            one_fewer=float(symmetry.saddle_ratio(config.neurons, config.neurons + config.extra, r=config.neurons - 1)),
            all_fewer=float(symmetry.saddle_ratio(config.neurons, config.neurons + config.extra)),
        )
        for config in configs
    ]


def first_width(neurons: int) -> int:
    """The fewest extra neurons with T > sum of G, from the rows of both triangles: one more neuron at a time.

    >>> first_width(8)
    3
    """
    G, T, m = [1], [1], 0
    while m < neurons or sum(G[1:neurons]) >= T[neurons]:
        m += 1
        g, t = [0, *G, 0, 0], [0, *T, 0, 0]
        G = [r * (g[r + 1] + g[r]) for r in range(m + 1)]
        T = [(r + 1) * t[r + 1] + t[r + 2] + r * t[r] for r in range(m + 1)]
    return m - neurons
