"""Least squares of minimum norm on the first N of a sequence of features, for many N in one pass.

With Phi_N (n, N) the first N features of n samples and targets y, the coefficients are

    a_N = argmin |Phi_N a - y|^2 + ridge N |a|^2,        ridge = 0: the limit, which has the least |a|

and the predictor's norm is N^(1/2) |a_N|: that of the space of functions whose kernel is Phi_N Phi_N^H / N, and which
tends to the norm of the limiting kernel's space as N grows.

The models are nested, and so is what solves them. Up to N = n, one QR factorisation Phi = Q R serves all: that of the
first N columns is its leading block. Beyond, the products K = Phi_N Phi_N^H of the samples grow by those of the new
features, and their Cholesky factor gives b with a_N = Phi_N^H b; test features enter by their products with training
features alone. Cost: 2 n (n + m) N_max flops for products with m test samples and n^3 / 3 for each N beyond n (four
times as many where features are complex), in memory of order n^2 + n m, whatever N_max is. Relative errors of the
predictions are of the order of the rounding error times the condition number of Phi_N, or beyond n times its square:
worst at N = n, where it is some n or n^2, and then QR is used.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Draw = Callable[[int], tuple[Tensor, Tensor]]
"""Takes a number of features; gives the next so many, on training (n, k) and test samples (m, k)."""


class Fit(NamedTuple):
    """Predictions on training (c, n, k) and test samples (c, m, k), and norms (c,), for c sets of targets."""

    train: Tensor
    test: Tensor
    norm: Tensor


def nested_fits(draw: Draw, counts: Sequence[int], y: Tensor, ridges: Tensor) -> Iterator[Fit]:
    """Fit y (c, n, k), each set of targets with its own ridge (c,), with the first N features for N in `counts`.

    `counts` increase. Gives one `Fit` for each of them, in order. Float64 or complex128, as the features are.
    """
    n = y.shape[1]
    few = [N for N in counts if n >= N]
    F, F_test = draw(few[-1])
    Q, R = torch.linalg.qr(F)
    y = y.to(F.dtype)
    projected = Q.mH @ y
    for N in few:
        a = _columns(R[:N, :N], projected[:, :N], N * ridges)
        yield Fit(F[:, :N] @ a, F_test[:, :N] @ a, _norm(a, N))
    K, K_test, before = F @ F.mH, F_test @ F.mH, few[-1]
    for N in counts[len(few) :]:
        new, new_test = draw(N - before)
        K, K_test, before = K + new @ new.mH, K_test + new_test @ new.mH, N
        b = _solve(K, y, N * ridges)
        fitted = K @ b
        yield Fit(fitted, K_test @ b, (N * (b.conj() * fitted).sum((1, 2)).real).sqrt())


def _columns(R: Tensor, projected: Tensor, ridges: Tensor) -> Tensor:
    """Minimise |R a - projected|^2 + ridge |a|^2 for each set of right-hand sides: (c, N, k)."""
    plain = ridges == 0
    if plain.all():
        return torch.linalg.solve_triangular(R, projected, upper=True)
    a = torch.empty_like(projected)
    a[plain] = torch.linalg.solve_triangular(R, projected[plain], upper=True)
    a[~plain] = _solve(R.mH @ R, R.mH @ projected[~plain], ridges[~plain])
    return a


def _solve(gram: Tensor, right: Tensor, ridges: Tensor) -> Tensor:
    """Solve (gram + ridge) b = right for each set of right-hand sides (c, n, k), factorising once a ridge."""
    b = torch.empty_like(right)
    for ridge in ridges.unique().tolist():
        factor = torch.linalg.cholesky(gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device))
        b[ridges == ridge] = torch.cholesky_solve(right[ridges == ridge], factor)
    return b


def _norm(a: Tensor, N: int) -> Tensor:
    return (N * a.abs().square().sum((1, 2))).sqrt()
