"""The trace of an operator by Hutchinson's estimator (Hutchinson, 1990).

    tr A = E z^T A z,   z with independent entries of mean 0 and variance 1

Each product gives one unbiased draw. With signs (Rademacher) the variance is 2 (|A|_F^2 - sum_i A_ii^2) for symmetric
A, less than the 2 |A|_F^2 of Gaussian entries: a diagonal A is exact. The standard error is that of the mean.
Cost: one product a draw. Slow (error 1 / sqrt(draws)) where off-diagonal mass is large.
"""

import math

import torch

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.linalg.operator import LinearOperator


def hutchinson(
    A: LinearOperator | torch.Tensor,
    *,
    draws: int = 100,
    at_once: int = 16,
    gaussian: bool = False,
    seed: int | torch.Generator,
) -> Estimate:
    """Estimate the trace of a square operator from `draws` random vectors, `at_once` in one product.

    Returns an `Estimate` with the standard error over the draws; ``cost`` counts products.

    >>> estimate = hutchinson(torch.diag(torch.arange(5.0)), draws=10, seed=0)
    >>> estimate.value, estimate.stderr
    (10.0, 0.0)
    """
    operator = A if isinstance(A, LinearOperator) else LinearOperator.of(A)
    if operator.shape[0] != operator.shape[1]:
        raise InvalidInput(f"the trace needs a square operator, not one of shape {operator.shape}")
    if draws < 2:
        raise InvalidInput(f"draws = {draws}: a standard error needs at least two")
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    samples = []
    for start in range(0, draws, at_once):
        shape = (operator.shape[0], min(at_once, draws - start))
        if gaussian:
            Z = torch.randn(shape, generator=generator, dtype=torch.float64)
        else:
            Z = 2.0 * torch.randint(2, shape, generator=generator) - 1
        Z = Z.to(dtype=operator.dtype, device=operator.device)
        samples.append((Z * (operator @ Z)).sum(0).double())
    quadratic = torch.cat(samples)
    stderr = float(quadratic.std()) / math.sqrt(draws)
    return Estimate(float(quadratic.mean()), stderr=stderr, n=draws, cost=draws)
