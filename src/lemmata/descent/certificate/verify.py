"""Verify a certificate without rounding: equalities and signs in fractions, definiteness as `linalg.definite` does.

The inequalities of convex smooth functions, each times its multiplier lam + delta gam >= 0, sum to something <= 0, for
each delta in [0, Delta]. That proves f_t - f* <= delta - t c delta^2 (L = D = 1) if, with S = sum h,

    (a) the flows of lam are those of f_t - f_0, and lam has no row of x*;
    (b) the flows of gam are those of 2 S f_0;
    (c) lam >= 0 and lam + Delta gam >= 0; both are affine in delta, so the two ends are enough;
    (d) [[s, m^T], [m, M]] >= 0 with s = 2 S - t c, where m = Z(gam)[0, 1:] = -gam[x*, 1:] / 2 and M = Z[1:, 1:]
        of either end.

For then (a) and (b) leave f_t - f_0 + 2 S delta f_0 + <G, Z(lam + delta gam)> <= 0, with f_0 = delta, and (d), its
first row and column times delta, says that -<G, Z> <= s delta^2 |x_0 - x*|^2. The smallest s of (d) is the larger of
the m^T M^+ m, which gives the rate c that is proven, and eps = (average of h) - c. No c exceeds the average: a Huber
function of small threshold has a gradient so small that t steps gain S times its square, and no more.

Diagonals must be zero: they mean nothing. Also 2 S Delta <= 1 is asked, so that the bound grows with delta and holds
for every f_0 - f* <= delta. Cost: two products, two definiteness proofs and two solves of order t + 2 with rational
numbers: t = 31 takes 0.02 s, t = 127 takes 0.7 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from lemmata.descent.certificate.certificate import Certificate
from lemmata.descent.certificate.conditions import flows, quadratic_form
from lemmata.errors import InvalidInput
from lemmata.linalg.definite import is_positive_definite, is_positive_semidefinite, rational_matrix

if TYPE_CHECKING:
    from flint import fmpq, fmpq_mat


@dataclass(frozen=True)
class Verification:
    """What `verify` found. `failures` names each condition that fails, with a value; it `holds` if there is none.

    `rate` is the largest coefficient c that the multipliers prove, exactly, and `eps` what it lacks to the average
    step; both None if nothing is proven.
    """

    steps: tuple[Fraction, ...]
    Delta: Fraction
    rate: Fraction | None
    eps: Fraction | None
    failures: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every condition does."""
        return not self.failures

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        if not self.holds or self.rate is None or self.eps is None:
            return f"rejected, {len(self.steps)} steps: {'; '.join(self.failures)}"
        return (
            f"verified, {len(self.steps)} steps: f_T - f* <= L D^2 / ({float(self.rate):.15g} T) + O(1/T^2), "
            f"the average step less {float(self.eps):.3g}"
        )


def verify(certificate: Certificate) -> Verification:
    """Check conditions (a) to (d) in exact arithmetic, and that the claimed rate, if there is one, is proven.

    The conditions are looked at in three turns (equalities; signs; definiteness and rate), all of each, and the first
    turn with a failure ends it. Nothing is random. What is wrong is in `failures`; raised is `InvalidInput`
    for what is no certificate.

    >>> from lemmata.descent.certificate import published
    >>> result = verify(published(3))
    >>> result.holds, result.rate, result.eps
    (True, Fraction(79, 30), Fraction(0, 1))
    """
    if not isinstance(certificate, Certificate):
        raise InvalidInput(f"{certificate!r:.80} is no Certificate; make one by certify(steps), or load one")
    failures = _equalities(certificate) or _signs(certificate)
    if failures:
        return Verification(certificate.steps, certificate.Delta, None, None, failures)
    corners = _corners(certificate)
    failures = tuple(f"(d) the block matrix of {end} is not positive semidefinite for any corner s"
                     for end, corner in corners.items() if corner is None)  # fmt: skip
    if failures:
        return Verification(certificate.steps, certificate.Delta, None, None, failures)
    average = certificate.average
    rate = 2 * average - max(corner for corner in corners.values() if corner is not None) / certificate.t
    if rate <= 0:
        failures = (f"(d) the rate that is proven, {float(rate):.6g}, is not positive",)
    elif certificate.rate is not None and rate < certificate.rate:
        failures = (f"the rate {float(certificate.rate)!r} is claimed, {float(rate)!r} is what is proven",)
    return Verification(certificate.steps, certificate.Delta, rate, average - rate, failures)


