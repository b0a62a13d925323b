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
from lemmata.studies._disjoint_fifths import disjoint_fifths
from lemmata.study import Config, Measurements
from lemmata.training.streams import derived

WEIGHTS, ORDERS = 11, 12  # what streams are drawn for
STEPS = 8  # of RK4 while training


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


class Members(nn.Module):
    """The networks of several seeds: an axis of members before all others."""

    def __init__(self, config: Depth, seeds: Sequence[int], pixels: int):
        super().__init__()
        draws = [torch.Generator().manual_seed(seed) for seed in derived(seeds, WEIGHTS)]
        fields = [Network(config.width, config.hidden, draw) for draw in draws]
        self.field = nn.ParameterDict(
            {name: torch.stack([getattr(one, name).detach() for one in fields]) for name in "WVcbe"}
        )
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
        W, V, c, b, e = (self.field[name] for name in "WVcbe")

        def f(t: float, y: Tensor) -> Tensor:
            return torch.baddbmm(e[:, None], torch.tanh(torch.baddbmm((b + t * c)[:, None], y, W)), V)

        h = 1 / STEPS
        for n in range(STEPS):
            k1 = f(n * h, y)
            k2 = f((n + 0.5) * h, y + h / 2 * k1)
            k3 = f((n + 0.5) * h, y + h / 2 * k2)
            k4 = f((n + 1) * h, y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y


def _images() -> tuple[Tensor, Tensor]:
    whole = data.load("mnist-5k")
    return avg_pool2d(whole.x.double(), 2).flatten(1), whole.y


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
    (x, y), (x_test, y_test) = (
        tuple(part if len(seeds) > 1 else part[None] for part in pair) for pair in disjoint_fifths(*_images(), seeds)
    )
    net = Members(setting, seeds, x.shape[-1])
    stages = {round(config.at * setting.iterations) for config in configs}
    draws = [torch.Generator().manual_seed(seed) for seed in derived(seeds, ORDERS)]
    kept = _train(setting, net, (x[:, : setting.n], y[:, : setting.n]), draws, stages)
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
            if key not in truths:
                truths[key] = solved(field, start, T=1.0, solver="adams", tolerance=TIGHT)
            rows.append(_counted(config, field, (start, weights["head"], y_test[i, some]), truths[key]))
        forward, backward, error, again, wrong = np.mean(rows, axis=0)
        found.append(
            Measurements.of(
                forward=forward, backward=backward, share=backward / forward, error=error, again=np.log10(again),
                wrong_answers=wrong,
            )
        )  # fmt: skip
    return found


def _counted(config: Depth, field: Network, batch: tuple[Tensor, ...], right: Tensor) -> tuple[float, ...]:
    """Evaluations forwards and on the way back for a batch of test digits, by the loss of training; and errors."""
    start, head, y = batch

    def slope(z: Tensor) -> Tensor:
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(config.scale * cross_entropy(z @ head, y), z)[0]

    found = adjoint(field, start, slope, T=1.0, solver=config.solver, tolerance=config.tolerance, back=config.back)
    wrong = float(((found.final @ head).argmax(1) != y).double().mean())
    return found.forward, found.backward, relative(found.final, right), relative(found.again, start), wrong


def _train(
    config: Depth, net: Members, samples: tuple[Tensor, Tensor], draws: Sequence[torch.Generator], stages: set[int]
) -> dict[int, dict[str, Any]]:
    """Train by Adam, entry by entry, so that members do not meet; give the weights at these iterations."""
    x, y = samples
    trained = [net.stem, net.head] if config.frozen else [*net.parameters()]
    rule, members, kept = torch.optim.Adam(trained, lr=config.lr), torch.arange(len(x))[:, None], {}
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
