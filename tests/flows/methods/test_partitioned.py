"""Splittings: symplectic, reversible, the two-step form of leapfrog, and the edge |h omega| = 2 of their stability."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.func import jacrev

from lemmata.errors import InvalidInput
from lemmata.flows import METHODS, Partitioned, integrate
from lemmata.flows.field import hold
from lemmata.flows.methods import Splitting

NAMES = ["symplectic-euler", "verlet", "leapfrog"]


class Chain(Partitioned):
    """A Hamiltonian field of three coupled pendula whose strength moves with time."""

    T = 1.0

    def weights_at(self, times, inside):
        return (1 + 0.5 * torch.sin(3 * times),)

    def first(self, p, s):
        return s * torch.tanh(p)

    def second(self, q, s):
        return -s * (torch.sin(q) + 0.3 * (q - q.roll(1, -1)) + 0.3 * (q - q.roll(-1, -1)))


def _state(samples=1, width=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(samples, width, generator=draw, dtype=torch.float64) for _ in range(2))


def _one_step(method, h):
    time = torch.tensor([0.3], dtype=torch.float64)
    held = hold(Chain(), time, time) * len(method.nodes)

    def step(z):
        return torch.cat(method.step(held, (z[None, :3], z[None, 3:]), h), dim=1)[0]

    return step


@pytest.mark.parametrize("name", [*NAMES, "implicit-midpoint"])
def test_steps_are_symplectic(name):
    """M^T J M = J to 1e-12 at a long step; RK4 and Euler are not, by 1e-3 and 1e-2 at least."""
    J = torch.zeros(6, 6, dtype=torch.float64)
    J[:3, 3:], J[3:, :3] = torch.eye(3), -torch.eye(3)
    z = torch.cat([part[0] for part in _state()])

    def defect(method):
        M = jacrev(_one_step(method, 0.7))(z)
        return float((M.T @ J @ M - J).abs().max())

    assert defect(METHODS[name]) < 1e-12
    assert defect(METHODS["rk4"]) > 1e-3
    assert defect(METHODS["forward-euler"]) > 1e-2


@pytest.mark.parametrize("name", [*NAMES, "implicit-midpoint", "trapezoidal"])
def test_a_thousand_layers_forth_and_back(name):
    """1,024 steps and back give the beginning, to 1e-8 (rounding grows along the way); 24 of the implicit ones."""
    method, field, steps = METHODS[name], Chain(), 1024 if name in NAMES else 24
    h = 10.0 / steps
    start = _state(samples=4)
    middles = (torch.arange(steps, dtype=torch.float64)[:, None] + torch.tensor(method.nodes)) * h
    held = hold(field, middles.reshape(-1), middles.reshape(-1))
    layers = [held[n * len(method.nodes) : (n + 1) * len(method.nodes)] for n in range(steps)]
    y = start
    for f in layers:
        y = method.step(f, y, h)
    assert (y[0] - start[0]).abs().max() > 0.1
    for f in reversed(layers):
        y = method.back(f, y, h)
    for part, begun in zip(y, start, strict=True):
        torch.testing.assert_close(part, begun, rtol=0, atol=1e-8)


def test_leapfrogs_middles_obey_the_two_step_form():
    """x_n = q_n + h p_n / 2: x_{n+1} = 2 x_n - x_{n-1} + h^2 g(x_n), the residual network of second order."""

    class Second(Chain):
        def first(self, p, s):
            return p

    h, steps = 0.05, 20
    run = integrate(Second(), _state(), steps=steps, method="leapfrog")
    q, p = run.states
    x = q + h / 2 * p
    t = torch.arange(steps, dtype=torch.float64) * h + h / 2
    for n in range(1, steps - 1):
        strength = 1 + 0.5 * torch.sin(3 * t[n])
        torch.testing.assert_close(
            x[n + 1], 2 * x[n] - x[n - 1] + h**2 * Second().second(x[n], strength), rtol=0, atol=1e-14
        )


def test_symplectic_euler_by_hand(oscillator):
    q, p = _state()
    run = integrate(oscillator, (q, p), steps=1, T=0.1, method="symplectic-euler")
    torch.testing.assert_close(run.final[1], p - 0.1 * q, rtol=0, atol=1e-15)
    torch.testing.assert_close(run.final[0], q + 0.1 * (p - 0.1 * q), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_the_oscillator_is_stable_up_to_two_and_not_beyond(oscillator, name):
    """Eigenvalues of the step's matrix against the closed form to 1e-12; bounded over 200 steps below 2, not above."""
    method = METHODS[name]
    for h in (0.3, 1.0, 1.99, 2.01, 3.0):
        held = hold(oscillator, torch.zeros(1), torch.zeros(1))
        eye = torch.eye(2, dtype=torch.float64)
        q, p = method.step(held, (eye[:1], eye[1:]), h)
        found = np.sort_complex(np.linalg.eigvals(torch.cat([q, p]).numpy()))
        one = complex(method.stability_function(1j * h))
        np.testing.assert_allclose(np.sort_complex(np.array([one, 1 / one])), found, atol=1e-12)
        run = integrate(oscillator, (eye[:1], eye[1:]), steps=200, T=200 * h, method=name)
        size = float(max(part.abs().max() for part in run.states))
        assert (size < 100) == (h < 2)
        assert (float(method.growth(1j * h)) <= 1 + 1e-12) == (h < 2)