def _equalities(certificate: Certificate) -> tuple[str, ...]:
    """What is wrong with (a), (b) and the zeros; the largest deviation of each."""
    t, lam, gam = certificate.t, certificate.lam, certificate.gam
    total = 2 * sum(certificate.steps, Fraction(0))
    wanted_lam = [Fraction((k == t) - (k == 0)) for k in range(t + 1)]
    wanted_gam = [total * (k == 0) for k in range(t + 1)]
    found = []
    if any(lam[0]):
        found.append(f"(a) lam multiplies an inequality of x*: row 0 has {float(max(lam[0], key=abs)):.3g}")
    for name, matrix, wanted in (
        ("(a) the flow of lam", certificate.lam_matrix, wanted_lam),
        ("(b) the flow of gam", certificate.gam_matrix, wanted_gam),
    ):
        off = [a - b for a, b in zip(flows(matrix), wanted, strict=True)]
        worst = max(range(t + 1), key=lambda k: abs(off[k]))
        if off[worst]:
            found.append(f"{name} at x_{worst} is off by {float(off[worst]):.3g}")
    found += [f"{name} is not zero on its diagonal, at {i}" for name, rows in (("lam", lam), ("gam", gam))
              for i, row in enumerate(rows) if row[i]]  # fmt: skip
    return tuple(found)


def _signs(certificate: Certificate) -> tuple[str, ...]:
    """What is wrong with Delta and (c)."""
    Delta, total = certificate.Delta, sum(certificate.steps, Fraction(0))
    found = []
    if not 0 < 2 * total * Delta <= 1:
        found.append(f"Delta = {float(Delta):.6g} lies outside (0, 1 / (2 sum h)] for a sum of {float(total):.6g}")
    for name, matrix in (("lam", certificate.lam_matrix), ("lam + Delta gam", _raised(certificate))):
        entries = matrix.entries()
        place = min(range(len(entries)), key=entries.__getitem__)
        if entries[place] < 0:
            i, j = divmod(place, matrix.ncols())
            found.append(f"(c) {name} is negative at ({i}, {j}): {float(_fraction(entries[place])):.3g}")
    return tuple(found)


def _corners(certificate: Certificate) -> dict[str, Fraction | None]:
    """The smallest s of (d) at either end of [0, Delta]; None where there is none."""
    m = [-entry / 2 for entry in certificate.gam_matrix.tolist()[0][1:]]  # only x* - x_j has a part along x_0 - x*
    ends = {"lam": certificate.lam_matrix, "lam + Delta gam": _raised(certificate)}
    return {
        name: smallest_corner(_block(quadratic_form(certificate.steps, multipliers)), m)
        for name, multipliers in ends.items()
    }


def _raised(certificate: Certificate) -> fmpq_mat:
    """Lam + Delta gam."""
    return certificate.lam_matrix + rational_matrix([[certificate.Delta]])[0, 0] * certificate.gam_matrix


def _block(Z: fmpq_mat) -> fmpq_mat:
    """M, without the row and column of x_0 - x*."""
    import flint

    n = Z.nrows()
    return flint.fmpq_mat(n - 1, n - 1, [Z[i, j] for i in range(1, n) for j in range(1, n)])


def smallest_corner(M: fmpq_mat, m: list[fmpq]) -> Fraction | None:
    """Give the smallest s with [[s, m^T], [m, M]] >= 0: m^T M^+ m if M >= 0 and m lies in its range, else None.

    >>> smallest_corner(rational_matrix([[2, 0], [0, 0]]), [1, 0]), smallest_corner(rational_matrix([[0]]), [1])
    (Fraction(1, 2), None)
    """
    import flint

    n = len(m)
    if is_positive_definite(M):
        solution = M.solve(flint.fmpq_mat(n, 1, m)).entries()
    elif is_positive_semidefinite(M):
        maybe = _solve_singular(M, m)
        if maybe is None:
            return None
        solution = maybe
    else:
        return None
    return _fraction(sum((a * b for a, b in zip(m, solution, strict=True)), flint.fmpq(0)))


def _solve_singular(M: fmpq_mat, m: list[fmpq]) -> list[fmpq] | None:
    """One solution y of M y = m by elimination, its free unknowns 0; None if there is none."""
    import flint

    n = len(m)
    reduced, rank = flint.fmpq_mat(
        n, n + 1, [x for row, b in zip(M.tolist(), m, strict=True) for x in [*row, b]]
    ).rref()
    y = [flint.fmpq(0)] * n
    for i in range(rank):
        pivot = next(j for j in range(n + 1) if reduced[i, j] != 0)
        if pivot == n:
            return None
        y[pivot] = reduced[i, n]
    return y


def _fraction(number: fmpq) -> Fraction:
    return Fraction(int(number.p), int(number.q))
