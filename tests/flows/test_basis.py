"""Bases in time against scipy's B-splines, integrals against scipy's quadrature, and what refinement keeps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad_vec
from scipy.interpolate import BSpline

from lemmata.errors import InvalidInput
from lemmata.flows import Basis, PiecewiseConstant, PiecewiseLinear, Spline

F64 = torch.float64


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@st.composite
def bases(draw):
    degree = draw(st.integers(0, 5))
    size, T = degree + draw(st.integers(1, 9)), draw(st.floats(0.1, 50))
    if degree < 2 and draw(st.booleans()):
        return (PiecewiseConstant, PiecewiseLinear)[degree](size, T)
    return Spline(size, T, degree)


@settings(deadline=None, max_examples=60)
@given(bases(), st.integers(0, 99))
def test_values_are_scipys(basis: Spline, seed: int):
    """Scipy evaluates by its own recursion: to rounding of numbers in [0, 1]."""
    times = np.random.default_rng(seed).uniform(0, basis.T, 20)
    expected = BSpline.design_matrix(times, basis.knots.numpy(), basis.degree).toarray()
    np.testing.assert_allclose(basis.values(torch.from_numpy(times)), expected, atol=1e-13)


@settings(deadline=None, max_examples=60)
@given(bases(), st.integers(0, 99))
def test_they_sum_to_one_and_their_degree_is_exact(basis: Spline, seed: int):
    times = torch.rand(30, generator=torch.Generator().manual_seed(seed), dtype=F64) * basis.T
    values = basis.values(times)
    assert (values >= -1e-15).all()
    torch.testing.assert_close(values.sum(1), torch.ones(30, dtype=F64), rtol=0, atol=1e-13)
    polynomial = np.polynomial.Polynomial(draw(basis.degree + 1, seed=seed).numpy())
    at = lambda t: torch.from_numpy(polynomial(t.numpy() / basis.T))  # noqa: E731
    sites = torch.linspace(0.01, 0.99, 4 * basis.size, dtype=F64) * basis.T
    fitted = torch.linalg.lstsq(basis.values(sites), at(sites)[:, None]).solution[:, 0]
    torch.testing.assert_close(values @ fitted, at(times), rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(bases(), st.integers(0, 99))
def test_evaluation_by_the_terms_that_are_not_zero_is_the_whole_sum(basis: Spline, seed: int):
    times = torch.rand(7, generator=torch.Generator().manual_seed(seed), dtype=F64) * basis.T
    theta = draw(basis.size, 2, 3, seed=seed)
    torch.testing.assert_close(basis.evaluate(theta, times), Basis.evaluate(basis, theta, times), rtol=0, atol=1e-13)
    scalar = draw(basis.size, seed=seed)
    torch.testing.assert_close(basis.evaluate(scalar, times), basis.values(times) @ scalar, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "basis", [PiecewiseConstant(4, 2.0), PiecewiseLinear(5, 3.0), Spline(6, 0.5), Spline(7, 1.0, 4)]
)
def test_gram_matrices_are_the_integrals(basis: Spline):
    """Adaptive quadrature of scipy's splines, told of the breaks; to its tolerance, 1e-8, and more."""
    whole = BSpline(basis.knots.numpy(), np.eye(basis.size), basis.degree)
    breaks = basis.breaks.numpy()

    def integral(f):
        return quad_vec(lambda t: np.outer(f(t), f(t)), 0, basis.T, points=breaks[1:-1], epsabs=1e-11)[0]

    np.testing.assert_allclose(basis.gram(), integral(whole), atol=1e-10)
    if basis.degree:
        expected = integral(whole.derivative())
        np.testing.assert_allclose(basis.derivative_gram(), expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("basis", [PiecewiseLinear(6, 2.5), Spline(8, 2.5), Spline(9, 2.5, 4)])
def test_the_smoothness_of_a_line_is_that_of_its_slope(basis: Spline):
    """theta(t) = 3 t on [0, 5/2]: int |theta'|^2 = 22.5, int theta^2 = 46.875; a constant costs nothing."""
    greville = basis.knots.unfold(0, basis.degree, 1)[1:-1].mean(1)  # the coefficients of t
    theta = 3 * greville
    assert float(theta @ basis.derivative_gram() @ theta) == pytest.approx(22.5, rel=1e-12)
    assert float(theta @ basis.gram() @ theta) == pytest.approx(46.875, rel=1e-12)
    assert basis.derivative_gram().sum(1).abs().max() < 1e-11


def test_jumps_cost_what_the_broken_line_through_the_middles_does():
    """4 pieces of length 1/2: (1/h) sum of squared jumps = 2 (1 + 4 + 9)."""
    basis, theta = PiecewiseConstant(4, 2.0), torch.tensor([0.0, 1.0, -1.0, 2.0], dtype=F64)
    assert float(theta @ basis.derivative_gram() @ theta) == pytest.approx(28.0, rel=1e-14)
    line = PiecewiseLinear(4, 1.5)
    torch.testing.assert_close(basis.derivative_gram(), line.derivative_gram())


@settings(deadline=None, max_examples=40)
@given(bases(), st.integers(2, 4), st.integers(0, 99))
def test_refined_bases_hold_the_same_functions_of_time(basis: Spline, times: int, seed: int):
    """To rounding times the condition of the Gram matrix, below 1e5 for these degrees."""
    finer, theta = basis.refined(times), draw(basis.size, 3, seed=seed)
    t = torch.rand(40, generator=torch.Generator().manual_seed(seed), dtype=F64) * basis.T
    there = finer.evaluate(finer.project(theta, basis), t)
    torch.testing.assert_close(there, basis.evaluate(theta, t), rtol=0, atol=1e-9)
    back = basis.project(finer.project(theta, basis), finer)
    torch.testing.assert_close(back, theta, rtol=0, atol=1e-9)


def test_projection_is_the_nearest_and_means_over_pieces():
    hats, steps = PiecewiseLinear(3), PiecewiseConstant(2)
    theta = torch.tensor([0.0, 2.0, 1.0], dtype=F64)
    torch.testing.assert_close(steps.project(theta, hats), torch.tensor([1.0, 1.5], dtype=F64))
    found = hats.project(torch.tensor([1.0, 5.0], dtype=F64), steps)  # the error is orthogonal to each hat
    gap = hats.products(steps) @ torch.tensor([1.0, 5.0], dtype=F64) - hats.gram() @ found
    assert gap.abs().max() < 1e-14


def test_a_jump_lies_on_the_side_of_the_step_that_asks():
    """The last stage of a step has the weights of its own layer, for 1,000 layers, whatever T / 1000 rounds to."""
    for T in (1.0, 0.3, 7.7):
        basis = PiecewiseConstant(1000, T)
        ends = torch.linspace(0, T, 1001, dtype=F64)
        inside = (ends[1:] + ends[:-1]) / 2
        own = torch.arange(1000)
        assert torch.equal(basis.values(ends[:-1], inside).argmax(1), own)
        assert torch.equal(basis.values(ends[1:], inside).argmax(1), own)
    assert basis.values(torch.tensor([-1.0, 9.0])).argmax(1).tolist() == [0, 999]


def test_own_weights_at_own_times_and_the_only_ones_are_not_copied():
    basis, theta = PiecewiseConstant(5), draw(5, 2)
    middles = (basis.breaks[1:] + basis.breaks[:-1]) / 2
    assert basis.evaluate(theta, middles).data_ptr() == theta.data_ptr()
    only = PiecewiseConstant(1).evaluate(theta[:1], middles)
    assert only.shape == (5, 2)
    assert only.stride(0) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PiecewiseConstant(0), "size = 0; give a whole number, at least 1"),
        (lambda: PiecewiseConstant(2.5), "size = 2.5; give a whole number"),  # type: ignore[arg-type]
        (lambda: PiecewiseLinear(1), r"PiecewiseLinear of size 1 and degree 1: .*at least 2 .*PiecewiseConstant\(1\)"),
        (lambda: Spline(3), "Spline of size 3 and degree 3: give at least 4"),
        (lambda: Spline(3, degree=-1), "degree = -1"),
        (lambda: Spline(4, T=0.0), "T = 0.0; the end of time"),
        (lambda: Spline(4, T=float("inf")), "T = inf"),
        (lambda: Spline(4).project(torch.zeros(3, 2), Spline(4)), r"coefficients \(3, 2\).*floating \(4, \.\.\.\)"),
        (lambda: Spline(4).project(torch.zeros(4), Spline(4, T=2.0)), "one basis ends at T = 1.0, the other at"),
        (lambda: Spline(4).values(torch.tensor([float("nan")])), "finite times"),
    ],
)  # fmt: skip
def test_what_bases_refuse(make, message: str):
    with pytest.raises(InvalidInput, match=message):
        make()
