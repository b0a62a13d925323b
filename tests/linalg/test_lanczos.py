import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg import LinearOperator, eigenpairs
from lemmata.objective import Objective

ORDER = {
    "largest": lambda values: values.flip(0),
    "smallest": lambda values: values,
    "magnitude": lambda values: values[(-values.abs()).argsort()],
}


def symmetric(n, seed):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (A + A.T) / 2


def with_spectrum(values, seed=0):
    values = torch.as_tensor(values, dtype=torch.float64)
    Q = torch.linalg.qr(symmetric(len(values), seed))[0]
    A = Q * values @ Q.T
    return (A + A.T) / 2, Q


@given(
    n=st.integers(1, 60), k=st.integers(1, 5), which=st.sampled_from(sorted(ORDER)), seed=st.integers(0, 1000),
    starts=st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_agrees_with_a_dense_eigensolver(n, k, which, seed, starts):
    A, k = symmetric(n, seed), min(k, n)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(n, starts, generator=generator, dtype=torch.float64) if starts else None
    pairs = eigenpairs(A, k, which=which, tolerance=1e-9, start=start, seed=seed)
    dense = torch.linalg.eigvalsh(A)
    # the error of a Ritz value is at most its residual
    assert (pairs.values - ORDER[which](dense)[:k]).abs().max() <= 2e-9 * dense.abs().max()
    true = (A @ pairs.vectors - pairs.vectors * pairs.values).norm(dim=0)
    assert true.max() <= 2e-9 * dense.abs().max()
    assert (true <= pairs.residuals + 1e-14 * dense.abs().max()).all()
    torch.testing.assert_close(pairs.vectors.T @ pairs.vectors, torch.eye(k).double(), rtol=0, atol=1e-7)


def test_agrees_with_arpack_on_a_large_sparse_matrix():
    n = 2000
    main = torch.arange(n, dtype=torch.float64) ** 2 / n

    def apply(V):
        out = main[:, None] * V
        out[1:] += V[:-1]
        out[:-1] += V[1:]
        return out

    operator = LinearOperator(apply, (n, n), symmetric=True, dtype=torch.float64)
    ours = eigenpairs(operator, 4, tolerance=1e-9, seed=0)
    theirs = scipy.sparse.linalg.eigsh(
        operator.to_scipy(), k=4, which="LA", return_eigenvectors=False, v0=np.ones(n), tol=1e-12
    )
    assert ours.values.numpy() == pytest.approx(np.sort(theirs)[::-1], rel=1e-10)


@pytest.mark.parametrize("which", sorted(ORDER))
def test_restarts_in_little_memory_and_finds_the_same(which):
    A, _ = with_spectrum(torch.linspace(-1, 1, 400).double().sign() * torch.linspace(-1, 1, 400).double() ** 2)
    peak = 0

    def apply(V):
        nonlocal peak
        peak += V.shape[1]
        return A @ V

    operator = LinearOperator(apply, (400, 400), symmetric=True, dtype=torch.float64)
    rows = 30
    pairs = eigenpairs(operator, 3, which=which, tolerance=1e-8, memory=rows * 400 * 8, max_products=3000, seed=0)
    expected = ORDER[which](torch.linalg.eigvalsh(A))[:3]
    torch.testing.assert_close(pairs.values.abs(), expected.abs(), rtol=0, atol=1e-8)
    assert pairs.products == peak > 2 * rows  # it was restarted, and every product is counted


def test_a_warm_start_saves_products():
    A, _ = with_spectrum(torch.cat([torch.linspace(0, 1, 295), torch.tensor([2.0, 3, 4, 5, 6])]))
    cold = eigenpairs(A, 3, tolerance=1e-6, seed=0)
    noise = symmetric(300, 5)
    near = A + 1e-4 * noise
    warm = eigenpairs(near, 3, tolerance=1e-3, start=cold.vectors)
    assert warm.products == 3  # the perturbation, of norm 1e-4 * 24, turns them by less than the tolerance asks
    assert warm.products < eigenpairs(near, 3, tolerance=1e-3, seed=1).products
    exact = torch.linalg.eigvalsh(near).flip(0)[:3]
    # to second order in the residual over the gap of 1: 1e-3 * 6 squared
    torch.testing.assert_close(warm.values, exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_no_eigenvalue_is_missed_that_shows_late(seed):
    # fifty vectors: an eigenvalue along which the start has little shows after its neighbours have converged
    values = torch.cat([torch.tensor([10.0, 9, 8, 7.5, 7, 6.9, 6.5]), torch.linspace(0, 1, 1993)]).double()
    operator = LinearOperator(lambda V: values[:, None] * V, (2000, 2000), symmetric=True, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    pairs = eigenpairs(operator, 5, tolerance=1e-3, seed=generator)
    # by chance each of five eigenvalues is missed once in a hundred runs at most: the bound is far from tight
    torch.testing.assert_close(pairs.values, values[:5], rtol=0, atol=1e-3)
    assert pairs.missed <= 0.01


def test_an_unlucky_start_is_waited_for():
    # along the second eigenvector the start has 1e-7 of what a random one would have: residuals alone stop too early
    values = torch.cat([torch.tensor([10.0, 9, 8]), torch.linspace(0, 1, 997)]).double()
    operator = LinearOperator(lambda V: values[:, None] * V, (1000, 1000), symmetric=True, dtype=torch.float64)
    start = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start[1] = 1e-7
    early = eigenpairs(operator, 2, tolerance=1e-3, start=start)
    torch.testing.assert_close(early.values, torch.tensor([10.0, 8]).double(), rtol=0, atol=1e-3)
    assert np.isnan(early.missed)  # and says that of a given start it knows nothing
    verified = eigenpairs(operator, 2, tolerance=1e-3, start=start, verify=True)
    torch.testing.assert_close(verified.values, torch.tensor([10.0, 9]).double(), rtol=0, atol=1e-3)
    assert verified.products > early.products


def test_multiple_eigenvalues_are_found_once_the_krylov_space_is_exhausted():
    pairs = eigenpairs(torch.diag(torch.tensor([3.0, 3, 3, 1]).double()), 3, seed=0)
    torch.testing.assert_close(pairs.values, torch.full((3,), 3.0, dtype=torch.float64), rtol=0, atol=1e-12)


def test_multiple_eigenvalues_are_found_by_verification_or_from_a_block():
    A, _ = with_spectrum(torch.cat([torch.linspace(0, 1, 197), torch.tensor([2.0, 3, 3])]))
    expected = torch.tensor([3.0, 3.0]).double()
    assert float(eigenpairs(A, 2, tolerance=1e-6, seed=0).values[1]) == pytest.approx(2.0, abs=1e-5)  # as documented
    found = eigenpairs(A, 2, tolerance=1e-6, verify=True, seed=0)
    torch.testing.assert_close(found.values, expected, rtol=0, atol=1e-5)
    block = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(eigenpairs(A, 2, tolerance=1e-6, start=block).values, expected, rtol=0, atol=1e-5)


def test_an_operator_that_is_zero_or_a_multiple_of_the_identity():
    for factor in (0.0, -2.0):
        operator = LinearOperator(lambda V, factor=factor: factor * V, (500, 500), symmetric=True)
        pairs = eigenpairs(operator, 2, seed=0)
        assert pairs.values.tolist() == pytest.approx([factor, factor], rel=1e-6)
        assert pairs.products <= 4


def test_top_of_the_hessian_of_a_network():
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 5, generator=g).double(), torch.randint(3, (30,), generator=g)
    hessian = Objective(nets.mlp(5, [6], 3, seed=0, dtype=torch.float64), data=(x, y)).hessian()
    dense = torch.linalg.eigvalsh(hessian.dense())
    values = eigenpairs(hessian, 3, seed=1, tolerance=1e-8).values
    torch.testing.assert_close(values, dense.flip(0)[:3], rtol=0, atol=3e-8)


def test_refuses_rather_than_guesses():
    A = symmetric(200, 0)
    with pytest.raises(NotConverged, match=r"Lanczos did not converge.*6 products were not enough") as caught:
        eigenpairs(A, 2, tolerance=1e-10, max_products=6, seed=0)
    best = caught.value.best
    assert best.products == 6
    assert caught.value.residual == pytest.approx(
        float((A @ best.vectors - best.vectors * best.values).norm(dim=0).max()), rel=1e-9
    )


def test_says_so_when_float32_is_not_enough():
    A, _ = with_spectrum(torch.logspace(-3, 0, 300))
    with pytest.raises(NotConverged, match=r"symmetric to .* only; take a larger tolerance or float64"):
        eigenpairs(A.float(), 2, tolerance=1e-8, seed=0)
    assert float(eigenpairs(A, 2, tolerance=1e-8, seed=0).values[0]) == pytest.approx(1.0, rel=1e-12)


def test_an_operator_that_only_claims_to_be_symmetric_is_found_out():
    A = symmetric(100, 0)
    lying = LinearOperator(lambda V: (A + A.triu()) @ V, (100, 100), symmetric=True, dtype=torch.float64)
    with pytest.raises(NotConverged, match="the operator is not symmetric"):
        eigenpairs(lying, 1, tolerance=1e-3, seed=0)


def test_the_answer_follows_from_the_seed():
    A = symmetric(80, 0)
    first, again, other = (eigenpairs(A, 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.equal(first.vectors, other.vectors)


@pytest.mark.gpu
def test_works_where_the_operator_lies():
    A = symmetric(200, 0).cuda()
    pairs = eigenpairs(A, 3, tolerance=1e-9, seed=0)
    assert pairs.vectors.is_cuda
    torch.testing.assert_close(pairs.values.cpu(), torch.linalg.eigvalsh(A).flip(0)[:3].cpu(), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (InvalidInput, "needs a symmetric operator", lambda: eigenpairs(torch.ones(2, 2).triu(), seed=0)),
        (InvalidInput, "k must be between 1 and 3", lambda: eigenpairs(torch.eye(3), 4, seed=0)),
        (UnknownName, "unknown which 'top'", lambda: eigenpairs(torch.eye(3), which="top", seed=0)),
        (InvalidInput, "tolerance = 2", lambda: eigenpairs(torch.eye(3), tolerance=2, seed=0)),
        (InvalidInput, "risk = 0", lambda: eigenpairs(torch.eye(3), risk=0, seed=0)),
        (InvalidInput, r"start of shape \(4,\)", lambda: eigenpairs(torch.eye(3), start=torch.ones(4))),
        (InvalidInput, "start vectors are zero", lambda: eigenpairs(torch.eye(3), start=torch.zeros(3))),
        (InvalidInput, r"memory = 100 bytes; 1 eigenpairs", lambda: eigenpairs(torch.eye(30), memory=100)),
        (InvalidInput, "not finite", lambda: eigenpairs(torch.full((3, 3), torch.inf), seed=0)),
    ],
)
def test_bad_questions_are_refused(error, message, call):
    with pytest.raises(error, match=message):
        call()
