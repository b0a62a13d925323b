"""Critical points of a small network in `dauphin_2014`, at different losses, with their spectra.

Starts are random weights of many sizes, some after a few hundred steps of gradient descent. From each of them
Newton-MR goes where the gradient vanishes, and polishing takes it to 1e-12 (`lemmata.landscape.critical`), where the
spectrum gives the index; from descended ones the trust-region method goes to minima as well. What did not arrive, and
what is gradient-flat, is no critical point and not counted.

All members of a block are searched in one call. `counted` says which end points are counted: critical points, all end
points, or critical points with the indices of others.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.stats import spearmanr

from lemmata.landscape import critical
from lemmata.objective import Objective
from lemmata.studies._dauphin_2014_network import Network, objective, random_weights
from lemmata.studies._dauphin_2014_newton import descend
from lemmata.study import Measurements

CRITICAL = 1e-8  # gradient norm; those that reach it are polished further
SIZES = (0.3, 2.0)  # of initial weights, evenly spaced in the logarithm
DESCENT = (0, 0, 100)  # steps of gradient descent of one start after the other
SAME = 9  # decimals of the loss in which two points agree that differ by a symmetry only
QUANTILES = np.linspace(0, 1, 41)


class Points(Network):
    """A search for critical points."""

    starts: int = Field(default=18, ge=6, description="starts a seed")
    steps: int = Field(default=60, ge=1, description="of Newton-MR, at most")
    counted: Literal["critical", "all", "shuffled"] = "critical"


def find_points(configs: Sequence[Points]) -> list[Measurements]:
    """Search from the starts of all seeds of the block at once, and describe what each found."""
    config, seeds = configs[0], sorted({config.seed for config in configs})
    L = objective(config)
    starts, descended = zip(*(_starts(config, L, seed) for seed in seeds), strict=True)
    ends = [
        critical.search(L, torch.cat(starts), steps=config.steps, tolerance=CRITICAL),
        critical.search(L, torch.cat(descended), method="trust_region", tolerance=CRITICAL),
    ]
    rows = [torch.arange(len(points)).view(len(seeds), -1) for points in ends]
    found = {seed: [points.at(own[i]) for points, own in zip(ends, rows, strict=True)] for i, seed in enumerate(seeds)}
    return [_described(member, found[member.seed]) for member in configs]


def _starts(config: Points, L: Objective, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The starts of a seed, and those of them that have descended."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, 0]).generate_state(1)[0]))
    sizes = torch.logspace(*np.log10(SIZES), config.starts, dtype=torch.float64)
    theta = random_weights(config, sizes, generator)
    descends = torch.tensor([DESCENT[i % len(DESCENT)] for i in range(config.starts)])
    for steps in sorted(set(DESCENT) - {0}):
        rows = descends == steps
        theta[rows] = descend(L, theta[rows], "gradient", steps=steps, step_size=0.3)[-1]
    return theta, theta[descends == max(DESCENT)]


def _described(config: Points, found: list[critical.CriticalPoints]) -> Measurements:
    """What the points of a member say: of all of them, or of those that are critical."""
    end = [points if config.counted == "all" else points.at(points.critical) for points in found]
    loss, index, gradient, certified, spectra = (
        np.concatenate([getattr(points, name).numpy() for points in end])
        for name in ("loss", "index", "gradient_norm", "distance", "eigenvalues")
    )
    first = np.unique(loss.round(SAME), return_index=True)[1]  # units permuted, or with both signs turned: one point
    loss, index, gradient, certified, spectra = (each[first] for each in (loss, index, gradient, certified, spectra))
    if config.counted == "shuffled":
        order = np.random.default_rng(config.seed).permutation(len(index))
        index, spectra = index[order], spectra[order]
    return Measurements.of(
        count=len(loss),
        share=sum(int(points.critical.sum()) for points in found) / sum(map(len, found)),
        rank_of_index=rank_correlation(loss, index),
        rank_of_spectrum=rank_correlation(loss, spectra.mean(1)),
        worst_gradient=gradient.max(),
        certified=np.isfinite(certified).mean(),
        losses=loss,
        indices=index,
        spectra=np.quantile(spectra, QUANTILES, axis=1).T,
    )


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rho, and 0 where one of them does not vary or there are fewer than three points.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.4]))
    1.0
    """
    if len(x) < 3 or np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return 0.0
    return float(spearmanr(x, y).statistic)
