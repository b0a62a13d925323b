"""The networks of the paper's Table 1 on digits: residual blocks, a Runge-Kutta method, a neural ODE.

Features, what lies between, and a linear head. Between lie six residual blocks with weights of their own, or one field
whose ODE is solved by RK4, its steps differentiated (RK-Net) or its adjoint equation solved (ODE-Net). All seeds are
trained at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from lemmata.studies._chen_2018_gradients import STREAMS
from lemmata.studies._chen_2018_network import ORDERS, Fields, Members, disjoint_digits, train
from lemmata.study import Config, Measurements
from lemmata.training.streams import derived

MORE = 31  # what streams are drawn for: a block's weights after the first's
BLOCKS = 6  # of the paper's ResNet
STEPS = 4  # of RK4
HELD = 1000  # test digits of a seed


class Entry(Config):
    """An entry of Table 1."""

    net: Literal["resnet", "rk", "ode"] = "ode"
    solved: bool = Field(default=True, description="False leaves an ODE out: the features go to the head as they are")
    n: int = Field(default=4000, ge=50, description="digits to train on")
    width: int = Field(default=16, ge=1, description="of the state")
    hidden: int = Field(default=32, ge=1)
    iterations: int = Field(default=300, ge=1)
    batch: int = Field(default=50, ge=1, description="digits a step")
    lr: float = Field(default=0.01, gt=0, description="step size of Adam")


class Between(Members):
    """Networks of several seeds with what an entry of the table has between features and head."""

    def __init__(self, entry: Entry, seeds: Sequence[int], pixels: int):
        super().__init__(entry, seeds, pixels)
        self.entry, blocks = entry, [self.field]
        if entry.net == "resnet":
            for use in range(MORE, MORE + BLOCKS - 1):
                draws = [torch.Generator().manual_seed(seed) for seed in derived(seeds, use)]
                blocks.append(Fields(entry.width, entry.hidden, draws))
        elif not entry.solved:
            del self.field
            blocks = []
        self.blocks = nn.ModuleList(blocks)

    def moved(self, y: Tensor) -> Tensor:
        """Give the states before the head."""
        if self.entry.net == "resnet" or not self.entry.solved:
            for block in self.blocks:
                y = y + block(0.0, y)
            return y
        solver = odeint if self.entry.net == "rk" else odeint_adjoint
        times = torch.tensor([0.0, 1.0], dtype=torch.float64)
        states: Any = solver(self.field, y, times, method="rk4", options={"step_size": 1 / STEPS})
        return states[-1]


def entries(configs: Sequence[Entry]) -> list[Measurements]:
    """Train the members of each network together; count their weights and their wrong answers on held-out digits."""
    plain = [config.model_copy(update={"solved": True} if config.net == "resnet" else {}) for config in configs]
    groups: dict[Entry, dict[Entry, None]] = {}
    for config in plain:
        groups.setdefault(config.model_copy(update={"seed": 0}), {})[config] = None
    found: dict[Entry, Measurements] = {}
    for own in groups.values():
        found |= dict(zip(own, _entries([*own]), strict=True))
    return [found[config] for config in plain]


def _entries(configs: Sequence[Entry]) -> list[Measurements]:
    entry, seeds = configs[0], [config.seed + STREAMS for config in configs]
    seen, (x_test, y_test) = disjoint_digits(seeds, entry.n, HELD)
    net = Between(entry, seeds, x_test.shape[-1])
    draws = [torch.Generator().manual_seed(seed) for seed in derived(seeds, ORDERS)]
    train(entry, net, seen, draws, [])
    with torch.no_grad():
        scores = torch.bmm(net.moved(net.opened(x_test)), net.head)
    wrong = (scores.argmax(2) != y_test).double().mean(1)
    weights = sum(part.numel() for part in net.parameters()) // len(seeds)
    between = sum(part.numel() for part in net.blocks.parameters()) // len(seeds)
    return [Measurements.of(wrong=float(share), weights=weights, between=between) for share in wrong]
