"""The study of Nakkiran et al. (2020): one training against plain PyTorch, what is read off curves, its verdicts."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from lemmata import nets
from lemmata.data import mnist1d
from lemmata.studies import _nakkiran_2020_curves as curves
from lemmata.studies import _nakkiran_2020_training as training
from lemmata.studies._nakkiran_2020_curves import SIZES, WIDTHS, OverEpochs, OverSamples, OverWidths
from lemmata.studies._nakkiran_2020_training import CURVES, History
from lemmata.studies.nakkiran_2020 import study
from lemmata.verdicts import Outcome

# ---- training --------------------------------------------------------------------------------------------------------


def test_a_training_is_that_of_plain_pytorch():
    """torch.optim.SGD on the same permutations; float32 over 60 steps: 1e-4 of a loss, one signal of an error."""
    config = OverEpochs(n=100, width=6, epochs=30, weight_decay=0.01, batch=50, seed=3)
    history = training.histories([config], n=100, width=6)[0]
    x, y = training.samples(config, 100)
    weights, order = (training.STREAMS.seed(3, purpose) for purpose in ("weights", "order"))
    net, generator = nets.mlp(40, [6, 6], 10, seed=weights), torch.Generator().manual_seed(order)
    rule = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=0.01)
    for _ in range(30):
        for batch in torch.randperm(100, generator=generator).split(50):
            rule.zero_grad()
            functional.cross_entropy(net(x[batch]), y[batch]).backward()
            rule.step()
    unseen = mnist1d.generate(4500, seed=training.STREAMS.seed(3, "signals"))
    outputs = net(torch.tensor(unseen[0][1500:], dtype=torch.float32)).detach()
    labels = torch.tensor(unseen[1][1500:])
    assert history.epochs[-1] == 30
    for name, part in (("validation_loss", slice(0, 1000)), ("test_loss", slice(1000, 3000))):
        wanted = float(functional.cross_entropy(outputs[part], labels[part]))
        assert history.curves[name][-1] == pytest.approx(wanted, rel=1e-4)
    wrong = float((outputs[1000:].argmax(1) != labels[1000:]).double().mean())
    assert history.curves["test_error"][-1] == pytest.approx(wrong, abs=1 / 2000 + 1e-9)
    assert history.curves["train_loss"][-1] == pytest.approx(
        float(functional.cross_entropy(net(x), y).detach()), rel=1e-4
    )


def test_a_shorter_training_is_the_beginning_of_a_longer_one():
    """Errors of members do not depend on company: alone with 20 epochs, and in a block that goes on to 50."""
    short = OverEpochs(n=60, width=4, epochs=20, seed=1)
    block = [
        OverEpochs(n=60, width=4, epochs=50, seed=1, label_noise=0.3),
        short,
        OverEpochs(n=60, width=4, epochs=50, seed=2),
    ]
    together = training.histories(block, n=60, width=4)[1].chosen(short)
    alone = training.histories([short], n=60, width=4)[0].chosen(short)
    assert together.keys() == set(CURVES)
    for name, value in alone.items():
        assert together[name] == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_members_that_differ_in_what_they_train_on_get_their_own_training():
    block = [OverEpochs(label_noise=noise, weight_decay=decay) for noise in (0.0, 0.3) for decay in (0.0, 0.02)]
    losses = [history.curves["train_loss"][-1] for history in training.histories(block, n=50, width=4)]
    assert len(set(losses)) == 4


def test_early_stopping_takes_the_epoch_of_the_least_validation_loss_within_its_time():
    epochs = np.array([1, 2, 3, 4, 5])
    validation = np.array([5.0, 2.0, 3.0, 1.0, 4.0])
    history = History(epochs, {"validation_loss": validation, "test_loss": 10 + epochs})
    assert history.chosen(OverWidths(epochs=5))["test_loss"] == 15
    assert history.chosen(OverWidths(epochs=3))["test_loss"] == 13
    assert history.chosen(OverWidths(epochs=5, stopping="validation"))["test_loss"] == 14
    assert history.chosen(OverWidths(epochs=3, stopping="validation"))["test_loss"] == 12


def test_samples_are_nested_and_as_many_labels_are_wrong_as_said():
    x, y = training.samples(OverWidths(seed=5), 1500)
    x_few, y_few = training.samples(OverWidths(seed=5), 300)
    assert x[:300].equal(x_few)
    assert y[:300].equal(y_few)
    true = torch.tensor(mnist1d.generate(4500, seed=training.STREAMS.seed(5, "signals"))[1][:1500])
    for noise in (0.15, 0.3):
        wrong = training.samples(OverWidths(seed=5, label_noise=noise), 1500)[1] != true
        assert abs(float(wrong.double().mean()) - noise) < 5 * (noise * (1 - noise) / 1500) ** 0.5  # 5 standard errors
    less = training.samples(OverWidths(seed=5, label_noise=0.15), 1500)[1] != true
    assert (wrong | ~less).all()


def test_seeds_share_no_signals_and_nothing_is_tested_on_what_it_was_trained_on():
    sets = [training.samples(OverWidths(seed=seed), 1500)[0] for seed in (0, 1)]
    sets += [training.held_out(OverWidths(seed=seed), part)[0] for seed in (0, 1) for part in ("validation", "test")]
    assert [len(x) for x in sets] == [1500, 1500, 1000, 2000, 1000, 2000]
    assert len(torch.cat(sets).unique(dim=0)) == 9000


# ---- curves ----------------------------------------------------------------------------------------------------------


def points(train_error, test_loss, test_error=None):
    test_error = [0.5] * len(test_loss) if test_error is None else test_error
    return [
        {"train_error": a, "test_loss": b, "test_error": c}
        for a, b, c in zip(train_error, test_loss, test_error, strict=True)
    ]


def test_threshold_of_the_width_is_where_all_wider_networks_fit():
    fit = [0.6, 0.5, 0.4, 0.005, 0.3, 0.1, 0.01, *[0.0] * (len(WIDTHS) - 7)]
    loss = [2.0, 3.0, 4.0, 6.0, 9.0, 12.0, 10.0, *[8.0 - i for i in range(len(WIDTHS) - 7)]]
    error = [0.7, 0.6, 0.65, *[0.8] * (len(WIDTHS) - 4), 0.55]
    found = curves._over_widths(points(fit, loss, error)).scalars
    assert found["threshold"] == math.log2(WIDTHS[6])
    assert found["peak"] == math.log2(WIDTHS[5])
    assert found["peak_off_threshold"] == pytest.approx(math.log2(WIDTHS[5] / WIDTHS[6]))
    assert found["log_height"] == pytest.approx(math.log(12 / loss[-1]))
    assert found["height"] == pytest.approx(12 - loss[-1])
    assert found["error_second_descent"] == pytest.approx(0.55 - 0.6)


def test_without_a_fit_there_is_no_threshold_and_without_a_visible_bump_no_peak():
    flat = curves._over_widths(points([0.5] * len(WIDTHS), [2.0, 1.9, 2.0, *[1.95] * (len(WIDTHS) - 3)])).scalars
    assert flat["threshold"] == math.inf
    assert flat["log_height"] == pytest.approx(math.log(2 / 1.95))
    assert "peak" not in flat
    assert "peak_off_threshold" not in flat


def test_effective_model_complexity_is_the_last_size_before_a_misfit():
    fit = [0.0, 0.01, 0.0, 0.02, 0.0, *[0.3] * (len(SIZES) - 5)]
    loss = [4.0, 5.0, 6.0, 7.0, 8.0, *[3.0 - 0.1 * i for i in range(len(SIZES) - 5)]]
    found = curves._over_samples(points(fit, loss)).scalars
    assert found["threshold"] == math.log2(SIZES[2])
    assert found["peak"] == math.log2(250)
    assert found["hurt"] == pytest.approx(math.log(2))
    never = curves._over_samples(points([0.5] * len(SIZES), loss)).scalars
    assert never["threshold"] == -math.inf


def test_a_bump_of_the_error_or_a_rise_of_the_training_loss_refutes_one_minimum_over_the_epochs():
    """By the claim's own kind: smoothed over three, bumps of 0.1 and 0.01; and none while the training loss rises."""
    kind = next(claim.kind for claim in study.claims if claim.name == "epoch-wise-error")
    assert kind is not None
    epochs, error = np.arange(1.0, 8.0), np.array([0.9, 0.5, 0.5, 0.8, 0.8, 0.4, 0.4])
    # Smoothed over three: ..., 0.6333, 0.6, 0.7, 0.6667, 0.5333, 0.4
    for test_error, train_loss, height, stable in (
        (error, 1 / epochs, 0.1, True),
        (0.4 + (error - 0.4) / 10, 1 / epochs, 0.01, True),
        (1 / epochs, 1 / epochs[::-1], 0.0, False),
    ):
        history = History(epochs, {**dict.fromkeys(CURVES, error), "test_error": test_error, "train_loss": train_loss})
        table = pd.DataFrame([{"seed": seed, **curves._over_epochs(history).curves} for seed in range(3)])
        bump, guard = kind.components(table, None, (-math.inf, math.inf))
        assert bump.samples == pytest.approx(height)
        assert bump.high == 0.015
        assert bool((guard.samples <= guard.high).all()) is stable


