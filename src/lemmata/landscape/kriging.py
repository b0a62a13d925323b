r"""Interpolation with an error estimate: universal kriging, a Gaussian process with a quadratic trend.

    z(x) = b^T f(x) + s e(x),   f = (1, x_1, .., x_k, x_1^2, x_1 x_2, ..),   cov(e(x), e(x')) = m(r)
    m(r) = (1 + sqrt5 r + 5 r^2 / 3) exp(-sqrt5 r),   r^2 = sum_i (x_i - x'_i)^2 / l_i^2     (Matern, nu = 5/2)

The lengths l_i and the relative noise maximise the restricted likelihood, in which b and s are integrated and profiled
out (Santner, Williams and Notz, 2018, chapter 3). A process of this smoothness has sample paths with two derivatives:
rougher than the loss of a smooth network, about as rough as that of a network of rectifiers on a few hundred samples.

What the model says of its own error is put to the test by leaving out each point in turn, which costs nothing more
(Dubrule, 1983): where the residuals are larger than predicted, so is the stated error made.

Cost: n^3 / 3 flops for each of some 20 likelihoods; the lengths are found from 120 points at most. A quadratic is
reproduced to rounding. Fails where the function has steps or the points are too few to tell its scale.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

AT_MOST = 120
LENGTHS = (0.05, 4.0)  # beyond twice the width of the domain the likelihood no longer tells lengths apart
NOISE = (1e-9, 1e-2)  # relative to s^2; the least keeps K well enough conditioned
EXACT = 1e-12


@dataclass(frozen=True, eq=False)
class Kriging:
    """The fit to values at points X (n, k): `residual` (n,) leaving each out, and what the model expects, `spread`."""

    X: np.ndarray
    parameters: np.ndarray
    factor: np.ndarray
    basis: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray
    slope: np.ndarray
    variance: float
    residual: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, z: np.ndarray, start: np.ndarray | None = None) -> "Kriging":
        """Fit n values z (n,) at X (n, k), in about [-1, 1]^k; `start` are parameters of an earlier fit."""
        F = trend(X)
        n, q = F.shape
        rest = z - F @ np.linalg.lstsq(F, z, rcond=None)[0]
        if np.abs(rest).max() <= EXACT * np.abs(z).max():  # the trend is all there is: what is left is white noise
            parameters = np.log(np.r_[np.full(X.shape[1], 1e-6), NOISE[0]])
        else:
            parameters = _likeliest(X, z, start)
        L = np.linalg.cholesky(_covariance(X, parameters))
        basis, triangle = np.linalg.qr(_solve(L, F))  # L^-1 F = Q R
        white = _solve(L, z)
        slope = solve_triangular(triangle, basis.T @ white)
        white = white - basis @ (basis.T @ white)
        weights = _solve(L, white, transposed=True)
        variance = float(white @ white) / (n - q)
        inverse = _solve(L, np.eye(n))
        diagonal = np.square(inverse).sum(0) - np.square(basis.T @ inverse).sum(0)  # of P, see `_unlikelihood`
        spread = np.sqrt(variance / diagonal)
        return cls(X, parameters, L, basis, triangle, weights, slope, variance, weights / diagonal, spread)

    def predict(self, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mean and standard deviation at points A (m, k): (m,) each."""
        k = _correlation(_gaps(A, self.X), self.parameters)
        mean = k @ self.weights + trend(A) @ self.slope
        known, free = self._white(A, k)
        relative = 1 - np.square(known).sum(0) + np.square(free).sum(0)
        return mean, np.sqrt(self.variance * np.maximum(relative, np.exp(self.parameters[-1])))

    def posterior(self, A: np.ndarray) -> np.ndarray:
        """The covariance (m, m) of the values at points A (m, k)."""
        known, free = self._white(A, _correlation(_gaps(A, self.X), self.parameters))
        own = _correlation(_gaps(A, A), self.parameters)
        return self.variance * (own - known.T @ known + free.T @ free)

    def _white(self, A: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the points explain of A, and what the trend's coefficients leave open there: (n, m), (q, m)."""
        known = _solve(self.factor, k.T)
        return known, _solve(self.triangle.T, trend(A).T) - self.basis.T @ known


def trend(X: np.ndarray) -> np.ndarray:
    """The monomials up to the second degree at points X (n, k): (n, q)."""
    columns = [np.ones(len(X)), *X.T]
    columns += [X[:, i] * X[:, j] for i, j in combinations_with_replacement(range(X.shape[1]), 2)]
    return np.stack(columns, 1)


def _gaps(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Squared differences by coordinate: (k, m, n)."""
    return np.square(A.T[:, :, None] - B.T[:, None, :])


def _correlation(gaps: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    r = np.sqrt(5 * np.tensordot(np.exp(-2 * parameters[:-1]), gaps, 1))
    return (1 + r + r * r / 3) * np.exp(-r)


def _covariance(X: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    K = _correlation(_gaps(X, X), parameters)
    K[np.diag_indices(len(X))] += np.exp(parameters[-1])
    return K


def _likeliest(X: np.ndarray, z: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """Maximise the restricted likelihood by its gradient, on an even choice of the points."""
    chosen = np.unique(np.linspace(0, len(X) - 1, min(len(X), AT_MOST)).astype(int))
    X, z = X[chosen], (z[chosen] - z.mean()) / z.std()
    F, gaps = trend(X), _gaps(X, X)
    bounds = [tuple(np.log(LENGTHS))] * X.shape[1] + [tuple(np.log(NOISE))]
    first = np.log(np.r_[np.ones(X.shape[1]), 1e-8]) if start is None else start
    steps = 30 if start is None else 12
    return minimize(
        lambda parameters: _unlikelihood(parameters, gaps, F, z),
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps, "ftol": 1e-5},
    ).x


def _unlikelihood(parameters: np.ndarray, gaps: np.ndarray, F: np.ndarray, z: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the logarithm of the restricted likelihood, s profiled out, and its gradient.

    With P = K^-1 - K^-1 F (F^T K^-1 F)^-1 F^T K^-1 it is (n - q) / 2 log z^T P z + (log|K| + log|F^T K^-1 F|) / 2,
    and its derivative tr(P dK) / 2 - (n - q) / 2 (P z)^T dK (P z) / z^T P z.
    """
    n, q = F.shape
    inverse_squares = np.exp(-2 * parameters[:-1])
    r = np.sqrt(5 * np.tensordot(inverse_squares, gaps, 1))
    decay = np.exp(-r)
    K = (1 + r + r * r / 3) * decay
    K[np.diag_indices(n)] += np.exp(parameters[-1])
    try:
        factor = cho_factor(K, lower=True, check_finite=False)
    except LinAlgError:
        return 1e10, np.zeros_like(parameters)
    inverse = cho_solve(factor, np.eye(n), check_finite=False)
    KF = inverse @ F
    gram = F.T @ KF
    P = inverse - KF @ np.linalg.solve(gram, KF.T)
    Pz = P @ z
    quadratic = max(float(z @ Pz), 1e-300)
    value = (n - q) / 2 * np.log(quadratic) + np.log(np.diag(factor[0])).sum() + np.linalg.slogdet(gram)[1] / 2
    weight = P / 2 - (n - q) / 2 * np.outer(Pz, Pz) / quadratic
    slope = weight * ((1 + r) * decay * 5 / 3)  # dK / d log l_i = 5/3 (1 + r) exp(-r) gap_i / l_i^2
    lengths = inverse_squares * np.einsum("kij,ij->k", gaps, slope)
    return value, np.r_[lengths, np.exp(parameters[-1]) * np.trace(weight)]


def _solve(L: np.ndarray, b: np.ndarray, transposed: bool = False) -> np.ndarray:
    return solve_triangular(L, b, lower=True, trans="T" if transposed else "N", check_finite=False)
