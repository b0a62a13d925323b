"""Growth of perturbations against dense Jacobians, linear flows and its two bounds; nothing overflows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from torch import nn
from torch.func import jacrev, vmap

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.flows import Flow, Hamiltonian, PiecewiseConstant, PiecewiseLinear, Plain
from lemmata.flows.stability import perturbation_growth


class Linear(nn.Module):
    def __init__(self, A):
        super().__init__()
        self.A = torch.as_tensor(A, dtype=torch.float64)

    def forward(self, t, y):
        return y @ self.A.T


def _y(samples=3, width=4, seed=0):
    return torch.randn(samples, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("method", ["rk4", "verlet", "implicit-midpoint"])
def test_stretch_is_the_norm_of_the_dense_jacobian(method):
    """The derivative of y(T) by y_0 by reverse differentiation through all layers; to 1e-12. Pairs have both halves."""
    pair = method == "verlet"
    field = (Hamiltonian if pair else Plain)(4, PiecewiseLinear(3, T=3.0), seed=1).double()
    flow = Flow(field, steps=6, method=method)
    y = _y()

    def final(rows):
        out = flow((rows[None, :4], rows[None, 4:]) if pair else rows[None])
        return torch.cat(out, dim=1)[0] if pair else out[0]

    rows = torch.cat([y, 0 * y], dim=1) if pair else y
    J = vmap(jacrev(final))(rows).detach().numpy()
    found = perturbation_growth(flow, y)
    np.testing.assert_allclose(found.stretch[-1], np.log(np.linalg.norm(J, 2, axis=(1, 2))), atol=1e-12)
    total = np.log(np.abs(np.linalg.det(J)))  # exponents add up to the growth of volumes
    np.testing.assert_allclose(3.0 * found.exponents.sum(1), total, atol=1e-11)
    assert np.all(found.stretch <= found.bound + 1e-12)


def test_linear_flows_in_closed_form():
    """The norm of exp(A t) far from normal, with eigenvalues -1 and -2, which grows first. RK4's error is 1e-7."""
    A = np.array([[-1.0, 8.0], [0.0, -2.0]])
    found = perturbation_growth(Flow(Linear(A), steps=100, T=2.0), _y(1, 2))
    exact = [np.log(np.linalg.norm(expm(A * t), 2)) for t in found.times]
    np.testing.assert_allclose(found.stretch[:, 0], exact, atol=1e-6)
    assert found.stretch.max() > 0.5
    mu = np.linalg.eigvalsh((A + A.T) / 2).max()
    np.testing.assert_allclose(found.logarithmic[:, 0], mu * found.times, atol=1e-12)
    assert np.all(found.stretch <= found.logarithmic + 1e-9)


def test_lyapunov_exponents_of_linear_flows_are_real_parts():
    """Over a long time, to the c / T of a start that is not an eigenvector."""
    A = np.array([[-1.0, 2.0, 0.3], [-2.0, -1.0, 0.1], [0.0, 0.0, 0.5]])
    found = perturbation_growth(Flow(Linear(A), steps=600, T=100.0), _y(1, 3))
    np.testing.assert_allclose(found.exponents, [[0.5, -1, -1]], atol=0.03)


@pytest.mark.parametrize("z", [-1.5, 1.5])
def test_no_depth_overflows(z):
    """Perturbations of e^-778 and e^889, beyond float64, and states that stay at 0: R(z)^600, to 1e-10."""
    flow = Flow(Linear(z * np.eye(2)), steps=600, T=600.0)
    found = perturbation_growth(flow, torch.zeros(1, 2, dtype=torch.float64))
    exact = np.log(flow.method.stability_function(z))
    np.testing.assert_allclose(found.stretch[-1], 600 * exact, rtol=1e-10)
    np.testing.assert_allclose(found.exponents, [[exact, exact]], rtol=1e-10)


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_some_directions_bound_all_from_below(seed, directions):
    flow = Flow(Plain(4, PiecewiseConstant(3), seed=seed).double(), steps=3)
    whole, some = (perturbation_growth(flow, _y(seed=seed), directions=k, seed=seed) for k in (None, directions))
    assert np.all(some.stretch <= whole.stretch + 1e-12)
    assert some.exponents.shape == (3, directions)
    assert np.isnan(some.bound[1:]).all()
    assert np.all(whole.stretch <= whole.bound + 1e-12)


def test_every_direction_by_name_is_all_of_them():
    flow = Flow(Plain(4, PiecewiseConstant(3), seed=0), steps=3)
    whole, named = (perturbation_growth(flow, _y().float(), directions=k) for k in (None, 4))
    np.testing.assert_array_equal(whole.stretch, named.stretch)


def test_it_draws():
    flow = Flow(Plain(4, PiecewiseConstant(3), seed=0), steps=3)
    for directions, series in ((None, 3), (2, 1)):
        figure = perturbation_growth(flow, _y().float(), directions=directions).plot()
        assert len(figure.panels[0].series) == series
        assert "<svg" in str(static.render(figure))


def test_what_is_refused():
    flow = Flow(Plain(4, PiecewiseConstant(3), seed=0), steps=3)
    with pytest.raises(InvalidInput, match="directions = 5, and a sample has 4 numbers"):
        perturbation_growth(flow, _y().float(), directions=5)
    with pytest.raises(InvalidInput, match="directions = 0"):
        perturbation_growth(flow, _y().float(), directions=0)
    with pytest.raises(InvalidInput, match=r"no longer finite after step \d+ of 50 \(layer"):
        perturbation_growth(Flow(Linear(100 * np.eye(4)), steps=50, T=5000.0), 1e300 * _y())
