"""Multigrid in layers against the serial solve, against its own linear theory, and against parareal."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flows.parallel._fields import F64, Linear, rotation, rough, start

from lemmata import flows
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.flows import integrate
from lemmata.flows.parallel import Multigrid, forecast, mgrit, parareal, propagation

SCHEMES = [
    Multigrid(m=8, relaxation="F"),
    Multigrid(m=4),
    Multigrid(m=2, levels=4),
    Multigrid(m=4, levels=3, relaxation="F"),
    Multigrid(m=4, coarse_method="forward-euler"),
]
IDS = ["F", "FCF", "four levels", "three levels F", "coarse Euler"]


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("method", ["forward-euler", "rk4"])
def test_converged_states_are_the_serial_ones(method: str, scheme: Multigrid):
    """To 1e-12, as a residual of 1e-13 is amplified by at most e^L over all layers, L of order 1 here."""
    field, y0 = rough(), start()
    whole = integrate(field, y0, steps=64, method=method).states.detach()
    found = mgrit(field, y0, steps=64, method=method, scheme=scheme, tol=1e-13, iterations=40, keep="all")
    assert found.converged
    assert found.states == pytest.approx(whole, abs=1e-12)
    assert found.final == pytest.approx(whole[-1], abs=1e-12)
    at_c = mgrit(field, y0, steps=64, method=method, scheme=scheme, tol=1e-13, iterations=40).states
    assert at_c == pytest.approx(whole[:: scheme.m], abs=1e-12)


@pytest.mark.parametrize("method", ["implicit-midpoint", "exponential-euler"])
def test_methods_that_solve_systems_in_each_step(method: str):
    field, y0 = rough(2, layers=8), start(2)
    whole = integrate(field, y0, steps=8, method=method).states.detach()
    found = mgrit(field, y0, steps=8, method=method, scheme=Multigrid(m=4), tol=1e-12)
    assert found.states == pytest.approx(whole[::4], abs=1e-11)


@pytest.mark.parametrize("method", ["verlet", "symplectic-euler"])
def test_pairs(method: str):
    field = flows.Hamiltonian(4, flows.PiecewiseConstant(32)).double()
    y0 = (start(), start(seed=2))
    whole = integrate(field, y0, steps=32, method=method)
    found = mgrit(field, y0, steps=32, method=method, scheme=Multigrid(m=4), tol=1e-13, keep="all")
    for mine, theirs in zip(found.states, whole.states, strict=True):
        assert mine == pytest.approx(theirs.detach(), abs=1e-12)
    assert found.final[1] == pytest.approx(whole.final[1].detach(), abs=1e-12)


def test_a_module_of_time_and_images_in_single_precision():
    class Waves(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = torch.nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, t, y):
            return torch.cos(3 * t) * torch.tanh(self.kernel(y))

    y0 = start(2 * 5 * 5, samples=3).float().reshape(3, 2, 5, 5)
    field = Waves()
    found = mgrit(field, y0, steps=32, T=2.0, method="heun", scheme=Multigrid(m=4), tol=1e-6)
    whole = integrate(field, y0, steps=32, T=2.0, method="heun").states.detach()
    assert found.states == pytest.approx(whole[::4], abs=1e-5)


@pytest.mark.parametrize("relaxation", ["F", "FCF"])
def test_each_iteration_makes_one_chunk_more_exact_or_two_and_the_last_all(relaxation):
    """After i iterations the C-points up to i (FCF: 2i) are the serial solve's but for rounding, and not more."""
    field, y0 = rough(scale=3.0), start()
    whole = integrate(field, y0, steps=32, T=1.0, method="forward-euler").states.detach()[::4]
    scheme = Multigrid(m=4, relaxation=relaxation)
    for i in range(scheme.exact_after(32) + 1):
        found = mgrit(field, y0, steps=32, method="forward-euler", scheme=scheme, tol=None, iterations=i)
        off = (found.states - whole).abs().amax((1, 2))
        done = min(i * scheme.sweeps, 8)
        assert off[: done + 1].max() < 1e-12
        if done + 1 < 8:  # the state at T is one chunk ahead
            assert off[done + 1 : -1].min() > 1e-7
    assert scheme.exact_after(32) == (8 if relaxation == "F" else 4)
    assert found.residuals[-1] < 1e-14
    assert found.residuals[-2] > 1e-9


