"""Kernels of models and of convolutional nets keep what every kernel promises."""

import torch
from torch import nn

from lemmata.conformance import KernelConformance
from lemmata.kernels import Convolutional, cnn_gp, cntk, empirical_ntk


class OfModel(KernelConformance):
    """The empirical kernel of a model of 3 outputs, a number for a pair of samples."""

    outputs = "trace"

    def kernel(self, x, z=None):
        model = self.model().to(x.dtype)
        return empirical_ntk(model, x, z, outputs=self.outputs)

    def model(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3))


class TestEmpiricalTrace(OfModel):
    pass


class TestEmpiricalSum(OfModel):
    outputs = "sum"


class TestEmpiricalFull(OfModel):
    """All pairs of outputs: the promises of one of the blocks, and of its sum over blocks."""

    outputs = "full"

    def values(self, result):
        return result.values.sum((2, 3))


class TestEmpiricalOfImages(OfModel):
    def model(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return nn.Sequential(
                nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 2), nn.Flatten(), nn.Tanh(),
                nn.Linear(12, 3),
            )  # fmt: skip

    def samples(self, dtype=torch.float64):
        return torch.randn(8, 2, 6, 6, generator=torch.Generator().manual_seed(6), dtype=torch.float64).to(dtype)


class OfImages(KernelConformance):
    """Kernels of convolutional nets, on images with a black one among them."""

    network = Convolutional(4, "average")

    def kernel(self, x, z=None):
        return cntk(x, z, network=self.network)

    def samples(self, dtype=torch.float64):
        x = torch.randn(6, 2, 5, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
        x[5, :, :3] = 0
        return x.to(dtype)


class TestCNTKWithAveragePooling(OfImages):
    pass


class TestCNTKWithoutPooling(OfImages):
    network = Convolutional(3, "vanilla", train_first=True, train_last=True)


class TestCNTKWithLocalPooling(OfImages):
    network = Convolutional(3, "local-average", window=3)


class TestCNNGP(OfImages):
    def kernel(self, x, z=None):
        return cnn_gp(x, z, network=self.network)
