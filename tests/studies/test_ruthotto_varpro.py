"""The study of variable projection: what it measures, against definitions and independent code; its verdicts."""

import numpy as np
import pytest
import torch
from torch import nn

from lemmata.studies import _ruthotto_varpro_surfaces as surfaces
from lemmata.studies import _ruthotto_varpro_training as training
from lemmata.studies import ruthotto_varpro as study
from lemmata.studies._ruthotto_varpro_models import Everything, Unprojected, Whole
from lemmata.verdicts import Outcome

TINY = {"n": 40, "units": 5, "budget": 30, "target": 1e-9, "ridge": 1e-3}


def tiny(**values):
    return training.Training.build({**TINY, **values})


def test_excess_is_the_height_above_the_highest_chord():
    t = np.linspace(0, 1, 21)
    assert surfaces.excess(np.stack([t**2, 3 * t])) == pytest.approx(0, abs=1e-15)
    assert surfaces.excess((t * (1 - t))[None]) == pytest.approx(0.25)
    bump = np.array([[0.0, 0.0, 1.0, 0.5, 0.5]])
    assert surfaces.excess(bump) == pytest.approx(1 - 0.5 / 3)  # over the chord from the second point to the last


def test_the_layers_surface_is_the_cross_entropy_of_a_network():
    config = surfaces.Surface(points=5, seed=3)
    (found,) = surfaces.surfaces([config])
    g = torch.Generator().manual_seed(3)
    W, K, dW, dK, x = (
        torch.randn(*shape, generator=g, dtype=torch.float64)
        for shape in ((41, 3), (50, 40), (41, 3), (50, 40), (50, 50))
    )

    def outputs(s, t):
        Z = torch.cat([torch.tanh(x @ (K + s * dK) + 0.1), torch.ones(50, 1, dtype=torch.float64)], 1)
        return Z @ (W + t * dW)

    observed = outputs(0, 0).softmax(1)
    for i, s in enumerate((-1, -0.5, 0, 0.5, 1)):
        for j, t in enumerate((-1, -0.5, 0, 0.5, 1)):
            wanted = nn.functional.cross_entropy(outputs(s, t), observed).item()
            assert found.arrays["surface"][i, j] == pytest.approx(wanted, rel=1e-12)


def test_one_neuron_and_its_best_weight():
    (found,) = surfaces.surfaces([surfaces.Surface(network="neuron", points=5, seed=1)])
    fixed, projected = found.arrays["surface"], found.arrays["projected"]
    assert (projected <= fixed + 1e-15).all()
    np.testing.assert_allclose(projected, projected[::-1, ::-1], atol=1e-14)  # tanh is odd: (k, b) and (-k, -b) agree


