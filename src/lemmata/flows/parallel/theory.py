"""How fast two levels converge, predicted (Dobrev, Kolev, Petersson and Schroder 2017; Southworth 2019).

Where y' = A y, a step multiplies the part of y along an eigenvector by lambda = R(h a), a step of the coarse level by
mu = R_c(m h a). From one iteration to the next the error at the C-points is multiplied by a lower triangular Toeplitz
matrix, which `propagation` gives, and whose norm is at most

    F:    |lambda^m - mu| (1 - |mu|^K) / (1 - |mu|)
    FCF:  |lambda|^m |lambda^m - mu| (1 - |mu|^(K-1)) / (1 - |mu|)

on K = N/m chunks. As K grows this becomes |lambda^m - mu| / (1 - |mu|), and is sharp; where |mu| > 1, the coarse step
unstable, it grows like |mu|^K. The matrix is nilpotent: after K iterations (FCF: K/2) nothing is left.

A partitioned method moves q and p in turn. Where q' = a p, p' = a q, a fine and a coarse step are 2 x 2 matrices S and
C whose eigenvectors depend on h a: they do not commute, and eigenvalues alone bound nothing. Then

    F:    sum_{l < K} |C^l (S^m - C)|,        FCF:    sum_{l < K-1} |C^l (S^m - C) S^m|        (spectral norms).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.methods import Method, Splitting, method_of
from lemmata.flows.parallel.scheme import Multigrid, Relaxation, require_relaxation
from lemmata.flows.required import require_kind
from lemmata.given import require_number, require_tensor, require_whole

MOST = 10**6  # coarsenings that are tried


def two_grid_bound(
    lam: Any, mu: Any, m: int, *, relaxation: Relaxation = "F", chunks: int | None = None
) -> np.ndarray | float:
    """Give the bound for each pair of a fine factor `lam` and a coarse one `mu`, real or complex.

    `chunks` is K; None stands for infinitely many, where the bound is infinite for |mu| >= 1 (unless lam^m = mu).

    >>> f"{two_grid_bound(0.9, 0.8, 2):.3f}"
    '0.050'
    """
    require_whole(m, "m", least=2)
    require_relaxation(relaxation)
    fine, coarse = numbers(lam, "lam", finite=False) ** m, numbers(mu, "mu", finite=False)
    gap, size = np.abs(fine - coarse), np.abs(coarse)
    count = None if chunks is None else require_whole(chunks, "chunks") - (relaxation == "FCF")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if count is None:
            total = np.where(size < 1, 1 / (1 - size), np.inf)
        else:
            total = np.where(size == 1, float(count), (1 - size**count) / (1 - size))
        bound = np.where(gap == 0, 0.0, gap * total) * (np.abs(fine) if relaxation == "FCF" else 1.0)
    return bound[()]


def propagation(lam: complex, mu: complex, m: int, chunks: int, *, relaxation: Relaxation = "F") -> np.ndarray:
    """Give the matrix (K, K) by which an iteration multiplies the errors at the C-points 1, ..., K.

    >>> propagation(0.5, 0.0, 2, 3).real
    array([[0.  , 0.  , 0.  ],
           [0.25, 0.  , 0.  ],
           [0.  , 0.25, 0.  ]])
    """
    require_whole(m, "m", least=2)
    require_whole(chunks, "chunks")
    require_relaxation(relaxation)
    one = {name: numbers(value, name) for name, value in (("lam", lam), ("mu", mu))}
    for name, value in one.items():
        if value.ndim:
            raise InvalidInput(f"{name} = {value!r}; give one number")
    lam, mu = complex(one["lam"]), complex(one["mu"])
    shift = 2 if relaxation == "FCF" else 1
    away = np.arange(chunks)[:, None] - np.arange(chunks) - shift
    powers = np.where(away >= 0, np.asarray(mu) ** np.maximum(away, 0), 0)
    return (lam**m - mu) * lam ** (m * (shift - 1)) * powers


def predicted_factor(
    eigenvalues: Any, h: float, *, scheme: Multigrid, method: str | Method = "rk4", chunks: int | None = None
) -> float:
    """Give the largest two-grid bound over `eigenvalues` of the field's Jacobian, in steps of h.

    Exact as a bound for linear fields y' = A y with a normal matrix A; for others a linearisation, with the Jacobian of
    one state held for all layers. With a partitioned method on either level A = [[0, B], [C, 0]] takes p to q' and q to
    p', and the bound costs `chunks` products of 2 x 2 matrices an eigenvalue. Raises `InvalidInput` for eigenvalues
    that are not finite, and partitioned methods that are no `Splitting`.

    >>> two = Multigrid(m=4, relaxation="F")
    >>> f"{predicted_factor([-1.0, -4.0], 0.01, scheme=two, method='forward-euler'):.3f}"
    '0.058'
    """
    values, h = numbers(eigenvalues, "eigenvalues").reshape(-1), require_step(h)
    scheme, fine = require_kind(scheme, Multigrid, "scheme", "parallel.Multigrid(m=4)"), method_of(method)
    coarse = method_of(scheme.coarse_method) if scheme.coarse_method else fine
    if fine.partitioned or coarse.partitioned:
        S, C = _matrices(fine, h * values), _matrices(coarse, scheme.m * h * values)
        return float(np.max(_bound_of_pairs(S, C, scheme, chunks)))
    lam, mu = fine.stability_function(h * values), coarse.stability_function(scheme.m * h * values)
    return float(np.max(two_grid_bound(lam, mu, scheme.m, relaxation=scheme.relaxation, chunks=chunks)))


def _matrices(method: Method, z: np.ndarray) -> np.ndarray:
    """What a step makes of (q, p) where q' = lambda p, p' = lambda q, and z = h lambda: (n, 2, 2)."""
    if not method.partitioned:  # R of z times the exchange of q and p, whose eigenvalues are 1 and -1
        plus, minus = method.stability_function(z), method.stability_function(-z)
        even, odd = (plus + minus) / 2, (plus - minus) / 2
        return np.stack([even, odd, odd, even], -1).reshape(-1, 2, 2)
    if not isinstance(method, Splitting):
        raise InvalidInput(f"the steps of {method.name} are not known as moves of q and p; give a methods.Splitting")
    S = np.tile(np.eye(2, dtype=complex), (len(z), 1, 1))
    for which, part in method.moves:
        row = "qp".index(which)
        S[:, row] += float(part) * z[:, None] * S[:, 1 - row]
    return S


def _bound_of_pairs(S: np.ndarray, C: np.ndarray, scheme: Multigrid, chunks: int | None) -> np.ndarray:
    """The sums of spectral norms for steps S and C (n, 2, 2); for infinitely many chunks with powers of C's norm."""
    count = None if chunks is None else require_whole(chunks, "chunks") - (scheme.relaxation == "FCF")
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        chunk = np.linalg.matrix_power(S, scheme.m)
        block = (chunk - C) @ chunk if scheme.relaxation == "FCF" else chunk - C
        if count is None:
            rate, gap = _norms(C), _norms(block)
            return np.where(gap == 0, 0.0, np.where(rate < 1 - 1e-12, gap / (1 - rate), np.inf))
        total = np.zeros(len(S))
        for _ in range(count):
            total, block = total + _norms(block), C @ block
    return np.where(np.isnan(total), np.inf, total)  # what overflowed


