"""Piecewise linear networks of a few hundred parameters, float64, with the dense Hessian as the oracle."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from lemmata import nets

N, C = 7, 3


def dense_hessian(model: nn.Module, loss: Callable, x: Tensor, y: Tensor, names: list[str]) -> Tensor:
    """The Hessian by `torch.autograd.functional`, entry by entry: the oracle."""
    own = {name: p.detach().clone() for name, p in model.named_parameters()}
    sizes = [own[name].numel() for name in names]

    def value(vector: Tensor) -> Tensor:
        parts = vector.split(sizes)
        moved = {name: part.reshape(own[name].shape) for name, part in zip(names, parts, strict=True)}
        return loss(functional_call(model, own | moved, (x,)), y)

    return torch.autograd.functional.hessian(value, torch.cat([own[name].reshape(-1) for name in names]))


def blocks(model: nn.Module, names: list[str], flat: Tensor) -> dict[str, Tensor]:
    """Cut a flat vector into the parameters' shapes."""
    own = dict(model.named_parameters())
    parts = flat.split([own[name].numel() for name in names])
    return {name: part.reshape(own[name].shape) for name, part in zip(names, parts, strict=True)}


class Positions(nn.Module):
    """Linear layers at every position of a sequence, with (n, T, c) or (T, n, c) inside, or a product with W itself."""

    def __init__(self, order: str):
        super().__init__()
        self.order = order
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, C)
        self.plain = nn.Parameter(torch.randn(4, 6))

    def forward(self, x: Tensor) -> Tensor:
        if self.order == "positions first":
            x = x.transpose(0, 1).contiguous()
            return self.second(torch.relu(self.first(x))).mean(0)
        h = self.first(x) + (x.flatten(0, 1) @ self.plain).unflatten(0, x.shape[:2])
        return self.second(torch.relu(h)).mean(1)


class UsedTwiceInParallel(nn.Module):
    """One layer on two views of the input, added up: linear in the layer all the same."""

    def __init__(self):
        super().__init__()
        self.shared, self.read = nn.Linear(5, 4), nn.Linear(4, C)
        self.conv, self.norm = nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.shared(x) + self.shared(x.flip(1))
        rows = self.norm(self.conv(x[:, None])) + self.norm(self.conv(x.flip(1)[:, None]))
        return self.read(torch.relu(h)) + torch.relu(rows).mean(2).sum(1, keepdim=True)


class Unusual(nn.Module):
    """Parameters that enter by operations without a ghost norm: an embedding, scales, a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.table, self.scale = nn.Embedding(9, 4), nn.Parameter(torch.randn(4))
        self.up, self.slope = nn.ConvTranspose1d(1, 2, 3, stride=2), nn.PReLU()
        self.read = nn.Linear(18, C)

    def forward(self, x: Tensor) -> Tensor:
        h = self.table(x).mean(1) * self.scale
        return self.read(self.slope(self.up(h[:, None])).flatten(1))


class OneAfterAnother(nn.Module):
    """Writes into a buffer, slice by slice, and in place."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.read = nn.Linear(5, 3), nn.Linear(5, 2, bias=False), nn.Linear(5, C)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 5)
        h[:, :3] = self.left(x)
        h[:, 3:] = self.right(x)
        return self.read(h.relu_())


def _norm(module: nn.Module, seed: int) -> None:
    """Running statistics, scales and shifts as after training, not 0 and 1."""
    g = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.copy_(torch.randn(part.num_features, generator=g))
            part.running_var.copy_(torch.rand(part.num_features, generator=g) + 0.5)
            part.weight.data.copy_(torch.randn(part.num_features, generator=g))
            part.bias.data.copy_(torch.randn(part.num_features, generator=g))


def _grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2, stride=2, dilation=2, padding=3),
        nn.LeakyReLU(0.2),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 2, bias=False),
        nn.ReLU6(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, C),
    )


def _three_dimensional() -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 2, 2), nn.Hardtanh(), nn.AdaptiveMaxPool3d(1), nn.Flatten(), nn.Linear(2, C))


MAKERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ReLU perceptron": (lambda: nets.mlp(4, [6, 5], C, seed=0), (4,)),
    "leaky ReLU perceptron": (lambda: nets.mlp(4, [6, 5], C, activation="leaky_relu", seed=0), (4,)),
    "NTK parameterisation": (lambda: nets.mlp(4, [6], C, initialisation="ntk", gain=1.5, seed=0), (4,)),
    "linear model": (lambda: nets.mlp(4, [], C, bias=False, seed=0), (4,)),
    "convolutions with BN": (lambda: nets.convnet1d(3, length=16, batch_norm=True, outputs=C, seed=0), (1, 16)),
    "residual network": (lambda: nets.resnet(8, channels=1, outputs=C, seed=0), (3, 8, 8)),
    "groups, dilation, pooling": (_grouped, (2, 12, 12)),
    "three dimensions": (_three_dimensional, (1, 4, 4, 4)),
    "sequences": (lambda: Positions("samples first"), (6, 4)),
    "sequences, positions first": (lambda: Positions("positions first"), (6, 4)),
    "used twice in parallel": (UsedTwiceInParallel, (5,)),
    "unusual operations": (Unusual, (3,)),
    "written in place": (OneAfterAnother, (5,)),
}


def make(name: str, seed: int = 0, samples: int = N) -> tuple[nn.Module, Tensor]:
    """The network in the mode of evaluation, and inputs."""
    maker, shape = MAKERS[name]
    torch.manual_seed(seed)
    model = maker().double()
    _norm(model, seed)
    g = torch.Generator().manual_seed(seed + 1)
    if isinstance(model, Unusual):
        return model.eval(), torch.randint(9, (samples, *shape), generator=g)
    return model.eval(), torch.randn(samples, *shape, generator=g, dtype=torch.float64)


def labels(seed: int = 3, samples: int = N) -> Tensor:
    return torch.randint(C, (samples,), generator=torch.Generator().manual_seed(seed))


def values(seed: int = 4, samples: int = N) -> Tensor:
    return torch.randn(samples, C, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Problem:
    """A network with data, a loss as the objective takes it and as a function, and its dense Hessian's diagonal."""

    model: nn.Module
    x: Tensor
    y: Tensor
    loss: str | Callable[[Tensor, Tensor], Tensor] = "cross_entropy"

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.model.named_parameters()]

    def hessian(self, names: list[str] | None = None) -> Tensor:
        known = {"cross_entropy": functional.cross_entropy, "mse": functional.mse_loss}
        loss = known[self.loss] if isinstance(self.loss, str) else self.loss
        return dense_hessian(self.model, loss, self.x, self.y, names or self.names)

    def diagonal(self) -> dict[str, Tensor]:
        return blocks(self.model, self.names, self.hessian().diagonal())


@pytest.fixture(params=MAKERS)
def piecewise_linear(request) -> Problem:
    """Each of the networks under cross-entropy."""
    model, x = make(request.param)
    return Problem(model, x, labels())


@pytest.fixture
def problem() -> Callable[..., Problem]:
    """Make the problem of a network by name, with another loss or more samples."""

    def made(name: str, loss="cross_entropy", samples: int = N) -> Problem:
        model, x = make(name, samples=samples)
        return Problem(model, x, labels(samples=samples) if loss == "cross_entropy" else values(samples=samples), loss)

    return made
