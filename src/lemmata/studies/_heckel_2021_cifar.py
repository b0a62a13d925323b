"""The five-layer network of Heckel & Yilmaz (2021), Figures 1 and 4, on CIFAR-10: one GPU, one network at a time.

Four convolutions 3x3 of c, 2c, 4c, 8c channels with biases, each with batch normalisation and ReLU, the last three with
2x2 max-pooling; 4x4 max-pooling; one linear layer. SGD without momentum, batches of 128, step size times
1 / sqrt(1 + floor(t / 512)) at step t; crops of the image padded by 4, and flips. A share of the training labels is
replaced by one of the other classes. Pixels are standardised by channel.
"""

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional

from lemmata import data
from lemmata.data.corruption import corrupt_labels
from lemmata.nets.initialisations import generator_from, initialise
from lemmata.studies._heckel_2021_signals import measured
from lemmata.study import Config, Measurements

PADDING = 4


class Cifar(Config):
    """The five-layer network on CIFAR-10."""

    label_noise: float = Field(default=0.2, ge=0, le=1, description="share of labels replaced by another class")
    conv_step: float = Field(default=0.1, gt=0, description="step size of the convolutions")
    fc_step: float = Field(default=0.1, gt=0, description="step size of the last layer")
    channels: int = Field(default=64, ge=1)
    epochs: int = Field(default=4000, ge=1)


def run_cifar(configs: Sequence[Cifar]) -> list[Measurements]:
    """Train one network after another, on a GPU if there is one."""
    whole = data.load("cifar10", device="cuda" if torch.cuda.is_available() else "cpu")
    assert whole.x_test is not None
    assert whole.y_test is not None
    mean, deviation = whole.x.mean((0, 2, 3), keepdim=True), whole.x.std((0, 2, 3), keepdim=True)
    x, x_test = (whole.x - mean) / deviation, (whole.x_test - mean) / deviation
    members = []
    for config in configs:
        generator = torch.Generator().manual_seed(config.seed)
        y = corrupt_labels(whole.y.cpu(), config.label_noise, 10, generator=generator, how="other").to(x.device)
        epochs = sorted({*range(1, min(300, config.epochs + 1)), *range(300, config.epochs + 1, 10), config.epochs})
        train_error, test_error = fit(
            (x, y), (x_test, whole.y_test), channels=config.channels, conv_step=config.conv_step,
            fc_step=config.fc_step, norm_step=0.1, epochs=epochs, seed=config.seed,
        )  # fmt: skip
        members.append(measured({"test_error": (epochs, test_error), "train_error": (epochs, train_error)}))
    return members


def network(channels: int, *, seed: int) -> nn.Sequential:
    """Build the network for images (n, 3, 32, 32) and 10 classes; every weight is drawn from `seed`.

    >>> network(2, seed=0)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 10])
    """
    layers: list[nn.Module] = []
    before = 3
    for depth in range(4):
        width = channels * 2**depth
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if depth else []
        before = width
    net = nn.Sequential(*layers, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(before, 10))
    return initialise(net, "standard", generator_from(seed))  # type: ignore[return-value]


def augmented(x: Tensor, generator: Generator) -> Tensor:
    """Each image (n, 3, h, w), padded by 4 zeros, cropped at random to its size, and mirrored with probability 1/2."""
    n, channels, height, width = x.shape
    padded = functional.pad(x, (PADDING,) * 4)
    corner = torch.randint(2 * PADDING + 1, (2, n, 1), generator=generator, device=x.device)
    rows = corner[0] + torch.arange(height, device=x.device)
    columns = corner[1] + torch.arange(width, device=x.device)
    mirrored = torch.rand(n, 1, generator=generator, device=x.device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    one, colour = torch.arange(n, device=x.device)[:, None, None, None], torch.arange(channels, device=x.device)
    return padded[one, colour[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]


def fit(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    channels: int,
    conv_step: float,
    fc_step: float,
    norm_step: float,
    epochs: list[int],
    seed: int,
) -> tuple[list[float], list[float]]:
    """Train one network and return its training and test errors after each of the `epochs`.

    Data are images (n, 3, 32, 32) and labels (n,), on the device to use. Random, and fixed by `seed` on one device:
    weights, order, crops, flips.
    """
    (x, y), device = train, train[0].device
    net = network(channels, seed=seed).to(device)
    steps = {nn.Conv2d: conv_step, nn.BatchNorm2d: norm_step, nn.Linear: fc_step}
    groups = [{"params": list(m.parameters()), "lr": steps[type(m)]} for m in net if type(m) in steps]
    optimiser = torch.optim.SGD(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: 1 / math.sqrt(1 + t // 512))
    generator = Generator(device).manual_seed(seed)
    errors: tuple[list[float], list[float]] = [], []
    for epoch in range(1, epochs[-1] + 1):
        net.train()
        for batch in torch.randperm(len(y), generator=generator, device=device).split(128):
            optimiser.zero_grad()
            functional.cross_entropy(net(augmented(x[batch], generator)), y[batch]).backward()
            optimiser.step()
            schedule.step()
        if epoch in epochs:
            for found, (images, labels) in zip(errors, (train, test), strict=True):
                found.append(_error(net, images, labels))
    return errors


@torch.no_grad()
def _error(net: nn.Module, x: Tensor, y: Tensor) -> float:
    net.eval()
    wrong = sum(
        int((net(part).argmax(1) != label).sum()) for part, label in zip(x.split(2000), y.split(2000), strict=True)
    )
    return wrong / len(y)
