"""Digits: small convolutional networks trained with Gaussian noise, smoothed, certified and attacked.

A member is one network, trained with noise of one standard deviation (or none), smoothed with noise of another (usually
the same), certified on test images it has not seen and, where both noises and the labels are those of the paper,
predicted by PREDICT and attacked inside what was certified. Members that differ in how a network is smoothed, certified
and attacked only share the network, which is trained once, and whatever is measured of it alike. The networks of a seed
are trained in one call.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets, training
from lemmata.data.corruption import random_labels
from lemmata.robustness import Certificates, certify, predict
from lemmata.robustness.attacks import pgd_smoothed
from lemmata.robustness.training import gaussian_augmentation
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements, Section

STREAMS = Streams("split", "labels", "weights", "batches", "certificates", "attack", first=1000)  # none of a pilot run
RADII = (0.0, 0.25, 0.5, 1.0, 1.5)
FORWARD = {"batch": 250, "memory_format": "plain"}  # the same bits whatever runs beside
EPS = (0.25, 0.5, 1.0, 1.5)  # at which the smoothed classifier is attacked, to be drawn beside what is certified
SURE = 1e-6  # level of the predictions that decide whether an attack succeeded
GRID = np.linspace(0, 2.5, 101)


class Training(Section):
    """Stochastic gradient descent with momentum on noisy copies, drawn anew at each step."""

    step_size: float = Field(default=0.05, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=8, ge=1)


class Smoothing(Config):
    """One network, smoothed and certified."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    n_train: int = Field(default=2000, ge=1, description="training images")
    images: int = Field(default=100, ge=1, description="test images that are certified")
    channels: int = Field(default=8, ge=1)
    hidden: int = Field(default=64, ge=1)
    training: Training = Training()
    noise: float = Field(default=0.5, ge=0, description="standard deviation of the noise in training")
    sigma: float = Field(default=0.5, gt=0, description="standard deviation of the noise that smooths")
    labels: Literal["true", "random"] = "true"
    samples: int = Field(default=1000, ge=1, description="noisy copies that certify an image")
    alpha: float = Field(default=0.001, gt=0, lt=1)
    few: int = Field(default=100, ge=1, description="samples of PREDICT, to be compared with")
    many: int = Field(default=1000, ge=1, description="more samples of PREDICT")
    attacked: int = Field(default=20, ge=0, description="of the certified images, how many are attacked")
    reach: float = Field(default=1.0, gt=0, description="how far an attack goes, in certified radii")


def train_and_certify(configs: Sequence[Smoothing]) -> list[Measurements]:
    """Train every network that is asked for once, all together, then certify and attack it as its members say."""
    setting = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    asked = {_network_of(config): config for config in configs}
    samples = [examples(config) for config in asked.values()]
    x, y = (torch.stack([part[i] for part in samples]).to(device) for i in (0, 1))
    rule = training.SGD(lr=setting.training.step_size, momentum=setting.training.momentum)
    result = training.train(
        [network(config).to(device) for config in asked.values()], x, y, optimiser=rule,
        batch_size=setting.training.batch, epochs=setting.training.epochs,
        seeds=[STREAMS.seed(config.seed, "batches") for config in asked.values()],
        recipe=gaussian_augmentation([config.noise for config in asked.values()]),
        train_at=training.epochs_at([setting.training.epochs]),
    )  # fmt: skip
    trained = {
        own: Trained(result.model(i).to(device), samples[i][2].to(device), samples[i][3])
        for i, own in enumerate(asked) if not bool(result.diverged[i])
    }  # fmt: skip
    return [
        _measured(config, trained[own]) if (own := _network_of(config)) in trained
        else Measurements.of(status="diverged")
        for config in configs
    ]  # fmt: skip


def _network_of(config: Smoothing) -> tuple[int, float, str]:
    """What tells networks apart that are trained in one call."""
    return config.seed, config.noise, config.labels


class Trained:
    """A trained network with its test images x and labels y; what several members ask of it is measured once."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor):
        self.model, self.x, self.y = model, x, y
        self._known: dict[tuple[object, ...], Any] = {}

    def once(self, what: tuple[object, ...], measure: Callable[[], Any]) -> Any:
        """What was measured under this name, quantity and settings; it is measured at the first call."""
        if what not in self._known:
            self._known[what] = measure()
        return self._known[what]


def examples(config: Smoothing) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images with their labels, true or random, and test images with true ones; pixels in [0, 1]."""
    whole = data.load(config.data)
    part = whole.split(config.n_train, config.images, seed=STREAMS.seed(config.seed, "split"))
    assert part.x_test is not None
    assert part.y_test is not None
    labels = part.y
    if config.labels == "random":
        generator = torch.Generator().manual_seed(STREAMS.seed(config.seed, "labels"))
        labels = random_labels(len(labels), whole.classes, generator=generator)
    return part.x, labels, part.x_test, part.y_test


