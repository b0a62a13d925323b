"""A continuous-depth network on digits: features, a neural ODE, a linear head; trained, and its evaluations counted.

All seeds are trained at once, by RK4 with fixed steps that are differentiated; an adaptive solver then takes the
trained fields over, one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from lemmata import data
from lemmata.studies._chen_2018_adjoint import TIGHT, Network, Solver, adjoint, relative, solved
from lemmata.studies._chen_2018_gradients import STREAMS
from lemmata.studies._disjoint_parts import apart
from lemmata.study import Config, Measurements
from lemmata.training.streams import derived

WEIGHTS, ORDERS, SPLITS = 11, 12, 13  # what streams are drawn for; two of splits
STEPS = 4  # of RK4 while training
HELD = 250  # test digits of a seed, so that twenty seeds share none


class Depth(Config):
    """How often a solver evaluates the field of a network, some way through its training."""

    solver: Solver = "adams"
    tolerance: float = Field(default=1e-3, gt=0, description="relative and absolute")
    back: float | None = Field(default=None, description="tolerance on the way back, if another")
    scale: float = Field(default=1.0, gt=0, description="factor of the loss, and so of the adjoint")
    damping: float = Field(default=0.0, ge=0, description="added after training: f - damping y")
    at: float = Field(default=1.0, ge=0, le=1, description="share of the training that is over")
    frozen: bool = Field(default=False, description="the field keeps its first weights while the rest is trained")
    n: int = Field(default=1000, ge=50, description="digits to train on")
    width: int = Field(default=16, ge=1, description="of the state")
    hidden: int = Field(default=32, ge=1)
    iterations: int = Field(default=300, ge=4)
    batch: int = Field(default=50, ge=1, description="digits a step")
    batches: int = Field(default=1, ge=1, description="batches of test digits whose evaluations are counted")
    lr: float = Field(default=0.01, gt=0, description="step size of Adam")


class Fields(nn.Module):
    """The fields of several members, `Network` with an axis of members before all others."""

    def __init__(self, width: int, hidden: int, draws: Sequence[torch.Generator]):
        super().__init__()
        own = [Network(width, hidden, draw) for draw in draws]
        self.W, self.V, self.c, self.b, self.e = (
            nn.Parameter(torch.stack([getattr(one, name).detach() for one in own])) for name in "WVcbe"
        )

    def forward(self, t: Any, y: Tensor) -> Tensor:
        """Give y' of states (members, samples, width)."""
        inner = torch.tanh(torch.baddbmm((self.b + t * self.c)[:, None], y, self.W))
        return torch.baddbmm(self.e[:, None], inner, self.V)


