"""Kernel interpolation against dense solves of numpy and scikit-learn, and its refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge

from lemmata.errors import InvalidInput
from lemmata.regression import fit_gaussian_kernel, kernel


def problem(n: int, d: int = 5, k: int = 2, seed: int = 0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64).to(dtype)
    return x, torch.randn(n, k, generator=draw, dtype=torch.float64)


def dense(x, bandwidth: float) -> np.ndarray:
    return RBF(length_scale=bandwidth)(x.double().numpy())


@pytest.mark.parametrize("block", [7, 32, 1000])
def test_agrees_with_numpy_and_sklearn(monkeypatch, block):
    monkeypatch.setattr(kernel, "BLOCK", block)
    x, y = problem(100)
    new = problem(30, seed=1)[0]
    f = fit_gaussian_kernel(x, y, bandwidth=1.5)
    # cond(K) is about 1e3: the solutions agree to cond * 2^-53, with room
    np.testing.assert_allclose(f.coefficients, np.linalg.lstsq(dense(x, 1.5), y.numpy(), rcond=None)[0], rtol=1e-8)
    ridgeless = KernelRidge(kernel="rbf", gamma=1 / (2 * 1.5**2), alpha=0.0).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(f(new), ridgeless.predict(new.numpy()), rtol=1e-8, atol=1e-10)
    assert f.residual <= 1e-6


@pytest.mark.parametrize("block", [7, 1000])
def test_factor_is_the_cholesky_factor(monkeypatch, block):
    monkeypatch.setattr(kernel, "BLOCK", block)
    x, _ = problem(50)
    columns = kernel._cholesky(x, 1.5)
    lower = np.zeros((50, 50))
    for place, column in enumerate(columns):
        start = place * block
        lower[start:, start : start + column.shape[1]] = column
    np.testing.assert_allclose(lower, np.linalg.cholesky(dense(x, 1.5)), atol=1e-12)


def test_refinement_gains_what_float32_loses(monkeypatch):
    monkeypatch.setattr(kernel, "BLOCK", 64)
    x, y = problem(300, dtype=torch.float32)
    f = fit_gaussian_kernel(x, y, bandwidth=1.0)
    factor = torch.linalg.cholesky(torch.from_numpy(dense(x, 1.0)).float())
    plain = kernel.KernelInterpolant(x, torch.cholesky_solve(y.float(), factor).double(), 1.0, 0.0)
    lost, left = ((g(x) - y).abs().max().item() for g in (plain, f))
    assert lost > 1e-6
    assert left < lost / 100
    assert f.residual == pytest.approx(left / y.abs().max().item(), rel=1e-6, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 60), k=st.integers(1, 3), bandwidth=st.floats(0.1, 1.0), seed=st.integers(0, 2**31))
def test_interpolates_with_the_smallest_norm(n, k, bandwidth, seed):
    x, y = problem(n, k=k, seed=seed)
    f = fit_gaussian_kernel(x, y, bandwidth=bandwidth)
    gram = dense(x, bandwidth)
    np.testing.assert_allclose(f(x), y, atol=1e-5)
    # any other interpolant, with further centres, has a larger norm: norm^2 = y^T K^-1 y is the least there is
    more = torch.cat([x, problem(5, seed=seed + 1)[0]])
    other = fit_gaussian_kernel(more, torch.cat([y, torch.zeros(5, k)]), bandwidth=bandwidth)
    norm = lambda c, gram: np.trace(c.numpy().T @ gram @ c.numpy())  # noqa: E731
    assert norm(f.coefficients, gram) <= norm(other.coefficients, dense(more, bandwidth)) * (1 + 1e-6)


def test_memory_is_counted_before_anything_is_allocated():
    x = torch.zeros(1, 784).expand(60_000, 784)
    with pytest.raises(InvalidInput, match=r"60,000 points in torch.float32 needs 9.8 GB and 8.0 GB are free"):
        fit_gaussian_kernel(x, torch.zeros(60_000, 1), bandwidth=5.0, memory=8_000_000_000)
    with pytest.raises(InvalidInput, match="use fewer points or float32"):
        fit_gaussian_kernel(x.double(), torch.zeros(60_000, 1), bandwidth=5.0, memory=8_000_000_000)


def test_count_of_bytes_is_what_is_kept():
    x, _ = problem(100)
    held = sum(column.numel() * column.element_size() for column in kernel._cholesky(x, 1.0))
    assert held <= kernel.bytes_needed(100, 5, itemsize=8)
    n, b = 60_000, kernel.BLOCK
    assert kernel.bytes_needed(n, 784, itemsize=4) == pytest.approx(
        2 * n * (n + b) + 16 * n * b + 8 * n * 788, rel=1e-2
    )


def test_equal_points_are_refused():
    x = torch.tensor([[0.0], [1.0], [1.0]])
    with pytest.raises(InvalidInput, match=r"not positive definite in torch.float32 \(at row 3\)"):
        fit_gaussian_kernel(x, torch.zeros(3, 1), bandwidth=1.0)


def test_a_bandwidth_too_wide_is_refused():
    x, y = problem(200, d=2, dtype=torch.float32)
    with pytest.raises(
        InvalidInput, match=r"not positive definite in torch.float32 .*; use float64, a smaller bandwidth"
    ):
        fit_gaussian_kernel(x, y, bandwidth=50.0)


def test_a_solution_that_does_not_interpolate_is_refused(monkeypatch):
    monkeypatch.setattr(kernel, "INTERPOLATES", 1e-20)
    x, y = problem(300, dtype=torch.float32)
    with pytest.raises(InvalidInput, match=r"to a relative residual of .* only, above 1e-20; use float64"):
        fit_gaussian_kernel(x, y, bandwidth=1.0)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, float("nan")])
def test_bandwidth_must_be_positive(bandwidth):
    with pytest.raises(InvalidInput, match="must be positive"):
        fit_gaussian_kernel(*problem(3), bandwidth=bandwidth)


def test_shapes_that_do_not_go_together():
    with pytest.raises(InvalidInput, match=r"expected \(n, d\) and \(n, k\)"):
        fit_gaussian_kernel(torch.zeros(3, 2), torch.zeros(3), bandwidth=1.0)