def _forest_and_ruth():
    a = 1 / (2 - 2 ** (1 / 3))
    return [("q", a / 2), ("p", a), ("q", (1 - a) / 2), ("p", 1 - 2 * a), ("q", (1 - a) / 2), ("p", a), ("q", a / 2)]


@pytest.mark.parametrize(
    "moves",
    [
        [
            ("p", Fraction(1, 4)),
            ("q", Fraction(1, 2)),
            ("p", Fraction(1, 2)),
            ("q", Fraction(1, 2)),
            ("p", Fraction(1, 4)),
        ],
        _forest_and_ruth(),
    ],
    ids=["two half steps", "Forest and Ruth"],
)
def test_moves_of_ones_own_have_a_stability_function_of_their_own(oscillator, moves):
    """Eigenvalues of the step's matrix by numpy to 1e-12, where they are apart; near 0 the exponential."""
    method = Splitting("own", moves)
    assert method.order == 2
    held = hold(oscillator, torch.zeros(1), torch.zeros(1))
    eye = torch.eye(2, dtype=torch.float64)
    for h in (0.1, 0.9, 1.7, 3.0, 3.9, 4.3):
        step = torch.cat(method.step(held, (eye[:1], eye[1:]), h)).numpy()
        found = np.linalg.eigvals(step)
        one = complex(method.stability_function(1j * h))
        np.testing.assert_allclose(one + 1 / one, found.sum(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(method.growth(1j * h), np.abs(found).max(), rtol=1e-9)
    z = np.array([1e-3j, -1e-3, 1e-3 + 1e-3j])
    np.testing.assert_allclose(method.stability_function(z), np.exp(z), atol=1e-9)


def test_two_half_steps_of_verlet_are_stable_twice_as_far():
    half = Splitting("halves", [(which, part / 2) for _ in range(2) for which, part in METHODS["verlet"].moves])
    y = np.linspace(0.1, 5, 50)
    np.testing.assert_allclose(half.growth(1j * y), METHODS["verlet"].growth(0.5j * y) ** 2, rtol=1e-7)


def test_moves_that_do_not_follow_the_field_are_refused():
    with pytest.raises(InvalidInput, match="moves of q sum to 1/2, those of p to 1; each must sum to 1"):
        Splitting("short", [("p", Fraction(1)), ("q", Fraction(1, 2))])


def test_growth_is_one_on_the_segment_only():
    growth = METHODS["verlet"].growth(np.array([0.0, 1j, 2j, -2j, 2.1j, -0.1, 0.1, -0.1 + 1j, 0.1 - 1j]))
    np.testing.assert_allclose(growth[:4], 1, atol=1e-7)  # at 2i both roots meet: the root of a rounding
    assert np.all(growth[4:] > 1.01)


def test_plain_fields_are_refused(oscillator):
    with pytest.raises(InvalidInput, match="verlet moves q by p and p by q"):
        integrate(torch.nn.Bilinear(1, 2, 2), torch.ones(1, 2), steps=1, T=1.0, method="verlet")
    with pytest.raises(InvalidInput, match=r"pair \(q, p\)"):
        integrate(oscillator, torch.ones(1, 2), steps=1, T=1.0, method="verlet")
