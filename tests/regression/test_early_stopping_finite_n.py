import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad

from lemmata.regression.early_stopping import DescentRisk, approximate_risk
from lemmata.regression.early_stopping_finite_n import finite_n_risk

THETA, SCALES = torch.tensor([0.45, 3.0], dtype=torch.float64), torch.tensor([1.0, 0.15], dtype=torch.float64)


def test_first_step_is_exact():
    """After one step the error is linear in G, so its second moment is: E[G A G] = T A T + (T A T + tr(A T) T) / n.

    Written out here feature by feature, with step sizes that differ.
    """
    theta, scales, eta = np.array([0.45, 3.0, -1.0]), np.array([1.0, 0.15, 0.5]), np.array([0.1, 0.7, 0.3])
    n, noise, t = 7, 1.3, scales**2
    bias = 0.0
    for i in range(3):
        mean = (eta[i] * t[i] - 1) * theta[i]
        spread = eta[i] ** 2 * (t[i] ** 2 * theta[i] ** 2 + t[i] * (t * theta**2).sum()) / n
        bias += t[i] * (mean**2 + spread)
    curve = finite_n_risk(
        torch.tensor([0, 1]), *map(torch.tensor, (theta, scales)), step_size=torch.tensor(eta), noise=noise, n=n
    )
    np.testing.assert_allclose(curve.bias, [(t * theta**2).sum(), bias], rtol=1e-13)
    np.testing.assert_allclose(curve.variance, [0, noise**2 / n * (t**2 * eta**2).sum()], rtol=1e-13)


def test_many_steps_give_the_expansion_of_the_least_squares_risk():
    curve = finite_n_risk(torch.tensor([10**6]), THETA, SCALES, step_size=0.1, noise=2.0, n=40)
    assert float(curve.total) == pytest.approx(4 * 2 / 40 * (1 + 3 / 40), rel=1e-12)


def test_one_feature_against_quadrature():
    """With d = 1, G = s^2 chi^2_n / n, and the expectation is an integral; the rest must fall as 1 / n^2.

    noise^2 / n is held at 0.1; doubling n must divide the remaining error by 4, within 15 %.
    """
    steps, theta, scale, eta = [3, 20, 60], 0.8, 0.7, 0.15
    gaps = []
    for n in (100, 200, 400):
        exact = [_mean_risk(k, theta, scale, eta=eta, n=n) for k in steps]
        near = finite_n_risk(
            torch.tensor(steps),
            torch.tensor([theta]),
            torch.tensor([scale]),
            step_size=eta,
            noise=(0.1 * n) ** 0.5,
            n=n,
        )
        gaps.append(np.array(exact) - near.total.numpy())
    np.testing.assert_allclose(gaps[0] / gaps[1], 4, rtol=0.15)
    np.testing.assert_allclose(gaps[1] / gaps[2], 4, rtol=0.15)


def _mean_risk(k, theta, scale, *, eta, n):
    law = stats.chi2(n)

    def integrand(chi2):
        g = scale**2 * chi2 / n
        left = (1 - eta * g) ** k
        return law.pdf(chi2) * scale**2 * (theta**2 * left**2 + 0.1 * (1 - left) ** 2 / g)

    return quad(integrand, *law.interval(1 - 1e-13), epsabs=1e-14, epsrel=1e-12)[0]


def test_equals_the_mean_over_designs_and_beats_theorem_1():
    """20,000 designs with n = 80, d = 2: within 5 standard errors and the next order, (d / n)^2 = 6e-4, of the risk.

    Chance of failure below 4 * 6e-7. Theorem 1 alone is out by more than 10 of these standard errors.
    """
    n, draws, steps = 80, 20_000, torch.tensor([12, 30, 491, 5000])
    noise = (0.1 * n) ** 0.5
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(draws, n, 2, generator=generator, dtype=torch.float64) * SCALES
    risk = DescentRisk(X, THETA, SCALES, step_size=0.1).expected(steps, noise=noise).total
    mean, error = risk.mean(0), risk.std(0) / draws**0.5
    near = finite_n_risk(steps, THETA, SCALES, step_size=0.1, noise=noise, n=n).total
    first = approximate_risk(steps, THETA, SCALES, step_size=0.1, noise=noise, n=n).total.sum(0)
    assert ((mean - near).abs() < 5 * error + (2 / n) ** 2 * mean).all()
    assert ((mean - first).abs() > 10 * error).all()


def test_groups_of_equal_rates_equal_rates_that_nearly_agree():
    """The sums by distinct rate against the same features moved apart by 1e-9: relative change of that order."""
    steps = torch.tensor([1, 7, 12, 100, 491])
    theta, scales = THETA.repeat(3), SCALES.repeat(3)
    apart = scales * (1 + 1e-9 * torch.arange(6))
    together = finite_n_risk(steps, theta, scales, step_size=0.1, noise=2.0, n=50).total
    torch.testing.assert_close(
        together, finite_n_risk(steps, theta, apart, step_size=0.1, noise=2.0, n=50).total, rtol=1e-6, atol=0
    )
