"""What the study of Ghorbani et al. (2019) trains: networks without normalisation, with it, and with fixed statistics.

    without     linear or convolution, bias, ReLU
    batch       linear or convolution, (z - mean) / std * gain + bias over the batch, ReLU
    fixed       the same, mean and std being those of the training set at the network's start, and constant

A network with fixed statistics starts as the same function as one with those of the batch, and has the same parameters;
what it lacks is that mean and deviation follow the weights.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from lemmata import data, nets, training
from lemmata.nets.initialisations import initialise
from lemmata.study import Config, Section

Norm = nn.BatchNorm1d | nn.BatchNorm2d


class Network(Section):
    """A perceptron of `depth` hidden layers of `width` units, or a residual network of `depth` layers."""

    kind: Literal["mlp", "resnet"] = "mlp"
    depth: int = Field(default=4, ge=1)
    width: int = Field(default=48, ge=1, description="hidden units; the residual network has 16, 32 and 64 channels")


class Training(Section):
    """Stochastic gradient descent with momentum."""

    step_size: float = Field(default=0.05, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    batch: int = Field(default=100, ge=2)
    epochs: int = Field(default=16, ge=1)


class Spectrum(Config):
    """One network, followed through its training."""

    data: Literal["digits", "mnist-5k", "cifar10"] = "digits"
    n: int = Field(default=1000, ge=10, description="training examples")
    normalisation: Literal["none", "batch"] = "none"
    statistics: Literal["batch", "fixed"] = "batch"
    first: int = Field(default=1, ge=1, description="rank of the first eigenvector of the eigenspace looked at")
    network: Network = Network()
    training: Training = Training()


class Fixed(nn.Module):
    """Normalisation by constants: (z - mean) / std * weight + bias, each channel its own.

    >>> Fixed(nn.BatchNorm1d(2).eval())(torch.ones(1, 2)).shape
    torch.Size([1, 2])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, norm: Any):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(p.detach().clone()) for p in (norm.weight, norm.bias))
        self.register_buffer("mean", norm.running_mean.clone())
        self.register_buffer("std", (norm.running_var + norm.eps).sqrt())

    def forward(self, z: Tensor) -> Tensor:
        """Map (n, channels, ...) to the same shape."""
        shape = (1, -1, *(1,) * (z.ndim - 2))
        scale = self.weight / self.std
        return z * scale.view(shape) + (self.bias - self.mean * scale).view(shape)


class Bias(nn.Module):
    """A bias for each channel, in the place of a normalisation.

    >>> Bias(3)(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, z: Tensor) -> Tensor:
        """Map (n, channels, ...) to the same shape."""
        return z + self.bias.view(1, -1, *(1,) * (z.ndim - 2))


def examples(config: Spectrum) -> tuple[Tensor, Tensor]:
    """Training inputs, flat for a perceptron, and labels of this seed; MNIST digits are pooled to 14x14."""
    part = data.load(config.data).split(config.n, 1, seed=config.seed)
    x = avg_pool2d(part.x, 2) if config.data == "mnist-5k" else part.x
    return (x.flatten(1) if config.network.kind == "mlp" else x), part.y


def network(config: Spectrum, x: Tensor) -> nn.Module:
    """The untrained network; `x` are the training inputs, which fix the statistics where these are fixed."""
    if config.network.kind == "resnet":
        model: nn.Module = nets.resnet(config.network.depth, seed=config.seed)
    else:
        model = _perceptron(x.shape[1], config.network)
        initialise(model, "he", torch.Generator().manual_seed(config.seed))
    if config.normalisation == "none":
        return _replaced(model, lambda norm: Bias(norm.num_features))
    if config.statistics == "batch":
        return model
    for module in model.modules():
        if isinstance(module, Norm):
            module.momentum = 1.0  # what one pass in training mode leaves behind are the statistics of x
    with torch.no_grad():
        model.train()(x)
    return _replaced(model, Fixed)


def _perceptron(inputs: int, setting: Network) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in in [inputs] + [setting.width] * (setting.depth - 1):
        layers += [nn.Linear(fan_in, setting.width, bias=False), nn.BatchNorm1d(setting.width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(setting.width, 10))


def _replaced(model: nn.Module, make: Callable[[Any], nn.Module]) -> nn.Module:
    """The model with every batch normalisation replaced by what `make` makes of it."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Norm):
                setattr(module, name, make(child))
    return model


def checkpoints(epochs: int) -> list[int]:
    """The start, and after 1, 2, 4, ... epochs up to the last."""
    return sorted({0, *(2**i for i in range(epochs.bit_length()) if 2**i <= epochs), epochs})


def train(configs: Sequence[Spectrum]) -> tuple[list[dict[int, nn.Module]], training.Result]:
    """Train all members at once; the networks of each after each checkpoint, and the result."""
    first = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    drawn = [examples(config) for config in configs]
    models = [network(config, x).to(device) for config, (x, _) in zip(configs, drawn, strict=True)]
    kept: list[dict[str, Tensor]] = []

    def keep(states: Mapping[str, Tensor]) -> Tensor:
        kept.append({name: state.detach().clone() for name, state in states.items()})
        return torch.zeros(len(next(iter(states.values()))))

    times = checkpoints(first.training.epochs)
    result = training.train(
        models, *(torch.stack(part).to(device) for part in zip(*drawn, strict=True)),
        optimiser=training.SGD(lr=first.training.step_size, momentum=first.training.momentum),
        batch_size=first.training.batch, epochs=first.training.epochs, seeds=[config.seed for config in configs],
        train_at=lambda _: times, probes={"kept": training.WeightProbe(keep, at=lambda _: times)},
    )  # fmt: skip
    snapshots = [
        {time: _loaded(models[i], state, i) for time, state in zip(times, kept, strict=True)}
        for i in range(len(configs))
    ]
    return snapshots, result


def _loaded(model: nn.Module, states: dict[str, Tensor], i: int) -> nn.Module:
    loaded = copy.deepcopy(model)
    loaded.load_state_dict({name: state[i] for name, state in states.items()})
    return loaded
