"""Kernel regression against numpy, scikit-learn and rationals; what it keeps to, and what it refuses."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge

from lemmata.conformance import SolverConformance
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.figures import static
from lemmata.kernels import Gaussian, KernelMatrix, Laplace, Polynomial, kernel_ridge
from lemmata.kernels.regression import entries, memory
from lemmata.kernels.regression.elementary import squared_distances

METHODS = ["cholesky", "iterative"]


def problem(n: int, d: int = 5, k: int = 2, seed: int = 0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64).to(dtype)
    return x, torch.randn(n, k, generator=draw, dtype=torch.float64)


def dense(x, bandwidth: float) -> np.ndarray:
    return RBF(length_scale=bandwidth)(x.double().numpy())


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks of unlike size, so that every loop over blocks has work."""
    monkeypatch.setattr(entries, "BLOCK", 23)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_agrees_with_sklearn(small_blocks, method, ridge):
    x, y = problem(100)
    new = problem(60, seed=1)[0]
    f = kernel_ridge(Gaussian(1.5), y, x=x, ridge=ridge, method=method, tolerance=1e-11)
    theirs = KernelRidge(kernel="rbf", gamma=1 / (2 * 1.5**2), alpha=ridge).fit(x.numpy(), y.numpy())
    # cond(K) is about 1e3: solutions agree to cond * residual, with room
    np.testing.assert_allclose(f.coefficients, theirs.dual_coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(f(new), theirs.predict(new.numpy()), rtol=1e-7, atol=1e-8)
    assert f.residual <= 1e-11


def test_is_the_mean_of_a_gaussian_process(small_blocks):
    x, y = problem(80)
    theirs = GaussianProcessRegressor(RBF(1.2), alpha=0.3, optimizer=None).fit(x.numpy(), y.numpy())
    new = problem(30, seed=1)[0]
    np.testing.assert_allclose(
        kernel_ridge(Gaussian(1.2), y, x=x, ridge=0.3)(new), theirs.predict(new.numpy()), rtol=1e-9
    )


def test_agrees_with_rationals():
    K = [[Fraction(2), Fraction(1)], [Fraction(1), Fraction(3)]]
    y, ridge = [Fraction(1), Fraction(-2)], Fraction(1, 2)
    a, b, d = K[0][0] + ridge, K[0][1], K[1][1] + ridge
    determinant = a * d - b * b
    alpha = [(d * y[0] - b * y[1]) / determinant, (a * y[1] - b * y[0]) / determinant]
    for method in METHODS:
        f = kernel_ridge(
            torch.tensor([[2.0, 1.0], [1.0, 3.0]]).double(), torch.tensor([1.0, -2.0]), ridge=0.5, method=method
        )
        np.testing.assert_allclose(f.coefficients, [float(part) for part in alpha], rtol=1e-6)
    np.testing.assert_allclose(f(torch.tensor([[1.0, 2.0]]).double()), float(alpha[0] + 2 * alpha[1]), rtol=1e-6)


@pytest.mark.parametrize("kernel", [Gaussian(1.5), Laplace(2.0), Polynomial(5, offset=1.0)])
@pytest.mark.parametrize("method", METHODS)
def test_a_matrix_and_its_kernel_give_the_same(small_blocks, kernel, method):
    x, y = problem(70, d=4)
    new = problem(40, d=4, seed=1)[0]
    options = {"ridge": 0.01, "method": method, "tolerance": 1e-9}
    of_function = kernel_ridge(kernel, y, x=x, **options)
    K = kernel(x)
    for matrix in (K, KernelMatrix(K, name="given", symmetric=True)):
        of_matrix = kernel_ridge(matrix, y, **options)
        # both solve to 1e-9; at condition 1e6 (polynomial) the coefficients differ by 1e-3 and the values do not
        np.testing.assert_allclose(of_matrix(kernel(new, x)), of_function(new), rtol=1e-4, atol=1e-5)


def test_a_kernel_may_answer_with_a_kernel_matrix():
    x, y = problem(30)

    def answered(a, b=None):
        return KernelMatrix(Gaussian(1.0)(a, b), name="gaussian", symmetric=b is None)

    np.testing.assert_array_equal(
        kernel_ridge(answered, y, x=x).coefficients, kernel_ridge(Gaussian(1.0), y, x=x).coefficients
    )


def test_samples_may_be_images():
    x, y = problem(20, d=12)

    def flat(a, b=None):
        return Gaussian(2.0)(a.flatten(1), None if b is None else b.flatten(1))

    f = kernel_ridge(flat, y, x=x.view(20, 3, 2, 2))
    np.testing.assert_allclose(f(x.view(20, 3, 2, 2)), y, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_one_output_has_the_shape_of_its_targets(method):
    x, y = problem(30)
    one, two = (
        kernel_ridge(Gaussian(1.0), y[:, 0], x=x, method=method),
        kernel_ridge(Gaussian(1.0), y, x=x, method=method),
    )
    assert one.coefficients.shape == (30,)
    assert one(x).shape == (30,)
    np.testing.assert_allclose(one(x), two(x)[:, 0], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_refinement_gains_what_float32_loses(small_blocks, method):
    x, y = problem(300, dtype=torch.float32)
    f = kernel_ridge(Gaussian(1.0), y, x=x, method=method, tolerance=1e-9)
    factor = torch.linalg.cholesky(torch.from_numpy(dense(x, 1.0)).float())
    plain = torch.cholesky_solve(y.float(), factor).double()
    lost = float((Gaussian(1.0)(x, x).double() @ plain - y).abs().max())
    left = float((f(x) - y).abs().max())
    assert lost > 1e-6
    assert left < lost / 100
    assert f.residual == pytest.approx(left / y.abs().max().item(), rel=1e-6, abs=1e-14)
    assert len(f.history) > 1


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 60), k=st.integers(1, 3), bandwidth=st.floats(0.1, 1.0), seed=st.integers(0, 2**31))
def test_interpolates_with_the_smallest_norm(n, k, bandwidth, seed):
    x, y = problem(n, k=k, seed=seed)
    f = kernel_ridge(Gaussian(bandwidth), y, x=x)
    np.testing.assert_allclose(f(x), y, atol=1e-5)
    # any other interpolant, with further centres, has a larger norm: norm^2 = y^T K^-1 y is the least there is
    more = torch.cat([x, problem(5, seed=seed + 1)[0]])
    other = kernel_ridge(Gaussian(bandwidth), torch.cat([y, torch.zeros(5, k)]), x=more)
    norm = lambda c, gram: np.trace(c.numpy().T @ gram @ c.numpy())  # noqa: E731
    assert norm(f.coefficients, dense(x, bandwidth)) <= norm(other.coefficients, dense(more, bandwidth)) * (1 + 1e-6)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 40), ridge=st.floats(1e-3, 10.0), seed=st.integers(0, 2**31))
