"""CNTK and CNN-GP keep what every kernel promises, on images that are black in places."""

import torch

from lemmata.conformance import KernelConformance
from lemmata.kernels import Convolutional, cnn_gp, cntk


class OfImages(KernelConformance):
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
