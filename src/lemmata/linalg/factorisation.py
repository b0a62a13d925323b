"""The Lanczos factorisation of a symmetric operator, grown one product at a time, with restarts in bounded memory.

    A V = V H + P B,     V (n, m) and P (n, s) orthonormal together,  H = V^T A V (m, m),  B = P^T A V (s, m)

V spans what was multiplied by A, P what is *pending*. From one start vector (s = 1) this is Lanczos: H is tridiagonal
and B = beta e_m^T. From several it is band Lanczos (Ruhe, 1979), with the freedom to choose which direction of P comes
next. After a thick restart (Wu and Simon, 2000) V holds Ritz vectors and B is dense; nothing else changes.

For a Ritz pair H s = theta s the vector V s has the residual |A V s - theta V s| = |B s|. H is kept in full, not only
its symmetric part, so that what symmetry would hide (an operator that is not symmetric, or noisy) enters the residual.

Orthogonality is kept by subtracting the coefficients that are known by symmetry, then one pass over the whole basis,
and a second only if the first took away more than half of the vector ("twice is enough": Daniel, Gragg, Kaufman and
Stewart, 1976; Parlett, 1998, section 6.9). A pass reads the basis twice: 2 n (m + s) numbers.
"""

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator

FIRST_ROWS = 32  # of the basis, before it grows
COLUMNS = 2**16  # of the basis that a restart rewrites at once