class Members(nn.Module):
    """The networks of several seeds: an axis of members before all others."""

    def __init__(self, config: Any, seeds: Sequence[int], pixels: int):
        super().__init__()
        draws = [torch.Generator().manual_seed(seed) for seed in derived(seeds, WEIGHTS)]
        self.field = Fields(config.width, config.hidden, draws)
        self.stem, self.head = (
            nn.Parameter(
                torch.stack([torch.randn(rows, columns, generator=draw).double() for draw in draws]) / rows**0.5
            )
            for rows, columns in ((pixels, config.width), (config.width, 10))
        )

    def opened(self, x: Tensor) -> Tensor:
        """Give the states at 0 of images (members, samples, pixels)."""
        return torch.bmm(x, self.stem)

    def moved(self, y: Tensor) -> Tensor:
        """Give those at 1, by RK4."""
        f, h = self.field, 1 / STEPS
        for n in range(STEPS):
            k1 = f(n * h, y)
            k2 = f((n + 0.5) * h, y + h / 2 * k1)
            k3 = f((n + 0.5) * h, y + h / 2 * k2)
            k4 = f((n + 1) * h, y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y


def disjoint_digits(seeds: Sequence[int], n: int, n_test: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Digits of 14 x 14 pixels for each seed, to train on and held out, an axis of members before all others."""
    whole = data.load("mnist-5k")
    x, y = avg_pool2d(whole.x.double(), 2).flatten(1), whole.y
    rows = [apart(len(x), n, n_test, seed, lambda k, use: derived([k], SPLITS + use)[0]) for seed in seeds]
    kept, tested = (torch.stack(part) for part in zip(*rows, strict=True))
    return (x[kept], y[kept]), (x[tested], y[tested])


def depths(configs: Sequence[Depth]) -> list[Measurements]:
    """Train the networks of a block, once each however they are looked at, and count evaluations."""
    measured: dict[int, Measurements] = {}
    for frozen in sorted({config.frozen for config in configs}):
        places = [i for i, config in enumerate(configs) if config.frozen == frozen]
        measured |= dict(zip(places, _depths([configs[i] for i in places]), strict=True))
    return [measured[i] for i in range(len(configs))]


def _depths(configs: Sequence[Depth]) -> list[Measurements]:
    setting = configs[0]
    seeds = sorted({config.seed + STREAMS for config in configs})
    seen, (x_test, y_test) = disjoint_digits(seeds, setting.n, HELD)
    net = Members(setting, seeds, x_test.shape[-1])
    stages = {round(config.at * setting.iterations) for config in configs}
    draws = [torch.Generator().manual_seed(seed) for seed in derived(seeds, ORDERS)]
    net.field.requires_grad_(not setting.frozen)
    kept = train(setting, net, seen, draws, sorted(stages))
    truths: dict[tuple[Any, ...], Tensor] = {}
    found = []
    for config in configs:
        i, stage = seeds.index(config.seed + STREAMS), round(config.at * setting.iterations)
        field = Network(config.width, config.hidden, torch.Generator(), damping=config.damping)
        weights = {name: part[i] for name, part in kept[stage].items()}
        field.load_state_dict({name: weights[f"field.{name}"] for name in "WVcbe"})
        rows = []
        for k in range(config.batches):
            some, key = slice(k * config.batch, (k + 1) * config.batch), (i, stage, k, config.damping)
            start = x_test[i, some] @ weights["stem"]
            if key not in truths and config.batches == 1:  # those that take several batches are asked for counts alone
                truths[key] = solved(field, start, T=1.0, solver="adams", tolerance=TIGHT)
            right = truths[key] if config.batches == 1 else None
            rows.append(_counted(config, field, (start, weights["head"], y_test[i, some]), right))
        forward, backward, again, *error = np.mean(rows, axis=0)
        known = {"error": error[0]} if error else {}
        found.append(
            Measurements.of(
                forward=forward, backward=backward, share=backward / forward, again=np.log10(again), **known
            )
        )
    return found


def _counted(config: Depth, field: Network, batch: tuple[Tensor, ...], right: Tensor | None) -> tuple[float, ...]:
    """Evaluations forwards and on the way back for a batch of test digits, by the loss of training; and errors.

    The error of the first state gone back to, and, where the truth is known, that of the last.
    """
    start, head, y = batch

    def slope(z: Tensor) -> Tensor:
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(config.scale * cross_entropy(z @ head, y), z)[0]

    found = adjoint(field, start, slope, T=1.0, solver=config.solver, tolerance=config.tolerance, back=config.back)
    errors = () if right is None else (relative(found.final, right),)
    return found.forward, found.backward, relative(found.again, start), *errors


def train(
    config: Any, net: Members, samples: tuple[Tensor, Tensor], draws: Sequence[torch.Generator], stages: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Train by Adam, entry by entry, so that members do not meet; give the weights at these iterations.

    What needs no gradient stays.
    """
    x, y = samples
    moving = [part for part in net.parameters() if part.requires_grad]
    rule, members, kept = torch.optim.Adam(moving, lr=config.lr), torch.arange(len(x))[:, None], {}
    for iteration in range(config.iterations + 1):
        if iteration in stages:
            kept[iteration] = {name: part.detach().clone() for name, part in net.state_dict().items()}
        if iteration == config.iterations:
            break
        picked = torch.stack([torch.randint(x.shape[1], (config.batch,), generator=draw) for draw in draws])
        scores = torch.bmm(net.moved(net.opened(x[members, picked])), net.head)
        loss = cross_entropy(scores.flatten(0, 1), y[members, picked].flatten(), reduction="sum") / config.batch
        rule.zero_grad()
        loss.backward()
        rule.step()
    return kept
