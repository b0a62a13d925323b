"""The diagonal of an operator: exactly, or by Hutchinson's estimator entry by entry (Bekas, Kokiopoulou, Saad, 2007).

    diag A = E z * (A z),   z independent signs,  * entry by entry

Entry i has variance sum_{j != i} A_ij^2 a draw: the squared norm of its row without the diagonal. A diagonal A is
exact. Cost: one product a draw; the relative error of small entries beside large off-diagonal ones falls slowly
(see `xdiag`). Exactly it costs n products.
"""

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.probes import counts, generator_of, held, random_vectors, square


def exact_diagonal(A: LinearOperator | Tensor, *, memory: int = 2**30) -> Estimate:
    """The diagonal (n,) of a square operator by n products with unit vectors, as many at once as fit into `memory`.

    >>> exact_diagonal(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).value
    tensor([1., 4.])
    """
    operator = square(A, "the diagonal")
    n, start, parts = operator.shape[0], 0, []
    for count in counts(n, held(operator, memory)):
        unit = torch.zeros(n, count, dtype=operator.dtype, device=operator.device)
        unit[start : start + count].fill_diagonal_(1)
        parts.append((operator @ unit)[start : start + count].diagonal().clone())
        start += count
    value = torch.cat(parts)
    return Estimate(value, stderr=torch.zeros_like(value), cost=n * operator.cost)


def hutchinson_diagonal(
    A: LinearOperator | Tensor, *, draws: int = 100, memory: int = 2**30, seed: int | torch.Generator
) -> Estimate:
    """Estimate the diagonal (n,) of a square operator from `draws` vectors of random signs.

    Returns an `Estimate` whose `value` and `stderr`, over the draws, are tensors (n,) of the operator's type. At once
    are multiplied as many vectors as fit into `memory` bytes.

    >>> hutchinson_diagonal(torch.diag(torch.arange(3.0)), draws=2, seed=0).value
    tensor([0., 1., 2.])
    """
    operator = square(A, "the diagonal")
    if draws < 2:
        raise InvalidInput(f"draws = {draws}: a standard error needs at least two")
    generator, seen = generator_of(seed), 0
    mean = spread = torch.zeros(operator.shape[0], dtype=torch.float64, device=operator.device)
    for count in counts(draws, held(operator, memory, copies=4)):
        Z = random_vectors(operator, count, generator=generator)
        samples = (Z * (operator @ Z)).double()
        own = samples.mean(1)
        gap, total = own - mean, seen + count  # merging means and sums of squares (Chan, Golub, LeVeque, 1983)
        spread = spread + (samples - own[:, None]).square().sum(1) + gap.square() * (seen * count / total)
        mean, seen = mean + gap * (count / total), total
    stderr = (spread / (draws - 1)).sqrt() / math.sqrt(draws)
    to = operator.dtype
    return Estimate(mean.to(to), stderr=stderr.to(to), n=draws, cost=draws * operator.cost)
