"""All critical points of a small spherical p-spin glass, by continuation from a Hamiltonian whose points are known.

Critical points of f(s) = S s^p on the unit sphere, S a symmetric tensor, are the real directions x with
S x^(p-1) = x (after a complex rescaling of x): N equations of degree p - 1, which for almost every S have
(p-1)^N - 1 complex solutions beside 0, p - 2 of them a direction. Those of S = sum_i e_i^p are known: every entry is 0
or a root of unity of order p - 2. Along

    S(t) = (1 - t) c sum_i e_i^p + t S,     c a random complex number of modulus 1,

the solutions are distinct at all t < 1 for almost every c, and their paths end in all solutions of S: none is missed.
Each path is followed in steps of its own, by Runge-Kutta and a Newton correction that must be small; a jump from one
path to another would leave two with one end, and is so noticed.

Cost a path: about 60 steps of five solves with N x N complex matrices, all paths that have not arrived at once.
"""

from collections.abc import Callable
from itertools import permutations, product
from math import factorial, pi

import numpy as np

CORRECTION = 1e-5  # relative size of a Newton correction that the step sizes aim at; ten times this is rejected
STEPS = 2000  # at most, of a path
APART = 1e-6  # directions nearer than this are one
REAL = 1e-7  # imaginary parts below this are rounding


def symmetric(tensors: np.ndarray) -> np.ndarray:
    """The mean over all orders of the last p axes: (R, N, ..., N) in and out."""
    p = tensors.ndim - 1
    orders = [np.transpose(tensors, (0, *(1 + i for i in order))) for order in permutations(range(p))]
    return sum(orders[1:], orders[0]) / factorial(p)


def contracted(S: np.ndarray, x: np.ndarray, times: int) -> np.ndarray:
    """S x^times: tensors (R, N, ..., N) and points (R, N), to (R, N, ..., N) with `times` axes fewer."""
    for _ in range(times):
        S = np.matmul(S.reshape(len(x), -1, x.shape[1]), x[:, :, None])[:, :, 0].reshape(S.shape[:-1])
    return S


