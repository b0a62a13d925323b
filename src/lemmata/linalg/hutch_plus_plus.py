"""The trace by Hutch++ (Meyer, Musco, Musco and Woodruff, 2021): the dominant part exactly, the rest by draws.

With Q an orthonormal basis of A S, S (n, k) random signs, and P = Q Q^T,

    tr A = tr(Q^T A Q) + E g^T (I - P) A (I - P) g

The first part is exact, the second is Hutchinson's estimator on what the basis leaves. Given Q it is unbiased, so the
whole is, and its standard error is that of the draws g. For positive semidefinite A the relative error falls like
1 / products, against 1 / sqrt(products) for Hutchinson's; A of rank at most k is exact.
Cost: products = 2 k + draws, a third each, and O(n k^2) flops with 4 k vectors of memory.
Gains nothing over Hutchinson's estimator, which then has three times the draws, where the spectrum is flat.
"""

import math

import torch

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.linalg.diagonal import exact_diagonal
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.probes import counts, generator_of, held, random_vectors, require_memory, square


def hutch_plus_plus(
    A: LinearOperator | torch.Tensor, *, products: int = 99, memory: int = 2**30, seed: int | torch.Generator
) -> Estimate:
    """Estimate the trace of a square operator (n, n) from that many products with it.

    Returns an `Estimate` with the standard error over the products // 3 (or two more) draws of the second part. Where
    products >= n the trace is computed exactly, by n products. Raises `InvalidInput` for fewer than 6 products, and
    where the basis does not fit into `memory` bytes.

    >>> U = torch.ones(50, 1)
    >>> round(hutch_plus_plus(U @ U.T, products=6, seed=0).value, 3)
    50.0
    """
    operator = square(A, "the trace")
    if products < 6:
        raise InvalidInput(f"products = {products}: Hutch++ needs at least 6, two for each third")
    if products >= operator.shape[0]:
        diagonal = exact_diagonal(operator, memory=memory)
        return Estimate(float(diagonal.value.double().sum()), cost=diagonal.cost)
    k = products // 3
    draws = products - 2 * k
    require_memory(operator, 4 * k, memory, "Hutch++")
    generator = generator_of(seed)
    Q = torch.linalg.qr(operator @ random_vectors(operator, k, generator=generator))[0]
    dominant = float((Q * (operator @ Q)).sum(0).double().sum())
    samples = []
    for count in counts(draws, held(operator, memory, copies=4)):
        G = random_vectors(operator, count, generator=generator)
        G = G - Q @ (Q.T @ G)
        samples.append((G * (operator @ G)).sum(0).double())
    rest = torch.cat(samples)
    stderr = float(rest.std()) / math.sqrt(draws)
    return Estimate(dominant + float(rest.mean()), stderr=stderr, n=draws, cost=products * operator.cost)
