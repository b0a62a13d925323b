"""KernelMatrix against dense definitions, in float64: the sums are of at most 400 terms, so 1e-12 is rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.kernels import KernelMatrix


def kernel(seed: int, n: int = 20) -> KernelMatrix:
    a = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return KernelMatrix(a @ a.mT, name="linear", symmetric=True)


@given(seed=st.integers(0, 1000), outputs=st.integers(1, 3))
def test_alignment_is_the_cosine_of_the_two_matrices(seed: int, outputs: int):
    k = kernel(seed)
    y = torch.randn(20, outputs, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    dense = (k.values * (y @ y.mT)).sum() / (k.values.norm() * (y @ y.mT).norm())
    assert k.alignment(y) == pytest.approx(float(dense), abs=1e-12)
    assert k.alignment(y[:, 0]) == pytest.approx(k.alignment(y[:, :1]), abs=1e-12)


def test_effective_rank_is_the_participation_ratio_of_the_eigenvalues():
    k = kernel(3)
    values = np.linalg.eigvalsh(k.values.numpy())
    assert k.effective_rank == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-12)
    assert torch.allclose(k.eigenvalues.flip(0), torch.from_numpy(values), atol=1e-12)


def test_a_kernel_of_more_rows_than_are_taken_at_a_time():
    a = torch.arange(2500.0)
    k = KernelMatrix(torch.outer(a, a), name="rank one", symmetric=True)
    assert k.alignment(a) == pytest.approx(1.0, abs=1e-6)  # float32 entries


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: KernelMatrix(torch.zeros(3), name="k", symmetric=False), "a kernel matrix is"),
        (lambda: KernelMatrix(torch.zeros(3, 2), name="k", symmetric=True), "cannot be symmetric"),
        (lambda: KernelMatrix(torch.ones(3, 2), name="k", symmetric=False).eigenvalues, "symmetric kernel"),
        (lambda: kernel(0).alignment(torch.ones(19)), "19"),
        (lambda: kernel(0).alignment(torch.full((20,), torch.nan)), "finite"),
        (lambda: kernel(0).alignment(torch.zeros(20)), "zero"),
        (lambda: KernelMatrix(torch.full((2, 2), torch.nan), name="k", symmetric=True).eigenvalues, "NaN"),
        (lambda: KernelMatrix(torch.zeros(2, 2), name="k", symmetric=True).effective_rank, "that is zero"),
        (lambda: KernelMatrix(torch.zeros(2, 2), name="k", symmetric=True).alignment(torch.ones(2)), "that is zero"),
    ],
)
def test_what_cannot_be_used_is_named(make, says: str):
    with pytest.raises(InvalidInput, match=says):
        make()


def test_a_symmetric_kernel_draws_its_positive_eigenvalues():
    panel = kernel(1).plot().panels[0]
    assert 5 <= len(panel.series[0].y) < 20
    rectangular = KernelMatrix(torch.arange(6.0).reshape(2, 3), name="k", symmetric=False).plot().panels[0]
    assert list(rectangular.series[0].x) == sorted(rectangular.series[0].x)
