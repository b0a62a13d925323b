"""The distribution of Tsipras et al. (2019): one feature that is right with probability p, and many faint ones.

    y = +1 or -1,   x_1 = y with probability p, else -y,   x_2, ..., x_{d+1} ~ N(eta y, 1),   eta = strength / sqrt(d)

A member is one classifier, trained on n samples as usual or adversarially, and its accuracies: on the distribution,
under the theorem's adversary (x_i - eps y for i >= 2, nothing for x_1), and under the worst change within eps in the
maximum norm. For a linear classifier all three are exact, from the normal distribution function; for a network they are
shares of test samples, the last under PGD.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.stats import norm
from torch import Tensor, nn

from lemmata import nets, training
from lemmata.robustness.attacks import pgd
from lemmata.robustness.training import adversarial_training
from lemmata.studies._streams import Streams
from lemmata.study import Config, Measurements, Section

STREAMS = Streams("samples", "weights", "batches", "test", "attacked")
ATTACKED = 500  # test samples on which a network is attacked by PGD


class Training(Section):
    """Stochastic gradient descent with momentum, its step size falling to 0 by a cosine."""

    step_size: float = Field(default=0.02, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    batch: int = Field(default=100, ge=1)
    epochs: int = Field(default=15, ge=1)


class Features(Config):
    """One classifier on the distribution."""

    p: float = Field(default=0.95, ge=0.5, le=1, description="probability that the first feature is right")
    d: int = Field(default=400, ge=1, description="faint features")
    strength: float = Field(default=3.0, gt=0, description="their mean eta times sqrt(d)")
    eps: float = Field(default=2.0, ge=0, description="the adversary's eps, in units of eta")
    network: Literal["linear", "relu"] = "linear"
    width: int = Field(default=32, ge=1)
    defence: Literal["none", "adversarial"] = "none"
    n: int = Field(default=3000, ge=1)
    n_test: int = Field(default=20_000, ge=1)
    training: Training = Training()

    @property
    def eta(self) -> float:
        """The mean of a faint feature."""
        return self.strength / sqrt(self.d)


def classifiers(configs: Sequence[Features]) -> list[Measurements]:
    """Train a block's classifiers together and measure each."""
    setting = configs[0]
    samples = [draw(config, config.n, "samples") for config in configs]
    x, y = (torch.stack(part) for part in zip(*samples, strict=True))
    widths = [setting.width] if setting.network == "relu" else []
    models = [nets.mlp(setting.d + 1, widths, 2, seed=STREAMS.generator(config.seed, "weights")) for config in configs]
    eps = [config.eps * config.eta * (config.defence == "adversarial") for config in configs]
    rule = setting.training
    linear = setting.network == "linear"  # whose worst change is one step
    recipe = adversarial_training(
        eps, steps=1 if linear else 3, random_start=not linear, clip=None, warmup=rule.epochs // 2
    )
    result = training.train(
        models, x, y, optimiser=training.SGD(lr=rule.step_size, momentum=rule.momentum), batch_size=rule.batch,
        epochs=rule.epochs, seeds=[STREAMS.seed(config.seed, "batches") for config in configs],
        schedule=training.cosine(), train_at=training.last_epoch,
        recipe=recipe if any(eps) else None,
    )  # fmt: skip
    measure = _linear if linear else _network
    return [
        Measurements(status="diverged") if bool(result.diverged[i]) else measure(config, result.model(i).double())
        for i, config in enumerate(configs)
    ]


def draw(config: Features, count: int, purpose: str, *, shift: float = 0.0) -> tuple[Tensor, Tensor]:
    """Samples (count, d + 1) and classes 0 or 1, the faint features moved by `shift` against their class."""
    generator = STREAMS.generator(config.seed, purpose)
    y = torch.randint(2, (count,), generator=generator)
    sign = 2.0 * y - 1
    right = torch.rand(count, generator=generator) < config.p
    first = torch.where(right, sign, -sign)
    faint = torch.randn(count, config.d, generator=generator) + (config.eta - shift) * sign[:, None]
    return torch.cat([first[:, None], faint], 1), y


def accuracy(w: np.ndarray, b: float, p: float, eta: float, *, attacked: float = 0.0, robust: float = 0.0) -> float:
    """The exact accuracy of sign(w . x + b): as it is, faint features moved by `attacked`, or at worst in `robust`.

    Given y and whether x_1 = y, the margin y (w . x + b) is normal, of variance |w_2..|^2; the worst change within eps
    lowers it by eps |w|_1.

    >>> round(accuracy(np.array([0.0, 1.0, 1.0]), 0.0, 0.9, 1.0), 4) == round(float(norm.cdf(sqrt(2))), 4)
    True
    """
    spread = float(np.linalg.norm(w[1:]))
    faint = (eta - attacked) * w[1:].sum() - robust * np.abs(w).sum()
    total = 0.0
    for share, first in ((p, w[0]), (1 - p, -w[0])):
        for sign in (1.0, -1.0):
            margin = first + faint + sign * b
            total += share / 2 * (float(norm.cdf(margin / spread)) if spread > 0 else float(margin > 0))
    return total


def _linear(config: Features, model: nn.Module) -> Measurements:
    weight, bias = (tensor.numpy() for tensor in model.state_dict().values())
    w, b, eps = weight[1] - weight[0], float(bias[1] - bias[0]), config.eps * config.eta
    standard = accuracy(w, b, config.p, config.eta)
    attacked = accuracy(w, b, config.p, config.eta, attacked=eps)
    robust = accuracy(w, b, config.p, config.eta, robust=eps)
    share = float(np.abs(w[1:]).sum() / np.abs(w).sum())
    return _measurements(config, standard, attacked, robust, faint_share=share)


def _network(config: Features, model: nn.Module) -> Measurements:
    eps = config.eps * config.eta
    with torch.no_grad():
        right = []
        for purpose, shift in (("test", 0.0), ("attacked", eps)):
            x, y = draw(config, config.n_test, purpose, shift=shift)
            right.append(float((model(x.double()).argmax(1) == y).double().mean()))
    x, y = draw(config, min(ATTACKED, config.n_test), "test")
    found = pgd(model, x.double(), y, eps=eps, clip=None, steps=10, random_start=False)
    return _measurements(config, right[0], right[1], float(found.robust_accuracy))


def _measurements(config: Features, standard: float, attacked: float, robust: float, **rest: float) -> Measurements:
    """What is measured, and by how much the error is below what the theorem asks of it: at most 0, but for sampling."""
    needed = (1 - config.p) / config.p * attacked
    return Measurements.of(
        status="ok",
        standard=standard,
        attacked=attacked,
        robust=robust,
        needed=needed,
        excess=needed - (1 - standard),
        from_p=abs(standard - config.p),
        **rest,
    )
