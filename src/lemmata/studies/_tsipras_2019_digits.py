"""Digits: what adversarial training costs, or gains, in accuracy on digits that nobody attacks, by how many there are.

A member is a pair of networks from the same weights on the same digits in the same order, one trained as usual, one on
adversarial digits.
"""

from collections.abc import Sequence

import torch
from pydantic import Field

from lemmata import data, nets, training
from lemmata.data.preprocessing import mean_pool
from lemmata.robustness.attacks import pgd
from lemmata.robustness.training import adversarial_training
from lemmata.studies._tsipras_2019_features import STREAMS
from lemmata.study import Config, Measurements


class Digits(Config):
    """A pair of perceptrons with one hidden layer."""

    data: str = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels that are averaged")
    n: int = Field(default=1000, ge=1)
    n_test: int = Field(default=800, ge=1)
    width: int = Field(default=64, ge=1)
    eps: float = Field(default=0.2, ge=0, description="of a range of pixels of 1, in the maximum norm")
    steps: int = Field(default=3, ge=1, description="gradient steps to an adversarial digit in training")
    samples: int = Field(default=20_000, ge=1, description="digits seen in training, repeats counted, at least")
    epochs: int = Field(default=10, ge=1, description="at least")
    step_size: float = Field(default=0.1, gt=0)
    batch: int = Field(default=50, ge=1)


def pairs(configs: Sequence[Digits]) -> list[Measurements]:
    """Train all pairs of a block together; attack each network by PGD."""
    setting = configs[0]
    whole = data.load(setting.data)
    parts = [whole.split(setting.n, setting.n_test, seed=STREAMS.seed(config.seed, "samples")) for config in configs]
    x, y = torch.stack([mean_pool(part.x, setting.pool) for part in parts]), torch.stack([part.y for part in parts])
    starts = [
        nets.mlp(x[0, 0].numel(), [setting.width], whole.classes, seed=STREAMS.generator(config.seed, "weights"))
        for config in configs
    ]
    eps = [0.0] * len(configs) + [config.eps for config in configs]
    epochs = max(setting.epochs, min(100, setting.samples // setting.n))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    result = training.train(
        [start.to(device) for start in starts] * 2, torch.cat([x, x]).to(device), torch.cat([y, y]).to(device),
        optimiser=training.SGD(lr=setting.step_size, momentum=0.9), batch_size=setting.batch, epochs=epochs,
        seeds=[STREAMS.seed(config.seed, "batches") for config in configs] * 2, train_at=training.last_epoch,
        recipe=adversarial_training(eps, steps=setting.steps, warmup=epochs // 4) if any(eps) else None,
    )  # fmt: skip
    found = []
    for i, (config, part) in enumerate(zip(configs, parts, strict=True)):
        both = (i, i + len(configs))
        if any(bool(result.diverged[j]) for j in both):
            found.append(Measurements(status="diverged"))
            continue
        assert part.x_test is not None
        assert part.y_test is not None
        models, x_test = [result.model(j).cpu() for j in both], mean_pool(part.x_test, setting.pool)
        attack = pgd(models, x_test, part.y_test, eps=[0.0, config.eps], steps=10, seed=config.seed)
        (plain, broken), (hard, kept) = attack.robust_accuracy.tolist()
        found.append(
            Measurements.of(
                standard_usual=plain, robust_usual=broken, standard_adversarial=hard, robust_adversarial=kept,
                cost=plain - hard,
            )
        )  # fmt: skip
    return found
