"""The networks whose bounds by auto_LiRPA are recorded, by name; inputs are (n, 1, 6, 6)."""

import torch
from torch import nn


class Residual(nn.Module):
    """Two convolutions with a shortcut around the second, which is normalised."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.out = nn.Linear(27, 3)

    def forward(self, x):
        z = torch.relu(self.first(x))
        z = torch.relu(self.norm(self.second(z)) + z)
        return self.out(nn.functional.avg_pool2d(z, 2).flatten(1))


def _perceptron(activation):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 10), activation(), nn.Linear(10, 8), activation(), nn.Linear(8, 3))


def _convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 2), nn.LeakyReLU(0.1), nn.Flatten(),
        nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3),
    )  # fmt: skip


def _pooled():
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3))


NETS = {
    "relu perceptron": lambda: _perceptron(nn.ReLU),
    "tanh perceptron": lambda: _perceptron(nn.Tanh),
    "sigmoid perceptron": lambda: _perceptron(nn.Sigmoid),
    "convolutional": _convolutional,
    "residual": Residual,
    "max-pooled": _pooled,
}
