"""Finite convolutional networks beside their CNTK: the second experiment of the study of Arora et al. (2019).

The network is that of `kernels.Convolutional` with finitely many channels: N(0, 1) weights, the scales of the paper in
the forward pass, all layers trained. Gradient descent on the mean squared error moves its outputs by

    f_t - f_0 = K(., X) K^-1 (1 - (1 - c K)^t) Y        if its tangent kernel stays K, the CNTK;  c = 2 step / (n k)

for n images and k outputs, once the targets are Y + f_0(X): then the residuals do not know where the network began.
So networks and kernel are compared after the same number of steps, and no training need ever end.

In the mean-field parameterisation outputs are divided by sqrt(width), and the steps are width times as long: the first
step moves the outputs as before, but the weights sqrt(width) times as far, and features are learned at any width.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from lemmata import data, training
from lemmata.data.preprocessing import mean_pool
from lemmata.kernels import Convolutional, cntk
from lemmata.studies._arora_2019_exact_kernels import STREAMS
from lemmata.study import Config, Measurements


class FiniteNetwork(Config):
    """One network of finite width, trained by gradient descent, and the kernel's descent beside it."""

    data: Literal["digits"] = "digits"
    pool: int = Field(default=2, ge=1)
    n: int = Field(default=30, ge=2)
    n_test: int = Field(default=100, ge=2)
    width: int = Field(default=64, ge=1, description="channels")
    depth: int = Field(default=3, ge=3)
    readout: Literal["average", "vanilla"] = "average"
    parameterisation: Literal["tangent", "mean-field"] = Field(
        default="tangent", description="mean-field: outputs divided by sqrt(width), steps width times as long"
    )
    steps: int = Field(default=200, ge=1, description="of gradient descent, each 1 / the kernel's largest rate")


class ConvolutionalNetwork(nn.Module):
    """depth - 1 convolutions 3 x 3 with zero padding, ReLU, and a linear readout, scaled as `Convolutional` says."""

    def __init__(self, channels: int, config: FiniteNetwork, shape: tuple[int, int], outputs: int):
        super().__init__()
        draw = STREAMS.generator(config.seed, "weights")
        widths = [channels] + [config.width] * (config.depth - 1)
        self.filters = nn.ParameterList(
            torch.randn(9 * before, after, generator=draw) for before, after in pairwise(widths)
        )
        self.positions = shape[0] * shape[1] if config.readout == "vanilla" else 1
        self.last = nn.Parameter(torch.randn(self.positions * config.width, outputs, generator=draw))
        self.width = config.width
        self.scale = config.width**-0.5 if config.parameterisation == "mean-field" else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (n, k) of images (n, C, P, Q)."""
        x = x.movedim(1, -1)
        for weights in self.filters:
            x = (2 / (9 * self.width)) ** 0.5 * (patches(x) @ weights).relu()
        read = x.flatten(1) if self.positions > 1 else x.mean((1, 2))
        return self.scale * (read @ self.last)


def patches(x: Tensor) -> Tensor:
    """The 3 x 3 neighbourhoods of all positions, zero outside: (n, P, Q, C) to (n, P, Q, 9 C)."""
    _, rows, columns, _ = x.shape
    padded = pad(x, (0, 0, 1, 1, 1, 1))
    return torch.cat([padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)], -1)


def train_beside_kernel(configs: Sequence[FiniteNetwork]) -> list[Measurements]:
    """Train the networks of all seeds at once, and compare each with the descent of its sample's kernel."""
    first = configs[0]
    samples = [_sample(config) for config in configs]
    x, y, x_test, y_test = (torch.stack(parts) for parts in zip(*samples, strict=True))
    classes = y.shape[-1]
    shape = (x.shape[-2], x.shape[-1])
    networks = [ConvolutionalNetwork(x.shape[2], config, shape, classes) for config in configs]
    with torch.no_grad():
        started = torch.stack([network(images) for network, images in zip(networks, x, strict=True)])
        before = torch.stack([network(images) for network, images in zip(networks, x_test, strict=True)])
    described = [_kernel_descent(config, *parts) for config, *parts in zip(configs, x, y, x_test, strict=True)]
    longer = first.width if first.parameterisation == "mean-field" else 1
    rule = training.GD(lr=[longer * step for step, _ in described])
    result = training.train(
        networks,
        x,
        y + started,
        loss="mse",
        optimiser=rule,
        epochs=first.steps,
        train_at=training.epochs_at([first.steps]),
    )
    found = []
    for i, (_, predicted) in enumerate(described):
        with torch.no_grad():
            moved = result.model(i)(x_test[i]) - before[i]
        off = (moved.double() - predicted).norm() / predicted.norm()
        agree = (moved.argmax(1) == predicted.argmax(1)).double().mean()
        right = (moved.argmax(1) == y_test[i]).double().mean()
        kernel_right = (predicted.argmax(1) == y_test[i]).double().mean()
        status = "diverged" if bool(result.diverged[i]) else "ok"
        found.append(
            Measurements.of(
                status=status,
                distance=float(off),
                agreement=float(agree),
                accuracy=float(right),
                kernel_accuracy=float(kernel_right),
            )
        )
    return found


def _sample(config: FiniteNetwork) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    whole = data.load(config.data)
    part = whole.split(config.n, config.n_test, seed=STREAMS.generator(config.seed, "split").initial_seed())
    assert part.x_test is not None
    assert part.y_test is not None
    x, x_test = (mean_pool(images, config.pool) for images in (part.x, part.x_test))
    return x, one_hot(part.y, whole.classes).to(x.dtype) - 0.1, x_test, part.y_test


def _kernel_descent(config: FiniteNetwork, x: Tensor, y: Tensor, x_test: Tensor) -> tuple[float, Tensor]:
    """The step size 1 / (largest rate), and what the kernel's descent predicts on the test images after all steps."""
    law = Convolutional(config.depth, config.readout, train_first=True, train_last=True)
    own = cntk(x.double(), network=law).values
    cross = cntk(x_test.double(), x.double(), network=law).values
    rate = 2 / (len(x) * y.shape[1])
    step = 1 / (rate * float(torch.linalg.eigvalsh(own)[-1]))
    values, vectors = torch.linalg.eigh(own)
    gone = 1 - (1 - (step * rate * values).clamp(max=1)) ** config.steps
    return step, cross @ (vectors @ ((gone / values)[:, None] * (vectors.mT @ y.double())))
