"""The study of Haber and Ruthotto: its systems against closed forms and autograd's, members apart, its verdicts."""

import math

import numpy as np
import pytest
import torch

from lemmata import flows
from lemmata.studies import _haber_ruthotto_2017_networks as networks
from lemmata.studies import _haber_ruthotto_2017_objective as objective
from lemmata.studies import _haber_ruthotto_2017_propagation as propagation
from lemmata.studies import _haber_ruthotto_2017_training as training
from lemmata.studies import haber_ruthotto_2017 as haber
from lemmata.verdicts import Outcome

TINY = {"layers": 6, "steps": 4, "n": 20, "n_test": 30}


@pytest.mark.parametrize("real", [2.0, 0.0, -2.0])
def test_rates_are_those_of_forward_euler(real: float):
    """ln|1 + h lambda| / h, to the 2 % by which tanh bends at features of 0.01 e^2."""
    (found,) = propagation.propagate([propagation.Forward(real=real)])
    assert found.scalars["rate"] == pytest.approx(math.log(abs(1 + 0.1 * (real + 1j))) / 0.1, abs=0.02)


def test_the_edge_is_a_step_beyond_two():
    for gain, edge in ((1.0, 2.0), (2.0, 1.0)):
        for found in propagation.threshold([propagation.Verlet(gain=gain, seed=seed) for seed in (0, 1)]):
            rate = found.curves["rate"]
            assert np.all(rate.y[rate.x < edge - 0.01] < 0.15)
            assert np.all(rate.y[rate.x > edge + 0.04] > 0.2)


def test_the_weights_have_the_eigenvalue_minus_three_twice():
    one = torch.ones(1, dtype=torch.float64)
    values = np.sort(np.linalg.eigvals(objective.matrix(one, one)[0].numpy()).real)
    np.testing.assert_allclose(values, [-3, -3, 0], atol=1e-14)
    a, b = 0.3, 1.1
    K = objective.matrix(a * one, b * one)[0].numpy()
    np.testing.assert_allclose(K, [[-a - b, a, b], [b, -a - b, a], [a, b, -a - b]])


def test_the_grid_is_many_networks_of_the_library():
    """Three of the grid's networks by `flows.integrate`, to 1e-13, stable and unstable."""
    a, b = torch.tensor([0.2, 1.0, 2.0], dtype=torch.float64), torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    y = 0.1 * torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for layers in (5, 100):
        ours = objective.flow(objective.matrix(a, b), y, layers, 10.0)
        for k, K in enumerate(objective.matrix(a, b)):

            class Field(torch.nn.Module):
                def forward(self, t, u, K=K):
                    return torch.tanh(u @ K.T)

            theirs = flows.integrate(Field(), y.T, steps=layers, T=10.0, method="forward-euler").final
            torch.testing.assert_close(ours[k], theirs.T, rtol=0, atol=1e-13)


def test_the_two_field_network_is_the_papers_recursion():
    """Written out: z <- z - h tanh(K^T y + b), y <- y + h tanh(K z + b); to 1e-5 in float32."""
    config = training.Deep.build({**TINY, "T": 3.0})
    model = networks.network(config)
    x, _ = networks.samples(config, 4, 9)
    y = model[0](x)
    z, h = torch.zeros_like(y), config.T / config.layers
    for K, b in zip(*model[1].field.coefficients.values(), strict=True):
        z = z - h * torch.tanh(y @ K + b)
        y = y + h * torch.tanh(z @ K.T + b)
    torch.testing.assert_close(model[1](model[0](x)), y, rtol=0, atol=1e-5)


def test_antisymmetric_weights_have_the_real_part_that_is_added():
    """Where sigma' = 1, at 0 with no bias: to the rounding of float32."""
    for real in (0.0, 3.0):
        model = networks.network(training.Deep.build({**TINY, "kind": "antisymmetric", "real": real}))
        found = flows.spectrum(model[1], torch.zeros(1, 8), every=5).values[0]
        np.testing.assert_allclose(found.real, real, atol=1e-5)
        assert np.abs(found.imag).max() > 0.5


@pytest.mark.parametrize(("kind", "real"), [("plain", 0.0), ("antisymmetric", 2.0), ("verlet", 0.0)])
def test_the_networks_of_all_seeds_are_each_what_it_is_alone(kind: str, real: float):
    """Outputs to the rounding of float32, weights written back exactly, and the growth by the library's instrument."""
    configs = [training.Deep.build({**TINY, "kind": kind, "real": real, "law": "peaks", "seed": s}) for s in (1, 2)]
    models = [networks.network(config) for config in configs]
    x = torch.stack([networks.samples(config, 20, 9)[0] for config in configs])
    together = training.Networks(configs[0], models)
    alone = torch.stack([model(own) for model, own in zip(models, x, strict=True)])
    torch.testing.assert_close(together(x), alone, rtol=1e-4, atol=1e-4)
    others = [networks.network(config) for config in configs[::-1]]
    together.into(others)
    torch.testing.assert_close(torch.stack([other(own) for other, own in zip(others, x, strict=True)]), alone)
    for config, model, found in zip(configs, models, training.initial(configs), strict=True):
        start, draw = model[0](networks.samples(config, config.n_test, 10)[0][:4]), networks.stream(config, 11)
        growth = flows.perturbation_growth(model[1], start, directions=1, seed=draw)
        assert found.scalars["stretch"] == pytest.approx(growth.stretch[-1].mean(), abs=1e-4)


def test_members_do_not_see_each_other():
    """Trained alone and with another seed: to the rounding of batched products in float32."""
    configs = [training.Deep.build({**TINY, "seed": seed}) for seed in (0, 1)]
    together, alone = training.learn(configs), training.learn(configs[1:])
    assert together[1].scalars["stretch"] == pytest.approx(alone[0].scalars["stretch"], abs=1e-4)
    assert together[1].scalars["accuracy"] == pytest.approx(alone[0].scalars["accuracy"], abs=0.05)
    assert together[0].scalars["stretch"] != together[1].scalars["stretch"]


def test_samples_end_beyond_the_line_that_the_classifier_draws():
    """The share on the right side at the last layer is the accuracy of the network that `learn` gives."""
    config = training.Deep.build({**TINY, "law": "swiss roll", "n_test": 40, "kind": "plain"})
    (found,), (tested,) = training.follow([config]), training.learn([config])
    assert found.scalars["accuracy"] == pytest.approx(tested.scalars["accuracy"], abs=1e-9)
    beyond, classes = found.arrays["points"][-1, :, 0], found.arrays["classes"]
    assert np.mean((beyond > 0) == (classes == 1)) == pytest.approx(found.scalars["accuracy"])


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = {claim.name: Outcome.REPRODUCED for claim in haber.study.claims}


def test_smoke_scale_voids_nothing(smoke):
    found = smoke("haber-ruthotto-2017")
    assert Outcome.VOID not in {verdict.outcome for verdict in found.verdicts.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_outcomes_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("haber-ruthotto-2017").assert_outcome(name, CLAIMS[name])
