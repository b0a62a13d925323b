"""What a test bets on: probabilities on one side of a threshold, with weights; a discrete prior, in probits z.

    e(h; T) = sum_j w_j (q_j / p0)^h ((1 - q_j) / (1 - p0))^(T - h),     q_j = Phi(z_j) > p0 (or all < p0),  sum w_j = 1

Nodes lie geometrically away from the threshold, from half the least distance that n tosses can tell to as far as they
can tell anything, so that some node is within a factor `RATIO` of any distance. Half of the base weight is uniform in
z (the radius of a certificate is sigma z), half uniform in log |z - z0|: whatever the distance, it is not far from a
bet. Selection tosses turn base weights into posterior ones, of which a quarter stays base, so that unlucky selection
tosses cost at most log 4 and not everything.

Any weights give a valid test; these matter for speed alone. A discrete prior also spares the incomplete beta functions
of a continuous one, whose tails underflow: a mixture of finitely many powers is a sum of exponentials, exact in
logarithms at any T.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import log_ndtr, ndtri

from lemmata.bernoulli.procedure import FloatArray, IntArray

RATIO = 1.25  # between the distances of neighbouring nodes
INFORMED = 0.75  # share of the weight that follows the selection tosses


@dataclass(frozen=True)
class Alternatives:
    """Log likelihood ratios of J alternatives against `p0`, by hit and by miss, (J,) each, and log weights (J,)."""

    hit: FloatArray
    miss: FloatArray
    log_weight: FloatArray

    def log_evidence(self, hits: IntArray, samples: IntArray) -> FloatArray:
        """Give log e after `samples` tosses with `hits` hits; the two broadcast. Costs J exponentials each.

        Monotone in `hits`: increasing for alternatives above the threshold, decreasing below.
        """
        h = np.asarray(hits, dtype=np.float64)[..., None]
        misses = np.asarray(samples, dtype=np.float64)[..., None] - h
        return _log_sum_exp(self.log_weight + h * self.hit + misses * self.miss)


def alternatives(
    p0: float, *, n: int, alpha: float, side: Literal["above", "below"], selected: int = 0, n0: int = 0
) -> Alternatives:
    """What to bet on against p <= p0 (`side` above) or against p >= p0 (below), given `selected` hits of n0 tosses.

    >>> bets = alternatives(0.5, n=1000, alpha=0.001, side="above")
    >>> print(f"{bets.log_evidence(20, 20):.2f}, the best bet would give {20 * np.log(2):.2f}")
    12.88, the best bet would give 13.86
    """
    sign = 1.0 if side == "above" else -1.0
    z0 = float(ndtri(p0))
    furthest = float(ndtri(1 - 0.1 / n)) - sign * z0
    distance = _distances(z0, p0, n, alpha, furthest)
    z = z0 + sign * distance
    log_q, log_rest = log_ndtr(z), log_ndtr(-z)
    base = np.log(0.5 * np.gradient(distance) / np.gradient(distance).sum() + 0.5 / len(distance))
    weight = base
    if n0:
        posterior = base + selected * log_q + (n0 - selected) * log_rest
        weight = np.logaddexp(math.log(INFORMED) + posterior - _log_sum_exp(posterior), math.log(1 - INFORMED) + base)
    return Alternatives(log_q - math.log(p0), log_rest - math.log1p(-p0), weight)


def _log_sum_exp(terms: FloatArray) -> FloatArray:
    top = terms.max(axis=-1, keepdims=True)  # finite: every node is inside (0, 1)
    return top[..., 0] + np.log(np.exp(terms - top).sum(axis=-1))


def _distances(z0: float, p0: float, n: int, alpha: float, furthest: float) -> FloatArray:
    density = math.exp(-z0 * z0 / 2) / math.sqrt(2 * math.pi)
    told = math.sqrt(2 * math.log(1 / alpha) * p0 * (1 - p0) / n) / density
    last = max(furthest, 4 * told, 1.0)
    count = max(2, math.ceil(math.log(last / (told / 2)) / math.log(RATIO)) + 1)
    return np.geomspace(told / 2, last, count)