def test_minimises_its_objective(n, ridge, seed):
    x, y = problem(n, k=1, seed=seed)
    K, f = Gaussian(1.0)(x), kernel_ridge(Gaussian(1.0), y[:, 0], x=x, ridge=ridge)

    def objective(alpha):
        return float((K @ alpha - y[:, 0]).square().sum() + ridge * alpha @ K @ alpha)

    least = objective(f.coefficients)
    for step in torch.randn(5, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64):
        assert least <= objective(f.coefficients + 0.1 * step) + 1e-9


def test_iteration_gets_by_without_the_matrix_where_cholesky_has_no_room(small_blocks):
    x, y = problem(400, dtype=torch.float32)
    there = memory.iterative_bytes(400, 2, 20, itemsize=4)
    assert there < memory.cholesky_bytes(400, 2, itemsize=4)
    f = kernel_ridge(Gaussian(1.0), y, x=x, ridge=0.1, rank=20, memory=there)
    assert f.way.startswith("conjugate gradients")
    assert f.bytes == there
    exact = kernel_ridge(Gaussian(1.0), y, x=x.double(), ridge=0.1)
    np.testing.assert_allclose(f(x), exact(x.double()), atol=1e-4)


def test_kernel_values_are_kept_where_they_fit(small_blocks):
    x, y = problem(100)
    calls = []

    def counted(a, b=None):
        calls.append(len(a))
        return Gaussian(1.0)(a, b)

    options = {"x": x, "ridge": 0.1, "method": "iterative", "rank": 5}
    kernel_ridge(counted, y, memory=10**9, **options)
    kept = len(calls)
    calls.clear()
    kernel_ridge(counted, y, memory=memory.iterative_bytes(100, 2, 5, itemsize=8), **options)
    assert len(calls) > 2 * kept


def test_the_preconditioner_saves_steps():
    x, y = problem(500, d=3)
    few, many = (
        len(kernel_ridge(Gaussian(1.0), y, x=x, ridge=1e-3, method="iterative", rank=rank, max_steps=5000).steps)
        for rank in (1, 200)
    )
    assert many < few / 10


def test_seeds_say_which_columns_are_taken():
    x, y = problem(200)
    first, same, other = (
        kernel_ridge(Gaussian(1.0), y, x=x, ridge=0.1, method="iterative", rank=20, seed=seed)
        for seed in (0, torch.Generator().manual_seed(0), 1)
    )
    assert first.coefficients.equal(same.coefficients)
    assert not first.coefficients.equal(other.coefficients)


