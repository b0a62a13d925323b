"""The trace by XTrace (Epperly, Tropp and Webber, 2024): every test vector both finds the basis and draws the rest.

With test vectors w_1, ..., w_k, and P_i the projection on the span of A w_j, j != i,

    t_i = tr(P_i A P_i) + nu_i^T A nu_i,      nu_i = sqrt(n - k + 1) (I - P_i) w_i / |(I - P_i) w_i|

Each t_i is unbiased, since w_i is independent of P_i and uniform on a sphere; the estimate is their mean. All of them
need only A Omega and A Q, by `leave_one_out`. The t_i are exchangeable, not independent; the standard error
sqrt(sum_i (t_i - mean)^2 / (k (k - 1))) is the authors' (section 2.1). Where the spectrum decays like a power the t_i
are positively correlated and it is 15 to 20 % too small: a 95 % interval then covers 88 to 91 %, that of Hutch++ 95 %.
A of rank at most k - 1 is exact.
Cost: 2 k products, O(n k^2) flops, 6 k vectors of memory. About half the error of Hutch++ with the same products where
the spectrum decays; that of Hutchinson's estimator with k draws, half of its own products, where it is flat.
"""

import math

import torch

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.linalg.diagonal import exact_diagonal
from lemmata.linalg.leave_one_out import leave_one_out
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.probes import generator_of, random_vectors, require_memory, square


def xtrace(
    A: LinearOperator | torch.Tensor, *, products: int = 100, memory: int = 2**30, seed: int | torch.Generator
) -> Estimate:
    """Estimate the trace of a square operator (n, n) from products // 2 test vectors, each multiplied twice.

    Returns an `Estimate` with the standard error described above. Where products >= n the trace is computed exactly,
    by n products. Raises `InvalidInput` for fewer than 4 products, and where 6 k vectors do not fit into `memory`.

    >>> U = torch.ones(50, 1)
    >>> round(xtrace(U @ U.T, products=4, seed=0).value, 3)
    50.0
    """
    operator = square(A, "the trace")
    n, k = operator.shape[0], products // 2
    if k < 2:
        raise InvalidInput(f"products = {products}: XTrace needs at least 4, since each of two vectors is used twice")
    if products >= n:
        diagonal = exact_diagonal(operator, memory=memory)
        return Estimate(float(diagonal.value.double().sum()), cost=diagonal.cost)
    require_memory(operator, 6 * k, memory, "XTrace")
    Omega = random_vectors(operator, k, distribution="sphere", generator=generator_of(seed))
    estimates = _estimates(operator, Omega)
    stderr = float(estimates.std()) / math.sqrt(k)
    return Estimate(float(estimates.mean()), stderr=stderr, n=k, cost=2 * k * operator.cost)


def _estimates(operator: LinearOperator, Omega: torch.Tensor) -> torch.Tensor:
    """The k leave-one-out estimates t_i, (k,) in float64."""
    n, k = Omega.shape
    Y = operator @ Omega
    Q, _, S = leave_one_out(Y)
    Z = operator @ Q
    H = (Q.T @ Z).double()
    captured = H.trace() - (S * (H @ S)).sum(0)
    W = (Q.T @ Omega).double()
    C = (W - S * (S * W).sum(0)).to(Q.dtype)  # coordinates of P_i w_i in Q
    M, AM = Omega - Q @ C, Y - Z @ C
    rest = (M * AM).sum(0).double() / M.square().sum(0).double()
    return captured + (n - k + 1) * rest
