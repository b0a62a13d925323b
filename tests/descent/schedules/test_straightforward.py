"""Grimmer's patterns and their bound at every n and start, against certificates and the recursion of the theorem."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.descent import grimmer, long_steps, straightforward
from lemmata.descent.certificate import certify, published, verify
from lemmata.descent.schedules.grimmer import PATTERNS, threshold
from lemmata.descent.schedules.long_steps import CERTIFIED, EPS, SLACK
from lemmata.errors import InvalidInput, LemmataError, UnknownName

# Grimmer (2023), Table 1: pattern by 2-adic valuation, and the coefficient c of L D^2 / (c T)
TABLE = {
    2: ([2.9, 1.5], 2.2),
    3: ([1.5, 4.9], 2.63333),
    7: ([1.5, 2.2, 12.0], 3.19999),
    15: ([1.4, 2.0, 4.5, 29.7], 3.8599),
    31: ([1.4, 2.0, 3.9, 8.2, 72.3], 4.6032),
    63: ([1.4, 2.0, 3.9, 7.2, 14.2, 164], 5.2252),
    127: ([1.4, 2.0, 3.9, 7.2, 12.6, 23.5, 370], 5.8346),
}


@pytest.mark.parametrize("t", TABLE)
def test_patterns_and_coefficients_are_those_of_the_table(t):
    """The coefficient is read off the bound at 10^13 steps, where O(1/T^2) is below the printed digits."""
    pattern, (v, coefficient) = grimmer(t, eta=0.1), TABLE[t]
    if t == 2:
        assert pattern.steps.tolist() == [2.9, 1.5]
    else:
        wanted = [v[(i & -i).bit_length() - 1] for i in range(1, t + 1)]
        assert pattern.steps.tolist() == wanted == wanted[::-1]
    T = t * 10**13
    assert 1 / (T * pattern.guarantee.bound(T)) == pytest.approx(coefficient, abs=1e-4)


def recursion(steps, Delta, eps, cycles, start):
    """The theorem of one cycle, applied again and again, in float64: what the closed form has to bound."""
    S, t, delta = sum(steps), len(steps), start
    for _ in range(cycles):
        d = min(delta, Delta)
        delta = delta - 2 * d * S * delta + d * d * (S + t * eps)
    return delta


@settings(deadline=None)
@given(
    st.lists(st.floats(0.5, 1.99), min_size=1, max_size=7),
    st.floats(1e-5, 1.0),
    st.floats(0, 0.2),
    st.floats(1e-8, 0.5),
    st.integers(0, 300),
)
def test_closed_form_bounds_the_recursion_and_is_near(steps, share, loss, start, cycles):
    """Never below; above by at most a factor 1.5, once in the second phase, where it replaces x - a x^2."""
    S, t = sum(steps), len(steps)
    Delta, eps = share / (2 * S), loss * S / t
    bound = straightforward("any", steps, Delta=Delta, eps=eps, where="test").guarantee.bound
    wanted = recursion(steps, Delta, eps, cycles, start)
    assert wanted * (1 - 1e-9) <= bound(t * cycles, start) <= 1.5 * wanted * (1 + 1e-9)


def test_bound_falls_from_cycle_to_cycle_and_with_the_start():
    bound = grimmer(3).guarantee.bound
    at_ends = [bound(3 * s) for s in range(0, 30_000, 100)]
    assert all(np.diff(at_ends) < 0)
    assert bound(3000, 1e-3) < bound(3000, 1e-2) < bound(3000)
    assert bound(0) == 0.5
    assert bound(-1) == np.inf


def test_a_threshold_above_its_use_is_lowered():
    """From a gap of at most 1/2 the one of 1/(2S) = 0.2 may be had, after which 0.1 is left: no less may be claimed.

    With Delta = 0.4 the formula from 1/2 itself would say -0.1.
    """
    bound = straightforward("any", [1.0, 1.5], Delta=0.4, where="test").guarantee.bound
    assert bound(2, 0.5) == pytest.approx(0.1, rel=1e-12)
    assert min(bound(2, start) for start in np.linspace(0.2, 0.5, 100)) >= 0.1 * (1 - 1e-12)


def test_bound_within_a_cycle_is_what_steps_can_do():
    """After the second of (1.5, 4.9, 1.5): (4.9 - 1)^2 times the gap at the cycle's beginning."""
    bound = grimmer(3).guarantee.bound
    assert bound(3 * 50 + 1) == bound(3 * 50)
    assert bound(3 * 50 + 2) == pytest.approx(3.9**2 * bound(3 * 50))


@pytest.mark.parametrize("eta", ["1/100", "1/2", "1", "2", "5/2", "29/10"])
def test_threshold_of_two_steps_is_exact(eta):
    """Grimmer's multipliers for t = 2, in rationals: a certificate at this Delta, and none at one a thousandth larger.

    lambda: 1/2 from x_0 to x_1, x_0 to x_2 and x_1 to x_2. gamma (eta): 3 - eta from x* to x_0, 3 - eta/2 from x* to
    x_1 and x_2, minus that from x_0 to both. The block matrix of S, m(gamma), M(lambda + Delta gamma) in the basis of
    x_0 - x*, g_0, g_1, g_2, whose last two rows are equal, is positive semidefinite iff its first three minors are.
    """
    eta = Fraction(eta)
    a, S = 3 - eta / 2, Fraction(9, 2) - eta

    def holds(Delta):
        if Fraction(1, 2) - Delta * a < 0:
            return False
        p = (a * Delta + 1 - eta / 2) / 2
        B = [
            [S, -(3 - eta) / 2, -a / 2],
            [-(3 - eta) / 2, Fraction(1, 2) - 3 * Delta / 2, p],
            [-a / 2, p, Fraction(1, 2)],
        ]
        return semidefinite(B)

    Delta = threshold(eta)
    assert holds(Delta)
    assert not holds(Delta * Fraction(1001, 1000))


