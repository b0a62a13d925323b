"""Spirals seen at irregular times, continued by a neural ODE and by a recurrent network.

A point runs along a logarithmic spiral that closes in on 0. All seeds are trained at once: every step of Adam takes all
stretches of a few observations, the ODE solved by one step of RK4 from each to the next. Its gradient is that of the
adjoint equation, solved backwards from observation to observation, as in the paper's Figure 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._chen_2018_gradients import STREAMS
from lemmata.study import Config, Curve, Measurements
from lemmata.training.streams import derived

PATHS, NOISE, START = 21, 22, 23  # what streams are drawn for
CLOSING = 0.05  # rate at which the radius falls, in a time of 2 pi a turn
TURNS = 3  # in the time in which a spiral is observed
RECURRENT = 25  # units, as in the paper
STRIDE = 3  # points of a grid of times of which one is observed; beyond them, every third is asked for


class Spirals(Config):
    """Models of spirals, and how far off they are beyond what they have seen."""

    model: Literal["ode", "rnn"] = "ode"
    sign: Literal[1, -1] = Field(default=1, description="-1 for the wrong sign in the adjoint equation")
    spirals: int = Field(default=6, ge=1)
    observed: int = Field(default=30, ge=8, description="times, each one of three drawn at random")
    noise: float = Field(default=0.05, ge=0, description="deviation of observations, in each coordinate")
    window: int = Field(default=4, ge=1, description="observations that the ODE is solved through in a stretch")
    hidden: int = Field(default=20, ge=1, description="units of the ODE's field")
    iterations: int = Field(default=300, ge=1)
    lr: float = Field(default=0.02, gt=0, description="step size of Adam")


def continued(configs: Sequence[Spirals]) -> list[Measurements]:
    """Train the members of each setting together, each once, and continue their spirals."""
    plain = [config if config.model == "ode" else config.model_copy(update={"sign": 1}) for config in configs]
    groups: dict[Spirals, dict[Spirals, None]] = {}
    for config in plain:
        groups.setdefault(config.model_copy(update={"seed": 0}), {})[config] = None
    found: dict[Spirals, Measurements] = {}
    for own in groups.values():
        found |= dict(zip(own, _continued([*own]), strict=True))
    return [found[config] for config in plain]


def _continued(configs: Sequence[Spirals]) -> list[Measurements]:
    setting, seeds = configs[0], [config.seed + STREAMS for config in configs]
    points = STRIDE * setting.observed
    tick = 2 * torch.pi * TURNS / points
    radius, phase, places = _paths(setting, seeds)
    times = tick * places
    noise = torch.stack(
        [torch.randn(*times.shape[1:], 2, generator=draw, dtype=torch.float64) for draw in _draws(seeds, NOISE)]
    )
    seen = at(times, radius, phase) + setting.noise * noise
    model = (Fitted if setting.model == "ode" else Recurrent)(setting, _draws(seeds, START))
    rule = torch.optim.Adam(model.weights, lr=setting.lr)
    for _ in range(setting.iterations):
        for weight, slope in zip(model.weights, model.gradient(seen, times), strict=True):
            weight.grad = slope
        rule.step()
    ahead = tick * np.arange(STRIDE, points + 1, STRIDE)
    with torch.no_grad():
        guesses = model.beyond(seen, times, tick * STRIDE, len(ahead))
    right = at(times[..., -1:] + torch.from_numpy(ahead), radius, phase)
    missed = (guesses - right).square().sum(-1).mean(1)  # (M, times)
    return [
        Measurements.of(rmse=np.sqrt(row.mean()), log_rmse=np.log10(row.mean()) / 2, missed=Curve(ahead, np.sqrt(row)))
        for row in missed.numpy()
    ]


def _draws(seeds: Sequence[int], use: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in derived(seeds, use)]


def _paths(setting: Spirals, seeds: Sequence[int]) -> tuple[Tensor, ...]:
    """First radii in [1, 2] and phases (M, spirals, 1), and the places on the grid that are observed, in order."""
    rows = []
    for draw in _draws(seeds, PATHS):
        first = torch.rand(2, setting.spirals, 1, generator=draw, dtype=torch.float64)
        within = torch.randint(STRIDE, (setting.spirals, setting.observed), generator=draw)
        rows.append((1 + first[0], 2 * torch.pi * first[1], STRIDE * torch.arange(setting.observed) + within))
    radius, phase, places = (torch.stack(part) for part in zip(*rows, strict=True))
    return radius, phase, places


def at(times: Tensor, radius: Tensor, phase: Tensor) -> Tensor:
    """Give the spirals at times (..., k): (..., k, 2)."""
    r = radius * torch.exp(-CLOSING * times)
    return torch.stack([r * torch.cos(phase + times), r * torch.sin(phase + times)], -1)


def _uniform(draws: Sequence[torch.Generator], *shape: int) -> Tensor:
    """Weights of all members with the variance 1 / inputs."""
    rows = torch.stack([torch.rand(*shape, generator=draw, dtype=torch.float64) for draw in draws])
    return ((2 * rows - 1) * (3 / shape[0]) ** 0.5).requires_grad_()


def _zeros(members: int, width: int) -> Tensor:
    return torch.zeros(members, 1, width, dtype=torch.float64, requires_grad=True)


class Fitted:
    """y' = V tanh(W y + b) + e, of several members: an axis of members before all others."""

    def __init__(self, setting: Spirals, draws: Sequence[torch.Generator]):
        self.setting, members = setting, len(draws)
        self.weights = [
            _uniform(draws, 2, setting.hidden), _uniform(draws, setting.hidden, 2), _zeros(members, setting.hidden),
            _zeros(members, 2),
        ]  # fmt: skip

    def __call__(self, y: Tensor) -> Tensor:
        W, V, b, e = self.weights
        return torch.tanh(y @ W + b) @ V + e

    def step(self, y: Tensor, h: Tensor | float) -> Tensor:
        """A step of RK4, of a length of its own for every row."""
        k1 = self(y)
        k2 = self(y + h / 2 * k1)
        k3 = self(y + h / 2 * k2)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + self(y + h * k3))

    def gradient(self, seen: Tensor, times: Tensor) -> list[Tensor]:
        """The gradient of the squared error of all stretches, by the adjoint equation."""
        stretches = seen.shape[2] - self.setting.window
        gaps = times.diff(dim=2)[..., None]
        rows = [seen[:, :, j : j + stretches].flatten(1, 2) for j in range(self.setting.window + 1)]
        lengths = [gaps[:, :, j : j + stretches].flatten(1, 2) for j in range(self.setting.window)]
        states = [rows[0]]
        with torch.no_grad():
            for h in lengths:
                states.append(self.step(states[-1], h))
        found = [torch.zeros_like(weight) for weight in self.weights]
        a = torch.zeros_like(rows[0])
        for h, y, wanted in zip(reversed(lengths), reversed(states), reversed(rows[1:]), strict=False):
            a = a + (y - wanted) / (rows[0].shape[1] * self.setting.window)
            a, slopes = self._back(y, a, h)
            found = [total + slope for total, slope in zip(found, slopes, strict=True)]
        return found

    def _back(self, y: Tensor, a: Tensor, h: Tensor) -> tuple[Tensor, list[Tensor]]:
        """A step of RK4 backwards of the state, the adjoint and the gradient together."""
        parts: list[list[Tensor]] = []
        for share in (0.0, 0.5, 0.5, 1.0):
            last = parts[-1] if parts else [torch.zeros_like(y), torch.zeros_like(a)]
            with torch.enable_grad():
                z = (y - share * last[0]).detach().requires_grad_()
                moved = h * self(z)
                by_state, *by_weights = torch.autograd.grad(
                    moved, (z, *self.weights), a + share * self.setting.sign * last[1]
                )
            parts.append([moved.detach(), by_state, *by_weights])
        _, by_state, *by_weights = [(p + 2 * q + 2 * r + s) / 6 for p, q, r, s in zip(*parts, strict=True)]
        return a + self.setting.sign * by_state, by_weights

    def beyond(self, seen: Tensor, times: Tensor, h: float, count: int) -> Tensor:
        """Go on from the last observation: (M, spirals, count, 2)."""
        y, found = seen[:, :, -1], []
        for _ in range(count):
            y = self.step(y, h)
            found.append(y)
        return torch.stack(found, 2)


