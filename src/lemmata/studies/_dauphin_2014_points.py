"""Critical points of a small network in `dauphin_2014`, at different losses, with their spectra.

Two searches (`lemmata.landscape.critical`) start from random weights of many sizes. Newton-MR goes where the gradient
vanishes, by chance. And a trust region finds minima, of the network and of those with fewer hidden units: with the
weights of the missing units 0 they are critical points of the whole (Fukumizu and Amari, 2000). All are polished to a
gradient of 1e-12, where the spectrum gives the index. What did not arrive, and what is gradient-flat, is not counted.

All members of a block are searched in one call. `counted` says which end points are counted: critical points, all end
points, or critical points with the indices of others.

Ranks are correlated twice: over the points that a search of the whole network *reached*, and over all. Minima of
smaller networks have as many units at 0 as are missing, and each such unit adds as many negative eigenvalues as the
covariance of inputs and residuals has singular values above the decay: that they are layered is half theory.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.stats import spearmanr
from torch import Tensor

from lemmata.landscape import critical
from lemmata.studies._dauphin_2014_network import Network, layers, objective, random_weights, seed_of
from lemmata.study import Measurements

CRITICAL = 1e-8  # gradient norm; those that reach it are polished further
SIZES = (0.3, 2.0)  # of initial weights, evenly spaced in the logarithm
SAME = 9  # decimals of the loss in which two points agree that differ by a symmetry only
SHUFFLE = 101  # purpose of a stream; starts have those from 0 on
QUANTILES = np.linspace(0, 1, 41)


class Points(Network):
    """A search for critical points."""

    starts: int = Field(default=12, ge=6, description="starts a seed, of either search")
    steps: int = Field(default=40, ge=1, description="of Newton-MR, at most")
    counted: Literal["critical", "all", "shuffled"] = "critical"


def find_points(configs: Sequence[Points]) -> list[Measurements]:
    """Search from the starts of all seeds of the block at once, and describe what each found."""
    config, seeds = configs[0], sorted({config.seed for config in configs})
    L = objective(config)
    starts = torch.cat([random_starts(config, seed, 0, config.starts) for seed in seeds])
    ends = [
        critical.search(L, starts, steps=config.steps, tolerance=CRITICAL),
        critical.polish(L, smaller_minima(config, seeds).flatten(0, 1), tolerance=CRITICAL),
    ]
    rows = [torch.arange(len(points)).view(len(seeds), -1) for points in ends]
    found = {seed: [points.at(own[i]) for points, own in zip(ends, rows, strict=True)] for i, seed in enumerate(seeds)}
    return [_described(member, found[member.seed]) for member in configs]


def smaller_minima(config: Points, seeds: Sequence[int]) -> Tensor:
    """Minima of the networks with 0, 1, ... units fewer, with zeros for the missing ones: (S, K, P)."""
    each, found = max(1, config.starts // (config.hidden + 1)), []
    for off in range(max(1, config.hidden)):
        own = config.model_copy(update={"hidden": config.hidden - off})
        starts = torch.cat([random_starts(own, seed, 1 + off, each) for seed in seeds])
        minima = critical.search(objective(own), starts, method="trust_region", tolerance=CRITICAL, certify=False)
        found.append(embedded(config, minima.theta, off).view(len(seeds), each, -1))
    if config.hidden:  # without any unit there are the output biases, of which polishing is one linear solve
        found.append(torch.zeros_like(found[0][:, :1]))
    return torch.cat(found, 1)


def random_starts(config: Points, seed: int, purpose: int, count: int) -> Tensor:
    """Starts of a seed for one purpose: (count, P)."""
    generator = torch.Generator().manual_seed(seed_of(seed, purpose))
    return random_weights(config, torch.from_numpy(np.geomspace(*SIZES, count)), generator)


def embedded(config: Points, theta: Tensor, off: int) -> Tensor:
    """The weights (M, p) of networks with `off` hidden units fewer as weights (M, P), those of the first units being 0.

    >>> embedded(Points(hidden=2, side=1), torch.ones(1, 22, dtype=torch.float64), 1)[0, :6].tolist()
    [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    """
    if not config.hidden:
        return theta
    (_, inputs), _, (classes, _), _ = layers(config)
    on = torch.arange(config.hidden) >= off
    kept = torch.cat([on.repeat_interleave(inputs), on, on.repeat(classes), torch.ones(classes, dtype=torch.bool)])
    whole = torch.zeros(len(theta), len(kept), dtype=theta.dtype)
    whole[:, kept] = theta
    return whole


def _described(config: Points, found: list[critical.CriticalPoints]) -> Measurements:
    """What the points of a member say: of all of them, or of those that are critical."""
    end = [points if config.counted == "all" else points.at(points.critical) for points in found]
    loss, index, gradient, distance, spectra = (
        np.concatenate([getattr(points, name).numpy() for points in end])
        for name in ("loss", "index", "gradient_norm", "distance", "eigenvalues")
    )
    reached = np.concatenate([(points.critical | (config.counted == "all")).numpy() for points in found])
    reached = _searched(config, found)[reached]
    first = np.unique(loss.round(SAME), return_index=True)[1]  # units permuted, or with both signs turned: one point
    loss, index, gradient, distance, spectra, reached = (
        each[first] for each in (loss, index, gradient, distance, spectra, reached)
    )
    if config.counted == "shuffled":
        order = np.random.default_rng(seed_of(config.seed, SHUFFLE)).permutation(len(index))
        index, spectra = index[order], spectra[order]
    return Measurements.of(
        count=len(loss),
        share=sum(int(points.critical.sum()) for points in found) / sum(map(len, found)),
        rank_of_index=rank_correlation(loss, index),
        rank_of_spectrum=rank_correlation(loss, spectra.mean(1)),
        reached=reached.sum(),
        rank_of_index_reached=rank_correlation(loss[reached], index[reached]),
        rank_of_spectrum_reached=rank_correlation(loss[reached], spectra[reached].mean(1)),
        worst_gradient=gradient.max(),
        worst_distance=distance.max(),
        losses=loss,
        indices=index,
        spectra=np.quantile(spectra, QUANTILES, axis=1).T,
    )


def _searched(config: Points, found: list[critical.CriticalPoints]) -> np.ndarray:
    """Which end points (M,) a search of the whole network led to: all of Newton-MR, and its own minima."""
    own = np.arange(len(found[1])) < max(1, config.starts // (config.hidden + 1))
    return np.concatenate([np.ones(len(found[0]), dtype=bool), own])


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rho, and 0 where one of them does not vary or there are fewer than three points.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.4]))
    1.0
    """
    if len(x) < 3 or np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return 0.0
    return float(spearmanr(x, y).statistic)
