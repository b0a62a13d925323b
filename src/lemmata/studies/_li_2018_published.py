"""The authors' own ResNet-56 with and without shortcuts: its test errors, and the loss around it on CIFAR-10.

The weights and the images lie in the data directory. The first training batch is verified; a test batch may lack
images (its length is recorded), since what is counted is the share of those that are there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets
from lemmata.data import checksum, cifar, folder, sources
from lemmata.data.corruption import random_labels
from lemmata.data.weights import standardised
from lemmata.errors import CorruptFile, DataMissing
from lemmata.landscape import surface
from lemmata.studies._li_2018_convexity import violations
from lemmata.studies._li_2018_depth import STREAMS
from lemmata.study import Config, Measurements

WEIGHTS = "resnet56-cifar10"
AT_ONCE = 250  # images
CLASSES = 10


class Published(Config):
    """The loss around one published network, on some training images."""

    shortcuts: bool = True
    images: int = Field(default=100, ge=1, le=10_000, description="training images that the loss is drawn for")
    points: int = Field(default=15, ge=3, description="of the surface, along an axis")
    span: float = Field(default=1.0, gt=0, description="half the width of the plane")
    labels: Literal["true", "random"] = "true"


class Errors(Config):
    """The test error of one published network."""

    shortcuts: bool = True
    upright: bool = Field(default=True, description="images as they are, not upside down")


def draw_published(configs: Sequence[Published]) -> list[Measurements]:
    """Evaluate the loss over the plane of each, one after the other; random are the images and the plane."""
    x, y = batch("data_batch_1.bin", verify=True)
    return [_drawn(config, x, y) for config in configs]


def count_errors(configs: Sequence[Errors]) -> list[Measurements]:
    """Count the test images that are misclassified; nothing is random."""
    x, y = batch("test_batch.bin", verify=False)
    return [_counted(config, x, y) for config in configs]


def published(shortcuts: bool) -> nn.Module:
    """One of the two networks, in evaluation mode."""
    net = nets.resnet(56, shortcuts=shortcuts, seed=0)
    net.load_state_dict(data.load_weights(WEIGHTS, "shortcuts" if shortcuts else "no shortcuts"), strict=False)
    return net.eval()


def batch(name: str, *, verify: bool) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 32, 32), as the networks take them, and labels of one file of CIFAR-10."""
    root = folder.resolve()
    found = [path for place in sources.CIFAR10.folders if (path := Path(root / place / name)).is_file()]
    if not found:
        raise DataMissing(
            f"cifar10: {name} is not in {root / sources.CIFAR10.folders[0]}; fetch it with `lemmata data fetch cifar10`"
        )
    published_md5 = next(file.md5 for file in sources.CIFAR10.files if file.name == name)
    if verify and checksum.md5(found[0]) != published_md5:
        raise CorruptFile(f"{found[0]} is not the published file; fetch it again with `lemmata data fetch cifar10`")
    pixels, labels = cifar.read_batch(found[0])
    return standardised(torch.tensor(pixels).float() / 255, WEIGHTS), torch.tensor(labels).long()


def _drawn(config: Published, x: Tensor, y: Tensor) -> Measurements:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(STREAMS.seed(config.seed, "split")))
    chosen = order[: config.images]
    x, y = x[chosen], y[chosen]
    if config.labels == "random":
        y = random_labels(len(y), CLASSES, generator=STREAMS.generator(config.seed, "split", 1))
    drawn = surface(
        (published(config.shortcuts), "cross_entropy", (x, y)), points=config.points, span=config.span,
        adaptive=False, seed=STREAMS.seed(config.seed, "directions"),
    )  # fmt: skip
    nonconvex, bumps = violations(drawn.loss)
    inner = abs(drawn.x) <= (config.span + 1e-9) / 2
    nonconvex_inside, bumps_inside = violations(drawn.loss[inner][:, inner])
    return Measurements.of(
        nonconvex=nonconvex, bumps=bumps, nonconvex_inside=nonconvex_inside, bumps_inside=bumps_inside,
        axis=drawn.x, surface=drawn.loss,
    )  # fmt: skip


@torch.no_grad()
def _counted(config: Errors, x: Tensor, y: Tensor) -> Measurements:
    net = published(config.shortcuts)
    pairs = zip((x if config.upright else x.flip(2)).split(AT_ONCE), y.split(AT_ONCE), strict=True)
    wrong = sum(int((net(images).argmax(1) != labels).sum()) for images, labels in pairs)
    return Measurements.of(wrong=wrong, test_images=len(y), test_error=wrong / len(y))
