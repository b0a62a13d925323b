"""min |A x - b|^2 + lam |L x|^2 brought to its standard form, min |B z - c|^2 + lam |z|^2, and B decomposed once.

Write L = U_L S_L V_L' without its zero singular values, R = S_L V_L' (r, n), so that |L x| = |R x|; let the columns of
N (n, k) be an orthonormal basis of L's null space, and A N = Q T its QR factorisation. Any x is R^+ z + N w with
z = R x, the penalty sees z alone, and w is free, so that it fits what it can:

    w = T^-1 Q'(b - A R^+ z),        B = (I - Q Q') A R^+,      c = (I - Q Q') b           (Elden, 1977).

With B = U diag(s) V' everything is known in the coefficients beta = U' b. A filter f(s) gives

    x = X diag(f / s) beta + N T^-1 Q' b,      X = (R^+ - N T^-1 Q' A R^+) V,
    |L x|^2 = sum (f/s)^2 beta^2,    |A x - b|^2 = sum (1 - f)^2 beta^2 + |c - U beta|^2,
    A x = (Q Q' + U diag(f) U') b,   so that  k + sum f  degrees of freedom are spent.

U, s, X are the generalised singular value decomposition of (A, L): A X = U diag(s), |L X v| = |v|, the s being the
generalised singular values. For L = I, X = V and there is no N.

Cost: the singular value decompositions, 6 m q^2 + 20 q^3 flops with q = min(m - k, r), and one of L. Fails where A N
has dependent columns: then A and L annihilate a common vector and x is not determined, which is refused. The rank of L
is decided at eps max(p, n) |L|; a numerically rank-deficient A is what this is for, and nothing is decided about it.

Reference: Elden (1977), BIT 17, 134-145; Hansen (1998), Rank-deficient and discrete ill-posed problems, section 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.linear_system import require_finite


@dataclass(frozen=True, eq=False)
class StandardForm:
    """The decomposition of (A, L): U (m, q), s (q,) falling, X (n, q); Q (m, k) and free (n, k) for L's null space.

    q is the smaller of m - k and L's rank; `A` and `L` are kept as given (None: the
    identity).

    >>> form = StandardForm.of(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
    >>> form.s, form.null
    (tensor([3., 2., 1.]), 0)
    """

    U: Tensor
    s: Tensor
    X: Tensor
    Q: Tensor
    free: Tensor
    A: Tensor
    L: Tensor | None

    @classmethod
    def of(cls, A: Tensor, L: Tensor | LinearOperator | None = None) -> StandardForm:
        """Decompose A (m, n), finite and floating, with L (p, n), or the identity.

        Raises `InvalidInput` for an L of the wrong shape, of zeros only or with NaN, and where A and L annihilate a
        common vector.
        """
        A = A.detach()
        if L is None:
            U, s, Vh = torch.linalg.svd(A, full_matrices=False)
            none = A.new_zeros
            return cls(U, s, Vh.mT, none(len(A), 0), none(A.shape[1], 0), A, None)
        L = _matrix(L, A)
        inverse, N = _without_null_space(L)
        Q, free = _null_part(A, N)
        AR = A @ inverse
        beyond = torch.linalg.qr(torch.cat([Q, AR], 1))[0][
            :, Q.shape[1] :
        ]  # orthogonal to Q, also where AR is not of full rank
        U, s, Vh = torch.linalg.svd(beyond.mT @ AR, full_matrices=False)
        return cls(beyond @ U, s, (inverse - free @ (Q.mT @ AR)) @ Vh.mT, Q, free, A, L)

    @property
    def null(self) -> int:
        """The dimension k of L's null space, which no filter touches."""
        return self.Q.shape[1]

    @property
    def rank(self) -> int:
        """The number of (generalised) singular values above rounding."""
        return int((self.s > torch.finfo(self.s.dtype).eps * max(self.shape) * self.s[0]).sum())

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n), the shape of A."""
        return len(self.U), len(self.X)

    def coefficients(self, b: Tensor) -> Tensor:
        """The coefficients beta = U' b, (q, k) for b (m, k)."""
        return self.U.mT @ b

    def coordinates(self, x: Tensor) -> Tensor:
        """The coordinates xi = X' L' L x (q, k) of x (n, k): what of x = X xi + ... the filter acts on."""
        return self.X.mT @ (x if self.L is None else self.L.mT @ (self.L @ x))

    def incompatible(self, b: Tensor) -> Tensor:
        """What no x fits, (m, k): b less its projection on the columns of Q and U."""
        c = b - self.Q @ (self.Q.mT @ b)
        c = c - self.U @ (self.U.mT @ c)
        return c - self.U @ (self.U.mT @ c)  # once more: the first time leaves rounding of the size of eps |b|

    def solution(self, b: Tensor, inverse_factors: Tensor) -> Tensor:
        """Solutions x (n, k) for b (m, k) and the factors f / s (q,), or (n, k, T) for (T, q)."""
        beta, fixed = self.coefficients(b), self.free @ (self.Q.mT @ b)
        if inverse_factors.ndim == 1:
            return self.X @ (inverse_factors.to(beta)[:, None] * beta) + fixed
        scaled = inverse_factors.to(beta).mT[:, None, :] * beta[:, :, None]
        return (self.X @ scaled.flatten(1)).unflatten(1, scaled.shape[1:]) + fixed[:, :, None]

    def residual(self, b: Tensor, left: Tensor) -> Tensor:
        """The residual b - A x, (m, k), for the factors 1 - f (q,)."""
        return self.U @ (left.to(b)[:, None] * self.coefficients(b)) + self.incompatible(b)