def directions(S: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All complex solutions of S x^(p-1) = x for symmetric tensors S (R, N, ..., N), up to a factor.

    Returns directions (R, K, N), K = ((p-1)^N - 1) / (p - 2), scaled so that the largest entry is 1, and for each
    tensor whether K different ones were found, (R,). Random: the complex number of the path.
    """
    N, p = S.shape[1], S.ndim - 1
    start = _known(N, p)
    turn = np.exp(2j * pi * random.random())
    paths = _Paths(np.repeat(S, len(start), 0), turn)
    x = np.tile(start * turn ** (-1 / (p - 2)), (len(S), 1))
    ends = _followed(paths, x)
    largest = np.take_along_axis(ends, np.abs(ends).argmax(1)[:, None], 1)
    found = (ends / largest).reshape(len(S), len(start), N)
    near = np.abs(found[:, :, None] - found[:, None]).max(-1) < APART
    complete = np.isfinite(found).all((1, 2)) & (near.sum((1, 2)) == len(start))
    return found, complete


def critical_points(S: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The critical points among complex directions (K, N) of one tensor: energies f (C,) and indices (C,).

    Every real direction gives two points, s and -s. The index is the number of negative eigenvalues of the Hessian on
    the sphere, p (p-1) S s^(p-2) - p f on what is orthogonal to s.
    """
    p = S.ndim
    s = np.real(found[np.abs(np.imag(found)).max(1) < REAL])
    s = np.concatenate([s, -s]) / np.linalg.norm(np.concatenate([s, -s]), axis=1, keepdims=True)
    if not len(s):
        return np.zeros(0), np.zeros(0, dtype=int)
    matrices = contracted(np.repeat(S[None], len(s), 0), s, p - 2)
    f = np.einsum("cij,ci,cj->c", matrices, s, s)
    flat = np.eye(len(S)) - s[:, :, None] * s[:, None, :]
    hessian = p * (p - 1) * flat @ matrices @ flat - p * f[:, None, None] * flat
    hessian += 1e6 * s[:, :, None] * s[:, None, :]  # the radial direction, which does not count
    return f, (np.linalg.eigvalsh(hessian) < 0).sum(1)


def _known(N: int, p: int) -> np.ndarray:
    """The solutions of sum_i e_i^p, up to a factor: (K, N); the first entry that is not 0 is 1."""
    roots = [0.0, *(np.exp(2j * pi * k / (p - 2)) for k in range(p - 2))]
    every = np.array(list(product(roots, repeat=N)), dtype=complex)[1:]
    first = np.take_along_axis(every, (every != 0).argmax(1)[:, None], 1)[:, 0]
    return every[np.abs(first - 1) < APART]


class _Paths:
    """F(x, t) = S(t) x^(p-1) - x for many tensors at once, and its derivatives."""

    def __init__(self, S: np.ndarray, turn: complex):
        self.S, self.turn, self.p, self.eye = S.astype(complex), turn, S.ndim - 1, np.eye(S.shape[1])

    def __call__(self, x: np.ndarray, t: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """F (B, N), dF/dx (B, N, N) and dF/dt (B, N) on some of the paths."""
        end = contracted(self.S[rows], x, self.p - 2)
        begin = (self.turn * x ** (self.p - 2))[:, :, None] * self.eye
        between = begin + t[:, None, None] * (end - begin)
        F = np.matmul(between, x[:, :, None])[:, :, 0] - x
        return F, (self.p - 1) * between - self.eye, np.matmul(end - begin, x[:, :, None])[:, :, 0]

    def slope(self, x: np.ndarray, t: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """dx/dt along the paths."""
        _, by_x, by_t = self(x, t, rows)
        return -np.linalg.solve(by_x, by_t[:, :, None])[:, :, 0]

    def correction(self, x: np.ndarray, t: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Newton's step towards the path at fixed t."""
        F, by_x, _ = self(x, t, rows)
        return -np.linalg.solve(by_x, F[:, :, None])[:, :, 0]


def _followed(paths: _Paths, x: np.ndarray) -> np.ndarray:
    """Follow all paths from t = 0 to 1; those that do not arrive are NaN."""
    t, h = np.zeros(len(x)), np.full(len(x), 0.05)
    for _ in range(STEPS):
        rows = np.flatnonzero(t < 1)
        if not len(rows):
            break
        last = h[rows] >= 1 - t[rows]
        step = np.where(last, 1 - t[rows], h[rows])
        y = _runge_kutta(lambda x, t, rows=rows: paths.slope(x, t, rows), x[rows], t[rows], step)
        change = paths.correction(y, t[rows] + step, rows)
        error = np.linalg.norm(change, axis=1) / np.linalg.norm(y, axis=1)
        taken = error < 10 * CORRECTION
        x[rows[taken]] = (y + change)[taken]
        t[rows[taken]] = np.where(last, 1.0, t[rows] + step)[taken]
        h[rows] = step * np.clip((CORRECTION / np.maximum(error, 1e-15)) ** 0.2, 0.3, 2.0)
    every = np.arange(len(x))
    for _ in range(3):
        x = x + paths.correction(x, np.ones(len(x)), every)
    x[t < 1] = np.nan
    return x


def _runge_kutta(
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray], x: np.ndarray, t: np.ndarray, h: np.ndarray
) -> np.ndarray:
    """One classical step of fourth order, of its own size h for each path."""
    H = h[:, None]
    a = slope(x, t)
    b = slope(x + 0.5 * H * a, t + 0.5 * h)
    c = slope(x + 0.5 * H * b, t + 0.5 * h)
    d = slope(x + H * c, t + h)
    return x + H * (a + 2 * b + 2 * c + d) / 6
