"""The study of Choromanska et al.: its theory and its enumeration against other ways to the same numbers; verdicts."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from lemmata.studies import _choromanska_2015_critical as critical
from lemmata.studies import _choromanska_2015_descent as descent
from lemmata.studies import _choromanska_2015_homotopy as homotopy
from lemmata.studies import _choromanska_2015_networks as networks
from lemmata.studies import _choromanska_2015_theory as theory
from lemmata.studies import choromanska_2015 as choromanska
from lemmata.verdicts import Outcome

# ---- theory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [3, 4, 7])
def test_total_is_the_published_number_of_eigenvectors_of_a_random_tensor(p: int):
    """Twice sqrt(3p - 2) in two dimensions, 1 + 4 (p-1)^(3/2) / sqrt(3p - 2) in three (Breiding, 2017); quadrature."""
    assert theory.total(2, p) == pytest.approx(2 * math.sqrt(3 * p - 2), rel=1e-9)
    assert theory.total(3, p) == pytest.approx(2 + 8 * (p - 1) ** 1.5 / math.sqrt(3 * p - 2), rel=1e-9)


@pytest.mark.parametrize("N", [1, 2, 5, 8])
def test_level_density_has_the_moments_of_the_ensemble(N: int):
    """N eigenvalues; the mean of the trace of the square is N + N (N - 1) / 2, from the entries' variances."""
    x = np.linspace(-16, 16, 4001)
    density = theory.level_density(N, x)
    assert np.trapezoid(density, x) == pytest.approx(N, rel=1e-9)
    assert np.trapezoid(density * x**2, x) == pytest.approx(N * (N + 1) / 2, rel=1e-9)


