"""What each layer promises: Jacobians, distances, volumes, energies; convolutional ones as the matrices they are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import jacrev

from lemmata import flows
from lemmata.errors import InvalidInput

F64 = torch.float64
RISING = ("tanh", "relu", "softplus", "softsign", "identity", "elu")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def made(kind, linear, *, activation="tanh", seed=0, basis=None, **options):
    field = kind(linear, basis or flows.PiecewiseConstant(1), activation=activation, seed=seed, dtype=F64, **options)
    with torch.no_grad():
        for name, theta in field.coefficients.items():
            if name in "bc":
                theta.copy_(draw(*theta.shape, seed=seed + 50))
    return field


def weights(field):
    return tuple(theta[0].detach() for theta in field.coefficients.values())


def jacobian(field, shape, seed=0):
    """The Jacobian of the velocity as a matrix, at one random state."""
    y, own = draw(*shape, seed=seed + 1), weights(field)
    J = jacrev(lambda flat: field.velocity(flat.reshape(1, *shape), *own).flatten())(y.flatten())
    return J.reshape(y.numel(), y.numel())


CASES = [(5, (5,)), (flows.Dense(4, 7), (4,)), (flows.Convolution(2, hidden=3), (2, 4, 3))]
SQUARE = [(5, (5,)), (flows.Convolution(2), (2, 4, 3)), (flows.Convolution(3, 5, dimension=1), (3, 6))]
NAMES = ["dense", "wide", "convolution"]


@pytest.mark.parametrize("activation", RISING)
@pytest.mark.parametrize(("linear", "shape"), CASES, ids=NAMES)
def test_parabolic_jacobians_are_symmetric_and_negative_semidefinite(linear, shape, activation):
    """-K^T D K, D >= 0: to rounding of a few dozen terms."""
    J = jacobian(made(flows.Parabolic, linear, activation=activation), shape)
    torch.testing.assert_close(J, J.mT, rtol=0, atol=1e-13)
    assert torch.linalg.eigvalsh(J).max() < 1e-13
    assert torch.linalg.eigvalsh(J).min() < -0.1


@pytest.mark.parametrize("gamma", [0.0, 0.3])
@pytest.mark.parametrize(("linear", "shape"), SQUARE, ids=["dense", "convolution", "signal"])
def test_antisymmetric_jacobians_turn_and_do_not_grow(linear, shape, gamma):
    """D (A - gamma I) is similar to a matrix with symmetric part -gamma D: real parts 0, or in [-gamma, 0]."""
    field = made(flows.Antisymmetric, linear, gamma=gamma)
    eigenvalues = torch.linalg.eigvals(jacobian(field, shape))
    assert eigenvalues.imag.abs().max() > 0.5
    assert eigenvalues.real.max() < 1e-12
    assert eigenvalues.real.min() >= -gamma - 1e-12
    if gamma == 0:
        linear_field = made(flows.Antisymmetric, linear, activation="identity")
        J = jacobian(linear_field, shape)
        torch.testing.assert_close(J, -J.mT, rtol=0, atol=1e-13)
    else:
        assert eigenvalues.real.max() < -1e-9


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.sampled_from(RISING), st.sampled_from([0, 1, 2]))
def test_parabolic_velocities_bring_states_together(seed, activation, case):
    """<F(y) - F(z), y - z> <= 0, states far and near: the inequality behind the theorem, to rounding."""
    linear, shape = CASES[case]
    field = made(flows.Parabolic, linear, activation=activation, seed=seed)
    y, z = 3 * draw(6, *shape, seed=seed + 1), 3 * draw(6, *shape, seed=seed + 2)
    z[3:] = y[3:] + 1e-3 * z[3:]
    moved = field.velocity(y, *weights(field)) - field.velocity(z, *weights(field))
    assert ((moved * (y - z)).flatten(1).sum(1) < 1e-12).all()


@pytest.mark.parametrize(("linear", "shape"), CASES, ids=NAMES)
def test_parabolic_flows_contract_with_weights_that_move_in_time(linear, shape):
    """|y(t) - z(t)| never rises along RK4 with 400 steps, whose error per step is far below the decrease."""
    field = made(flows.Parabolic, linear, basis=flows.Spline(6, T=2.0), seed=3)
    run = flows.integrate(field, draw(20, *shape), steps=400).states
    distance = (run[:, :10] - run[:, 10:]).flatten(2).norm(dim=2)
    assert (distance.diff(dim=0) < 1e-12).all()
    assert (distance[-1] < 0.999 * distance[0]).all()


@pytest.mark.parametrize(("linear", "shape"), CASES, ids=NAMES)
@pytest.mark.parametrize("two", [False, True])
def test_hamiltonian_flows_keep_volumes(linear, shape, two):
    """The divergence is 0, and the determinant of the derivative of a flow is 1; the same for a Verlet step."""
    field = made(flows.Hamiltonian, linear, two=two, seed=2)
    size, own = draw(*shape).numel(), weights(field)

    def whole(flat, steps):
        y = tuple(part.reshape(1, *shape) for part in flat.reshape(2, size))
        moved = flows.integrate(field, y, steps=steps, method="verlet").final if steps else field.velocity(y, *own)
        return torch.cat([part.flatten() for part in moved])

    at = draw(2 * size, seed=9)
    assert jacrev(lambda flat: whole(flat, 0))(at).trace().abs() < 1e-13
    assert torch.linalg.det(jacrev(lambda flat: whole(flat, 2))(at)).item() == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("kind", [flows.Hyperbolic, flows.Hamiltonian])
@pytest.mark.parametrize("activation", ["tanh", "relu", "identity", "softsign"])
@pytest.mark.parametrize(("linear", "shape"), CASES, ids=NAMES)
def test_energies_are_kept_while_weights_stay(kind, activation, linear, shape):
    """d/dt energy = 0 exactly: the gradient of the energy is orthogonal to the velocity; and bounded speeds."""
    field = made(kind, linear, activation=activation, seed=4)
    own, y = weights(field), (draw(5, *shape).requires_grad_(), draw(5, *shape, seed=1).requires_grad_())
    energy = field.energy(y, *own)
    assert energy.shape == (5,)
    slopes = torch.autograd.grad(energy.sum(), y)
    velocity = field.velocity(y, *own)
    rate = sum((g * v).flatten(1).sum(1) for g, v in zip(slopes, velocity, strict=True))
    assert rate.abs().max() < 1e-12
    run = flows.integrate(field, tuple(part.detach() for part in y), steps=300, T=3.0).states
    ends = [field.energy((run[0][n], run[1][n]), *own) for n in (0, 150, 300)]
    tolerance = 1e-4 if activation in ("relu", "softsign") else 1e-6  # corners met cost RK4 orders: h^2 = 1e-4
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=tolerance, atol=0.1 * tolerance)


def test_hyperbolic_speeds_are_bounded_by_the_energy_at_the_start():
    """tanh: sum S >= 0, so |v(t)|^2 <= 2 E(0) at all times."""
    field = made(flows.Hyperbolic, 5, seed=5)
    y = (draw(30, 5), draw(30, 5, seed=1))
    bound = 2 * field.energy(y, *weights(field))
    run = flows.integrate(field, y, steps=500, T=20.0).states
    assert (run[1].square().sum(2) <= bound * (1 + 1e-6)).all()


def test_the_hyperbolic_layer_is_the_leapfrog_of_the_paper():
    """y_{n+1} = 2 y_n - y_{n-1} - h^2 K^T sigma(K y_n + b) by Verlet's method, to rounding."""
    field = made(flows.Hyperbolic, flows.Convolution(2), activation="relu", basis=flows.PiecewiseConstant(1, T=2.0))
    K, b = weights(field)
    run = flows.integrate(field, (draw(3, 2, 4, 4), draw(3, 2, 4, 4, seed=1)), steps=10, method="verlet").states[0]
    expected = 2 * run[1:-1] - run[:-2] - 0.04 * torch.stack([field.symmetric(K, b, y) for y in run[1:-1]])
    torch.testing.assert_close(run[2:], expected, rtol=0, atol=1e-12)