def _matrix(L: Tensor | LinearOperator, A: Tensor) -> Tensor:
    """L as a dense matrix that fits A."""
    matrix = L.dense() if isinstance(L, LinearOperator) else L.detach()
    if matrix.ndim != 2 or matrix.shape[1] != A.shape[1] or not len(matrix):
        raise InvalidInput(f"L of shape {tuple(matrix.shape)} does not fit A {tuple(A.shape)}; give (p, {A.shape[1]})")
    require_finite(matrix, "L")
    if not matrix.any():
        raise InvalidInput("L is zero and regularises nothing; leave it out for the identity")
    return matrix.to(A)


def _without_null_space(L: Tensor) -> tuple[Tensor, Tensor]:
    """R^+ (n, r), where |R x| = |L x| and R has full row rank, and an orthonormal basis of the null space (n, k)."""
    _, s, Vh = torch.linalg.svd(L, full_matrices=True)
    floor = torch.finfo(L.dtype).eps * max(L.shape) * s[0]
    rank = int((s > floor).sum())
    return Vh[:rank].mT / s[:rank], Vh[rank:].mT


def _null_part(A: Tensor, N: Tensor) -> tuple[Tensor, Tensor]:
    """Q and N T^-1 for the QR factorisation Q T of A N; refused where its columns are dependent."""
    image = A @ N
    if not N.shape[1]:
        return image, N
    floor = torch.finfo(A.dtype).eps * max(A.shape) * torch.linalg.matrix_norm(A, 2)
    smallest = torch.linalg.svdvals(image)[-1] if N.shape[1] <= len(A) else image.new_zeros(())
    if smallest <= floor:
        v = N @ torch.linalg.svd(image, full_matrices=True)[2][-1]
        where = int(v.abs().argmax())
        raise InvalidInput(
            f"the null spaces of A and L intersect: a unit vector v (largest at entry {where}) has |A v| = "
            f"{float((A @ v).norm()):.1e} and |L v| = 0, so that A'A + lam L'L is singular for every lam and x is not "
            "determined; add rows to L (or take the identity) that see v"
        )
    Q, T = torch.linalg.qr(image)
    return Q, torch.linalg.solve_triangular(T, N, upper=True, left=False)