@given(p=st.integers(3, 9), above=st.floats(0.0, 0.5), k=st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_complexity_is_its_integral(p: int, above: float, k: int):
    """I(u) = 2 / E^2 times the integral of sqrt(z^2 - E^2) from E to |u|, by adaptive quadrature: 1e-7 absolute."""
    edge = theory.threshold(p)
    u = edge + above
    rate = 2 / edge**2 * quad(lambda z: math.sqrt(max(z**2 - edge**2, 0)), edge, u)[0]
    expected = 0.5 * math.log(p - 1) - (p - 2) / (4 * (p - 1)) * u**2 - (k + 1) * rate
    assert theory.complexity(np.array([-u]), p, k)[0] == pytest.approx(expected, abs=1e-7)


def test_layers_begin_one_after_the_other():
    """E_0 > E_1 > ... > E_inf; at the edge the rate is log(p-1)/2 - (p-2)/p; the 3-spin ground state is 1.657."""
    found = [theory.layer(3, k) for k in range(5)]
    assert found == sorted(found, reverse=True)
    assert found[-1] > theory.threshold(3)
    assert found[0] == pytest.approx(1.657, abs=5e-4)
    assert theory.complexity(np.array([-theory.threshold(5)]), 5)[0] == pytest.approx(math.log(4) / 2 - 3 / 5)


def test_layers_add_up_to_the_total():
    """Relative deviation of 20,000 matrices: 0.3 % at 5 units, so 1.5 % is five deviations."""
    found = theory.layers(5, 3, matrices=20_000, random=np.random.default_rng(1))
    assert found.count.sum() == pytest.approx(theory.total(5, 3), rel=0.015)
    assert (np.diff(found.energy) > 0).all()


def test_smallest_eigenvalues_are_those_of_dense_matrices():
    """Means of 2,000 each, of deviation 0.19: their difference is below five deviations, 0.03."""
    random = np.random.default_rng(2)
    found = np.array([theory.smallest_eigenvalue(6, random) for _ in range(2000)])
    entries = random.standard_normal((2000, 6, 6))
    dense = np.linalg.eigvalsh((entries + entries.transpose(0, 2, 1)) / math.sqrt(24))[:, 0]
    assert found.mean() == pytest.approx(dense.mean(), abs=0.03)
    assert found.std() == pytest.approx(dense.std(), abs=0.03)


def test_minima_at_small_sizes_are_those_of_dense_matrices():
    """The weighted mean energy of 2,000 tridiagonal matrices, and of 20,000 dense ones: 0.04 is five deviations."""
    energy, weight = theory.minima(5, 3, matrices=2000, random=np.random.default_rng(3))
    assert weight.sum() == pytest.approx(1.0)
    layers = theory.layers(5, 3, matrices=20_000, random=np.random.default_rng(4))
    assert (weight * energy).sum() == pytest.approx(layers.energy[0], abs=0.04)


# ---- all critical points ---------------------------------------------------------------------------------------------


def _spin_glass(N: int, p: int, seed: int) -> np.ndarray:
    return homotopy.symmetric(np.random.default_rng(seed).standard_normal((1, *(N,) * p)))


def _energies(S: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    found, complete = homotopy.directions(S, np.random.default_rng(seed))
    assert complete.all()
    return homotopy.critical_points(S[0], found[0])


@pytest.mark.parametrize("p", [3, 4])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_on_the_circle_the_points_are_the_roots_of_a_polynomial(p: int, seed: int):
    """f(1, z) / (1 + z^2)^(p/2) has slope 0 at the real roots of (1 + z^2) q'(z) - p z q(z), by numpy.roots."""
    S = _spin_glass(2, p, seed)
    q = np.polynomial.Polynomial([math.comb(p, j) * S[(0, *(1,) * j + (0,) * (p - j))] for j in range(p + 1)])
    z = np.polynomial.Polynomial([0, 1])
    roots = ((1 + z**2) * q.deriv() - p * z * q).roots()
    real = roots.real[np.abs(roots.imag) < 1e-9]
    values = q(real) / (1 + real**2) ** (p / 2)
    energy, _ = _energies(S)
    np.testing.assert_allclose(np.sort(energy), np.sort([*values, *((-1) ** p * values)]), atol=1e-9)


@pytest.mark.parametrize(("N", "p"), [(3, 3), (3, 4)])
def test_points_are_critical_and_their_index_is_the_hessians(N: int, p: int):
    """Gradient and Hessian by autograd, of the function continued to the space as constant along rays."""
    S = _spin_glass(N, p, 5)
    found, complete = homotopy.directions(S, np.random.default_rng(0))
    assert complete.all()
    assert found.shape[1] == ((p - 1) ** N - 1) // (p - 2)
    tensor = torch.from_numpy(S[0])

    def value(x: torch.Tensor) -> torch.Tensor:
        out = tensor
        for _ in range(p):
            out = out @ (x / x.norm())
        return out

    energy, index = homotopy.critical_points(S[0], found[0])
    real = found[0].real[np.abs(found[0].imag).max(1) < homotopy.REAL]
    for direction, f, k in zip(np.concatenate([real, -real]), energy, index, strict=True):
        s = torch.from_numpy(direction / np.linalg.norm(direction))
        assert torch.func.grad(value)(s).norm() < 1e-9
        assert value(s).item() == pytest.approx(f, abs=1e-10)
        eigenvalues = torch.linalg.eigvalsh(torch.func.hessian(value)(s))
        assert int((eigenvalues < -1e-8).sum()) == k


@given(seed=st.integers(0, 10**6), N=st.sampled_from([2, 3, 4]))
@settings(max_examples=10, deadline=None)
def test_indices_have_the_euler_characteristic_of_the_sphere(seed: int, N: int):
    """The alternating sum is 0 on spheres of odd dimension, 2 on those of even one (Morse); p odd: f and -f pair up."""
    energy, index = _energies(_spin_glass(N, 3, seed), seed)
    assert ((-1.0) ** index).sum() == (2 if N % 2 else 0)
    np.testing.assert_allclose(np.sort(energy), np.sort(-energy), atol=1e-9)


def test_counts_do_not_depend_on_the_path():
    S = _spin_glass(4, 3, 11)
    np.testing.assert_allclose(np.sort(_energies(S, 0)[0]), np.sort(_energies(S, 1)[0]), atol=1e-8)


def test_members_of_the_enumeration():
    """The number of points, from a member's own draws; shuffled indices have the same counts and no layers."""
    own, shuffled = critical.count_points(
        [critical.Points(units=3, draws=30, indices=name, seed=4) for name in ("own", "shuffled")]
    )
    assert own.scalars["count"] == shuffled.scalars["count"] == pytest.approx(own.arrays["counts"].sum())
    assert own.scalars["euler_off"] == 0
    assert own.scalars["layer_step"] > 0.5 > abs(shuffled.scalars["layer_step"])


# ---- descent ---------------------------------------------------------------------------------------------------------


def test_descent_ends_in_minima_of_the_enumeration():
    """On 5 units every energy that descent finds is that of an enumerated point of index 0; float32, 1e-4."""
    S = _spin_glass(5, 3, 7)
    energy, index = _energies(S)
    start = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    s, found, steps = descent.descend(torch.from_numpy(S[0]).float(), start)
    assert steps < descent.STEPS
    assert (np.abs(found[:, None] - energy[index == 0]).min(1) < 1e-4).all()
    assert (descent.curvature(torch.from_numpy(S[0]).float(), s) > 0).all()


def test_units_alone_have_their_own_energies():
    random = np.random.default_rng(3)
    S = descent.hamiltonian(descent.Descents(units=7, couplings=False), random)
    own = -torch.diagonal(torch.diagonal(S)).abs()
    start = torch.randn(30, 7, generator=torch.Generator().manual_seed(1))
    found = torch.from_numpy(descent.descend(S, start)[1]).float()
    assert float((found[:, None] - own).abs().min(1).values.max()) < 1e-4


def test_a_random_point_has_an_energy_of_variance_one_over_the_units():
    """At fixed w, H / N has variance 1 / N: 4,000 tensors of 4 units, relative deviation 2.2 %, tolerance five."""
    random = np.random.default_rng(5)
    config = descent.Descents(units=4)
    values = [float(descent.hamiltonian(config, random)[0, 0, 0]) for _ in range(4000)]
    assert np.var(values) == pytest.approx(1 / 4, rel=0.11)


# ---- networks --------------------------------------------------------------------------------------------------------

TINY: dict[str, Any] = {"width": 3, "nets": 3, "n": 40, "n_test": 30, "epochs": 2, "batch": 10}


def test_members_do_not_see_each_other():
    """Float32 in batches of different sizes: 1e-5 relative."""
    together = networks.train_many([networks.Networks(seed=seed, **TINY) for seed in (0, 3)])
    for seed, member in zip((0, 3), together, strict=True):
        alone = networks.train_many([networks.Networks(seed=seed, **TINY)])[0]
        np.testing.assert_allclose(alone.arrays["test_losses"], member.arrays["test_losses"], rtol=1e-5)


def test_networks_of_a_seed_share_the_digits_and_nothing_else():
    config = networks.Networks(seed=1, **TINY)
    x, y, x_test, _ = networks.digits(config, [1, 2])
    assert x.shape == (6, 40, 100)
    assert torch.equal(x[0], x[2])
    assert torch.equal(y[0], y[2])
    assert not torch.equal(x[0], x[3])
    assert not (x[0][:, None] == x_test[0]).all(-1).any()
    _, _, other, _ = networks.digits(config, [2])
    assert not (x_test[0][:, None] == other[0]).all(-1).any()
    weights = [networks.STREAMS.generator(1, "weights", 3, i).initial_seed() for i in range(3)]
    assert len(set(weights)) == 3


def test_before_training_is_what_the_weights_say():
    """The mean test loss of the untrained networks, evaluated by hand."""
    config = networks.Networks(seed=2, measured="untrained", **TINY)
    found = networks.train_many([config])[0]
    _, _, x_test, y_test = networks.digits(config, [2])
    losses = []
    for i in range(3):
        model = networks.nets.mlp(
            100, [3], 10, initialisation=networks.unit_cube, seed=networks.STREAMS.generator(2, "weights", 3, i)
        )
        losses.append(torch.nn.functional.cross_entropy(model(x_test[i]), y_test[i]).item())
    np.testing.assert_allclose(found.arrays["test_losses"], losses, rtol=1e-5)


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = [claim.name for claim in choromanska.study.claims]


def test_smoke_scale_refutes_nothing(smoke):
    verdicts = smoke("choromanska-2015", "descent", "points").verdicts
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in verdicts.values()}


@pytest.mark.slow
def test_smoke_scale_of_all_experiments_refutes_nothing(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("choromanska-2015").verdicts.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_reproduced_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("choromanska-2015").assert_outcome(name)
