"""Small convolutional networks on MNIST-1D with wrong labels: the first experiment of `heckel_2021_deep`.

All seeds and step sizes of a block are trained at once; a seed has its own training and test signals.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field

from lemmata import nets
from lemmata.data import mnist1d
from lemmata.data.corruption import corrupt_labels
from lemmata.studies._heckel_2021_noise import FEWEST, bump_of_noise
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements
from lemmata.study.kinds.shape import bump
from lemmata.training import SGD, Probe, epochs_at, every, train

STREAMS = Streams("signals", "labels", "weights", "order", first=100)


class Signals(Config):
    """A small convolutional network with batch normalisation on MNIST-1D."""

    n: int = Field(default=2000, ge=10, multiple_of=10)
    label_noise: float = Field(default=0.2, ge=0, le=1, description="share of labels replaced by another class")
    channels: int = Field(default=50, ge=1)
    step_size: float = Field(default=0.02, gt=0)
    fc_step: float = Field(default=1.0, gt=0, description="step size of the last layer, as a multiple")
    epochs: int = Field(default=80, ge=1)
    test: int = Field(default=4000, ge=10, multiple_of=10)


def run_signals(configs: Sequence[Signals]) -> list[Measurements]:
    """Train all seeds and step sizes at once."""
    first = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, y, x_test, y_test = (torch.stack(part).to(device) for part in zip(*map(drawn, configs), strict=True))
    at = epochs_at([*range(2, min(first.epochs, 40) + 1, 2), *range(44, first.epochs + 1, 4)])
    starts = [
        nets.convnet1d(first.channels, batch_norm=True, fused=True, seed=STREAMS.seed(c.seed, "weights"))
        for c in configs
    ]
    result = train(
        [net.to(device) for net in starts], x, y,
        optimiser=SGD(lr=first.step_size, momentum=0.9, lr_scale={"output": [c.fc_step for c in configs]}),
        batch_size=128, epochs=first.epochs, seeds=[STREAMS.seed(c.seed, "order") for c in configs],
        train_at=every(4),
        probes={"test_error": Probe(x_test, y_test, metric="error", at=at)},
    )  # fmt: skip
    names = ("test_error", "train_error", "running_loss")
    return [
        measured(
            {name: (result.curves[name][0].numpy(), result.curves[name][1][i].numpy()) for name in names}, config.seed
        )
        for i, config in enumerate(configs)
    ]


def drawn(config: Signals) -> tuple[torch.Tensor, ...]:
    """Signals (n, 1, 40) and labels (n,), some of them wrong, and the test signals and true labels of the same seed."""
    signals, labels = mnist1d.generate(config.n + config.test, seed=STREAMS.seed(config.seed, "signals"))
    x, y = torch.tensor(signals, dtype=torch.float32)[:, None], torch.tensor(labels)
    generator = torch.Generator().manual_seed(STREAMS.seed(config.seed, "labels"))
    wrong = corrupt_labels(y[: config.n], config.label_noise, 10, generator=generator, how="other")
    return x[: config.n], wrong, x[config.n :], y[config.n :]


def measured(curves: dict[str, Any], noise_seed: int | None = None) -> Measurements:
    """Curves by name (x, y), running means of those that guard, the best error, and what noise makes of the bump."""
    curves = {name: (np.asarray(x, dtype=float), np.asarray(y, dtype=float)) for name, (x, y) in curves.items()}
    finite = all(np.isfinite(y).all() for _, y in curves.values())
    means = {f"mean_{name}": (x, _running_mean(y)) for name, (x, y) in curves.items() if name != "test_error"}
    scalars: Any = {"best_error": min(curves["test_error"][1])} if finite else {}
    if finite and noise_seed is not None and len(curves["test_error"][0]) >= FEWEST:
        x, y = curves["test_error"]
        of_noise = bump_of_noise(x, y, smooth=3, seed=noise_seed)
        scalars |= {"bump_of_noise": of_noise, "bump_beyond_noise": bump(x, y, smooth=3).height - of_noise}
    return Measurements.of(
        status="ok" if finite else "diverged",
        **scalars,
        **{name: Curve(x, y) for name, (x, y) in (curves | means).items()},
    )


def _running_mean(y: np.ndarray) -> np.ndarray:
    """Mean of each value and its two neighbours; the ends are repeated."""
    return np.convolve(np.pad(y, 1, mode="edge"), np.full(3, 1 / 3), "valid")