def test_bytes_are_counted_before_anything_is_allocated():
    x = torch.zeros(60_000, 1)
    y = torch.zeros(60_000, 1)
    with pytest.raises(InvalidInput, match=r"60,000 points in torch.float32 needs 7.55 GB, and 7 GB are free"):
        kernel_ridge(Gaussian(5.0), y, x=x, method="cholesky", memory=7_000_000_000)
    with pytest.raises(
        InvalidInput, match=r"needs 15.1 GB by Cholesky, 2.\d+ GB by iteration, and 1 GB are free .* float32"
    ):
        kernel_ridge(Gaussian(5.0), y, x=x.double(), memory=1_000_000_000)
    for itemsize in (4, 8):
        assert memory.cholesky_bytes(60_000, 10, itemsize=itemsize) < 24e9
        assert memory.iterative_bytes(60_000, 10, 2449, itemsize=itemsize) < 24e9


def test_count_of_bytes_is_what_is_kept(small_blocks):
    x, y = problem(100)
    held = sum(column.numel() * 8 for column in kernel_ridge(Gaussian(1.0), y, x=x).factor)
    assert held == memory.factor_bytes(100, itemsize=8)
    assert held <= memory.cholesky_bytes(100, 2, itemsize=8)


def test_equal_points_are_refused_without_a_ridge():
    x = torch.tensor([[0.0], [1.0], [1.0]])
    with pytest.raises(
        InvalidInput, match=r"not positive definite in torch.float32 \(at row 3\); use float64, a ridge"
    ):
        kernel_ridge(Gaussian(1.0), torch.zeros(3), x=x)
    assert kernel_ridge(Gaussian(1.0), torch.ones(3), x=x, ridge=0.1).residual < 1e-9


def test_a_kernel_too_smooth_for_its_dtype_is_refused():
    x, y = problem(200, d=2, dtype=torch.float32)
    with pytest.raises(InvalidInput, match=r"not positive definite in torch.float32 .*; use float64, a ridge"):
        kernel_ridge(Gaussian(50.0), y, x=x)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_positive_semidefinite_is_refused(method):
    with pytest.raises(InvalidInput, match="positive"):
        kernel_ridge(torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.tensor([1.0, -1.0]), method=method, rank=1)
    with pytest.raises(InvalidInput, match="positive"):
        kernel_ridge(-torch.eye(3), torch.ones(3), method=method)