class Recurrent:
    """s' = tanh(U s + W (y, time to the next) + b), and the next is V s' + e."""

    def __init__(self, setting: Spirals, draws: Sequence[torch.Generator]):
        members = len(draws)
        self.weights = [
            _uniform(draws, RECURRENT, RECURRENT), _uniform(draws, 3, RECURRENT), _uniform(draws, RECURRENT, 2),
            _zeros(members, RECURRENT), _zeros(members, 2),
        ]  # fmt: skip

    def step(self, s: Tensor, y: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
        """The next state and the next observation."""
        U, W, V, b, e = self.weights
        s = torch.tanh(s @ U + torch.cat([y, gap], -1) @ W + b)
        return s, s @ V + e

    def read(self, seen: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Read all observations but the last: the state, and what was expected of each next one."""
        gaps, s, found = times.diff(dim=2)[..., None], seen.new_zeros(*seen.shape[:2], RECURRENT), []
        for j in range(gaps.shape[2]):
            s, y = self.step(s, seen[:, :, j], gaps[:, :, j])
            found.append(y)
        return s, torch.stack(found, 2)

    def gradient(self, seen: Tensor, times: Tensor) -> list[Tensor]:
        """The gradient of the squared error of each next observation."""
        loss = (self.read(seen, times)[1] - seen[:, :, 1:]).square().mean((1, 2, 3)).sum()
        return [*torch.autograd.grad(loss, self.weights)]

    def beyond(self, seen: Tensor, times: Tensor, h: float, count: int) -> Tensor:
        """Go on from the last observation, each guess read as if it had been seen: (M, spirals, count, 2)."""
        (s, _), y, found = self.read(seen, times), seen[:, :, -1], []
        for _ in range(count):
            s, y = self.step(s, y, torch.full_like(y[..., :1], h))
            found.append(y)
        return torch.stack(found, 2)
