"""The study of Saxe et al.: its solutions against integrators and literal networks, and its verdicts."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from lemmata.studies import _deep_linear as deep_linear
from lemmata.studies import _saxe_2014_networks as networks
from lemmata.studies import _saxe_2014_theory as theory
from lemmata.studies import saxe_2014 as saxe
from lemmata.studies._saxe_2014_initialisations import Initialisation, learning_times
from lemmata.studies._saxe_2014_networks import DeepNetwork, Network
from lemmata.verdicts import Outcome

# ---- the solutions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 64])
def test_trajectories_solve_the_differential_equation(depth: int):
    """Against an adaptive Runge-Kutta method with relative tolerance 1e-11: 1e-8 for both integrators."""
    s, start, t = 1.3, 0.1, np.linspace(0, 8 / depth + 1, 30)
    flow = solve_ivp(
        lambda _, a: depth * a ** (2 - 2 / depth) * (s - a), (0, t[-1]), [start],
        t_eval=t, rtol=1e-11, atol=1e-13, method="DOP853",
    )  # fmt: skip
    np.testing.assert_allclose(theory.trajectory(t, s, start, depth), flow.y[0], rtol=1e-8)


@given(s=st.floats(0.2, 5.0), share=st.floats(1e-3, 0.4), depth=st.integers(1, 80))
@settings(max_examples=25, deadline=None)
def test_half_time_is_where_the_trajectory_is_half(s: float, share: float, depth: int):
    at = np.array([theory.half_time(s, share * s, depth)])
    assert theory.trajectory(at, s, share * s, depth)[0] == pytest.approx(s / 2, rel=1e-8)


def test_half_times_tend_to_the_limit_of_infinite_depth():
    """The gap closes as 1/N: 10,000 layers leave less than a thousandth. And the limit is its integral, by scipy."""
    limit = theory.half_time_of_infinite_depth(2.0, 0.3)
    assert 10_000 * theory.half_time(2.0, 0.3, 10_000) == pytest.approx(limit, rel=1e-3)
    assert limit == pytest.approx(quad(lambda a: 1 / (a**2 * (2.0 - a)), 0.3, 1.0)[0], rel=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_step_error_is_the_first_order_of_scalar_descent(depth: int):
    """Half the step leaves a quarter of what the first order does not say (3 to 5, for the third order)."""
    s, start = 1.0, 0.05
    left = []
    for step in (0.01, 0.005):
        u, path, n = start ** (1 / depth), [], round(6 / step)
        for _ in range(n):
            path.append(u**depth)
            u = u + step * u ** (depth - 1) * (s - u**depth)
        t = step * np.arange(n)
        off = np.array(path) - theory.trajectory(t, s, start, depth)
        left.append(np.abs(off - theory.step_error(t, s, start, depth, step)).max())
        assert left[-1] < 0.1 * np.abs(off).max()
    assert 3 < left[0] / left[1] < 5


def test_coupled_modes_solve_the_matrix_equation():
    """dP/dt = P (S - P'P) by Runge-Kutta from random P_0, one mode without a target; 1e-7."""
    s = np.array([3.0, 1.0, 0.4, 0.0])
    P = 0.1 * np.random.default_rng(0).standard_normal((6, 4))
    t = np.linspace(0, 6, 15)

    def flow(_, flat):
        Q = flat.reshape(6, 4)
        return (Q @ (np.diag(s) - Q.T @ Q)).ravel()

    found = solve_ivp(flow, (0, 6), P.ravel(), t_eval=t, rtol=1e-10, atol=1e-12, method="DOP853").y.T.reshape(-1, 6, 4)
    expected = np.einsum("tij,tij->tj", found, found)
    np.testing.assert_allclose(theory.coupled(t, s, P.T @ P), expected, rtol=1e-7, atol=1e-9)


def test_what_is_clear_of_stronger_modes_is_the_residual_of_projection():
    P = np.random.default_rng(1).standard_normal((7, 3))
    found = theory.clear_of_stronger(P.T @ P)
    q = np.linalg.qr(P[:, :2])[0]
    assert found[0] == pytest.approx(P[:, 0] @ P[:, 0])
    assert found[2] == pytest.approx(np.sum((P[:, 2] - q @ (q.T @ P[:, 2])) ** 2))


# ---- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_layer_gradients_are_autograds(depth: int):
    """A batch of two, layers of different widths; rounding."""
    random = torch.Generator().manual_seed(depth)
    widths = [3, 5, 4, 6, 2][: depth + 1]
    layers = [
        torch.randn(2, b, a, generator=random, dtype=torch.float64, requires_grad=True) for a, b in pairwise(widths)
    ]
    target = torch.randn(2, widths[-1], 3, generator=random, dtype=torch.float64)
    parts = deep_linear.prefixes(layers)
    (0.5 * (parts[-1] - target).square().sum()).backward()
    found = deep_linear.layer_gradients(layers, parts, parts[-1] - target)
    for layer, gradient in zip(layers, found, strict=True):
        torch.testing.assert_close(gradient, layer.grad)


def test_descent_is_that_on_literal_samples():
    """Inputs of second moment I and not, drawn as 8 columns whose products are exact; loss by autograd; 1e-10."""
    for white in (True, False):
        config = Network(initial="random", size=0.3, white=white, step=0.01, horizon=0.2, seed=3)
        layers, U, V, moment = networks.draw(config)
        found = networks.descend([config], [w[None] for w in layers], U[None], V[None], moment[None])[0]
        x = torch.linalg.cholesky(moment)
        strengths = torch.cat([torch.tensor(config.strengths), torch.zeros(4, dtype=torch.float64)])
        y = U @ torch.diag(strengths) @ V.T @ x
        weights = [w.clone().requires_grad_() for w in layers]
        for step in range(21):
            mapped = weights[1] @ weights[0]
            assert found[step].tolist() == pytest.approx(torch.diag(U.T @ mapped @ V)[:4].tolist(), abs=1e-10)
            loss = 0.5 * (mapped @ x - y).square().sum()
            gradients = torch.autograd.grad(loss, weights)
            weights = [(w - 0.01 * g).detach().requires_grad_() for w, g in zip(weights, gradients, strict=True)]


def test_decoupled_weights_have_the_modes_asked_for():
    for config in (Network(start=0.02, seed=1), DeepNetwork(depth=5, seed=2), DeepNetwork(depth=3, layer_weight=0.5)):
        layers, U, V, _ = networks.draw(config)
        product = U.T @ deep_linear.prefixes(layers)[-1] @ V
        torch.testing.assert_close(product, config.weight**config.depth * torch.eye(8, dtype=torch.float64))


def test_crossings_lie_between_steps():
    t, a = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 3.0])
    assert networks.crossing(t, a, 2.0) == 1.5
    assert networks.crossing(t, a, 0.0) == 0.0
    assert networks.crossing(t, a, 4.0) == np.inf


