"""How the modes of a deep linear network grow: the solutions that `saxe_2014` holds against gradient descent.

Loss 1/2 |W_N ... W_1 - M|^2 (white inputs), M = U diag(s) V^T, time in units of 1 / step size. From decoupled and
balanced weights, W_l = a_0^(1/N) R_l R_{l-1}^T, each mode a = u^T W_N ... W_1 v moves by itself:

    da/dt = N a^(2 - 2/N) (s - a);     N = 2:  a(t) = s e^(2st) / (e^(2st) - 1 + s / a_0).

With z = a / s and y = log(z / (1 - z)) this is dy/dt = N s^(2 - 2/N) z^(1 - 2/N), from which every N >= 1 is computed.

Step error. The weight u = a^(1/N) of a layer obeys u' = g(u) = u^(N-1) (s - u^N). Descent with step eta follows, to
second order, u' = g - (eta / 2) g g', and so comes to u later than the flow, by

    (eta / 2) integral of g' / g du = (eta / 2) log(g(u) / g(u_0)):      off by -a'(t) (eta / 2) log(g(u) / g(u_0)).

Coupling (N = 2). From other weights modes overlap. While W_1 V and W_2^T U are both nearly P (hidden units x modes),
which holds once the growing half of small weights is all there is, dP/dt = P (S - P^T P), and the overlaps G = P^T P
are

    G(t) = e^(St) (G_0^-1 + S^-1 (e^(2St) - 1))^-1 e^(St)

(the solution of a Riccati equation; Fukumizu 1998). Its diagonal, less the formula above with a_0 = diag(G_0), is what
the neglected overlaps do. P_0 = (W_1 V + W_2^T U) / 2 leaves out (W_1 V - W_2^T U) / 2 = Q_0, which shrinks as e^(-st),
and adds no more than |Q_0|^2 to a mode.
"""

import numpy as np
from scipy.integrate import cumulative_simpson
from scipy.interpolate import CubicHermiteSpline
from scipy.special import expit

LOGITS = 20_001  # points of the grid on which a depth without a closed form is integrated
SATURATED = 36.0  # the logit at which z is 1 in double precision


def logit(z: np.ndarray | float) -> np.ndarray:
    """log(z / (1 - z))."""
    return np.log(z) - np.log1p(-np.asarray(z, dtype=float))


def sigmoid(y: np.ndarray | float) -> np.ndarray:
    """The inverse of `logit`."""
    return expit(np.asarray(y, dtype=float))


def trajectory(t: np.ndarray, s: float, start: float, depth: int = 2) -> np.ndarray:
    """a(t) at times t (T,) of a mode of strength s from a_0 = `start`, in a network of `depth` layers.

    0 < start < s, where two layers are exact for any start > 0. Closed form for 1 and 2 layers; else a quadrature of
    20,001 points (relative error below 1e-9). O(T).

    >>> trajectory(np.array([0.0, np.log(9.0) / 2]), 1.0, 0.1).round(12).tolist()
    [0.1, 0.5]
    """
    t = np.asarray(t, dtype=float)
    if depth == 1:
        return s - (s - start) * np.exp(-t)
    if depth == 2:
        return s / (1 + (s / start - 1) * np.exp(-2 * s * t))
    times, y = _clock(s, start, depth)
    speed = _speed(y, s, depth)
    inside = np.minimum(t, times[-1])
    return s * sigmoid(CubicHermiteSpline(times, y, speed)(inside))


def half_time(s: float, start: float, depth: int = 2) -> float:
    """The time at which a(t) = s / 2; for two layers log(s / a_0 - 1) / (2 s). 0 for a start beyond s / 2.

    >>> round(half_time(1.0, 0.1), 6), round(half_time(1.0, 0.1, 1), 6)
    (1.098612, 0.587787)
    """
    if start >= s / 2:
        return 0.0
    if depth == 1:
        return float(np.log((s - start) / (s / 2)))
    if depth == 2:
        return float(np.log(s / start - 1) / (2 * s))
    times, y = _clock(s, start, depth)
    return float(CubicHermiteSpline(y, times, 1 / _speed(y, s, depth))(0.0))


def half_time_of_infinite_depth(s: float, start: float) -> float:
    """The limit of N `half_time` as N grows: the number of steps, times c, with step c / N.

    Integral of dz / (z^2 (1 - z)) over s, from a_0 / s to 1/2.

    >>> round(half_time_of_infinite_depth(1.0, 0.1), 6)
    10.197225
    """
    z = start / s
    return float((1 / z - 2 - logit(z)) / s**2)


def step_error(t: np.ndarray, s: float, start: float, depth: int, step: float) -> np.ndarray:
    """What descent with this step is off from the flow at times t (T,), to first order in the step.

    >>> bool(abs(step_error(np.array([0.0]), 1.0, 0.1, 2, 0.01)[0]) < 1e-15)
    True
    """
    a = trajectory(t, s, start, depth)
    rate = depth * a ** (2 - 2 / depth) * (s - a)  # da/dt
    left = np.maximum((s - a) / (s - start), np.finfo(float).tiny)
    return -rate * step / 2 * (np.log(left) + (depth - 1) / depth * np.log(a / start))


def coupled(t: np.ndarray, strengths: np.ndarray, overlaps: np.ndarray) -> np.ndarray:
    """The diagonal of G(t), (T, k), for modes of strengths (k,) that start with overlaps G_0 (k, k), positive definite.

    Written as (e^(-St) G_0^-1 e^(-St) + S^-1 (1 - e^(-2St)))^-1, in which nothing grows. T solves of size k.

    >>> one = coupled(np.array([np.log(9.0) / 2]), np.ones(1), np.full((1, 1), 0.1))
    >>> round(float(one[0, 0]), 12)
    0.5
    """
    s, inverse = np.asarray(strengths, dtype=float), np.linalg.inv(overlaps)
    decay = np.exp(-np.outer(t, s))
    safe = np.where(s > 0, s, 1.0)
    grown = np.where(s > 0, -np.expm1(-2 * np.outer(t, s)) / safe, 2 * np.asarray(t)[:, None])
    system = decay[:, :, None] * inverse * decay[:, None, :] + grown[:, :, None] * np.eye(len(s))
    return np.diagonal(np.linalg.inv(system), axis1=1, axis2=2)


def clear_of_stronger(overlaps: np.ndarray) -> np.ndarray:
    """What is left of each mode's a_0 (k,) without its overlap with stronger modes, which take that away; G_0 sorted.

    >>> clear_of_stronger(np.array([[1.0, 0.5], [0.5, 1.0]])).round(12).tolist()
    [1.0, 0.75]
    """
    return np.diag(np.linalg.cholesky(overlaps)) ** 2


def _speed(y: np.ndarray, s: float, depth: int) -> np.ndarray:
    """dy/dt."""
    return depth * s ** (2 - 2 / depth) * sigmoid(y) ** (1 - 2 / depth)


def _clock(s: float, start: float, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and logits from the start to saturation."""
    y = np.linspace(float(logit(start / s)), SATURATED, LOGITS)
    times = cumulative_simpson(1 / _speed(y, s, depth), x=y, initial=0)
    return times, y
