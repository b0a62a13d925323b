"""Where regularised linear autoencoders end, and how curved the loss is there: closed forms for `bao_2020`.

Non-uniform L2 with penalties lambda_1 < ... < lambda_k on data with second moment diag(e), e_1 >= ... >= e_m. A unit on
axis a with w = (W_1)_ia = (W_2)_ai costs e_a (1 - w^2)^2 + 2 lambda_i w^2, least at w^2 = 1 - lambda_i / e_a, or at
w = 0 if lambda_i >= e_a: it saves (e_a - lambda_i)_+^2 / e_a. These savings are submodular in e and lambda, so that
unit i goes to axis i. The units with lambda_i >= e_i are *dead*, the decoder has the rank of the others, and the
subspace distance is the share of dead ones.

Hessian there, in perturbations X of W_2 (axis, unit) and Y of W_1 (unit, axis), with rho_a = e_a (1 - w_a^2) and
w_a = 0 for a > k:

    H / 2 = sum_ab e_b (X_ab w_b + w_a Y_ab)^2 - 2 sum_ai rho_a X_ai Y_ia + sum_ai lambda_i (X_ai^2 + Y_ia^2)

couples X_aa, Y_aa; the four X_ab, Y_ab, X_ba, Y_ba for a < b <= k; and X_ai, Y_ia for a > k. So the whole spectrum
costs O(m k) eigenvalue problems of size 2 and 4, at any size.

A rotation of units a < b by a small angle is a direction with Rayleigh quotient

    2 (lambda_b - lambda_a) (w_a^2 - w_b^2) / (w_a^2 + w_b^2),        w_a^2 - w_b^2 = lambda_b / e_b - lambda_a / e_a,

which bounds the smallest eigenvalue: for k units in a given range of lambda neighbours are 1 / k apart, twice. It is no
more than a bound: the flattest direction is a rotation but for a few hundredths of its square and less, and that little
takes a factor of 15 and more off the eigenvalue, all others being so much larger. The rotation-augmented gradient turns
neighbours back at rate (e_a - e_b) / 2, whatever k is.
"""

from typing import NamedTuple

import numpy as np


class Optimum(NamedTuple):
    """The optimum of non-uniform L2: w (k,), and which units are dead (k,)."""

    w: np.ndarray
    dead: np.ndarray

    @property
    def subspace(self) -> float:
        """The subspace distance: the share of dead units."""
        return float(self.dead.mean())


def optimum(e: np.ndarray, penalty: np.ndarray) -> Optimum:
    """For eigenvalues e (m,) falling and penalties (k,) rising.

    >>> optimum(np.array([4.0, 1.0]), np.array([1.0, 2.0])).dead.tolist()
    [False, True]
    """
    share = 1 - penalty / e[: len(penalty)]
    return Optimum(np.sqrt(np.maximum(share, 0.0)), share <= 0)


def loss(W: np.ndarray, D: np.ndarray, e: np.ndarray, penalty: np.ndarray) -> float:
    """The loss at an encoder W (k, m) and a transposed decoder D (k, m).

    >>> loss(np.zeros((1, 2)), np.zeros((1, 2)), np.array([2.0, 1.0]), np.ones(1))
    3.0
    """
    left = np.eye(len(e)) - D.T @ W
    return float((left**2 * e).sum() + (penalty[:, None] * (W**2 + D**2)).sum())


def hessian_eigenvalues(e: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """All 2 m k eigenvalues of the Hessian at the optimum, rising.

    >>> hessian_eigenvalues(np.array([2.0]), np.array([0.5])).round(12).tolist()
    [2.0, 6.0]
    """
    m, k = len(e), len(penalty)
    w = np.concatenate([optimum(e, penalty).w, np.zeros(m - k)])
    rho = e * (1 - w**2)
    own = _two(e[:k] * w[:k] ** 2 + penalty, e[:k] * w[:k] ** 2 - rho[:k], e[:k] * w[:k] ** 2 + penalty)
    a, i = (grid.ravel() for grid in np.meshgrid(np.arange(k, m), np.arange(k), indexing="ij"))
    outer = _two(e[i] * w[i] ** 2 + penalty[i], -rho[a], e[a] * w[i] ** 2 + penalty[i])
    pairs = np.linalg.eigvalsh(_pairs(e, w, penalty)).ravel()
    return np.sort(np.concatenate([2 * own, 2 * outer, 2 * pairs]))


def share_of_rotation(e: np.ndarray, penalty: np.ndarray) -> float:
    """cos^2 of the eigenvector of the least eigenvalue with a rotation of two units; 0 if it moves no two units.

    >>> round(share_of_rotation(np.array([2.0, 1.0, 0.5]), np.array([0.2, 0.4])), 2)
    0.99
    >>> share_of_rotation(np.array([2.0, 1.0, 1.0 - 1e-9]), np.array([0.2, 0.4]))
    0.0
    """
    w = optimum(e, penalty).w
    values, vectors = np.linalg.eigh(2 * _pairs(e, w, penalty))
    flattest = int(values[:, 0].argmin())
    if values[flattest, 0] > hessian_eigenvalues(e, penalty)[0] + 1e-12:
        return 0.0
    a, b = (int(index[flattest]) for index in np.triu_indices(len(penalty), 1))
    rotation = np.array([w[a], -w[b], -w[b], w[a]])  # X_ab, Y_ab, X_ba, Y_ba
    return float((vectors[flattest, :, 0] @ rotation) ** 2 / (rotation @ rotation))


def _pairs(e: np.ndarray, w: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Half the Hessian in X_ab, Y_ab, X_ba, Y_ba for each pair of units a < b, (k (k - 1) / 2, 4, 4)."""
    a, b = np.triu_indices(len(penalty), 1)
    four = np.zeros((len(a), 4, 4))
    for at, (p, q) in ((0, (a, b)), (2, (b, a))):
        four[:, at, at] = e[q] * w[q] ** 2 + penalty[q]
        four[:, at + 1, at + 1] = e[q] * w[p] ** 2 + penalty[p]
        four[:, at, at + 1] = four[:, at + 1, at] = e[q] * w[q] * w[p]
        four[:, at, 3 - at] = four[:, 3 - at, at] = -e[p] * (1 - w[p] ** 2)
    return four


def _two(x: np.ndarray, c: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Eigenvalues of the matrices [[x, c], [c, y]]."""
    middle, half = (x + y) / 2, np.hypot((x - y) / 2, c)
    return np.concatenate([middle - half, middle + half])
