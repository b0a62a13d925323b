"""The study of MNIST-1D: its data, networks and symmetries, and its verdicts at smoke and laptop scale."""

from itertools import combinations

import numpy as np
import pytest
import torch

from lemmata import data
from lemmata.studies import _greydanus_2024_training as training
from lemmata.studies._greydanus_2024_published import PARAMETERS, PUBLISHED, Difference
from lemmata.studies._greydanus_2024_training import Classifier, published
from lemmata.training import Adam, train
from lemmata.verdicts import Outcome


def test_networks_have_the_published_number_of_parameters():
    for model, count in PARAMETERS.items():
        net = published(model, seed=0)
        assert sum(p.numel() for p in net.parameters()) == count
        assert net(torch.zeros(3, 40)).shape == (3, 10)


def test_regions_hold_both_published_numbers_and_three_points_more():
    for entry in PUBLISHED.values():
        low, high = sorted((entry.table, entry.notebook))
        assert entry.mean - entry.margin == pytest.approx(low - 0.03, abs=1e-3)
        assert entry.mean + entry.margin == pytest.approx(high + 0.03, abs=1e-3)


def test_regions_of_differences_hold_both_and_two_standard_errors_more():
    """2 (2 * 0.03^2 / 4)^(1/2) = 0.0424, given as 4.2 points."""
    for first, second in combinations(PUBLISHED.values(), 2):
        found = Difference(first, second)
        low, high = sorted((first.table - second.table, first.notebook - second.notebook))
        assert found.mean - found.margin == pytest.approx(low - 2**0.5 * 0.03, abs=1e-3)
        assert found.mean + found.margin == pytest.approx(high + 2**0.5 * 0.03, abs=1e-3)


def test_fresh_signals_are_no_published_ones():
    """Up to their mean and size, in which sets differ: a signal that is in both would have the cosine 1."""
    own, fresh = data.load("mnist1d").x, training.fresh_signals()[0]
    own, fresh = (torch.nn.functional.normalize(x - x.mean(1, keepdim=True)) for x in (own, fresh))
    assert float((fresh @ own.T).max()) < 0.9999
    assert len(fresh) == 10_000


def test_both_orders_have_the_same_pixels_labels_and_network():
    kept, shuffled = (Classifier(order=order, seed=3) for order in ("kept", "shuffled"))
    x, y, x_test, y_test, x_fresh, y_fresh = training.samples(kept)
    xs, ys, xs_test, ys_test, xs_fresh, ys_fresh = training.samples(shuffled)
    assert torch.equal(y_fresh, ys_fresh)
    assert torch.equal(y, ys)
    assert torch.equal(y_test, ys_test)
    order = [int((xs[0] == value).nonzero()[0]) for value in x[0]]  # no two pixels of a signal are equal
    assert order != sorted(order)
    assert torch.equal(xs[:, order], x)
    assert torch.equal(xs_test[:, order], x_test)
    assert torch.equal(xs_fresh[:, order], x_fresh)
    published_set = data.load("mnist1d")
    assert torch.equal(x, published_set.x)
    nets = [training.network(config, (40,)) for config in (kept, shuffled)]
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("model", ["linear", "mlp", "cnn"])
def test_only_the_convolutional_network_knows_the_order(model: str):
    """Permute the first layer's columns with the pixels: descent takes the same steps, up to rounding, if it can.

    30 steps in float64, where rounding differences of 1e-16 grow to less than 1e-6.
    """
    torch.manual_seed(0)
    x, y, x_test, *_ = training.samples(Classifier())
    x, y, x_test = x[:200].double(), y[:200], x_test[:50].double()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    nets = [published(model, seed=0).double() for _ in range(2)]
    if model != "cnn":
        first = next(nets[1].parameters())
        first.data.copy_(first.data[:, order])
    inputs = torch.stack([x, x[:, order]])
    result = train(nets, inputs, y, optimiser=Adam(lr=0.01), batch_size=40, epochs=6, seeds=[0, 0])
    plain, permuted = result.model(0)(x_test), result.model(1)(x_test[:, order])
    assert torch.allclose(plain, permuted, rtol=0, atol=1e-6) == (model != "cnn")


def test_a_member_does_not_depend_on_its_company():
    """Both orders and two seeds, together and alone: float32 over 40 steps; single test samples may differ."""
    configs = [
        Classifier(model="mlp", order=order, seed=seed, steps=40) for order in ("kept", "shuffled") for seed in (0, 1)
    ]
    together = training.train_classifiers(configs)
    for config, member in zip(configs[1:3], together[1:3], strict=True):
        alone = training.train_classifiers([config])[0]
        assert alone.scalars["accuracy"] == pytest.approx(member.scalars["accuracy"], abs=0.003)
    assert len({member.scalars["accuracy"] for member in together}) > 1


def test_accuracy_is_recorded_against_steps():
    curve = training.train_classifiers([Classifier(model="linear", steps=400)])[0].curves["accuracy_curve"]
    assert curve.x[0] == 0
    assert curve.x[-1] == 400
    assert np.all(np.diff(curve.x) % 40 == 0)


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_at_smoke_scale_nothing_fails_nothing_is_void_and_parameters_are_settled(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("greydanus-2024").verdicts.items()}
    for model in PARAMETERS:
        assert outcomes[f"parameters-{model}"] is Outcome.REPRODUCED


EXPECTED = [
    "ordering", "ordering-shuffled", "linear-kept", "mlp-kept", "cnn-kept", "linear-shuffled", "mlp-shuffled",
    "cnn-shuffled", "lead", "lead-shuffled", "shuffling-costs-cnn", "shuffling-costs-mlp", "digits",
    *(f"parameters-{model}" for model in PARAMETERS),
]  # fmt: skip


@pytest.mark.slow
def test_laptop_scale(laptop):
    """Every claim by name, and every control."""
    found = laptop("greydanus-2024")
    untestable = dict.fromkeys(("human", "gru-time"), Outcome.NOT_TESTABLE)
    assert set(found.verdicts) == {*EXPECTED, *untestable}
    found.assert_outcomes(untestable)
