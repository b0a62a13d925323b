"""How far Lanczos vectors have lost their orthogonality, without forming a single inner product (Simon, 1984).

In exact arithmetic the vectors v_0, v_1, ... of the three-term recurrence are orthogonal; in floating point the inner
products omega_jk = v_j . v_k grow as eigenvalues converge (Paige, 1976), and copies of these appear. They follow

    b_j omega_{j+1,k} = b_k omega_{j,k+1} + (a_k - a_j) omega_jk + b_{k-1} omega_{j,k-1} - b_{j-1} omega_{j-1,k} + noise

with a and b the diagonal and off-diagonal of T. The noise is rounding, in the recurrence and in the product with A. It
is taken away from zero, so that the recurrence errs on the safe side (Larsen, 1998), and at first as
eps sqrt(n) / 2 |T|. Since omega is linear in it, the inner products met whenever the vectors are made orthogonal
calibrate it: a product with a network's Hessian can be as exact as rounding, or a hundred times less.

While |omega| <= sqrt(eps) (*semi-orthogonality*) T is the projection of A on the span of the vectors up to eps |A|, as
if they were orthogonal to full precision (Simon, 1984, theorem 4).
Cost: O(j) operations a step and recurrence, against O(n j) for the inner products themselves.
"""

import numpy as np

SAFETY = 2  # how much more noise is assumed than the last measurement showed
EXHAUSTED = 10  # how many eps |T| an off-diagonal must exceed not to be rounding


class LossOfOrthogonality:
    """The estimated |v_j . v_k| of K recurrences of up to m steps each, for vectors of n entries and precision `eps`.

    >>> loss = LossOfOrthogonality(1, 3, 100, eps=1e-16)
    >>> loss.advance(np.array([1.0]), np.array([0.5]))
    False
    """

    def __init__(self, K: int, m: int, n: int, *, eps: float):
        self.a, self.b = np.zeros((K, m)), np.zeros((K, m))
        self.eps, self.noise, self.threshold = eps, eps * np.sqrt(n) / 2, np.sqrt(eps)
        self.before, self.now = np.zeros((K, m + 1)), np.zeros((K, m + 1))
        self.now[:, 0] = 1
        self.steps, self.norm = 0, np.zeros(K)

    def advance(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Take in a_j and b_j (K,), which make v_{j+1}; says whether any of it is beyond semi-orthogonality.

        An off-diagonal that is mere rounding, below 10 eps |T|, is kept as 0: that Krylov space is exhausted.
        """
        j = self.steps
        self.norm = np.maximum(self.norm, np.abs(a) + b + (self.b[:, j - 1] if j else 0))
        alive = b > EXHAUSTED * self.eps * self.norm
        b = np.where(alive, b, 0.0)
        self.a[:, j], self.b[:, j] = a, b
        divisor = np.where(alive, b, 1.0)[:, None]
        after = np.zeros_like(self.now)
        if j:
            now, before, B = self.now, self.before, self.b
            w = B[:, :j] * now[:, 1 : j + 1] + (self.a[:, :j] - a[:, None]) * now[:, :j]
            w[:, 1:] += B[:, : j - 1] * now[:, : j - 1]
            w -= B[:, j - 1 : j] * before[:, :j]
            noise = (self.noise * self.norm)[:, None]
            after[:, :j] = np.where(alive[:, None], (w + np.copysign(noise, w)) / divisor, 0)
        after[:, j] = np.where(alive, self.noise * self.norm / divisor[:, 0], 0)
        after[:, j + 1] = 1
        self.before, self.now, self.steps = self.now, after, j + 1
        return bool(np.abs(after[:, : j + 1]).max() > self.threshold)

    def renew(self, measured: np.ndarray, shrunk: np.ndarray) -> None:
        """Take in that the last two vectors were made orthogonal to all before them.

        `measured` is the largest inner product that the last one had (K,), and `shrunk` what was left of its length.
        """
        j = self.steps
        self.b[:, j - 1] *= shrunk
        self.noise = max(SAFETY * self.noise * float(measured.max() / np.abs(self.now[:, :j]).max()), self.eps / 16)
        self.before[:, : j - 1] = self.now[:, :j] = self.eps / 4
