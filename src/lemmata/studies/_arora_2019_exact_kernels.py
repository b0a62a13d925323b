"""Kernel regression with the CNTK on small samples: the runs of the study of Arora et al. (2019).

A member is one random sample of images, one kernel and one version of the labels. Seeds and labels are computed in one
call; labels, which the kernel does not see, share its values.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot

from lemmata import data
from lemmata.data.corruption import random_labels, shuffle_pixels
from lemmata.data.preprocessing import mean_pool
from lemmata.kernels import Convolutional, FullyConnected, analytic_ntk, cntk
from lemmata.studies._streams import Streams
from lemmata.study import Config, Measurements

STREAMS = Streams("split", "labels", "pixels", "weights")


class Regression(Config):
    """Ridgeless regression with one kernel on one sample of images."""

    data: Literal["digits", "mnist-5k", "cifar10"] = "digits"
    pool: int = Field(default=1, ge=1, description="side of the blocks of pixels that are averaged")
    n: int = Field(default=150, ge=2, description="training images")
    n_test: int = Field(default=150, ge=2)
    network: Literal["average", "vanilla", "fully-connected"] = Field(
        default="average", description="CNTK-GAP, CNTK-V, or the NTK of a perceptron"
    )
    depth: int = Field(default=3, ge=3, description="weight layers, as Table 1 counts them")
    pixels: Literal["in place", "permuted"] = "in place"
    labels: Literal["true", "random"] = "true"


def regress(configs: Sequence[Regression]) -> list[Measurements]:
    """Compute the kernel of each sample once, and regress on each version of its labels."""
    samples = {config.seed: sample(config) for config in configs}
    kernels = {config.seed: kernel_of(config, *samples[config.seed][::2]) for config in configs}
    return [_regressed(config, samples[config.seed], kernels[config.seed]) for config in configs]


def sample(config: Regression) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, then test images and labels; each channel standardised by the training images."""
    whole = data.load(config.data)
    part = whole.split(config.n, config.n_test, seed=STREAMS.generator(config.seed, "split").initial_seed())
    assert part.x_test is not None
    assert part.y_test is not None
    x, x_test = (mean_pool(images, config.pool) for images in (part.x, part.x_test))
    if whole.classes and x.shape[1] > 1:  # grey digits keep their black background, which is 0
        mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
        x, x_test = (x - mean) / std, (x_test - mean) / std
    if config.pixels == "permuted":
        x, x_test = shuffle_pixels(x, x_test, generator=STREAMS.generator(config.seed, "pixels"))
    return x, part.y, x_test, part.y_test


def kernel_of(config: Regression, x: Tensor, x_test: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel of training images, and of test images with them, in float64."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, x_test = x.to(device), x_test.to(device)
    if config.network == "fully-connected":
        law = FullyConnected(depth=config.depth)
        square = analytic_ntk(x.flatten(1), network=law), analytic_ntk(x_test.flatten(1), x.flatten(1), network=law)
    else:
        law = Convolutional(depth=config.depth, readout=config.network)
        square = cntk(x, network=law), cntk(x_test, x, network=law)
    return square[0].values.double(), square[1].values.double()


def interpolant(kernel: Tensor, cross: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Values on test and on training images of K(., X) K^-1 Y with targets e_c - 0.1, without a ridge, as the paper."""
    targets = one_hot(labels.to(kernel.device), classes).double() - 0.1
    weights = torch.linalg.solve(kernel, targets)
    return cross @ weights, kernel @ weights


def _regressed(
    config: Regression, images: tuple[Tensor, Tensor, Tensor, Tensor], kernel: tuple[Tensor, Tensor]
) -> Measurements:
    _, y, _, y_test = images
    classes = data.load(config.data).classes
    if config.labels == "random":
        y = random_labels(len(y), classes, generator=STREAMS.generator(config.seed, "labels"))
    predicted, fitted = interpolant(*kernel, y, classes)
    eigenvalues = torch.linalg.eigvalsh(kernel[0])
    accuracy = float((predicted.argmax(1).cpu() == y_test).double().mean())
    return Measurements.of(
        accuracy=accuracy,
        error=1 - accuracy,
        train_accuracy=float((fitted.argmax(1).cpu() == y).double().mean()),
        log_condition=float((eigenvalues[-1] / eigenvalues[0]).abs().log10()),
    )