def _errors(a: complex, method: str, scheme: Multigrid, steps: int, iterations: int) -> list[np.ndarray]:
    """Errors at C-points 1, ..., K after 0, 1, ... iterations as complex numbers, for x + i y whose velocity is a."""
    y0 = torch.tensor([[1.0, 0.0]], dtype=F64)
    field = Linear(rotation(a))
    whole = integrate(field, y0, steps=steps, method=method).states.detach()[:: scheme.m, 0]
    # Every guess has zeros behind y0 but for noise, and thus an error at every C-point.
    guess = whole[:, None] + torch.randn(len(whole), 1, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    found = [
        mgrit(field, y0, steps=steps, method=method, scheme=scheme, tol=None, iterations=i, guess=guess).states[:, 0]
        for i in range(iterations + 1)
    ]
    off = [(states - whole)[1:].numpy() for states in found]
    first = (guess[:, 0] - whole)[1:].numpy()
    return [first[:, 0] + 1j * first[:, 1], *(e[:, 0] + 1j * e[:, 1] for e in off[1:])]


@pytest.mark.parametrize("relaxation", ["F", "FCF"])
@pytest.mark.parametrize(("a", "method"), [(-3.0, "forward-euler"), (-2 + 5j, "rk4"), (8j, "midpoint")], ids=str)
def test_errors_of_linear_fields_are_those_of_the_theory(a, method, relaxation):
    """E^i e_0 with the matrix E in numpy; equal to 1e-12. The state at T is one relaxation ahead and left out."""
    scheme, steps = Multigrid(m=4, relaxation=relaxation), 40
    h, R = 1 / steps, flows.methods.method_of(method).stability_function
    E = propagation(complex(R(h * a)), complex(R(4 * h * a)), 4, 10, relaxation=relaxation)
    errors = _errors(complex(a), method, scheme, steps, 4)
    expected = errors[0]
    for found in errors[1:]:
        expected = E @ expected
        assert found[:-1] == pytest.approx(expected[:-1], abs=1e-12)


def test_parareal_is_two_levels_with_f_relaxation():
    """The same numbers but for rounding, in every iteration; and less work by the coarse sweep that parareal reuses."""
    for method, coarse in (("rk4", None), ("rk4", "forward-euler"), ("forward-euler", None)):
        field, y0 = rough(scale=2.0), start()
        for i in range(5):
            mine = parareal(field, y0, steps=32, m=4, method=method, coarse_method=coarse, iterations=i)
            scheme = Multigrid(m=4, relaxation="F", coarse_method=coarse)
            other = mgrit(field, y0, steps=32, method=method, scheme=scheme, tol=None, iterations=i)
            assert mine.states == pytest.approx(other.states, abs=1e-13)
            assert mine.residuals == pytest.approx(other.residuals, abs=1e-14)
            assert other.steps[1] - mine.steps[1] == i * 8


@settings(max_examples=25, deadline=None)
@given(
    scheme=st.builds(Multigrid, st.integers(2, 4), st.integers(2, 4), st.sampled_from(["F", "FCF"])),
    coarsest=st.integers(1, 3), iterations=st.integers(0, 3), guessed=st.booleans(),
)  # fmt: skip
def test_work_is_what_was_forecast(scheme, coarsest, iterations, guessed):
    """Steps counted on every level, equal as integers."""
    steps, m = coarsest * scheme.m ** (scheme.levels - 1), scheme.m
    y0 = start(2)
    guess = None if guessed else y0.expand(steps // m + 1, *y0.shape)
    field = rough(2, layers=5)
    found = mgrit(field, y0, steps=steps, method="heun", scheme=scheme, tol=None, iterations=iterations, guess=guess)
    cost = forecast(steps, scheme=scheme, iterations=found.iterations, method="heun", guessed=guessed)
    assert found.steps == cost.steps
    assert (found.evaluations, found.work) == (cost.evaluations, cost.work)
    assert found.iterations == iterations or found.residuals[-1] == 0


def test_velocities_are_counted_as_the_forecast_counts_them():
    """Evaluations by a field that counts what it is asked for itself: batched calls count each of their chunks once."""

    class Counting(Linear):
        asked = 0

        def velocity(self, y, *weights):
            type(self).asked += 1
            return super().velocity(y, *weights)

    field, y0 = Counting(-torch.eye(2, dtype=F64)), start(2)
    scheme = Multigrid(m=4, relaxation="F")
    mgrit(field, y0, steps=32, method="rk4", scheme=scheme, tol=None, iterations=2)
    # one call a stage: 3 sweeps of m batched steps, a first guess and two coarse solves of K steps, two batched sweeps
    assert Counting.asked == 4 * (3 * 4 + 3 * 8 + 2)


def test_an_unstable_coarse_step_does_not_converge():
    """With h a = -0.25 it is stable up to m = 8; beyond, residuals grow until the last chunks are exact."""
    field, y0 = Linear(-torch.eye(2, dtype=F64) * 64), start(2)
    for m, falls in ((4, True), (16, False)):
        run = mgrit(
            field, y0, steps=256, method="forward-euler", scheme=Multigrid(m=m, relaxation="F"), tol=None, iterations=4
        )
        assert (run.residuals[4] < run.residuals[0]) == falls
    with pytest.raises(NotConverged, match="after 3 iterations") as caught:
        mgrit(field, y0, steps=256, method="forward-euler", scheme=Multigrid(m=16), iterations=3)
    assert caught.value.best.iterations == 3


def test_a_solution_as_guess_needs_no_iteration():
    field, y0 = rough(), start()
    first = mgrit(field, y0, steps=32, scheme=Multigrid(m=4), tol=1e-13)
    again = mgrit(field, y0, steps=32, scheme=Multigrid(m=4), tol=1e-12, guess=first.states)
    assert again.iterations == 0
    assert again.final == pytest.approx(first.final, abs=1e-13)


def test_bad_input():
    field, y0 = rough(), start()
    with pytest.raises(InvalidInput, match="8 divides, not 36; take 32 steps"):
        mgrit(field, y0, steps=36, scheme=Multigrid(m=8))
    with pytest.raises(InvalidInput, match=r"guess is of shape \(5, 3, 4\); the states at C-points are \(9, 3, 4\)"):
        mgrit(field, y0, steps=32, scheme=Multigrid(m=4), guess=y0.expand(5, 3, 4))
    with pytest.raises(InvalidInput, match="neither tol nor iterations"):
        mgrit(field, y0, steps=32, tol=None)
    with pytest.raises(InvalidInput, match=r"tol = -1"):
        mgrit(field, y0, steps=32, tol=-1.0)
    with pytest.raises(InvalidInput, match="keep = 'some'"):
        mgrit(field, y0, steps=32, keep="some")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="NaN or an infinite"):
        mgrit(field, y0 * torch.nan, steps=32)
    with pytest.raises(InvalidInput, match="verlet moves q by p"):
        mgrit(field, y0, steps=32, method="verlet")
    for wrong in ({"m": 1}, {"levels": 1}, {"relaxation": "C"}, {"coarse_method": "eiler"}):
        with pytest.raises((InvalidInput, UnknownName)):
            Multigrid(**wrong)


def test_states_that_grow_beyond_all_bounds_are_reported_not_returned_as_converged():
    with pytest.raises(NotConverged):
        mgrit(Linear(1e200 * torch.eye(2, dtype=F64)), start(2), steps=32, method="rk4", scheme=Multigrid(m=4))