class Factorisation:
    """The state (V, P, H, B) of the iteration; `rows` bounds how many vectors are kept at any time.

    V and P lie in the rows of one matrix, V first. `start` (s, n) are the first pending directions, in this order.

    >>> A = LinearOperator.of(torch.diag(torch.tensor([1.0, 2.0, 5.0]).double()))
    >>> grown = Factorisation(A, torch.ones(1, 3, dtype=torch.float64), rows=4)
    >>> for _ in range(3):
    ...     grown.step()
    >>> grown.pending, torch.linalg.eigvalsh(grown.H).round(decimals=6)
    (0, tensor([1., 2., 5.], dtype=torch.float64))
    """

    def __init__(self, operator: LinearOperator, start: Tensor, *, rows: int):
        n = operator.shape[0]
        self.operator, self.rows = operator, rows
        self.eps = torch.finfo(operator.dtype).eps
        self.m = self.pending = self.products = 0
        self.scale = 0.0  # the largest |A v| met: a lower bound of |A|
        self.log_c = 0.0  # the sum of log beta: see `lemmata.linalg.missed`
        self.dropped = torch.empty(0, dtype=torch.float64)  # Ritz values that restarts dropped
        self.lost = 0.0  # what restarts cut off of H by its asymmetry, which is nothing but rounding
        held = min(rows, n, max(FIRST_ROWS, len(start) + 1))
        self._basis = torch.empty(held, n, dtype=operator.dtype, device=operator.device)
        self._coefficients = torch.zeros(held, held, dtype=torch.float64)
        for vector in start:
            self.add(vector)

    @property
    def H(self) -> Tensor:  # noqa: N802 - as in the formula
        """V^T A V (m, m), float64 on the CPU, as it was computed: symmetric to rounding."""
        return self._coefficients[: self.m, : self.m]

    @property
    def B(self) -> Tensor:  # noqa: N802 - as in the formula
        """P^T A V (s, m), float64 on the CPU."""
        return self._coefficients[self.m : self.m + self.pending, : self.m]

    @property
    def full(self) -> bool:
        """Whether another step has no room: `restart` first."""
        return len(self._basis) <= self.m + self.pending < self.operator.shape[0] and not self._growth()

    @property
    def complete(self) -> bool:
        """Whether V spans the whole space, so that H is similar to A."""
        return self.m == self.operator.shape[0]

    def residuals(self, theta: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
        """|A V s - theta V s| for Ritz pairs theta (k,), S (m, k) of the symmetric part of H, in its two parts.

        The first, in P, shrinks as V grows. The second, in V, is there because A is not quite symmetric: rounding and
        noise, which no further step mends. Each (k,).
        """
        noise = (self.H @ S - S * theta).norm(dim=0) + self.lost + 2 * self.eps * self.scale
        return (self.B @ S).norm(dim=0), noise

    def vectors(self, S: Tensor) -> Tensor:
        """The vectors V s of coordinates S (m, k), as rows (k, n) of unit length."""
        rows = S.T.to(self._basis) @ self._basis[: self.m]
        return rows / rows.norm(dim=1, keepdim=True)

    def turn(self, s: Tensor) -> None:
        """Rotate P so that its first direction is that of the residual P B s; with one direction there is no choice."""
        wanted = self.B @ s
        size = float(wanted.norm())
        if self.pending < 2 or size == 0:
            return
        u = -wanted / size  # Householder's reflection that takes `wanted` to the first axis
        u[0] += 1.0
        length = float(u.norm())
        if length < 1e-12:
            return
        u = u / length
        P = self._basis[self.m : self.m + self.pending]
        v = u.to(P)
        P -= 2 * torch.outer(v, v @ P)
        self.B.sub_(2 * torch.outer(u, u @ self.B))

    def add(self, vector: Tensor) -> bool:
        """Take a vector (n,) among the pending ones, made orthogonal to all there are; False if nothing is left."""
        if not self._room():
            return False
        row = self._basis[self.m + self.pending]
        row.copy_(vector / vector.norm())
        self._orthogonalise(row)
        left = float(row.norm())
        if not left > 100 * self.eps:
            return False
        self._append(left)
        return True

    def step(self) -> None:
        """Multiply the first pending direction by A. There must be one, and room (`full`)."""
        m, s, n = self.m, self.pending, self.operator.shape[0]
        if m + s < n and not self._room():
            raise AssertionError("no room: restart first")
        v = self._basis[m]
        w = self._basis[m + s] if m + s < n else torch.empty_like(v)  # the place of the next pending direction
        w.copy_(self.operator @ v)
        size = float(w.norm())
        if not size < math.inf:
            raise InvalidInput("a product with the operator is not finite; check the operator and its data")
        self.products += 1
        self.scale = max(self.scale, size)
        known = torch.zeros(m + s, dtype=torch.float64)
        known[:m] = self._coefficients[m, :m]  # by symmetry
        known[m] = float(v @ w)
        self._subtract(w, known)
        known += self._orthogonalise(w)
        beta = float(w.norm())
        self._coefficients[: m + s, m] = known
        self.m, self.pending = m + 1, s - 1
        if beta > 10 * self.eps * self.scale and m + s < n:
            self._append(beta)
            self._coefficients[m + s, m] = beta
            self.log_c += math.log(beta)
        else:
            self.log_c = -math.inf

    def restart(self, theta: Tensor, S: Tensor, *, keep: int) -> None:
        """Keep of V only the first Ritz vectors V s, given all Ritz values theta (m,) and coordinates S (m, m)."""
        p, m, s = keep, self.m, self.pending
        self.dropped, S = torch.cat([self.dropped, theta[keep:]]), S[:, :keep]
        H = S.T @ self.H @ S
        self.lost += float((self.H @ S - S @ H).norm())
        B = self.B @ S
        turned = S.T.to(self._basis)
        for columns in self._basis.split(COLUMNS, dim=1):
            columns[:p] = turned @ columns[:m]
            columns[p : p + s] = columns[m : m + s].clone()
        self._coefficients.zero_()
        self._coefficients[:p, :p], self._coefficients[p : p + s, :p] = H, B
        self.m = p

    def _append(self, length: float) -> None:
        """Take the row that follows the last one among the pending ones, divided by its length."""
        place = self.m + self.pending
        self._basis[place] /= length
        self._coefficients[place] = 0.0
        self.pending += 1

    def _subtract(self, w: Tensor, known: Tensor) -> None:
        """Take its known components off w, in place; there are three at most before a restart."""
        places = known.nonzero().flatten()
        if len(places) <= 3:
            for place in places.tolist():
                w.sub_(self._basis[place], alpha=float(known[place]))
        else:
            w.addmv_(self._basis[: len(known)].T, known.to(w), alpha=-1)

    def _orthogonalise(self, w: Tensor) -> Tensor:
        """Make w orthogonal to V and P, in place; gives the coefficients that this took (m + s,)."""
        basis = self._basis[: self.m + self.pending]
        total = torch.zeros(len(basis), dtype=torch.float64)
        before = float(w.norm())
        for _ in range(2):
            c = basis @ w
            w.addmv_(basis.T, c, alpha=-1)
            total += c.double().cpu()
            after = float(w.norm())
            if after > 0.5 * before:
                break
            before = after
        return total

    def _room(self) -> bool:
        """Whether one more row fits, after growing if need be."""
        if self.m + self.pending < len(self._basis):
            return True
        grown, held = self._growth(), len(self._basis)
        if not grown:
            return False
        basis = torch.empty(grown, self._basis.shape[1], dtype=self._basis.dtype, device=self._basis.device)
        basis[:held] = self._basis
        coefficients = torch.zeros(grown, grown, dtype=torch.float64)
        coefficients[:held, :held] = self._coefficients
        self._basis, self._coefficients = basis, coefficients
        return True

    def _growth(self) -> int:
        """How many rows the basis may grow to, given that old and new are held while it is copied; 0 if to no more."""
        held = len(self._basis)
        grown = min(2 * held, self.rows - held, self._basis.shape[1])
        return grown if grown > held else 0