def semidefinite(B):
    minors = [B[i][i] for i in range(3)]
    minors += [B[i][i] * B[j][j] - B[i][j] ** 2 for i, j in ((0, 1), (0, 2), (1, 2))]
    minors.append(
        B[0][0] * (B[1][1] * B[2][2] - B[1][2] ** 2)
        - B[0][1] * (B[0][1] * B[2][2] - B[1][2] * B[0][2])
        + B[0][2] * (B[0][1] * B[1][2] - B[1][1] * B[0][2])
    )
    return all(minor >= 0 for minor in minors)


@pytest.mark.parametrize("t", PATTERNS)
def test_constants_are_those_of_the_published_certificates(t):
    """Each verified exactly; Delta is rounded down and eps up, by less than 1e-4 of themselves."""
    certificate, (_, Delta, eps) = published(t), PATTERNS[t]
    verification = verify(certificate)
    assert verification.holds
    assert [float(h) for h in certificate.steps] == grimmer(t).steps.tolist()
    assert certificate.Delta * Fraction(9999, 10_000) <= Fraction(Delta) <= certificate.Delta + Fraction(1, 10**20)
    assert float(verification.eps) <= eps <= float(verification.eps) * 1.0001


@pytest.mark.parametrize("k", CERTIFIED)
def test_long_steps_with_slack_are_certified(k):
    """A rational certificate made and verified here has at least the Delta, and at most the eps, declared."""
    pattern = long_steps(k, slack=SLACK)
    verification = verify(certify(pattern.steps, Delta=CERTIFIED[k]))
    assert verification.holds
    assert float(verification.eps) <= EPS
    assert float(verification.rate) == pytest.approx(pattern.steps.mean(), rel=1e-9)


@pytest.mark.parametrize(("steps", "says"), [
    ([1.5, -1.0], "positive"), ([1.5, 0.0], "positive"), ([1.5, float("nan")], "positive"), ([], "positive"),
    (["a"], "numbers"), ([1.5, 50.0], r"24.5 >= 1"), ([2.0], "1 >= 1"), ([1.0, 300.0], "gains nothing"),
])  # fmt: skip
def test_patterns_that_no_certificate_can_be_of_are_refused(steps, says):
    """The last has the factor 0 at curvature 1, and is far from straightforward at 1/2."""
    with pytest.raises(InvalidInput, match=says):
        straightforward("any", steps, Delta=1e-3, where="test")


def test_long_steps_as_published_are_a_limit():
    """Without slack the search finds no certificate at Delta = 1e-4, and with a tenth of the usual slack it does."""
    with pytest.raises(LemmataError):
        certify(long_steps(1).steps, Delta=1e-4)
    assert verify(certify(long_steps(1, slack=0.01).steps, Delta=1e-4)).holds


def test_impossible_patterns_are_refused():
    with pytest.raises(UnknownName, match="pattern length"):
        grimmer(5)
    for eta in (0.0, 3.0, -1.0):
        with pytest.raises(InvalidInput, match="eta"):
            grimmer(2, eta=eta)
    for Delta, eps in ((0.0, 0.0), (0.1, -1e-3), (0.1, 5.0)):
        with pytest.raises(InvalidInput, match="Delta"):
            straightforward("any", [1.5, 4.9, 1.5], Delta=Delta, eps=eps, where="test")


def test_long_steps_as_published():
    """At k = 2: 1.5, 2.4142, 1.4142, 12.657, ...: average 3.3305, above the 3.2 of Grimmer's seven steps."""
    pattern = long_steps(2)
    root = np.sqrt(2)
    np.testing.assert_allclose(pattern.steps[:4], [1.5, 1 + root, root, 2 + 2 * (2.5 + 2 * root)], rtol=1e-14)
    assert pattern.steps.mean() == pytest.approx(3.3305, abs=5e-5)
    assert pattern.guarantee is None
    for k in range(1, 7):
        steps = long_steps(k).steps
        assert len(steps) == 2 ** (k + 1) - 1
        assert steps.tolist() == steps[::-1].tolist()
        assert steps[2**k - 1] == pytest.approx(2 + 2 * steps[: 2**k - 1].sum(), rel=1e-14)


def test_long_steps_by_their_recursion():
    """By alpha and mu once more, as the paper's appendix orders them: at k = 4, alpha_i at 2^i, beta_nu elsewhere."""
    rho, mu, alpha = 1 + np.sqrt(2), [2.0], []
    for i in range(4):
        beta, m = 1 + rho**i, mu[i] - 1
        alpha.append(1 + (np.sqrt(m * m + 8 * (beta - 1) * m) - m) / 4)
        mu.append(mu[i] + 2 * (alpha[i] + beta - 2))
    steps = long_steps(4).steps
    for i in range(1, 16):
        nu = (i & -i).bit_length() - 1
        wanted = alpha[nu] if i == 2**nu else 1 + rho ** (nu - 1)
        assert steps[i - 1] == pytest.approx(wanted, rel=1e-13)
    assert steps[15] == pytest.approx(2 + 2 * (mu[4] - 2) / 2, rel=1e-12)


def test_slack_shortens_the_middle_only():
    whole, less = long_steps(2).steps, long_steps(2, slack=0.1).steps
    assert (whole - less).round(12).tolist() == [0, 0, 0, 0.1, 0, 0, 0]
    assert long_steps(2, slack=0.1).guarantee is not None
    assert long_steps(2, slack=0.05).guarantee is None
    for slack in (-0.1, 13.0):
        with pytest.raises(InvalidInput, match="slack"):
            long_steps(2, slack=slack)