def test_a_residual_above_the_tolerance_is_not_handed_out():
    x, y = problem(300, dtype=torch.float32)
    with pytest.raises(
        NotConverged, match=r"300 points in torch.float32 did not converge: residual .* 1e-20; use float64"
    ) as stopped:
        kernel_ridge(Gaussian(1.0), y, x=x, tolerance=1e-20)
    assert stopped.value.best.residual == stopped.value.residual < 1e-9
    with pytest.raises(NotConverged, match="allow more steps") as stopped:
        kernel_ridge(Gaussian(1.0), y, x=x, method="iterative", rank=1, max_steps=3)
    assert len(stopped.value.best.steps) == 4
    assert 1e-6 < stopped.value.residual < 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": torch.zeros(4, 1)}, r"targets y of shape \(4, 1\) for 3 samples"),
        ({"y": torch.tensor([0.0, float("nan"), 1.0])}, "targets y must be finite .* row 1"),
        ({"y": torch.zeros(3, 2, 2)}, "targets y of shape"),
        ({"ridge": -1.0}, "ridge = -1.0; it must be 0 or positive"),
        ({"ridge": float("nan")}, "ridge = nan"),
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"rank": 0}, "rank = 0"),
        ({"x": None}, "needs the points x"),
        ({"x": torch.zeros(3)}, r"x of shape \(3,\)"),
        ({"x": torch.tensor([[0.0], [float("inf")], [1.0]])}, "not finite"),
        ({"x": torch.tensor([[0], [1], [2]])}, "torch.int64; give floating-point numbers"),
        ({"kernel": torch.zeros(3, 2), "x": None}, r"kernel matrix of shape \(3, 2\)"),
        ({"kernel": torch.eye(3)}, "matrix already"),
        ({"kernel": torch.tensor([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]), "x": None}, "not symmetric: .* up to 0.5"),
        ({"kernel": torch.full((3, 3), float("nan")), "x": None}, "not finite"),
        ({"kernel": lambda x, z: Gaussian(1.0)(x, z).mul_(float("nan"))}, "samples 0 and 0 is nan"),
        ({"kernel": lambda x, z: x}, r"gave values of shape \(3, 1\) for 3 and 3 points"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(change, message):
    given = {"kernel": Gaussian(1.0), "y": torch.zeros(3), "x": torch.tensor([[0.0], [1.0], [2.0]])} | change
    with pytest.raises(InvalidInput, match=message):
        kernel_ridge(given.pop("kernel"), given.pop("y"), **given)


def test_an_unknown_method_is_named():
    with pytest.raises(UnknownName, match="did you mean 'cholesky'"):
        kernel_ridge(torch.eye(2), torch.zeros(2), method="choleski")


def test_new_points_must_be_like_the_samples():
    x, y = problem(10)
    with pytest.raises(InvalidInput, match=r"points of shape \(3, 4\); expected \(m, 5\)"):
        kernel_ridge(Gaussian(1.0), y, x=x)(torch.zeros(3, 4))
    with pytest.raises(InvalidInput, match=r"k\(new, samples\) of shape \(3, 4\); expected \(m, 10\)"):
        kernel_ridge(Gaussian(1.0)(x), y)(torch.zeros(3, 4))


@pytest.mark.parametrize("make", [lambda: Gaussian(0.0), lambda: Laplace(-1.0), lambda: Gaussian(float("nan")),
                                  lambda: Polynomial(0), lambda: Polynomial(2, offset=-1.0)])  # fmt: skip
def test_kernels_that_are_none_are_refused(make):
    with pytest.raises(InvalidInput, match="="):
        make()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_distances_are_not_lost_in_large_norms(dtype):
    x = 100 + torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = x + 1e-3 * torch.randn(40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, z = x.to(dtype), z.to(dtype)
    exact = torch.cdist(x.double(), z.double(), compute_mode="donot_use_mm_for_euclid_dist")
    # differences of numbers near 100 are exact (Sterbenz); the rest rounds a few times
    np.testing.assert_allclose(squared_distances(x, z), exact**2, rtol=1e-6 if dtype == torch.float32 else 1e-14)
    assert (squared_distances(x).diagonal() == 0).all()


def test_elementary_kernels_agree_with_sklearn():
    from sklearn.metrics.pairwise import laplacian_kernel, polynomial_kernel

    x, z = problem(20)[0], problem(15, seed=1)[0]
    np.testing.assert_allclose(Gaussian(1.3)(x, z), RBF(1.3)(x.numpy(), z.numpy()), rtol=1e-12)
    np.testing.assert_allclose(
        Polynomial(3, 2.0, 0.5)(x, z), polynomial_kernel(x.numpy(), z.numpy(), 3, 0.5, 2.0), rtol=1e-12
    )
    line, other = x[:, :1], z[:, :1]  # sklearn's Laplace kernel takes the 1-norm, which on a line is the distance
    theirs = laplacian_kernel(line.numpy(), other.numpy(), 1 / 0.7)
    np.testing.assert_allclose(Laplace(0.7)(line, other), theirs, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_draws_itself(method):
    x, y = problem(100, dtype=torch.float32)
    figure = kernel_ridge(Gaussian(1.0), y, x=x, method=method).plot()
    assert static.render(figure, None).startswith("<svg")
    corrections = figure.panels[0].x
    assert (
        corrections.label != "corrections" or corrections.ticks == tuple(map(str, range(len(corrections.ticks)))) != ()
    )


class RidgeConformance(SolverConformance):
    method = "cholesky"

    def solve(self, x, y, ridge):
        return kernel_ridge(Laplace(1.0), y, x=x, ridge=ridge, method=self.method, tolerance=1e-8)

    def values(self, result):
        return result.coefficients.flatten()

    def truth(self, x, y, ridge):
        return torch.linalg.solve(Laplace(1.0)(x) + ridge * torch.eye(len(x)).to(x), y)

    def recomputed(self, result, x, y, ridge):
        left = y.double() - result(x) - ridge * result.coefficients
        return float(left.abs().max() / y.abs().max())


class TestCholeskyKeepsItsPromises(RidgeConformance):
    pass


class TestIterationKeepsItsPromises(RidgeConformance):
    method = "iterative"
    tolerance = 1e-5


@pytest.mark.slow
def test_twenty_thousand_points_within_the_bytes_counted():
    x, y = problem(20_000, d=20, k=1, dtype=torch.float32)
    y = torch.sin(3 * x[:, :1]).double()
    there = memory.iterative_bytes(20_000, 1, 1414, itemsize=4)
    f = kernel_ridge(Laplace(5.0), y, x=x, ridge=0.1, method="iterative", memory=there)
    assert f.residual <= 1e-6


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_on_a_gpu_the_same(method):
    x, y = problem(3000)
    here = kernel_ridge(Gaussian(1.0), y, x=x, ridge=0.1)
    there = kernel_ridge(Gaussian(1.0), y.cuda(), x=x.cuda(), ridge=0.1, method=method, tolerance=1e-9)
    assert there.coefficients.device.type == "cuda"
    np.testing.assert_allclose(there.coefficients.cpu(), here.coefficients, rtol=1e-5, atol=1e-7)
