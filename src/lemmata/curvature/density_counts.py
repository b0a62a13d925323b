"""How many eigenvalues lie above a threshold, and how many of them are outliers of the bulk.

From one probe z the weights above t estimate N(t) / P, N the counting function. Two statements hold without any
assumption on the spectrum:

- the m-point Gauss rule of the probe's own measure mu_z brackets it (Chebyshev, Markov, Stieltjes: Szego, 1939,
  section 3.41): for t between the nodes theta_i and theta_{i+1},

      sum_{j > i + 1} w_j  <=  mu_z((t, inf))  <=  sum_{j >= i} w_j,

- each node above t is at least one eigenvalue above t, since the nodes of a probe are the eigenvalues of a projection
  of the matrix (Cauchy's interlacing theorem). This bounds N(t) from below with certainty, up to rounding.

The edge of the bulk is where, from the median up, eigenvalues begin to be isolated: less than one is left within the
next `spacing`, by default a fiftieth of the spectrum's range. Sagun et al. (2018), Ghorbani et al. (2019) and Papyan
(2019) tell outliers from the bulk by such gaps, by eye. In a bulk of n eigenvalues with a square-root edge, as that of
Marchenko and Pastur, the gaps at the edge are of order n^(-2/3) of the range, so that some hundred eigenvalues are
needed for its own edge not to look isolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lemmata.curvature.over_probes import over_probes
from lemmata.estimate import Estimate

if TYPE_CHECKING:
    from lemmata.curvature.density import Density

GRID = 4000


@dataclass(frozen=True)
class Counts(Estimate):
    """The number of eigenvalues above each threshold (G,) or (): `value`, and `stderr` over the probes.

    `least` and `most` are the means over the probes of the quadrature's bounds on it: what lies between them is
    what m steps cannot resolve, and `interval` holds both errors. `found` is the certain lower bound: the most nodes
    above the threshold that any probe has.
    """

    least: Tensor | float = 0.0
    most: Tensor | float = math.inf
    found: Tensor | int = 0

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """From below `least` to above `most`, by Student's t over the probes."""
        low, high = super().interval(level)
        return self.least - (self.value - low), self.most + (high - self.value)


@dataclass(frozen=True)
class Outliers:
    """Eigenvalues above the threshold `beyond`: their number as `count`, and the nodes seen there, `values` falling.

    `values` are the nodes of the probe that has most of them; there are at least so many eigenvalues above `beyond`.
    """

    beyond: float
    count: Counts
    values: Tensor


def counts(density: Density, threshold: Tensor) -> Counts:
    """The counting function at `threshold` (G,) or ()."""
    K, P = len(density.nodes), density.size
    beyond = density.nodes > threshold[..., None, None]  # (..., K, m)
    above = beyond & (density.weights > 0)
    each = (above * density.weights).sum(-1)
    shares = over_probes(each.movedim(-1, 0), cost=density.cost)
    padded = torch.nn.functional.pad(density.weights, (1, 1))  # entry i + 1 is the weight of node i
    probe, last_below = torch.arange(K), (~beyond).sum(-1) - 1
    return Counts(
        P * shares.value,
        stderr=P * shares.stderr,
        n=K,
        cost=density.cost,
        least=P * (each - padded[probe, last_below + 2]).clamp(min=0).mean(-1),
        most=P * (each + padded[probe, last_below + 1]).clamp(max=1).mean(-1),
        found=above.sum(-1).amax(-1),
    )


def edge(density: Density, spacing: float) -> float:
    """The first point above the median from which less than one eigenvalue is left within the next `spacing`.

    That it is less than one must be clear by three standard errors, whether a node's mass is taken to lie on it, as
    that of an outlier does, or to reach to its neighbours, as that of a node within the bulk.
    """
    low, high = density.range
    grid, K = np.linspace(low, high, GRID), len(density.nodes)
    here, there = (_shares_below(density, at) for at in (grid, grid + spacing))
    left = density.size * (there - here)
    at_most = left.mean(1) + (3 * left.std(1, ddof=1) / math.sqrt(K) if K > 1 else 0)
    isolated = (here[0].mean(0) >= 0.5) & (at_most < 1).all(0)
    return float(grid[isolated.argmax()]) if isolated.any() else high


def _shares_below(density: Density, grid: np.ndarray) -> np.ndarray:
    """The share of eigenvalues up to each point, of each probe, with mass between and on the nodes: (2, K, G)."""
    shares = []
    for nodes, weights in zip(density.nodes.double().numpy(), density.weights.double().numpy(), strict=True):
        theta, w = nodes[weights > 0], weights[weights > 0]
        total = np.cumsum(w)
        between = np.interp(grid, theta, total - w / 2, left=0, right=1)
        shares.append((between, np.append(0, total)[theta.searchsorted(grid, side="right")]))
    return np.stack(shares, 1)


def outliers(density: Density, beyond: float) -> Outliers:
    """The count above `beyond` and the nodes there of the probe with most."""
    above = (density.nodes > beyond) & (density.weights > 0)
    probe = int(above.sum(1).argmax())
    values = density.nodes[probe][above[probe]].flip(0)
    return Outliers(beyond, counts(density, torch.tensor(beyond, dtype=torch.float64)), values)
