"""MINRES for many systems against numpy's pseudo-inverse and scipy's solver."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import minres as scipy_minres

from lemmata.landscape.critical.minres import minres


def _symmetric(values: np.ndarray, seed: int) -> np.ndarray:
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))[0]
    return Q @ np.diag(values) @ Q.T


def _solve(matrices: list[np.ndarray], b: np.ndarray, **options):
    H = torch.as_tensor(np.stack(matrices))
    return minres(lambda V, rows: (H[rows] @ V[:, :, None])[..., 0], torch.as_tensor(b), **options)


SPECTRA = {
    "positive": np.array([1.0, 2.0, 3.0, 5.0, 8.0, 9.0]),
    "indefinite": np.array([-4.0, -1.0, 0.5, 2.0, 3.0, 7.0]),
    "singular": np.array([-4.0, -1.0, 0.0, 0.0, 3.0, 7.0]),
    "repeated": np.array([-2.0, -2.0, 0.0, 3.0, 3.0, 3.0]),
}


def test_many_systems_at_once_give_pseudo_inverse_solutions():
    """Singular ones with a right side outside the range too; 1e-8 relative: condition 18, tolerance 1e-12."""
    random = np.random.default_rng(0)
    matrices = [_symmetric(values, seed) for seed in range(3) for values in SPECTRA.values()]
    b = random.standard_normal((len(matrices), 6))
    found = _solve(matrices, b, rtol=1e-12, atol=1e-12, most=20)
    for A, right, x, r in zip(matrices, b, found.x.numpy(), found.residual.numpy(), strict=True):
        np.testing.assert_allclose(x, np.linalg.pinv(A, rcond=1e-10) @ right, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(r, right - A @ x, atol=1e-10)


def test_iterates_are_those_of_scipy():
    """Cut off after 1, 3 and 5 products; scipy's loop of the same recurrence, 1e-9."""
    A, b = _symmetric(np.linspace(-3, 5, 12), 4), np.random.default_rng(5).standard_normal(12)
    for most in (1, 3, 5):
        expected = scipy_minres(A, b, rtol=1e-15, maxiter=most)[0]
        found = _solve([A], b[None], rtol=0.0, atol=0.0, most=most)
        np.testing.assert_allclose(found.x[0], expected, rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 10_000), most=st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_no_iterate_ascends_the_gradient_norm(seed: int, most: int):
    """<b, A x> = |A x|^2 wherever the iteration is cut off, up to 1e-8 |b|^2, which makes -x a descent direction."""
    random = np.random.default_rng(seed)
    A = _symmetric(np.round(random.standard_normal(9) * 4), seed)
    b = random.standard_normal(9)
    x = _solve([A], b[None], rtol=1e-10, atol=1e-10, most=most).x[0].numpy()
    assert b @ A @ x == pytest.approx((A @ x) @ (A @ x), abs=1e-8 * (b @ b))


def test_a_right_side_in_the_kernel_has_no_solution_but_zero():
    found = _solve([np.diag([0.0, 2.0, 3.0])], np.array([[1.0, 0.0, 0.0]]), rtol=1e-8, atol=1e-8, most=5)
    assert found.x.abs().max() == 0
    assert found.residual.tolist() == [[1.0, 0.0, 0.0]]
    zero = _solve([np.diag([1.0, 2.0, 3.0])], np.zeros((1, 3)), rtol=1e-8, atol=1e-8, most=5)
    assert zero.x.abs().max() == 0


def test_systems_do_not_see_each_other():
    matrices = [_symmetric(values, 7) for values in SPECTRA.values()]
    b = np.random.default_rng(1).standard_normal((4, 6))
    together = _solve(matrices, b, rtol=1e-6, atol=1e-8, most=6)
    for i, A in enumerate(matrices):
        alone = _solve([A], b[i : i + 1], rtol=1e-6, atol=1e-8, most=6)
        torch.testing.assert_close(together.x[i], alone.x[0])
        assert together.products[i] == alone.products[0]
