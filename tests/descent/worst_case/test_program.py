"""The program against functions: data of real runs satisfy its inequalities, and its dual identity holds for any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.descent.worst_case import support
from lemmata.descent.worst_case.elimination import Eliminated
from lemmata.descent.worst_case.program import Program

ASKED = [(of, given, kappa) for of in ("gap", "gradient") for given in ("distance", "gap") for kappa in (0.0, 0.3)]
ROUNDING = 1e-11  # entries are of order 10 and sums have some 100 terms


def random_matrix(seed: int, n: int) -> np.ndarray:
    return np.tril(np.random.default_rng(seed).normal(size=(n, n)))


@pytest.mark.parametrize(("of", "given", "kappa"), ASKED)
def test_multipliers_and_certificate_prove_the_bound_for_any_data(of, given, kappa):
    """The identity: asked - tau granted + sum lam slack = -<S, G> + (imbalance of flow).f for all G, f, tau, lam."""
    rng = np.random.default_rng(1)
    program = Program.of(random_matrix(0, 4), kappa=kappa, of=of, given=given)
    lam = np.where(program.admissible(), rng.random((6, 6)), 0.0)
    G = rng.normal(size=program.C.shape)
    G, f, tau = G + G.T, rng.normal(size=5), 1.7
    slack = np.where(program.admissible(), program.slacks(G, f), 0.0)
    left = program.asked(G, f) - tau * program.granted(G, f) + np.sum(lam * slack)
    right = -np.sum(program.certificate(tau, lam) * G) - program.imbalance(tau, lam) @ f
    assert left == pytest.approx(right, abs=ROUNDING)


@pytest.mark.parametrize(("of", "given", "kappa"), ASKED)
def test_elimination_is_the_program_on_balanced_flows(of, given, kappa):
    rng = np.random.default_rng(2)
    program = Program.of(random_matrix(3, 5), kappa=kappa, of=of, given=given)
    eliminated = Eliminated.of(program, support.full(5))
    x, tau = rng.normal(size=len(eliminated.source)), 0.7
    lam = eliminated.multipliers(x, tau)
    assert np.abs(program.imbalance(tau, lam)).max() < ROUNDING
    assert program.certificate(tau, lam) == pytest.approx(eliminated.base + eliminated.matrix(x, tau), abs=ROUNDING)
    X = rng.normal(size=program.C.shape)
    X = X + X.T
    assert eliminated.products(X) @ np.append(x, tau) == pytest.approx(np.sum(eliminated.matrix(x, tau) * X))
    t = rng.normal(size=6)
    slack = program.slacks(X, eliminated.values(X, t))
    assert (slack[0, 1:] if program.anchored else slack[1:, 0]) == pytest.approx(t, abs=ROUNDING)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.25]))
def test_runs_on_random_quadratics_satisfy_every_inequality(seed, kappa):
    """With f = sum_d a_d y_d^2/2, a in [kappa, 1]: the Gram matrix of a true run, less kappa/2 |x|^2."""
    rng = np.random.default_rng(seed)
    n, d = 4, 3
    H = np.tril(rng.uniform(-0.5, 1.5, size=(n, n)))
    a, start = rng.uniform(kappa, 1, d), rng.normal(size=d)
    points = [start]
    for k in range(n):
        points.append(start - H[k, : k + 1] @ (np.array(points) * a))
    x = np.array(points)
    rows = np.vstack([start, x * (a - kappa)])
    f = np.sum((a - kappa) * x**2, 1) / 2
    program = Program.of(H, kappa=kappa, of="gap", given="distance")
    gram = rows @ rows.T
    scale = 1 + np.abs(gram).max()
    assert program.slacks(gram, f).min() > -1e-12 * scale
    assert program.asked(gram, f) == pytest.approx(np.sum(a * x[-1] ** 2) / 2, abs=1e-12 * scale)
    assert program.granted(gram, f) == pytest.approx(np.sum(start**2))


def test_a_kink_violates_an_inequality():
    """The gradients of 2 |x| jump: no data of it may pass."""
    program = Program.of(np.array([[1.5]]), kappa=0.0, of="gap", given="distance")
    rows = np.array([[1.0], [2.0], [-2.0]])  # x_0 = 1, g_0 = 2, x_1 = -2, g_1 = -2
    assert program.slacks(rows @ rows.T, np.array([2.0, 4.0])).min() < -0.5


def test_dyadic_support_of_silver_steps_is_the_dyadic_blocks():
    silver = np.array([1 + (1 + 2**0.5) ** (((k & -k).bit_length() - 1) - 1) for k in range(1, 16)])
    mask = support.dyadic(silver)
    assert mask[0, 1:].all()
    assert mask[1:, 0].all()
    assert mask[1 + 7, 1:].tolist() == [k != 7 for k in range(16)]  # the middle step, 8th, begins at x_7
    assert np.flatnonzero(mask[1 + 3, 1:]).tolist() == [0, 1, 2, 4, 5, 6, 7, 15]
    assert np.flatnonzero(mask[1 + 4, 1:]).tolist() == [3, 5]  # no block begins at x_4: the chain only


def test_support_of_monotone_steps_stays_linear():
    assert support.starting(np.linspace(0.5, 1.9, 200), "gap", nested=True).sum() < 5 * 200
