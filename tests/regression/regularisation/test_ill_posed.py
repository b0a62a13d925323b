"""The ill-posed problems: kernels against adaptive quadrature, conditions, noise; and that they are ill-posed."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from lemmata.errors import InvalidInput, UnknownName
from lemmata.phantoms.ill_posed import ILL_POSED, ill_posed


@pytest.mark.parametrize("name", ILL_POSED)
def test_the_solution_and_the_data_belong_together(name):
    problem = ill_posed(name, 64)
    assert problem.A.shape == (64, 64)
    assert torch.equal(problem.A @ problem.x, problem.b)
    assert problem.A.isfinite().all()
    assert (problem.t.diff() > 0).all()
    s = torch.linalg.svdvals(problem.A)
    assert s[0] / s[-1].clamp(min=1e-300) > 100


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("phillips", lambda s: (6 - abs(s)) * (1 + 0.5 * math.cos(math.pi * s / 3))
         + 9 / (2 * math.pi) * math.sin(math.pi * abs(s) / 3)),
        ("foxgood", lambda s: ((1 + s**2) ** 1.5 - s**3) / 3),
        ("baart", lambda s: 2 * math.sinh(s) / s),
        ("deriv2", lambda s: (s**3 - s) / 6),
    ],
)  # fmt: skip
def test_data_are_those_of_the_integral_equation(name, exact):
    """Published right-hand sides; the midpoint rule on 200 points leaves 2e-4."""
    problem = ill_posed(name, 200)
    n = 200
    low, high = {"phillips": (-6, 6), "baart": (0, math.pi / 2)}.get(name, (0, 1))
    places = low + (high - low) * (np.arange(n) + 0.5) / n
    wanted = np.array([exact(s) for s in places])
    np.testing.assert_allclose(problem.b.numpy(), wanted, atol=2e-4 * np.abs(wanted).max())


def test_shaw_gravity_and_heat_by_adaptive_quadrature():
    def shaw(t, s):
        u = math.pi * (math.sin(s) + math.sin(t))
        return (
            (math.cos(s) + math.cos(t)) ** 2
            * (math.sin(u) / u if u else 1) ** 2
            * (2 * math.exp(-6 * (t - 0.8) ** 2) + math.exp(-2 * (t + 0.5) ** 2))
        )

    problem = ill_posed("shaw", 100)
    for i in (3, 50, 90):
        wanted = quad(shaw, -math.pi / 2, math.pi / 2, args=(float(problem.t[i]),), epsabs=1e-10)[0]
        assert float(problem.b[i]) == pytest.approx(wanted, rel=1e-3)
    problem = ill_posed("gravity", 100)
    for i in (3, 50, 90):
        s = float(problem.t[i])
        wanted = quad(
            lambda t, s=s: math.sin(math.pi * t) * (1 + math.cos(math.pi * t)) / 4 * (0.0625 + (s - t) ** 2) ** -1.5,
            0, 1,
        )[0]  # fmt: skip
        assert float(problem.b[i]) == pytest.approx(wanted, rel=1e-2)
    assert torch.equal(ill_posed("heat", 32).A.triu(1), torch.zeros(32, 32).double())  # causal
    column = ill_posed("heat", 4000).A[:, 0].sum()  # the impulse response, which integrates to erfc(1/2) up to time 1
    assert float(column) == pytest.approx(math.erfc(0.5), rel=1e-3)


def test_noise_is_white_and_of_the_stated_size():
    problem = ill_posed("shaw", 50)
    e = problem.noisy(0.1, 2000, seed=3) - problem.b[:, None]
    assert float(e.norm(dim=0).square().mean().sqrt()) == pytest.approx(0.1 * float(problem.b.norm()), rel=0.01)
    covariance = e @ e.T / 2000 / problem.noise_level(0.1) ** 2
    assert (
        covariance - torch.eye(50)
    ).abs().max() < 0.2  # five standard errors of 1 / sqrt(2000), squared entries' 1.4
    assert torch.equal(problem.noisy(0.1, 3, seed=1), problem.noisy(0.1, 3, seed=1))
    assert torch.equal(problem.noisy(0.0)[:, 0], problem.b)


def test_what_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'phillips'"):
        ill_posed("philips")
    with pytest.raises(InvalidInput, match="take 8 or more"):
        ill_posed("shaw", 4)
    for level in (-0.1, math.nan):
        with pytest.raises(InvalidInput, match="level of 0 or more"):
            ill_posed("shaw").noisy(level)
