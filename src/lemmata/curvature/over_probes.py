"""The mean over the probes of a quadrature with its standard error, of whatever shape."""

import math

import torch
from torch import Tensor

from lemmata.estimate import Estimate


def over_probes(values: Tensor, *, cost: float) -> Estimate:
    """The mean over the first axis of `values` (K, ...); the standard error of a single probe is not known (NaN).

    >>> over_probes(torch.tensor([1.0, 3.0]), cost=0).stderr
    tensor(1.)
    """
    K, mean = len(values), values.mean(0)
    stderr = values.std(0) / math.sqrt(K) if K > 1 else torch.full_like(mean, math.nan)
    return Estimate(mean, stderr=stderr, n=K, cost=cost)
