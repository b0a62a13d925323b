"""The diagonal by XDiag (Epperly, Tropp and Webber, 2024, section 2.4): XTrace entry by entry.

With test vectors of signs w_1, ..., w_k, and P_i the projection on the span of A w_j, j != i,

    d_i = diag(P_i A) + w_i * ((I - P_i) A w_i)

Each d_i is unbiased, and the estimate is their mean. With the factors of `leave_one_out` and Z = A^T Q,

    d_i = diag(Q Z^T) - (Q s_i) * (Z s_i) + (s_i . r_i) w_i * (Q s_i)

The standard error of an entry is that of XTrace: from the spread of the k exchangeable estimates.
Cost: 2 k products (k with A, k with its transpose), O(n k^2) flops, 6 k vectors of memory. A of rank at most k - 1 is
exact. Where the spectrum is flat it is no better than `hutchinson_diagonal` with k draws.
"""

import math

import torch

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.linalg.diagonal import exact_diagonal
from lemmata.linalg.leave_one_out import leave_one_out
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.probes import generator_of, random_vectors, require_memory, square


def xdiag(
    A: LinearOperator | torch.Tensor, *, products: int = 100, memory: int = 2**30, seed: int | torch.Generator
) -> Estimate:
    """Estimate the diagonal (n,) of a square operator with an adjoint, from products // 2 test vectors.

    Returns an `Estimate` whose `value` and `stderr` are tensors (n,) of the operator's type. Where products >= n the
    diagonal is computed exactly. Raises `InvalidInput` for fewer than 4 products, for an operator without an adjoint,
    and where 6 k vectors do not fit into `memory` bytes.

    >>> U = torch.ones(50, 1)
    >>> bool(torch.allclose(xdiag(U @ U.T, products=4, seed=0).value, torch.ones(50), atol=1e-5))
    True
    """
    operator = square(A, "the diagonal")
    k = products // 2
    if k < 2:
        raise InvalidInput(f"products = {products}: XDiag needs at least 4, since each of two vectors is used twice")
    if products >= operator.shape[0]:
        return exact_diagonal(operator, memory=memory)
    require_memory(operator, 6 * k, memory, "XDiag")
    Omega = random_vectors(operator, k, generator=generator_of(seed))
    Q, R, S = leave_one_out(operator @ Omega)
    Z = operator.T @ Q
    QS, ZS = Q @ S.to(Q.dtype), Z @ S.to(Q.dtype)
    d = QS * (Omega * (S * R).sum(0).to(Q.dtype) - ZS)
    value = (Q * Z).sum(1) + d.mean(1)
    return Estimate(value, stderr=d.std(1) / math.sqrt(k), n=k, cost=2 * k * operator.cost)
