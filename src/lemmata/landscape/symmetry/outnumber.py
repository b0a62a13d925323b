"""When do global minima outnumber the saddles that symmetry makes?

A task that r* neurons just solve has T(r*, m) affine subspaces of global minima in a network of m = r* + h. A critical
point of r < r* neurons, if there is one, becomes G(r, m) affine subspaces of critical points. With c_r such points
(modulo permutation; one for each r if nothing else is known)

    sum_{r < r*} c_r G(r, m) / T(r*, m)

falls in m: Stirling numbers are totally positive, so S(m, r) / S(m, k) falls in m for r < k, and both sums are sums of
Stirling numbers with positive weights, those below r* on top and those from r* on below. So there is one width from
which the minima are more, and bisection finds it.

Source: Simsek et al. (2021), arXiv 2105.12221. What the counts leave out: how large the basins are, and how many
irreducible critical points there are. Cost of a ratio: that of T.
"""

from collections.abc import Sequence
from fractions import Fraction

from lemmata.errors import InvalidInput
from lemmata.given import require_whole
from lemmata.landscape.symmetry.counts import T, power_sum, shifted


def saddle_ratio(
    r_star: int, m: int, *, r: int | None = None, critical_points: Sequence[int] | None = None
) -> Fraction:
    """Symmetry-induced critical subspaces over subspaces of global minima, at m >= r_star neurons: an exact fraction.

    With `r`, those of one critical point of r neurons, G(r, m) / T(r_star, m); else of all r from 1 to r_star - 1,
    `critical_points` (r_star - 1,) of each (one, by default).

    >>> [round(float(saddle_ratio(10, 10 + h, r=9)), 3) for h in (0, 1, 2, 5, 10)]
    [4.5, 1.75, 0.892, 0.18, 0.015]
    """
    weights = _weights(r_star, critical_points)
    if r is not None:
        if critical_points is not None or not 0 < require_whole(r, "r") < r_star:
            raise InvalidInput(f"r = {r} of r_star = {r_star}; give one r below r_star, or critical_points of all")
        weights = [int(own == r) for own in range(len(weights))]
    if require_whole(m, "m") < r_star:
        raise InvalidInput(f"m = {m}: fewer than r_star = {r_star} neurons have no global minimum of zero loss")
    return Fraction(power_sum(shifted(weights), m), T(r_star, m))


def neurons_to_win(r_star: int, *, critical_points: Sequence[int] | None = None) -> int:
    """The fewest extra neurons h with T(r_star, r_star + h) > sum over r < r_star of critical_points[r - 1] G(r, ...).

    One critical point for each r by default. Cost: some 2 log2(h) evaluations of T.

    >>> [neurons_to_win(r) for r in (5, 8, 10, 20, 30)]
    [1, 3, 3, 8, 12]
    """
    saddles = shifted(_weights(r_star, critical_points))

    def wins(h: int) -> bool:
        return T(r_star, r_star + h) > power_sum(saddles, r_star + h)

    if wins(0):
        return 0
    high = 1
    while not wins(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wins(middle) else (middle, high)
    return high


def _weights(r_star: int, critical_points: Sequence[int] | None) -> list[int]:
    """How many critical points of r neurons there are, for r = 0..r_star - 1."""
    require_whole(r_star, "r_star")
    given = [1] * (r_star - 1) if critical_points is None else list(critical_points)
    if len(given) != r_star - 1:
        raise InvalidInput(
            f"{len(given)} critical_points; give a number for each r from 1 to r_star - 1 = {r_star - 1}"
        )
    return [0, *(require_whole(count, "critical_points", least=0) for count in given)]