def network(config: Smoothing) -> nn.Module:
    """An untrained network, the same for all conditions of a seed."""
    return nets.convnet(
        config.channels, image=(1, 28, 28), hidden=config.hidden, seed=STREAMS.seed(config.seed, "weights")
    )  # fmt: skip


def _measured(config: Smoothing, net: Trained) -> Measurements:
    model, x, y, sigma = net.model, net.x, net.y, config.sigma
    seed = STREAMS.seed(config.seed, "certificates")
    found = net.once(
        ("certificates", sigma, config.samples),
        lambda: certify(model, x, y, sigma=sigma, n=config.samples, alpha=config.alpha, seed=seed, **FORWARD),
    )
    curve = found.accuracy()
    predicted, (attacks, broken, moved), standing = {}, (0, 0, 0.0), np.full(len(EPS), np.nan)
    if config.noise == sigma and config.labels == "true":  # as in the paper
        predicted = net.once(("PREDICT", sigma, config.few, config.many), lambda: abstentions(config, model, x))
        if config.samples > config.few:  # certificates of hardly any samples are not attacked
            attacks, broken, moved = net.once(
                ("attack inside", sigma, config.samples, config.many, config.reach),
                lambda: attack(config, model, x, found),
            )
        standing = net.once(("attack", sigma, config.few), lambda: under_attack(config, model, x, y))
    with torch.no_grad():
        plain = float((model(x).argmax(1).cpu() == y).double().mean())
    return Measurements.of(
        plain_accuracy=plain, average_radius=found.mean_radius(),
        abstained=float(found.abstained.double().mean()), **predicted,
        attacks=attacks, broken=broken, moved=moved,
        empirical=Curve(np.array(EPS), standing),
        **{f"at_{radius:g}".replace(".", "_"): curve.at(radius) for radius in RADII},
        certified=Curve(GRID, curve.at(GRID)), low=Curve(GRID, curve.band_at(GRID)[0]),
        high=Curve(GRID, curve.band_at(GRID)[1]),
    )  # fmt: skip


def abstentions(config: Smoothing, model: nn.Module, x: Tensor) -> dict[str, float]:
    """The shares of images from which PREDICT abstains with few samples and with many, and what more samples gain."""
    seed = STREAMS.seed(config.seed, "certificates")
    few, many = (
        float(
            predict(model, x, sigma=config.sigma, n=n, alpha=config.alpha, seed=seed, **FORWARD)
            .abstained.double()
            .mean()
        )
        for n in (config.few, config.many)
    )
    return {"abstained_few": few, "abstained_many": many, "abstained_gain": few - many}


def attack(config: Smoothing, model: nn.Module, x: Tensor, found: Certificates) -> tuple[int, int, float]:
    """Attack the smoothed classifier at `reach` times each certified radius: how many, how many broken, how far.

    Broken is an image whose smoothed class is, at level 1e-6, another than the certified one.
    """
    chosen = torch.nonzero(found.radius > 0).flatten()[: config.attacked]
    if not len(chosen):
        return 0, 0, 0.0
    images, classes = x[chosen], found.prediction[chosen].to(x.device)
    eps = (config.reach * found.radius[chosen]).to(images)
    seed = STREAMS.seed(config.seed, "attack")
    run = pgd_smoothed(
        model,
        images,
        classes,
        eps=eps,
        sigma=config.sigma,
        steps=15,
        draws=16,
        clip=None,
        early_exit=False,
        votes=0,
        seed=seed,
    )
    after = predict(
        model, run.adversarial, sigma=config.sigma, n=config.many, alpha=SURE, seed=seed, **FORWARD
    ).prediction
    broken = (after != found.prediction[chosen]) & (after >= 0)
    return len(chosen), int(broken.sum()), float((run.distance / eps).mean())


def under_attack(config: Smoothing, model: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """The share of images that the smoothed classifier, by its votes, gets right under attack: (E,)."""
    if not config.attacked:
        return np.full(len(EPS), np.nan)
    images, classes = x[: config.attacked], y[: config.attacked].to(x.device)
    run = pgd_smoothed(
        model, images, classes, eps=list(EPS), sigma=config.sigma, steps=10, draws=8, clip=None, votes=config.few,
        seed=STREAMS.seed(config.seed, "attack"),
    )  # fmt: skip
    return run.robust_accuracy.cpu().numpy()
