"""How many affine subspaces an irreducible point of a small network becomes in a wider one: exact integers.

A point of a network of r hidden neurons is irreducible if all incoming vectors differ and none of the neurons has zero
output. In a network of m >= r neurons there are

    G(r, m) = sum_i (-1)^(r-i) C(r, i) i^m                  ways to make all m copies of the r, each at least once,
    T(r, m) = sum_u C(m, u) G(r, m - u) Bell(u)             if u further ones may cancel, in groups of equal neurons.

G counts the affine subspaces of critical points that a critical point of the small network induces (the copies of a
neuron share its output weight, in any shares that sum to one), T those of the expansion manifold, on which the function
is the same. The exponential generating functions are (e^x - 1)^r and (e^x - 1)^r exp(e^x - 1), so T(r, m) is also the
r-th derivative at 1 of the Touchard polynomial sum_k S(m, k) x^k (`docs/derivations/symmetry-counts.md`).

Source: Simsek, Ged, Jacot, Spadaro, Hongler, Gerstner and Brea (2021), arXiv 2105.12221. Cost: m powers n^m and 2 m
products with small integers, so O(m) operations on integers of O(m log m) bits. Fails nowhere but in patience.
"""

from collections.abc import Sequence
from math import comb, factorial, prod

from lemmata.errors import InvalidInput
from lemmata.given import require_whole


def G(r: int, m: int) -> int:  # noqa: N802  (the paper's symbol)
    """The number of maps of m neurons onto r: affine subspaces of critical points that one of r neurons induces.

    0 for m < r, r! for m = r. Exact. r powers i^m.

    >>> G(2, 3), G(3, 3), G(9, 10)
    (6, 6, 16329600)
    """
    r, m = require_whole(r, "r", least=0), require_whole(m, "m", least=0)
    if m <= r:
        return factorial(r) if m == r else 0
    return power_sum(_signed_binomials(r), m)


def T(r: int, m: int) -> int:  # noqa: N802  (the paper's symbol)
    """The number of affine subspaces of the expansion manifold of an irreducible point of r neurons among m.

    0 for m < r, r! for m = r; T(0, m) is Bell's number. Exact. m powers n^m.

    >>> T(1, 2), T(2, 3), T(2, 4), T(3, 5)
    (3, 12, 62, 450)
    """
    r, m = require_whole(r, "r", least=0), require_whole(m, "m", least=0)
    if m <= r:
        return factorial(r) if m == r else 0
    return power_sum(_touchard_coefficients(r, m), m) // factorial(m - r)


def expansion_count(small: Sequence[int], wide: Sequence[int]) -> int:
    """The same as T for a network of several hidden layers: the product over its layers.

    `small` are the widths of the irreducible network, `wide` those of the one that holds it, layer by layer.

    >>> expansion_count([2, 3], [3, 5]) == T(2, 3) * T(3, 5)
    True
    """
    if len(small) != len(wide):
        raise InvalidInput(f"widths {list(small)} and {list(wide)}; give one of each for every hidden layer")
    return prod(T(r, m) for r, m in zip(small, wide, strict=True))


def power_sum(coefficients: Sequence[int], m: int) -> int:
    """sum_n coefficients[n] n^m, which is m! times the coefficient of x^m in sum_n coefficients[n] e^(n x).

    >>> power_sum([5, 1, 2], 3)
    17
    """
    return sum(c * n**m for n, c in enumerate(coefficients) if c)


def shifted(coefficients: Sequence[int]) -> list[int]:
    """The coefficients in z of the polynomial sum_r coefficients[r] (z - 1)^r. O(R^2) additions.

    >>> shifted([0, 0, 1])
    [1, -2, 1]
    """
    held = list(coefficients)
    for start in range(len(held) - 1):
        for n in range(len(held) - 2, start - 1, -1):
            held[n] -= held[n + 1]
    return held


def _signed_binomials(r: int) -> list[int]:
    """The coefficients of (z - 1)^r."""
    return [(-1) ** (r - i) * comb(r, i) for i in range(r + 1)]


def _touchard_coefficients(r: int, m: int) -> list[int]:
    """(m - r)! times the coefficients in z of y^r (1 + y + ... + y^(m-r) / (m-r)!), y = z - 1: integers, for n = 0..m.

    That polynomial P solves y P' = (r + y) P - y^(m+1) / (m-r)!, which is a recurrence of three terms downwards from
    the leading coefficient. The powers of y left out do not reach x^m at y = e^x - 1.
    """
    found = [0] * (m + 2)
    found[m], binomial = 1, 1  # C(m + 1, m + 1)
    for n in range(m, 0, -1):
        binomial = binomial * (n + 1) // (m + 1 - n)
        found[n - 1] = (n - r + 1) * found[n] - (n + 1) * found[n + 1] + (-1) ** (m + 1 - n) * binomial
    return found[: m + 1]