def test_members_over_samples_are_trained_on_that_many(monkeypatch: pytest.MonkeyPatch):
    """On a grid of three sizes, the curves are the ends of the histories."""
    monkeypatch.setattr(curves, "SIZES", (60, 120, 250))
    configs = [OverSamples(width=3, epochs=5, seed=seed) for seed in (0, 1)]
    found = curves.run_over_samples(configs)
    configs = [config.model_copy(update={"seed": curves.FIRST_OVER_SAMPLES + config.seed}) for config in configs]
    for at, n in enumerate((60, 120, 250)):
        for member, history in zip(found, training.histories(configs, n=n, width=3), strict=True):
            assert member.curves["test_loss"].y[at] == pytest.approx(history.curves["test_loss"][-1], rel=1e-6)
    assert found[0].curves["test_loss"].x.tolist() == np.log2([60, 120, 250]).tolist()


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_every_figure_is_there_at_smoke_scale(smoke):
    drawn = [
        draw(table) for name, table in smoke("nakkiran-2020").tables.items() for draw in study.experiments[name].figures
    ]
    assert [figure.name for figure in drawn] == ["widths", "regularised", "samples", "epochs"]


OTHER = {
    "epoch-wise": Outcome.NOT_TESTABLE,
    "noise-raises-peak": Outcome.INCONCLUSIVE,
}


@pytest.mark.slow
def test_laptop_scale_has_the_verdicts_that_are_documented(laptop):
    """All reproduced but two: residual networks over the epochs; ranks of three noises, two of them near each other."""
    found = laptop("nakkiran-2020")
    assert len(found.verdicts) == 16
    found.assert_outcomes(OTHER)
