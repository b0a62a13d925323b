"""What floating-point arithmetic may have added, bounded, so that computed bounds hold in real arithmetic.

    |fl(sum_i a_i b_i) - sum_i a_i b_i|  <=  gamma_n sum_i |a_i| |b_i|,    gamma_n = n u / (1 - n u),   u = eps / 2

in whatever order the n terms are added, with fused products or without (Higham, 2002, section 3.1). This is not so for
convolutions by Winograd's or Fourier's transform nor for products in less than the numbers' own precision, so these
are switched off while bounds are computed. What is bounded is the network with the given weights in real arithmetic;
a network that is evaluated in float32 differs from it by its own rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lemmata.errors import InvalidInput

SPARE = 12  # terms beyond those of the product: adding a bias, scaling, forming a weight from constants


def gamma(terms: int, dtype: torch.dtype) -> float:
    """Give 2 (n + 12) u, which is at least twice gamma_n with a dozen operations to spare.

    Twice, so that it also covers the rounding of the sums that it is a factor of. Raises `InvalidInput` where n is too
    large for the dtype for this to hold.

    >>> gamma(100, torch.float64) < 2.6e-14
    True
    """
    value = (terms + SPARE) * torch.finfo(dtype).eps
    if value > 0.1:
        raise InvalidInput(f"sums of {terms} terms say nothing in {dtype}; take dtype=torch.float64")
    return value


def below(values: Tensor) -> Tensor:
    """Numbers a little smaller, by more than one operation can have added."""
    limits = torch.finfo(values.dtype)
    return values - (2 * limits.eps * values.abs() + limits.tiny)


def above(values: Tensor) -> Tensor:
    """Numbers a little larger, by more than one operation can have taken."""
    limits = torch.finfo(values.dtype)
    return values + (2 * limits.eps * values.abs() + limits.tiny)


@contextmanager
def plain_products(dtype: torch.dtype) -> Iterator[None]:
    """Products and convolutions as sums of products in the numbers' own precision.

    Raises `InvalidInput` for a dtype other than float32 and float64, and where float32 products are set to be less.
    """
    if dtype not in (torch.float32, torch.float64):
        raise InvalidInput(f"bounds in {dtype}; give dtype=torch.float32 or torch.float64")
    if dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        raise InvalidInput(
            f"float32 products are set to precision {torch.get_float32_matmul_precision()!r}, of which no rounding is "
            'known; take dtype=torch.float64, or torch.set_float32_matmul_precision("highest")'
        )
    with torch.backends.nnpack.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
        yield
