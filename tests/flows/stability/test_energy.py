"""Energy along Hamiltonian networks: bounded at the rate h^2 for Verlet, growing for Euler, exact where it must be."""

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.flows import Flow, Hamiltonian, PiecewiseConstant, PiecewiseLinear, Plain
from lemmata.flows.stability import energy_drift


def _layers(T):
    return Hamiltonian(4, PiecewiseConstant(1, T=T), seed=0, dtype=torch.float64)


Y = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)


def test_forward_euler_on_the_oscillator_by_hand(oscillator):
    """|1 + i h|^2 = 1 + h^2 a step: H_n = H_0 (1 + h^2)^n, to 1e-13 relative."""
    found = energy_drift(Flow(oscillator, steps=50, T=5.0, method="forward-euler"), Y)
    exact = (Y.square().sum(1) / 2).numpy() * (1 + 0.01) ** np.arange(51)[:, None]
    np.testing.assert_allclose(found.energy, exact, rtol=1e-13)


def test_verlet_keeps_the_oscillators_other_quadratic(oscillator):
    """H - h^2 q^2 / 8 ... is what Verlet keeps: the error of H is at most h^2 / 4 of H / (1 - h^2 / 4), and comes back.

    Verlet keeps p^2 + (1 - h^2 / 4) q^2 exactly, so 2 H = that + h^2 q^2 / 4 with q^2 <= that / (1 - h^2 / 4).
    """
    h = 0.5
    found = energy_drift(Flow(oscillator, steps=2000, T=1000.0, method="verlet"), Y)
    start = (Y.square() * (1 - h**2 / 4)).sum(1).numpy() / 2
    low, high = start, start / (1 - h**2 / 4)
    assert np.all(found.energy >= low - 1e-12)
    assert np.all(found.energy <= high + 1e-12)
    assert np.abs(found.rate).max() < 1e-5


def test_bounded_errors_fall_with_the_square_of_the_step():
    """Order of the largest error over T = 100 between h = 0.1 and 0.05: 2 within 0.1; of symplectic Euler 1."""
    for method, order in (("verlet", 2), ("leapfrog", 2), ("symplectic-euler", 1)):
        largest = [energy_drift(Flow(_layers(100.0), steps=n, method=method), Y).largest for n in (1000, 2000)]
        assert np.log2(largest[0] / largest[1]) == pytest.approx(order, abs=0.1)


def test_what_drifts_and_what_does_not():
    """Over ten times the time Verlet's error stays within a factor 1.5, forward Euler's grows fourfold at least."""
    short, long = (
        {
            name: energy_drift(Flow(_layers(T), steps=int(10 * T), method=name), Y)
            for name in ("verlet", "forward-euler")
        }
        for T in (20.0, 200.0)
    )
    assert long["verlet"].largest < 1.5 * short["verlet"].largest
    assert long["forward-euler"].largest > 4 * short["forward-euler"].largest
    assert np.all(long["forward-euler"].rate > 20 * np.abs(long["verlet"].rate))


def test_it_draws():
    assert "<svg" in str(static.render(energy_drift(Flow(_layers(5.0), steps=50, method="verlet"), Y).plot()))


def test_what_is_refused():
    moving = Hamiltonian(4, PiecewiseLinear(3), seed=0, dtype=torch.float64)
    with pytest.raises(InvalidInput, match=r"changes by .* in time, and with it the energy; hold the weights"):
        energy_drift(Flow(moving, steps=5, method="verlet"), Y)
    with pytest.raises(InvalidInput, match="Plain keeps no energy"):
        energy_drift(Flow(Plain(4, PiecewiseConstant(1)).double(), steps=5), Y)
    with pytest.raises(InvalidInput, match="y0 holds a NaN"):
        energy_drift(Flow(_layers(1.0), steps=5, method="verlet"), Y * torch.nan)
