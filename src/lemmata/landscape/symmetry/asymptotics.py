"""What the counts of critical subspaces tend to, in two regimes of overparameterisation.

Mild: a fixed number h of extra neurons, r* large. Then

    G(r* - k, r* + h) / T(r*, r* + h)  ~  (r* / 2)^k  h! / (h + k)!,

so that the saddles of k neurons fewer are more numerous by any factor. Proportional: h = c r*. Then neighbouring G have
the ratio rho = G(r + 1, m) / G(r, m) near r = r*, the saddles sum to 1 / (rho - 1) and the minima to e^rho in units of
G(r*, m), and the minima are more from (rho - 1) e^rho = 1 on:

    neurons_to_win(r*) / r*  ->  (1 + rho) log(1 + rho) / rho - 1 = 0.4676...,     rho = 1 + W(1 / e).

The paper (Simsek et al. 2021, arXiv 2105.12221) has the regimes; the constants are derived in
`docs/derivations/symmetry-counts.md`. Corrections are of relative order (h + k)^2 / r* in the first, and 1 / r* in the
second.
"""

from math import exp, factorial, log, log1p

from lemmata.errors import InvalidInput
from lemmata.given import require_whole


def mild_ratio(r_star: int, h: int, k: int = 1) -> float:
    """G(r_star - k, r_star + h) / T(r_star, r_star + h) for r_star much larger than (h + k)^2, to leading order.

    >>> mild_ratio(1000, h=1), mild_ratio(1000, h=1, k=2)
    (250.0, 41666.666666666664)
    """
    r_star, h, k = require_whole(r_star, "r_star"), require_whole(h, "h", least=0), require_whole(k, "k", least=0)
    if k >= r_star:
        raise InvalidInput(f"k = {k} of r_star = {r_star} neurons; leave at least one")
    return (r_star / 2) ** k * factorial(h) / factorial(h + k)


def limiting_share() -> float:
    """The limit of neurons_to_win(r_star) / r_star as r_star grows, with one critical point at each r.

    >>> round(limiting_share(), 4)
    0.4676
    """
    rho = 1 + _lambert(exp(-1))
    return (1 + rho) * log1p(rho) / rho - 1


def _lambert(x: float) -> float:
    """The solution w > 0 of w e^w = x for x > 0, by Newton's method in log w + w = log x."""
    w = x / (1 + x)
    for _ in range(50):
        w -= (log(w) + w - log(x)) / (1 / w + 1)
    return w
