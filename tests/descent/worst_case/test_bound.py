"""The rigorous bound: what it proves, and what it refuses."""

from fractions import Fraction

import numpy as np
import pytest

from lemmata.descent import worst_case
from lemmata.descent.worst_case.bound import Statement, certificate, proves, rigorous_bound
from lemmata.descent.worst_case.program import Program

ONE_STEP = Statement(np.array([[1.0]]), Fraction(0), "gap", "distance")  # the truth is 1/6
PROOF = np.array([[0, 0.5, 0.5], [0, 0, 0.5], [0, 0, 0]])


def test_the_exact_proof_of_one_step_holds_down_to_its_bound():
    """S of tau = 1/6 is singular, so that the strict test needs a little more; below 1/6 nothing can hold."""
    assert proves(ONE_STEP, Fraction(1, 6) + Fraction(1, 10**12), PROOF)
    assert not proves(ONE_STEP, Fraction(1, 6) - Fraction(1, 10**12), PROOF)


@pytest.mark.parametrize("wrong", [
    [[0, 0.5, 0.5], [0, 0, 1.5], [0, 0, 0]],  # flow by (0, 1) that would leave a negative multiplier to (*, 1)
    [[0, 1.0, 0.0], [0, 0, 0.0], [0, 0, 0]],  # no use of the step at all
    [[0, 0.5, 0.5], [0, 0, 0.2], [0, 0, 0]],
])  # fmt: skip
def test_wrong_multipliers_prove_nothing(wrong):
    assert not proves(ONE_STEP, Fraction(17, 100), np.array(wrong))


def test_a_flow_that_would_turn_negative_proves_nothing():
    """S is positive definite for tau = 10, but (x*, x_1) would weigh 1 - 1.5."""
    proof = np.array([[0, 1.5, -0.5], [0, 0, 1.5], [0, 0, 0]])
    assert (
        np.linalg.eigvalsh(Program.of(ONE_STEP.H, kappa=0.0, of="gap", given="distance").certificate(10.0, proof))[0]
        > 0
    )
    assert not proves(ONE_STEP, Fraction(10), proof)


def test_a_thousand_bounds_below_the_truth_are_all_refused():
    """Multipliers near the best ones, tau a little below the truth: never proven, whatever they are."""
    found, rng = worst_case([1.5, 2.2]), np.random.default_rng(0)
    statement = Statement(found.H, Fraction(0), "gap", "distance")
    tau = Fraction(found.lower) * (1 - Fraction(1, 10**6))
    for _ in range(1000):
        assert not proves(statement, tau, found.proof * rng.lognormal(sigma=1e-4, size=found.proof.shape))


def test_mixing_with_a_point_inside_saves_a_point_outside():
    bad = PROOF + np.array([[0, 0, 0], [0, 0, 1e-7], [0, 0, 0]])
    assert rigorous_bound(ONE_STEP, (1 / 6, bad)) is None
    tau, _ = rigorous_bound(ONE_STEP, (1 / 6, bad), deep=(0.5, np.array([[0, 0.5, 0.5], [0, 0, 0.5], [0, 0.0, 0]])))
    assert 0 < float(tau) - 1 / 6 < 1e-3


@pytest.mark.parametrize("mu", [0.0, 0.25])
@pytest.mark.parametrize(("of", "given"), [("gap", "distance"), ("gradient", "distance"), ("gradient", "gap")])
def test_every_stated_proof_is_proven_again_from_the_result(of, given, mu):
    found = worst_case([1.4, 2.0, 1.4], mu=mu, of=of, given=given)
    statement = Statement(found.H, Fraction(mu), of, given)
    assert proves(statement, found.bound, found.proof)
    assert not proves(statement, found.bound * Fraction(999, 1000), found.proof)


@pytest.mark.parametrize("kappa", [Fraction(0), Fraction(1, 3)])
def test_the_exact_certificate_is_the_identity_in_true_gradients(kappa):
    """As in test_program, but in the coordinates of the true gradients, with the conditions of theorem 4 as printed."""
    import flint

    rng = np.random.default_rng(0)
    n, tau = 3, Fraction(7, 5)
    H = np.tril(rng.normal(size=(n, n)))
    lam = rng.random((n + 2, n + 2)) * ~np.eye(n + 2, dtype=bool)
    exact = flint.fmpq_mat([[flint.fmpq(*value.as_integer_ratio()) for value in row] for row in lam.tolist()])
    entries = certificate(Statement(H, kappa, "gap", "distance"), tau, exact).tolist()
    S = np.array([[int(e.p) / int(e.q) for e in row] for row in entries])
    rows = rng.normal(size=(n + 2, 4))  # x_0 - x*, g_0, ..., g_n as vectors
    x = np.vstack([np.zeros(4), rows[:1], rows[0] - H @ rows[1 : 1 + n]])
    g = np.vstack([np.zeros(4), rows[1:]])
    k, total = float(kappa), float(tau) * rows[0] @ rows[0]
    for i in range(n + 2):
        for j in range(n + 2):
            dx, dg = x[i] - x[j], g[i] - g[j]
            total += lam[i, j] * (g[j] @ dx + (dg @ dg + k * dx @ dx - 2 * k * dx @ dg) / (2 * (1 - k)))
    assert np.sum(S * (rows @ rows.T)) == pytest.approx(total)
