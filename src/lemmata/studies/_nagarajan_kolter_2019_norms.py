"""Norms of networks trained on more and more digits, and the bounds that are made of them.

A perceptron without biases is trained by SGD, from one Xavier initialisation a seed, until 99 % of its training digits
are classified with a margin of 10, as in section 2 of the paper; the loss is the mean over the ten classes of the
logistic loss, as in the authors' published code (not seen in the paper). Then, as the paper plots them, without
constants and logarithms, at the margin g = 10, with B the largest norm of an input, h the width and D the depth:

    Neyshabur, Bhojanapalli, Srebro (2018)  B D h^(1/2) prod |W_l| ( sum |W_l - Z_l|_F^2 / |W_l|^2 )^(1/2) / (g m^(1/2))
    Bartlett, Foster, Telgarsky (2017)      B prod |W_l| ( sum (|W_l - Z_l|_21 / |W_l|)^(2/3) )^(3/2) / (g m^(1/2))

Z_l are the weights before training. The latter with all its constants is `lemmata.bounds.spectral_margin_bound`.
With `distinct`, m digits are copies of that many. All seeds of one size are trained at once, by rounds of some 32
steps, after which the margins are looked at.
"""

import math
from collections.abc import Sequence
from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, one_hot

from lemmata import data, nets
from lemmata.bounds import margins, spectral_margin_bound
from lemmata.study import Config, Measurements
from lemmata.training import SGD, Batch, last_epoch, train
from lemmata.training.ensemble import Ensemble
from lemmata.training.probes import Samples
from lemmata.training.recipe import Selecting

ROUND = 32  # steps between two looks at the margins, or an epoch if that is longer
CLASSES = 10


class Norms(Config):
    """One perceptron and the digits it is trained on."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels that are averaged")
    n: int = Field(default=512, ge=1, description="training digits")
    distinct: int = Field(default=0, ge=0, description="of which so many differ; 0: all")
    n_test: int = Field(default=2500, ge=1, description="test digits")
    width: int = Field(default=64, ge=1)
    depth: int = Field(default=5, ge=1, description="hidden layers")
    margin: float = Field(default=10.0, gt=0, description="margin that 99 % of the training digits must have")
    step_size: float = Field(default=1.0, gt=0)
    batch: int = Field(default=64, ge=1)
    steps: int = Field(default=8000, ge=1, description="at most")


def train_to_a_margin(configs: Sequence[Norms]) -> list[Measurements]:
    """Train the networks of a block, which differ in their seeds, and measure each."""
    setting = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples = [digits(config) for config in configs]
    xs, ys = (torch.stack([sample[i] for sample in samples]).to(device) for i in (0, 1))
    initial = [
        nets.mlp(xs.shape[-1], [setting.width] * setting.depth, CLASSES, bias=False, initialisation="xavier",
                 seed=config.seed).to(device)
        for config in configs
    ]  # fmt: skip
    models, epochs = _trained(setting, configs, initial, xs, ys)
    return [_measured(setting, initial[i].cpu(), models[i].cpu(), samples[i], epochs[i]) for i in range(len(configs))]


def digits(config: Norms) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images (n, pixels) and labels, test images and labels; images in [0, 1]."""
    whole = data.load(config.data).split(train=config.distinct or config.n, test=config.n_test, seed=config.seed)
    assert whole.x_test is not None
    assert whole.y_test is not None
    x, x_test = (avg_pool2d(images.float(), config.pool).flatten(1) for images in (whole.x, whole.x_test))
    copies = torch.arange(config.n) % len(x)
    return x[copies], whole.y[copies], x_test, whole.y_test


def _trained(
    setting: Norms, configs: Sequence[Norms], initial: Sequence[nn.Module], xs: Tensor, ys: Tensor
) -> tuple[list[nn.Module], list[int]]:
    """Train by rounds; a network that has its margins is left as it is."""
    models, epochs = list(initial), [0] * len(initial)
    live = list(range(len(models)))
    per_epoch = -(-setting.n // setting.batch)
    length = max(1, ROUND // per_epoch)
    for number in range(-(-setting.steps // (length * per_epoch))):
        result = train(
            [models[i] for i in live], xs[live], one_hot(ys[live], CLASSES).float(),
            loss="mse", recipe=Logistic(), optimiser=SGD(lr=setting.step_size), batch_size=setting.batch,
            epochs=length, seeds=[1000 * configs[i].seed + number for i in live], train_at=last_epoch,
        )  # fmt: skip
        for place, i in enumerate(live):
            models[i], epochs[i] = result.model(place), epochs[i] + length
        live = [i for i in live if share_below(models[i], xs[i], ys[i], setting.margin) > 0.01]
        if not live:
            break
    return models, epochs


class Logistic(Selecting):
    """The recipe that takes steps on the mean over classes and samples of the logistic loss; it has no state."""

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> Self:
        """Begin a training."""
        return self

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        """The batch as it is, with this loss."""
        return Batch(x, y, lambda z, y: binary_cross_entropy_with_logits(z, y, reduction="none").mean((1, 2)))


def share_below(model: nn.Module, x: Tensor, y: Tensor, margin: float) -> float:
    """The share of samples whose margin is at most `margin`."""
    return margins(model, (x, y)).loss(margin)


def _measured(
    setting: Norms, initial: nn.Module, model: nn.Module, sample: tuple[Tensor, ...], epochs: int
) -> Measurements:
    """Norms, bounds and errors of one network."""
    x, y, x_test, y_test = sample
    with torch.no_grad():
        test_error = float((model(x_test).argmax(1) != y_test).double().mean())
    below = share_below(model, x, y, setting.margin)
    found = norm_bounds(setting, initial, model, float(x.norm(dim=1).max()))
    proven = spectral_margin_bound(model, (x, y), initial=initial, gamma=setting.margin).value
    measures = {"test_error": test_error, "below": below, "epochs": float(epochs), "proven": proven, **found}
    return Measurements(scalars=measures)


def norm_bounds(setting: Norms, initial: nn.Module, model: nn.Module, radius: float) -> dict[str, float]:
    """The distance from initialisation, the product of spectral norms, and both bounds as the paper plots them."""
    weights, before = ([w.detach().double() for w in one.parameters()] for one in (model, initial))
    ways = [w - z for w, z in zip(weights, before, strict=True)]
    spectral = [float(torch.linalg.matrix_norm(w, 2)) for w in weights]
    product, scale = math.prod(spectral), radius / (setting.margin * setting.n**0.5)
    frobenius = [float(way.norm()) for way in ways]
    columns = [float(way.norm(dim=1).sum()) for way in ways]  # (2, 1) norm of the transpose: a unit's weights each
    spread = math.hypot(*(f / s for f, s in zip(frobenius, spectral, strict=True)))
    mixed = sum((c / s) ** (2 / 3) for c, s in zip(columns, spectral, strict=True)) ** 1.5
    return {
        "distance": math.hypot(*frobenius), "spectral_product": product,
        "neyshabur": scale * setting.depth * setting.width**0.5 * product * spread, "bartlett": scale * product * mixed,
    }  # fmt: skip