def test_members_do_not_see_each_other():
    """To the rounding of batched products, 1e-10 relative."""
    for cls in (Network, DeepNetwork):
        configs = [cls(seed=seed, horizon=1.0, start=start) for seed in (0, 2) for start in (0.1, 0.2)]
        for config, member in zip(configs, networks.measure(configs), strict=True):
            alone = networks.measure([config])[0].scalars
            assert alone["deviation"] == pytest.approx(member.scalars["deviation"], rel=1e-8)
    draws = [Initialisation(depth=4, seed=seed) for seed in (0, 1)]
    assert [learning_times([one])[0].scalars for one in draws] == [m.scalars for m in learning_times(draws)]


def test_learning_times_are_those_of_separate_runs():
    """Each step size by itself, in a plain loop with a divergence guard."""
    config = Initialisation(depth=3, seed=5)
    found = learning_times([config])[0].scalars["steps"]
    from lemmata.studies import _saxe_2014_initialisations as init

    best = np.inf
    for c in init.CONSTANTS:
        layers, target = init._draw(config)
        for step in range(200):
            product = layers[2] @ layers[1] @ layers[0]
            share = float((product - target).square().sum() / target.square().sum())
            if share <= init.LEARNED:
                best = min(best, step)
            if share > 1e6 or share <= init.LEARNED:
                break
            parts = deep_linear.prefixes(layers)
            layers = [
                w - c / 3 * g
                for w, g in zip(layers, deep_linear.layer_gradients(layers, parts, parts[-1] - target), strict=True)
            ]
    assert found == best < 200


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = [claim.name for claim in saxe.study.claims]


def test_smoke_scale_refutes_nothing(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("saxe-2014", "two-layers").verdicts.items()}
    assert outcomes["solution"] is outcomes["overlaps"] is Outcome.REPRODUCED
    assert Outcome.CONTRADICTED not in set(outcomes.values())


@pytest.mark.slow
def test_smoke_scale_of_all_experiments_refutes_nothing(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("saxe-2014").verdicts.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_reproduced_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("saxe-2014").assert_outcome(name)
