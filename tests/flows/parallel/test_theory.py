"""The two-grid bound against exact norms and measured factors."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flows.parallel._fields import F64, Linear

from lemmata.errors import InvalidInput
from lemmata.flows import Partitioned
from lemmata.flows.field import hold
from lemmata.flows.methods import method_of
from lemmata.flows.parallel import Multigrid, mgrit, predicted_factor, propagation, stable_coarsening, two_grid_bound

POINTS = st.complex_numbers(max_magnitude=1.3, allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(lam=POINTS, mu=POINTS, m=st.integers(2, 6), chunks=st.integers(2, 30), relaxation=st.sampled_from(["F", "FCF"]))
def test_the_bound_is_one_and_so_is_nilpotency(lam, mu, m, chunks, relaxation):
    """The spectral norm, by numpy, is at most the bound; the power that the theory names is 0 (rounding apart)."""
    E = propagation(lam, mu, m, chunks, relaxation=relaxation)
    bound = two_grid_bound(lam, mu, m, relaxation=relaxation, chunks=chunks)
    assert np.linalg.norm(E, 2) <= bound * (1 + 1e-9) + 1e-14
    last = chunks if relaxation == "F" else -(-chunks // 2)
    assert not np.linalg.matrix_power(E, last).any()


@pytest.mark.parametrize("relaxation", ["F", "FCF"])
def test_the_bound_is_sharp_for_many_chunks(relaxation):
    lam, mu, m = 0.97, 0.8, 4
    norms = [np.linalg.norm(propagation(lam, mu, m, K, relaxation=relaxation), 2) for K in (50, 400)]
    limit = two_grid_bound(lam, mu, m, relaxation=relaxation)
    assert norms[1] == pytest.approx(limit, rel=0.01)
    assert norms[0] < norms[1] < limit


def test_by_hand():
    assert two_grid_bound(0.5, 0.5, 2) == pytest.approx(0.25 / 0.5)
    assert two_grid_bound(0.5, 0.5, 2, relaxation="FCF") == pytest.approx(0.25 * 0.25 / 0.5)
    assert two_grid_bound(0.5, 0.5, 2, chunks=2) == pytest.approx(0.25 * 1.5)
    assert two_grid_bound(1.0, 1.0, 2) == 0
    assert two_grid_bound(1j, 1.0, 2) == np.inf
    assert two_grid_bound(1j, 1.0, 2, chunks=10) == pytest.approx(20)


@pytest.mark.parametrize("relaxation", ["F", "FCF"])
@pytest.mark.parametrize("method", ["forward-euler", "rk4"])
def test_measured_factors_of_linear_fields_are_at_most_the_predicted_and_near_it(method: str, relaxation):
    """Symmetric A, eigenvalues -1 to -100, 2,048 layers. Never above the bound; near it for the worst eigenvalue.

    The error is that of random states at all C-points, so that it meets what decays slowly; "near" is within 30 %, as
    the norm of E is reached by one error only, and its powers on finitely many chunks shrink faster.
    """
    a = -torch.logspace(0, 2, 12, dtype=F64)
    Q = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0), dtype=F64))[0]
    field, steps = Linear(Q @ torch.diag(a) @ Q.T), 2048
    field.T = 8.0
    scheme = Multigrid(m=4, relaxation=relaxation)
    y0 = torch.zeros(1, 12, dtype=F64)
    guess = torch.randn(steps // 4 + 1, 1, 12, generator=torch.Generator().manual_seed(1), dtype=F64)
    norms = []
    for i in range(6):  # the solution is 0: states are errors
        run = mgrit(field, y0, steps=steps, method=method, scheme=scheme, tol=None, iterations=i, guess=guess)
        norms.append(float((run.states if i else guess)[1:-1].norm()))
    predicted = predicted_factor(a.numpy(), 8 / steps, scheme=scheme, method=method)
    factors = np.array(norms[1:]) / np.array(norms[:-1])
    assert factors.max() <= predicted * (1 + 1e-9)
    assert factors[-1] >= 0.7 * predicted


def _step(field: Partitioned, method: str, h: float) -> np.ndarray:
    """The matrix by which a step multiplies (q, p), column by column."""
    chosen = method_of(method)
    f = hold(field, torch.zeros(1), torch.zeros(1)) * len(chosen.nodes)
    q, p = chosen.step(f, tuple(torch.eye(2, dtype=F64)[:, :, None]), h)
    return torch.stack([q[:, 0], p[:, 0]]).numpy()


def _of_steps(S: np.ndarray, C: np.ndarray, m: int, chunks: int, relaxation: str) -> np.ndarray:
    """The matrix (2K, 2K) by which an iteration multiplies the errors, from the two steps' matrices."""
    ahead, shift = (np.eye(2), 1) if relaxation == "F" else (np.linalg.matrix_power(S, m), 2)
    E = np.zeros((chunks, chunks, 2, 2))
    for j in range(chunks):
        for k in range(j - shift + 1):
            power = np.linalg.matrix_power(C, j - k - shift)
            E[j, k] = power @ (np.linalg.matrix_power(S, m) - C) @ ahead
    return E.transpose(0, 2, 1, 3).reshape(2 * chunks, 2 * chunks)


def test_eigenvalues_alone_bound_nothing_for_partitioned_methods():
    """Verlet at h omega = 0.9, m = 2: |lambda^2 - mu| = 0.370 twice; the matrices, written out, differ by 0.966."""
    scheme = Multigrid(m=2, relaxation="F")
    S, C = np.array([[0.595, 0.9], [-0.71775, 0.595]]), np.array([[-0.62, 1.8], [-0.342, -0.62]])
    gap = S @ S - C
    assert np.linalg.norm(gap, 2) == pytest.approx(0.966, abs=5e-4)
    found = predicted_factor([0.9j, -0.9j], 1.0, scheme=scheme, method="verlet", chunks=2)
    assert found == pytest.approx(np.linalg.norm(gap, 2) + np.linalg.norm(C @ gap, 2), rel=1e-12)


