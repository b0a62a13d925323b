"""A bound that holds: tau and multipliers in exact arithmetic, whatever the solver's rounding was.

The free multipliers are taken at the exact values of their floats, those of * from the flow equations, and tau as it
is; then (2) of `program` leaves two things to decide, both without rounding: that no multiplier is negative, and that
S >= 0. S is built here anew, in the true gradients and without the shift by mu/2 |x|^2, from

    A_ij = sym(g_j (x_i - x_j)^T) + (c/2) [ |g_i - g_j|^2 + k |x_i - x_j|^2 - 2k <g_i - g_j, x_i - x_j> ],   k = mu/L,

the squares standing for their matrices, so that nothing of the numerical program is trusted. Where the point fails, it
is mixed with a `deep` one inside the cone, a little more each time: the bound grows by that share of their difference.

Cost: three products of rational matrices (n, n) and a proof of definiteness, about 0.1 s for N = 63 and 0.6 s for 127.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lemmata.descent.method import Given, Measure
from lemmata.linalg.definite import is_positive_definite

if TYPE_CHECKING:
    from flint import fmpq, fmpq_mat

MIXTURES = (0.0, *(2.0**-k for k in range(48, -1, -4)))


@dataclass(frozen=True, eq=False)
class Statement:
    """What is to be bounded: the method's matrix H (N, N), mu/L as a fraction, what is asked for and what is given."""

    H: np.ndarray
    kappa: Fraction
    measure: Measure
    given: Given

    @property
    def anchored(self) -> bool:
        """Whether x_0 - x* is a coordinate: not where f_0 - f* is given and mu = 0."""
        return self.given == "distance" or self.kappa > 0


def rigorous_bound(
    statement: Statement,
    found: tuple[float, np.ndarray],
    deep: tuple[float, np.ndarray] | None = None,
) -> tuple[Fraction, np.ndarray] | None:
    """A proven tau and its multipliers (N + 2, N + 2), rounded to floats, near (tau, multipliers) `found`.

    None where no mixture of `found` and `deep` proves anything.

    >>> one = Statement(np.array([[1.0]]), Fraction(0), "gap", "distance")     # f_1 - f* <= L D^2 / 6
    >>> proof = np.array([[0, 0.5, 0.5], [0, 0, 0.5], [0, 0, 0]])
    >>> float(rigorous_bound(one, (0.1667, proof))[0]), rigorous_bound(one, (0.1666, proof))
    (0.1667, None)
    """
    tau, multipliers = found
    for share in MIXTURES if deep is not None else (0.0,):
        mixed_tau, mixed = tau, multipliers
        if share and deep is not None:
            mixed_tau, mixed = tau + share * (deep[0] - tau), multipliers + share * (deep[1] - multipliers)
        exact = Fraction(float(mixed_tau))
        if proves(statement, exact, mixed):
            return exact, mixed
    return None


def proves(statement: Statement, tau: Fraction, multipliers: np.ndarray) -> bool:
    """Whether tau and the multipliers that are not of *, at their exact values, prove the bound tau, rigorously."""
    free = np.maximum(multipliers, 0.0)
    free[0] = 0.0
    if not statement.anchored:
        free[:, 0] = 0.0
    lam = _completed(statement, tau, _exactly(free))
    return lam is not None and is_positive_definite(certificate(statement, tau, lam))


def _completed(statement: Statement, tau: Fraction, lam: fmpq_mat) -> fmpq_mat | None:
    """The multipliers with those of * by the flow equations; None where one would be negative."""
    nodes = lam.nrows()
    into, out = _sums(lam)
    for node in range(1, nodes):
        wanted = _rational(Fraction(int(statement.measure == "gap" and node == nodes - 1)))
        if statement.given == "gap" and node == 1:
            wanted -= _rational(tau)
        rest = wanted - into[node] + out[node]
        if (rest if statement.anchored else -rest) < 0:
            return None
        if statement.anchored:
            lam[0, node] = rest
        else:
            lam[node, 0] = -rest
    return lam


def certificate(statement: Statement, tau: Fraction, lam: fmpq_mat) -> fmpq_mat:
    """S (n, n), exactly."""
    import flint

    nodes, kappa = lam.nrows(), _rational(statement.kappa)
    x, g = _nodes(statement)
    into, out = _sums(lam)
    flow, spread = lam.transpose(), flint.fmpq_mat(nodes, nodes)
    for node in range(nodes):
        flow[node, node] -= into[node]
        spread[node, node] = into[node] + out[node]
    spread = spread - lam - lam.transpose()
    half = flint.fmpq(1, 2)
    cross = g * (flow - spread * (kappa / (1 - kappa))) * x.transpose()
    S = (cross + cross.transpose()) * half + g * spread * g.transpose() * (half / (1 - kappa))
    if kappa > 0:
        S = S + x * spread * x.transpose() * (half * kappa / (1 - kappa))
    if statement.given == "distance":
        S[0, 0] += _rational(tau)
    if statement.measure == "gradient":
        S[S.nrows() - 1, S.nrows() - 1] -= 1
    return S


def _nodes(statement: Statement) -> tuple[fmpq_mat, fmpq_mat]:
    """Points and gradients of the nodes in x_0 - x* and the true gradients: (n, N + 2) each."""
    steps = len(statement.H)
    x = np.zeros((steps + 2, steps + 2))
    x[0, 1:] = 1
    x[1 : 1 + steps, 2:] = -statement.H.T
    g = np.eye(steps + 2)
    g[0, 0] = 0
    keep = slice(0 if statement.anchored else 1, None)
    return _exactly(x[keep]), _exactly(g[keep])


def _exactly(matrix: np.ndarray) -> fmpq_mat:
    """The floats of a matrix, most of them zero, at their exact values."""
    import flint

    out = flint.fmpq_mat(*matrix.shape)
    for i, j in np.argwhere(matrix).tolist():
        out[i, j] = flint.fmpq(*float(matrix[i, j]).as_integer_ratio())
    return out


def _sums(lam: fmpq_mat) -> tuple[list[fmpq], list[fmpq]]:
    """What flows into each node and out of it."""
    import flint

    ones = flint.fmpq_mat(lam.nrows(), 1, [1] * lam.nrows())
    into, out = lam.transpose() * ones, lam * ones
    return [into[node, 0] for node in range(lam.nrows())], [out[node, 0] for node in range(lam.nrows())]


def _rational(value: Fraction) -> fmpq:
    import flint

    return flint.fmpq(value.numerator, value.denominator)
