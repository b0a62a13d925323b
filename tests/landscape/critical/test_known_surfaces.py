"""Surfaces whose critical points are known: all are found, with their indices, and none is invented."""

import math
from collections import Counter
from itertools import combinations, product

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.landscape import critical
from lemmata.objective import Objective

FINDERS = ("newton_mr", "gradient_norm")


def himmelblau(v):
    return (v[0] ** 2 + v[1] - 11) ** 2 + (v[0] + v[1] ** 2 - 7) ** 2


# Published to some digits (Himmelblau, 1972); made exact by mpmath below. Bezout allows two cubics nine common zeros:
# these are all.
HIMMELBLAU = {
    (3.0, 2.0): 0, (-2.805118, 3.131312): 0, (-3.779310, -3.283186): 0, (3.584428, -1.848126): 0,
    (0.086677, 2.884254): 1, (3.385154, 0.073852): 1, (-3.073026, -0.081353): 1, (-0.127961, -1.953715): 1,
    (-0.270845, -0.923039): 2,
}  # fmt: skip


def _exact(x: float, y: float) -> list[float]:
    def slope(a, b):
        p, q = a**2 + b - 11, a + b**2 - 7
        return [4 * a * p + 2 * q, 2 * p + 4 * b * q]

    with mpmath.workdps(30):
        return [float(c) for c in mpmath.findroot(slope, (x, y))]


@pytest.mark.parametrize("method", FINDERS)
def test_all_nine_of_himmelblau_and_no_other(method):
    """Against mpmath at 30 digits: 1e-12, a few units in the last place over the smallest |eigenvalue|."""
    found = critical.search(critical.function(himmelblau, 2), 300, spread=3.0, method=method, seed=1)
    assert found.critical.all()
    assert float(found.gradient_norm.max()) < 1e-12
    once = found.distinct()
    assert len(once) == 9
    for (x, y), index in HIMMELBLAU.items():
        exact = torch.tensor(_exact(x, y), dtype=torch.float64)
        near = (once.theta - exact).norm(dim=1)
        i = int(near.argmin())
        assert near[i] < 1e-12
        assert near[i] <= once.distance[i] + 1e-15  # rounding of mpmath's point to float64
        assert once.negative[i] == index
        assert once.kind[i] == ("minimum", "saddle", "maximum")[index]


