"""The two-grid bound against exact norms and measured factors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flows.parallel._fields import F64, Linear

from lemmata.errors import InvalidInput
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
