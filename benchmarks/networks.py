"""The networks that the curvature and landscape benchmarks measure, each with its batch: trained briefly, from a seed.

    MLP          784-256-128-10, ReLU, 512 digits of mnist-5k
    ResNet-20    16/32/64 channels, evaluation mode; CIFAR-10 where a folder of it is given, else blobs of its shape
    digits MLP   64-32-10, ReLU, 512 digits of 8x8 pixels: P = 2,410, whose Hessian can be written down

The unit of all times is one eager gradient of such a batch.
"""

import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from lemmata import data, nets

STEPS = 40


@dataclass(frozen=True)
class Network:
    """A trained model in evaluation mode and the batch that its loss is measured on."""

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor

    def loss(self) -> Tensor:
        """The mean cross-entropy, differentiable."""
        return cross_entropy(self.model(self.x), self.y)

    def gradient(self) -> tuple[Tensor, ...]:
        """One eager gradient, as everybody computes it."""
        return torch.autograd.grad(self.loss(), list(self.model.parameters()))

    def forward(self) -> float:
        """One evaluation of the loss."""
        with torch.no_grad():
            return float(self.loss())

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(p.numel() for p in self.model.parameters())

    def subject(self) -> tuple[nn.Module, str, tuple[Tensor, Tensor]]:
        """The three things that lemmata's instruments take."""
        return self.model, "cross_entropy", (self.x, self.y)

    def first(self, samples: int) -> "Network":
        """The same model on fewer samples."""
        return Network(f"{self.name}, batch {samples}", self.model, self.x[:samples], self.y[:samples])

    def double(self) -> "Network":
        """The same in float64."""
        return Network(self.name, copy.deepcopy(self.model).double(), self.x.double(), self.y)


@cache
def mlp() -> Network:
    digits = data.load("mnist-5k")
    order = torch.randperm(len(digits.x), generator=torch.Generator().manual_seed(0))
    x, y = digits.x.flatten(1)[order], digits.y[order]
    return Network("MLP 784-256-128-10", _trained(nets.mlp(784, [256, 128], 10, seed=0), x, y), x, y).first(512)


@cache
def digits_mlp() -> Network:
    digits = data.load("digits")
    x = digits.x.flatten(1)
    x = (x - x.mean(0)) / (x.std(0) + 1e-3)
    model = _trained(nets.mlp(64, [32], 10, seed=0), x, digits.y, steps=400, lr=0.02)
    return Network("digits MLP 64-32-10", model, x, digits.y).first(512)


@cache
def resnet20(cifar: Path | None = None, device: str = "cpu") -> Network:
    """ResNet-20 on 2,048 images: slice it with `first`."""
    if cifar is None:
        x, y = blobs(2048)
    else:
        images = data.load("cifar10", data_dir=cifar)
        x, y = images.x[:2048], images.y[:2048]
        x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    model = nets.resnet(20, seed=0).to(device)
    return Network("ResNet-20", _trained(model, x.to(device), y.to(device)), x.to(device), y.to(device))


def blobs(n: int) -> tuple[Tensor, Tensor]:
    """Images (n, 3, 32, 32) of ten smooth shapes under noise, and their labels, of which a fifth are redrawn."""
    g = torch.Generator().manual_seed(0)
    shapes = interpolate(torch.randn(10, 3, 8, 8, generator=g), scale_factor=4, mode="bilinear")
    y = torch.randint(10, (n,), generator=g)
    x = shapes[y] + 1.5 * torch.randn(n, 3, 32, 32, generator=g)
    redrawn = torch.rand(n, generator=g) < 0.2
    return x, torch.where(redrawn, torch.randint(10, (n,), generator=g), y)


def _trained(model: nn.Module, x: Tensor, y: Tensor, steps: int = STEPS, lr: float = 0.05) -> nn.Module:
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(x), (128,), generator=generator).to(x.device)
        optimiser.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()
        optimiser.step()
    optimiser.zero_grad()
    return model.eval()
