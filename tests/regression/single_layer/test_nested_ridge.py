"""Ridge on leading columns against scikit-learn, brute-force leave-one-out and dense formulas in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from lemmata.regression.single_layer.nested_ridge import nested_ridge


def problem(n, m, k=2, seed=0, draws=2):
    generator = torch.Generator().manual_seed(seed)
    H = torch.randn(draws, n, m, generator=generator, dtype=torch.float64)
    return H * torch.logspace(0, -2, m, dtype=torch.float64) + 1.5, torch.randn(n, k, generator=generator).double()


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(3, 30),
    m=st.integers(1, 30),
    ridge=st.floats(1e-3, 1e2),
    intercept=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_every_width_is_the_fit_of_scikit_learn(n, m, ridge, intercept, seed):
    H, Y = problem(n, m, seed=seed)
    widths = sorted({1, (m + 1) // 2, m})
    for width, fit in zip(widths, nested_ridge(H, Y, widths, ridge, intercept=intercept), strict=True):
        for one, W, c in zip(H.numpy(), fit.weights.numpy(), fit.intercept.numpy(), strict=True):
            theirs = Ridge(alpha=ridge, fit_intercept=intercept, solver="svd").fit(one[:, :width], Y.numpy())
            # both solve backward-stably a system of condition <= 1e3 |H|^2 / 1e-3 <= 1e8
            np.testing.assert_allclose(W, theirs.coef_.T, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(c, np.broadcast_to(theirs.intercept_, c.shape), rtol=1e-6, atol=1e-8)


def dense_rest(A, ridge, intercept):
    """I - A (n, n) of the definition, in the dual form, where nothing cancels if the penalty is tiny."""
    n = len(A)
    centred = A - A.mean(0) if intercept else A
    rest = ridge * np.linalg.inv(centred @ centred.T + ridge * np.eye(n))
    return rest - (1 / n if intercept else 0.0)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "m"), [(30, 8), (12, 12), (10, 25)])
def test_criteria_are_their_definitions_at_the_penalty_they_chose(n, m, intercept):
    H, Y = problem(n, m)
    for ridge in ("gcv", "loo"):
        for width, fit in zip((m // 2, m), nested_ridge(H, Y, (m // 2, m), ridge, intercept=intercept), strict=True):
            for i, one in enumerate(H.numpy()):
                rest = dense_rest(one[:, :width], float(fit.ridge[i]), intercept)
                r = rest @ Y.numpy()
                gcv = n * (r**2).sum() / np.trace(rest) ** 2
                loo = ((r / np.diag(rest)[:, None]) ** 2).sum() / n
                # the dense inverse has a condition of 1e8 or so, squared features as it has: 1e-6
                assert float(fit.criterion[i]) == pytest.approx(gcv if ridge == "gcv" else loo, rel=1e-6)
                assert float(fit.freedom[i]) == pytest.approx(n - np.trace(rest), rel=1e-8)


@pytest.mark.parametrize("intercept", [True, False])
def test_leave_one_out_is_brute_force(intercept):
    """Fit n times without one sample; relative 1e-10, both by stable solvers on a well-conditioned problem."""
    H, Y = problem(25, 6, draws=1)
    (fit,) = nested_ridge(H, Y, [6], "loo", intercept=intercept)
    A, y, total = H[0].numpy(), Y.numpy(), 0.0
    for i in range(25):
        keep = np.arange(25) != i
        model = Ridge(alpha=float(fit.ridge[0]), fit_intercept=intercept, solver="svd").fit(A[keep], y[keep])
        total += ((model.predict(A[i : i + 1])[0] - y[i]) ** 2).sum() / 25
    assert float(fit.criterion[0]) == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("way", ["gcv", "loo"])
def test_no_other_penalty_is_better(way):
    """Against 4,000 penalties over 24 decades by dense formulas: within 1e-4, the resolution of the finer grid."""
    H, Y = problem(40, 10, k=1, draws=1)
    Y = H[0, :, :3].sum(1, keepdim=True) + 0.3 * Y
    (fit,) = nested_ridge(H, Y, [10], way)
    A, y = (H[0] - H[0].mean(0)).numpy(), Y.numpy()
    best = np.inf
    U, s, _ = np.linalg.svd(A, full_matrices=False)
    for ridge in np.geomspace(1e-12, 1e12, 4000):
        f = s**2 / (s**2 + ridge)
        hat = (U * f) @ U.T + 1 / 40
        r = (y - hat @ y)[:, 0]
        value = 40 * (r @ r) / (40 - np.trace(hat)) ** 2 if way == "gcv" else np.mean((r / (1 - np.diag(hat))) ** 2)
        best = min(best, value)
    assert float(fit.criterion[0]) <= best * (1 + 1e-4)


def test_rank_deficient_columns_are_solved_with_least_norm():
    H, Y = problem(20, 4, draws=1)
    H = torch.cat([H, H[:, :, :2] @ torch.ones(2, 3, dtype=torch.float64)], -1)
    (fit,) = nested_ridge(H, Y, [7], 0.0, intercept=False)
    theirs = np.linalg.lstsq(H[0].numpy(), Y.numpy(), rcond=None)[0]
    np.testing.assert_allclose(fit.weights[0], theirs, rtol=1e-7, atol=1e-9)  # condition 1e3, squared by nothing
    assert int(fit.rank[0]) == 4
    assert float(fit.freedom[0]) == pytest.approx(4, abs=1e-12)
    s = np.linalg.svd(H[0].numpy(), compute_uv=False)
    assert float(fit.condition[0]) == pytest.approx(s[0] / s[3], rel=1e-6)