def _norms(M: np.ndarray) -> np.ndarray:
    """Spectral norms of matrices (n, 2, 2), by (sigma_1 +- sigma_2)^2 = |M|_F^2 +- 2 |det M|."""
    size, twice = np.square(np.abs(M)).sum((1, 2)), 2 * np.abs(M[:, 0, 0] * M[:, 1, 1] - M[:, 0, 1] * M[:, 1, 0])
    return (np.sqrt(size + twice) + np.sqrt(np.maximum(size - twice, 0))) / 2


def stable_coarsening(eigenvalues: Any, h: float, *, method: str | Method = "rk4", most: int = 4096) -> int:
    """Give the largest m, up to `most`, with which every coarse step m h up to it is stable.

    >>> stable_coarsening([-1.0], 0.1, method="forward-euler")
    20
    """
    chosen, values, h = method_of(method), numbers(eigenvalues, "eigenvalues"), require_step(h)
    if require_whole(most, "most") > MOST:
        raise InvalidInput(f"most = {most}; every coarsening up to it is tried: give at most {MOST}")
    factors = np.arange(1, most + 1)
    growth = chosen.growth(factors[:, None] * h * values.reshape(1, -1)).max(1)
    unstable = np.flatnonzero(growth > 1 + 1e-12)
    return int(unstable[0]) if len(unstable) else most


def numbers(values: Any, name: str, *, finite: bool = True) -> np.ndarray:
    """Give numbers, at least one, as a complex array; a single one has no axis. Factors may have overflowed."""
    if isinstance(values, Tensor):
        values = require_tensor(values, name).detach().cpu()
    try:
        found = np.asarray(values)
        found = found.astype(complex) if found.dtype.kind in "biufc" else None
    except ValueError:
        found = None
    if found is None or not found.size or (finite and not np.isfinite(found).all()):
        raise InvalidInput(f"{name} = {values!r}; give at least one, finite numbers all")
    return found


def require_step(h: object) -> float:
    """Give the length of a step back."""
    length = require_number(h, "h")
    if not 0 < length < np.inf:
        raise InvalidInput(f"h = {h!r}; the length of a step is a finite number above 0")
    return length