def test_the_trust_region_finds_the_minima_and_nothing_else():
    found = critical.search(critical.function(himmelblau, 2), 100, spread=3.0, method="trust_region", seed=0)
    assert found.counts == {"minimum": 100}
    assert len(found.distinct()) == 4
    rosenbrock = critical.function(lambda v: (100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2).sum(), 4)
    one = critical.search(rosenbrock, torch.tensor([[0.0, 0.5, 0.5, 0.0]]), method="trust_region")
    torch.testing.assert_close(one.theta, torch.ones(1, 4, dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", FINDERS)
def test_every_one_of_27_wells_saddles_and_tops(method):
    """Sum (v_i^2 - 1)^2 / 4 has them at all v in {-1, 0, 1}^3, the index being the number of zeros."""
    starts = torch.tensor(list(product((-1.2, -0.7, -0.2, 0.1, 0.8), repeat=3)))
    found = critical.search(critical.function(lambda v: ((v**2 - 1) ** 2).sum() / 4, 3), starts, method=method)
    once = found.of("minimum", "saddle", "maximum").distinct()
    assert {tuple(round(c) for c in v) for v in once.theta.tolist()} == set(product((-1, 0, 1), repeat=3))
    assert float((once.theta - once.theta.round()).abs().max()) < 1e-11
    assert once.negative.tolist() == (once.theta.abs() < 0.5).sum(1).tolist()
    assert Counter(once.kind) == {"minimum": 8, "saddle": 18, "maximum": 1}


def _linear_autoencoder(s: list[float], latent: int) -> Objective:
    n = len(s)
    model = torch.nn.Sequential(torch.nn.Linear(n, latent, bias=False), torch.nn.Linear(latent, n, bias=False)).double()
    x = torch.diag((n * torch.tensor(s, dtype=torch.float64)).sqrt())
    return Objective(model, loss=lambda z, y: 0.5 * (z - y).square().sum(1).mean(), data=(x, x))


def _listed(s: list[float], latent: int) -> set[tuple[float, int]]:
    """Loss and number of negative eigenvalues for every set of kept directions (Baldi and Hornik, 1989)."""
    n, listed = len(s), set()
    for size in range(latent + 1):
        for kept in combinations(range(n), size):
            rest = [j for j in range(n) if j not in kept]
            down = sum(s[j] > s[i] for i in kept for j in rest) + (latent - size) * (n - size)
            listed.add((round(sum(s[j] for j in rest) / 2, 9), down))
    return listed


def test_all_critical_losses_and_indices_of_a_linear_autoencoder():
    """Seven sets of at most 2 of 3 directions: each found from 80 starts, a quarter near the origin, and no other."""
    s, latent = [3.0, 2.0, 0.7], 2
    size = torch.tensor([0.1] * 20 + [0.7] * 60, dtype=torch.float64)[:, None]
    starts = size * torch.randn(80, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = critical.search(_linear_autoencoder(s, latent), starts, method="gradient_norm", steps=60)
    assert float(found.critical.double().mean()) > 0.5  # others are still on their way, or run off to infinity
    at = found.at(found.critical)
    ends = {(round(loss, 9), down) for loss, down in zip(at.loss.tolist(), at.negative.tolist(), strict=True)}
    assert ends == _listed(s, latent)
    assert "gradient-flat" not in found.counts
    minima = at.at(at.loss < 0.35 + 1e-9)
    assert set(minima.kind) == {"degenerate"}  # along the family that GL(2) makes of each
    judged = critical.polish(found.objective, minima, flat="symmetry")
    assert set(judged.kind) == {"minimum"}
    assert (judged.flat == 4).all()
    assert float(judged.distance.max()) < 1e-10


@pytest.mark.parametrize("method", FINDERS)
def test_a_false_critical_point_is_called_gradient_flat(method):
    """F = x^3/3 + c x + y^2/2 has none, and |grad f|^2 = (x^2 + c)^2 + y^2 its minimum at 0, where H g = 0."""
    c = 0.3
    surface = critical.function(lambda v: v[0] ** 3 / 3 + c * v[0] + v[1] ** 2 / 2, 2)
    count = 30 if method == "gradient_norm" else 4  # Newton-MR creeps there
    found = critical.search(surface, count, method=method, seed=2, steps=50 if method == "gradient_norm" else 15)
    assert not found.critical.any()
    assert set(found.kind) <= {"gradient-flat", "not converged"}
    if method == "gradient_norm":
        assert found.counts == {"gradient-flat": 30}
        assert found.stalled.all()
        assert float(found.flatness.min()) > 1 - 1e-9
        torch.testing.assert_close(found.gradient_norm, torch.full((30,), c, dtype=torch.float64), rtol=1e-10, atol=0)


def test_degenerate_points_are_not_called_minima_or_saddles():
    """x^4 and the monkey saddle: Newton comes linearly, and at the end no eigenvalue can be told from zero."""
    for surface in (lambda v: v[0] ** 4 + v[1] ** 2, lambda v: v[0] ** 3 - 3 * v[0] * v[1] ** 2):
        found = critical.search(critical.function(surface, 2), 10, seed=0)
        assert found.counts == {"degenerate": 10}
        assert not found.distance.isfinite().any()


@pytest.mark.parametrize("plateau", [lambda x: (-x).exp(), lambda x: 1e-11 * x])
def test_a_plateau_is_no_family_of_minima(plateau):
    """No critical point, but |g| below 1e-10; on the ring (|v|^2 - 1)^2 the zero eigenvalue is a symmetry's."""
    surface = critical.function(lambda v: plateau(v[0]) + v[1] ** 2, 2)
    found = critical.search(surface, torch.tensor([[24.0, 0.3]]), flat="symmetry")
    assert bool(found.critical)
    assert found.kind == ("degenerate",)
    assert not found.distance.isfinite().any()
    ring = critical.function(lambda v: (v.square().sum() - 1) ** 2, 2)
    one = critical.search(ring, torch.tensor([[0.9, -0.6]]), flat="symmetry")
    assert one.kind == ("minimum",)
    assert float(one.distance) < 1e-12


def test_third_derivatives_that_vanish_by_symmetry_certify_nothing_far():
    """x^2/2 + x/2 - x^4/4 has T = 0 at 0, Newton's step 1/2, and its one critical point at 1.19, further than that."""
    surface = critical.function(lambda v: v[0] ** 2 / 2 + v[0] / 2 - v[0] ** 4 / 4, 1)
    found = critical.polish(surface, torch.zeros(1, 1), steps=0, tolerance=1.0)
    assert not found.distance.isfinite().any()
    assert found.kind == ("degenerate",)


@pytest.mark.parametrize("method", FINDERS)
def test_where_the_loss_is_not_finite_there_is_no_critical_point(method):
    """Log x + x has derivatives at x < 0, where its slope vanishes at -1, and no value there."""
    surface = critical.function(lambda v: v[0].log() + v[0], 1, at=[1.0])
    found = critical.search(surface, torch.tensor([[-0.9], [-1.0]]), method=method, steps=20)
    assert found.kind == ("not converged",) * 2
    assert not found.critical.any()
    assert not found.distance.isfinite().any()


def test_a_hessian_that_is_not_finite_says_nothing_of_flatness():
    """X + y + x^1.5 + y^1.5 at the origin: the gradient is (1, 1), and second derivatives are infinite."""
    surface = critical.function(lambda v: v.sum() + (v**1.5).sum(), 2, at=[1.0, 1.0])
    found = critical.polish(surface, torch.zeros(1, 2), steps=0)
    assert float(found.gradient_norm) == pytest.approx(math.sqrt(2))
    assert found.kind == ("not converged",)


@given(a=st.floats(-2, 2), b=st.floats(0.2, 3), offset=st.floats(-0.1, 0.1))
@settings(max_examples=10, deadline=None)
def test_the_certificate_covers_the_true_point(a: float, b: float, offset: float):
    """A x^3/6 + b x^2/2 - c x: the Hessian's constant is |a| exactly, the zero of the gradient in closed form."""
    c = 0.1
    surface = critical.function(lambda v: a * v[0] ** 3 / 6 + b * v[0] ** 2 / 2 - c * v[0], 1)
    discriminant = b * b + 2 * a * c
    if discriminant <= 0.01:
        return
    zero = 2 * c / (b + math.sqrt(discriminant))
    found = critical.polish(
        surface, torch.tensor([zero + offset], dtype=torch.float64), steps=0, lipschitz=abs(a), tolerance=10.0
    )
    assert abs(offset) <= float(found.distance[0]) * (1 + 1e-12) + 1e-15
    estimated = critical.polish(surface, torch.tensor([zero + offset], dtype=torch.float64), steps=0, tolerance=10.0)
    assert float(estimated.lipschitz[0]) == pytest.approx(2 * abs(a), rel=1e-9, abs=1e-12)