def test_parabolic_layers_are_two_layer_ones_with_the_second_weight_tied():
    for linear, shape in CASES:
        parabolic = made(flows.Parabolic, linear, seed=6)
        K, b = weights(parabolic)
        y = draw(3, *shape)
        two = made(flows.TwoLayer, linear, seed=7)
        assert two.coefficients["L"].shape[1:] == parabolic.linear.transpose(K).shape
        found = two.velocity(y, K, b, -parabolic.linear.transpose(K))
        torch.testing.assert_close(found, parabolic.velocity(y, K, b))


def test_two_weights_are_hamiltons_equations_of_their_energy():
    """By autograd, q' = dH/dp and p' = -dH/dq: each weight stands where it belongs."""
    field = made(flows.Hamiltonian, flows.Dense(4, 6), two=True, seed=5)
    y = (draw(3, 4).requires_grad_(), draw(3, 4, seed=1).requires_grad_())
    by_q, by_p = torch.autograd.grad(field.energy(y, *weights(field)).sum(), y)
    q, p = field.velocity(y, *weights(field))
    torch.testing.assert_close(q, by_p)
    torch.testing.assert_close(p, -by_q)


def test_two_weights_that_are_one_give_the_layer_with_one():
    one, two = made(flows.Hamiltonian, 4, seed=1), made(flows.Hamiltonian, 4, two=True, seed=2)
    y = (draw(3, 4), draw(3, 4, seed=1))
    for a, b in zip(one.velocity(y, *weights(one)), two.velocity(y, *weights(one), *weights(one)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("gamma", [-0.1, float("nan")])
def test_damping_that_drives(gamma):
    with pytest.raises(InvalidInput, match="the damping is a finite number of 0 or more"):
        flows.Antisymmetric(2, flows.PiecewiseConstant(1), gamma=gamma)
