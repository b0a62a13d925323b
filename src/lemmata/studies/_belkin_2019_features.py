"""Random features of digits and least squares on them: what one member of `belkin_2019` is, and what is measured.

Features of an image x, with v drawn at random:

    Fourier   exp(i <v, x>),  v ~ N(0, I / bandwidth^2);      kernel exp(-|x - z|^2 / (2 bandwidth^2))
    ReLU      2^(1/2) max(<v, x>, 0),  v ~ N(0, I / L^2), L^2 the mean of |x|^2 over the training images;
              kernel: the arc-cosine kernel of order 1, with mean 1 on the diagonal over the training images

The mean training image is subtracted: of Fourier features that changes the phases only, and so no fit; without it, some
ReLU features are 0 on all training images. The labels are one-hot vectors; the predictor is the least-squares fit of
minimum norm, or with a ridge (`_belkin_2019_nested`), and the class the largest of its (real) outputs. One block shares
images, features and their factorisation: members differ in wrong labels and ridge, and each is a whole curve over the
number of features.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot

from lemmata import data
from lemmata.data.corruption import corrupt_labels
from lemmata.data.dataset import Dataset
from lemmata.kernels import FullyConnected, Gaussian, analytic_nngp
from lemmata.studies._belkin_2019_nested import Draw
from lemmata.study import Config

KIND = Literal["fourier", "relu"]


class Digits(Config):
    """Digits, wrong labels, random features and a ridge."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    n: int = Field(default=400, ge=2, description="training images")
    test: int = Field(default=1500, ge=1, description="test images")
    kind: KIND = Field(default="fourier", description="which random features")
    bandwidth: float = Field(default=5.0, gt=0, description="of the Gaussian kernel that Fourier features make")
    label_noise: float = Field(
        default=0.0, ge=0, le=1, description="share of training labels replaced by another class"
    )
    ridge: float = Field(default=0.0, ge=0, description="penalty on the squared norm; 0: minimum norm")


@dataclass(frozen=True)
class Images:
    """Training and test images (n, d), (m, d), float64, their labels, and the training labels with some wrong."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor

    def targets(self, label_noise: float, seed: int) -> Tensor:
        """One-hot training labels (n, 10), some of them wrong; wrong sets are nested in `label_noise`."""
        labels = corrupt_labels(self.y, label_noise, 10, generator=stream(seed, 1), how="other")
        return one_hot(labels, 10).double()


def images(config: Digits) -> Images:
    """The images of a seed, drawn without replacement, less the mean of the training images.

    The images of a smaller n are part of those of a larger.
    """
    part = _whole(config.data).split(config.n, config.test, seed=_seed(config.seed, 2))
    assert part.x_test is not None
    assert part.y_test is not None
    mean = part.x.mean(0)
    return Images(part.x - mean, part.y, part.x_test - mean, part.y_test)


@cache
def _whole(name: str) -> Dataset:
    return data.load(name, dtype=torch.float64).flat()


def stream(seed: int, purpose: int) -> torch.Generator:
    """The random numbers of a seed for one purpose: 0 the features, 1 the wrong labels, 2 the images."""
    return torch.Generator().manual_seed(_seed(seed, purpose))


def _seed(seed: int, purpose: int) -> int:
    return int(np.random.SeedSequence([seed, purpose]).generate_state(1)[0])


def feature_map(config: Digits, shown: Images) -> Draw:
    """What draws the next features of a seed on the images of `shown`, complex128 (Fourier) or float64 (ReLU)."""
    generator, scale = stream(config.seed, 0), 1 / _length(config, shown)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        v = scale * torch.randn(shown.x.shape[1], count, generator=generator, dtype=torch.float64)
        return _features(shown.x @ v, config.kind), _features(shown.x_test @ v, config.kind)

    return draw


def _features(inner: Tensor, kind: KIND) -> Tensor:
    return torch.polar(torch.ones_like(inner), inner) if kind == "fourier" else math.sqrt(2) * inner.relu()


def _length(config: Digits, shown: Images) -> float:
    return config.bandwidth if config.kind == "fourier" else float(shown.x.square().sum(1).mean().sqrt())


def limiting_kernel(config: Digits, shown: Images) -> tuple[Tensor, Tensor]:
    """The kernel of infinitely many features, of training images (n, n), and of test with training images (m, n)."""
    x, x_test = shown.x, shown.x_test
    if config.kind == "fourier":
        kernel = Gaussian(config.bandwidth)
        return kernel(x), kernel(x_test, x)
    scale = math.sqrt(x.shape[1] / 2) / _length(config, shown)  # the network divides inputs by (d / 2)^(1/2)
    network = FullyConnected(depth=2)
    return analytic_nngp(scale * x, network=network).values, analytic_nngp(
        scale * x_test, scale * x, network=network
    ).values
