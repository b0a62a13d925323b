"""Linear least squares as a problem of smooth convex minimisation; everything about it is known in closed form.

    f(x) = |A x - b|^2 / (2 n) + (ridge / 2) |x|^2,      H = A'A / n + ridge I,      L, mu = the ends of its spectrum

With the singular value decomposition A = U S V' the minimiser nearest to a start x_0 is

    x* = x_0 + V (S^2/n + ridge)^-1 V' (A'b/n - H x_0),      over the singular values above the rounding if ridge = 0,

so that rank-deficient and underdetermined systems have their D, too: the distance to the nearest of many minimisers.
Cost: one decomposition, O(n d min(n, d)); a gradient is two products with A. Nothing is random.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.descent.problems.design import checked, require_tensor
from lemmata.descent.problems.problem import Bracket, Problem, start_of
from lemmata.errors import InvalidInput


def least_squares(A: Tensor, b: Tensor, ridge: float = 0.0, *, x0: Tensor | None = None) -> Problem:
    """The problem min |A x - b|^2 / (2 n) + ridge |x|^2 / 2 for A (n, d) and b (n,).

    `x0` (d,) or (S, d) is where to start, 0 by default. Float64 unless A is of another floating type.
    Raises `InvalidInput` for shapes that do not fit, NaN, and a negative ridge.

    >>> found = least_squares(torch.eye(2).double() * 2**0.5, torch.tensor([1.0, 1.0]).double())
    >>> [round(float(x), 6) for x in (found.L, found.mu, found.D)]
    [1.0, 1.0, 1.0]
    """
    A = checked(A, what="least squares")
    require_tensor(b, what="least squares: b")
    if b.shape != (len(A),) or not b.isfinite().all():
        raise InvalidInput(f"least squares: b of shape {tuple(b.shape)} for A {tuple(A.shape)}; give finite (n,)")
    if not 0 <= ridge < float("inf"):
        raise InvalidInput(f"ridge = {ridge} must be 0 or more, and finite")
    b, n = b.to(A), len(A)
    S, Vt = torch.linalg.svd(A, full_matrices=False)[1:]
    if not ridge:
        kept = max(A.shape) * torch.finfo(A.dtype).eps * S[0] < S
        S, Vt = S[kept], Vt[kept]
    curvature = S.square() / n + ridge
    Atb = A.T @ b / n

    def value(x: Tensor) -> Tensor:
        return (x @ A.T - b).square().sum(-1) / (2 * n) + ridge / 2 * x.square().sum(-1)

    def gradient(x: Tensor) -> Tensor:
        return (x @ A.T - b) @ A / n + ridge * x

    def nearest(start: Tensor) -> Tensor:
        x = start
        for _ in range(2):  # the second step mends the rounding of the first
            g = Atb - (x @ A.T) @ A / n - ridge * x
            x = x + (g @ Vt.T / curvature) @ Vt
            if ridge:  # outside the row space the Hessian is the ridge alone
                rest = g - (g @ Vt.T) @ Vt
                x = x + rest / ridge
        return x

    z = nearest(A.new_zeros(A.shape[1]))
    f, norm, least = float(value(z)), float(gradient(z).norm()), float(curvature[-1])
    least = min(least, ridge) if ridge and len(S) < A.shape[1] else least
    full = len(S) == A.shape[1] or ridge > 0
    return Problem(
        name=f"least squares, {n} equations", value=value, gradient=gradient,
        x0=start_of(x0, A.new_zeros(A.shape[1]), what="least squares"),
        L=float(curvature[0]), mu=least if full else 0.0,
        minimum=Bracket(f - norm**2 / (2 * least), f), nearest=nearest, radius=norm / least, per_point=2 * n,
    )  # fmt: skip