def objective(x, y, parameters, config):
    """J of every member as it is defined, for autograd."""
    K, b, W, c = parameters
    z = x @ K + b
    outputs = (z.tanh() if config.activation == "tanh" else z) @ W + c
    ridge = sum(p.square().sum((1, 2)) for p in parameters)
    return 0.5 * (outputs - y).square().sum(2).mean(1) + config.ridge / 2 * ridge


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_the_gradient_of_all_members_is_autograds(activation: str):
    """To 1e-12, some dozens of roundings; before and after a member has left."""
    config = tiny(activation=activation)
    x, y, parameters = training._stacked([tiny(activation=activation, seed=seed) for seed in range(3)], 2)
    leaves = [(p + 0.1 * torch.randn_like(p)).requires_grad_() for p in parameters]
    found = training._Objectives(x, y, config)
    for rows in (torch.ones(6, dtype=torch.bool), torch.tensor([1, 1, 0, 0, 1, 1]).bool()):
        found.select(rows)
        x, y, leaves = x[rows], y[rows], [p.detach()[rows].requires_grad_() for p in leaves]
        wanted = objective(x, y, leaves, config)
        gradients = torch.autograd.grad(wanted.sum(), leaves)
        J, written = found([p.detach() for p in leaves])
        torch.testing.assert_close(J, wanted.detach(), rtol=1e-12, atol=0)
        for one, other in zip(written, gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def test_a_member_leaves_when_it_is_there_and_the_others_go_on():
    """Histories are those of each alone, though the targets are reached at different steps."""
    configs = [tiny(method="adam", seed=seed, target=0.08, budget=200) for seed in range(4)]
    together = training._descended(configs)
    assert len({len(one.value) for one in together}) > 1
    for config, found in zip(configs, together, strict=True):
        (alone,) = training._descended([config])
        np.testing.assert_allclose(found.value, alone.value, rtol=1e-9)
        assert (np.diff(found.seconds) >= 0).all()


def test_adam_and_momentum_are_torchs():
    for method, make in (
        ("adam", lambda p, lr: torch.optim.Adam(p, lr=lr)),
        ("sgd", lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9)),
    ):
        config = tiny(method=method, seed=2)
        x, y, stacked = training._stacked([config], 1)
        wanted = {}
        for rate in training.RATES[method]:
            leaves = [p.clone().requires_grad_() for p in stacked]
            optimiser = make(leaves, rate)
            values = []
            for _ in range(config.budget + 1):
                J = objective(x, y, leaves, config)
                values.append(J.item())
                optimiser.zero_grad()
                J.sum().backward()
                optimiser.step()
            wanted[rate] = values
        (found,) = training._descended([config])
        lowest = min(wanted.values(), key=lambda values: values[-1])
        np.testing.assert_allclose(found.value, lowest, rtol=1e-10)


def test_members_do_not_see_each_other():
    configs = [tiny(method="adam", seed=seed) for seed in range(3)]
    for config, found in zip(configs, training.run(configs), strict=True):
        (alone,) = training.run([config])
        np.testing.assert_allclose(found.curves["objective"].y, alone.curves["objective"].y, rtol=1e-10)


def test_all_methods_begin_at_one_objective():
    begins = [training.run([tiny(method=method)])[0].curves["objective"].y[0] for method in study.PEAKS]
    np.testing.assert_allclose(begins, begins[0], rtol=1e-9)


def test_gauss_newton_on_all_weights_has_their_jacobian():
    config = tiny()
    x, y = training.examples(config)
    reduced = training.reduced_objective(training.body(config, 2), x, y, ridge=1e-3)
    everything = Everything(reduced, 1e-3)
    at = everything.at(everything.start)
    p = len(reduced.start)

    def residual(both):
        T, W = both[:p].view(3, -1), both[p:].view(-1, 1)
        H = torch.tanh(torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1) @ T)
        return ((H @ W[:-1] + W[-1] - y) / len(x) ** 0.5)[:, 0]

    J = torch.autograd.functional.jacobian(residual, everything.start)
    gradient = J.T @ residual(everything.start) + 1e-3 * everything.start
    torch.testing.assert_close(at.gradient, gradient, rtol=1e-9, atol=1e-12)
    G = J.T @ J + 1e-3 * torch.eye(len(J.T), dtype=torch.float64)
    torch.testing.assert_close(Whole(at).G, G, rtol=1e-9, atol=1e-12)
    inner = Unprojected(reduced.at(reduced.start)).G
    torch.testing.assert_close(inner, G[:p, :p], rtol=1e-9, atol=1e-12)


def test_the_fastest_rate_counts_or_the_lowest():
    values = np.array([[9.0, 9, 9], [5, 3, np.nan], [1, 2, np.nan], [0.5, 2, np.inf]])
    found = training._best(values, np.arange(4.0), 1.0)
    assert found.value.tolist() == [9, 5, 1]
    found = training._best(values, np.arange(4.0), 0.1)
    assert found.value.tolist() == [9, 5, 1, 0.5]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convex-in-weights", "not-convex-inside", "one-neuron", "partial-gradient"])
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    smoke("ruthotto-varpro").assert_outcome(name)


@pytest.mark.slow
def test_nothing_is_contradicted(smoke):
    assert Outcome.CONTRADICTED not in {verdict.outcome for verdict in smoke("ruthotto-varpro").verdicts.values()}
