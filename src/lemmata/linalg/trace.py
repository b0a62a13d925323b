"""The trace of an operator by Hutchinson's estimator (Hutchinson, 1990).

    tr A = E z^T A z,   z with entries of mean 0 and covariance I

Each product gives one unbiased draw. With signs (Rademacher) the variance is 2 (|A|_F^2 - sum_i A_ii^2) for symmetric
A, less than the 2 |A|_F^2 of Gaussian entries: a diagonal A is exact. The standard error is that of the mean.
Cost: one product a draw. Slow (error 1 / sqrt(draws)) where off-diagonal mass is large; then see `hutch_plus_plus`
and `xtrace`.
"""

import math

import torch

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.probes import Distribution, counts, generator_of, held, random_vectors, square


def hutchinson(
    A: LinearOperator | torch.Tensor,
    *,
    draws: int = 100,
    distribution: Distribution = "signs",
    memory: int = 2**30,
    seed: int | torch.Generator,
) -> Estimate:
    """Estimate the trace of a square operator (n, n) from `draws` random vectors.

    `distribution` is ``"signs"``, ``"gaussian"`` or ``"sphere"``; as many vectors are multiplied at once as fit into
    `memory` bytes. Returns an `Estimate` with the standard error over the draws; its cost is that of `draws` products.

    >>> estimate = hutchinson(torch.diag(torch.arange(5.0)), draws=10, seed=0)
    >>> estimate.value, estimate.stderr
    (10.0, 0.0)
    """
    operator = square(A, "the trace")
    if draws < 2:
        raise InvalidInput(f"draws = {draws}: a standard error needs at least two")
    generator, samples = generator_of(seed), []
    for count in counts(draws, held(operator, memory)):
        Z = random_vectors(operator, count, distribution=distribution, generator=generator)
        samples.append((Z * (operator @ Z)).sum(0).double())
    quadratic = torch.cat(samples)
    stderr = float(quadratic.std()) / math.sqrt(draws)
    return Estimate(float(quadratic.mean()), stderr=stderr, n=draws, cost=draws * operator.cost)
