"""A problem that tests of several minimisers share."""

import math
from collections.abc import Callable

import pytest
import torch

from lemmata.regression import SmoothFunction


@pytest.fixture(scope="session")
def quadratic() -> Callable:
    """Give x'Hx/2 - b'x in p variables, the eigenvalues of H from 1 to `condition`, with H and b."""

    def drawn(p=20, condition=50.0, seed=0):
        draw = torch.Generator().manual_seed(seed)
        Q = torch.linalg.qr(torch.randn(p, p, generator=draw, dtype=torch.float64))[0]
        H = Q * torch.logspace(0, math.log10(condition), p, dtype=torch.float64) @ Q.T
        b = torch.randn(p, generator=draw, dtype=torch.float64)
        return SmoothFunction(lambda x: (x @ H @ x / 2 - b @ x, H @ x - b), hessian=lambda x: lambda v: H @ v), H, b

    return drawn