@pytest.mark.parametrize("relaxation", ["F", "FCF"])
@pytest.mark.parametrize(("method", "coarse"), [
    ("verlet", "verlet"), ("leapfrog", "symplectic-euler"), ("verlet", "rk4"), ("symplectic-euler", "backward-euler"),
    ("midpoint", "leapfrog"),
])  # fmt: skip
def test_partitioned_steps_are_bounded_by_their_matrices(oscillator, method, coarse, relaxation):
    """The norm of E, of matrices that the methods' own steps give, is at most the bound; their sum is the bound."""
    scheme = Multigrid(m=3, relaxation=relaxation, coarse_method=coarse)
    for z, chunks in ((0.1, 40), (0.5, 12), (0.9, 5)):  # the last coarse step is unstable
        S, C = _step(oscillator, method, z), _step(oscillator, coarse, 3 * z)
        E = _of_steps(S, C, 3, chunks, relaxation)
        found = predicted_factor([1j, -1j], z, scheme=scheme, method=method, chunks=chunks)
        assert np.linalg.norm(E, 2) <= found * (1 + 1e-12)
        longer = _of_steps(S, C, 3, chunks + 1, relaxation)  # has as many blocks as the bound has terms
        blocks = [np.linalg.norm(longer[2 * j : 2 * j + 2, :2], 2) for j in range(chunks + 1)]
        assert found == pytest.approx(sum(blocks), rel=1e-10)


def test_measured_factors_of_partitioned_fields_are_at_most_the_predicted(oscillator):
    """Three oscillators, by Verlet: states are errors, as the solution is 0; the first iteration is E to rounding."""
    omega, steps, m = torch.tensor([1.0, 2.0, 5.0], dtype=F64), 96, 4

    class Oscillators(Partitioned):
        T = 6.0

        def weights_at(self, times, inside):
            return ()

        def first(self, p):
            return omega * p

        def second(self, q):
            return -omega * q

    draw = torch.Generator().manual_seed(0)
    guess = tuple(torch.randn(steps // m + 1, 1, 3, generator=draw, dtype=F64) for _ in range(2))
    for relaxation in ("F", "FCF"):
        scheme, zero = Multigrid(m=m, relaxation=relaxation), torch.zeros(1, 3, dtype=F64)
        runs = [
            mgrit(Oscillators(), (zero, zero), steps=steps, method="verlet", scheme=scheme, tol=None, iterations=i,
                  guess=guess).states for i in range(1, 5)
        ]  # fmt: skip
        errors = [torch.stack(states)[:, 1:-1, 0].numpy() for states in (guess, *runs)]  # (2, K - 1, 3)
        h = 6.0 / steps
        for at, w in enumerate(omega.tolist()):
            S, C = _step(oscillator, "verlet", w * h), _step(oscillator, "verlet", m * w * h)
            before, after = (e[:, :, at].T.reshape(-1) for e in errors[:2])
            E = _of_steps(S, C, m, steps // m - 1, relaxation)
            np.testing.assert_allclose(after, E @ before, atol=1e-12)
        predicted = predicted_factor(1j * omega.numpy(), h, scheme=scheme, method="verlet", chunks=steps // m)
        sizes = [np.linalg.norm(e) for e in errors]
        assert all(after <= predicted * before for before, after in pairwise(sizes))


def test_partitioned_steps_on_infinitely_many_chunks():
    """A Verlet step damps nothing: no bound, unless the coarse method damps; nor is there one beyond overflow."""
    verlet = Multigrid(m=2, relaxation="F")
    damped = Multigrid(m=2, relaxation="F", coarse_method="backward-euler")
    assert predicted_factor([0.5j], 1.0, scheme=verlet, method="verlet") == np.inf
    assert predicted_factor([0.0], 1.0, scheme=verlet, method="verlet") == 0
    assert predicted_factor([3j], 1.0, scheme=verlet, method="verlet", chunks=3000) == np.inf
    limit = predicted_factor([0.5j], 1.0, scheme=damped, method="verlet")
    many = predicted_factor([0.5j], 1.0, scheme=damped, method="verlet", chunks=300)
    assert many <= limit * (1 + 1e-12)
    assert limit < 2


def test_the_coarse_step_is_stable_up_to_where_the_method_is():
    """Forward Euler is stable for -2 <= h a, and RK4 to -2.785: m h from 0.01 to 0.02 * 100 and 0.0278 * 100."""
    assert stable_coarsening([-100.0, -1.0], 0.001, method="forward-euler") == 20
    assert stable_coarsening([-100.0, -1.0], 0.001, method="rk4") == 27
    assert stable_coarsening([1j], 0.5, method="verlet") == 4
    assert stable_coarsening([-1.0], 0.1, method="backward-euler", most=50) == 50


def test_a_coarse_method_of_its_own_counts():
    eigenvalues, h = np.array([-50.0]), 0.01
    scheme = Multigrid(m=4, relaxation="F", coarse_method="backward-euler")
    lam, mu = method_of("rk4").stability_function(-0.5), method_of("backward-euler").stability_function(-2.0)
    expected = abs(lam**4 - mu) / (1 - abs(mu))
    assert predicted_factor(eigenvalues, h, scheme=scheme, method="rk4") == pytest.approx(expected)


def test_bad_input():
    with pytest.raises(InvalidInput, match="finite"):
        predicted_factor([np.nan], 0.1, scheme=Multigrid())
    with pytest.raises(InvalidInput, match="m = 1"):
        two_grid_bound(0.5, 0.5, 1)
