"""How residual networks of growing depth approach the control problem that they discretise."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from lemmata import flows
from lemmata.flows import control
from lemmata.studies._streams import Streams
from lemmata.study import Config, Measurements

STREAMS = Streams("weights", "samples", "linear", first=660_000)
FINE = 4096  # steps of the linear problem that stand for infinitely many; of the network 256 of RK4
F64 = torch.float64


class Limit(Config):
    """A network y' = tanh(K(t) y + b(t)) of width 3 on [0, 1], and a linear-quadratic problem, in `layers` steps."""

    layers: int = Field(default=16, ge=2)
    method: Literal["forward-euler", "heun"] = "forward-euler"
    detuned: float = Field(default=1.0, description="the best control times this")
    stretched: bool = Field(default=False, description="T grows with the layers, beyond 16, instead of h falling")
    n: int = Field(default=10, ge=1)


def approached(configs: Sequence[Limit]) -> list[Measurements]:
    """The distance of every member from its limit."""
    return [_approached(config) for config in configs]


def _approached(config: Limit) -> Measurements:
    value, spread = _linear(config)
    return Measurements.of(gradient_error=_gradient_error(config), value_gap=value, spread=spread)


def _gradient_error(config: Limit) -> float:
    """Relative distance, in L2 over time, of the gradient by theta(t) from that of many steps of RK4."""
    exact = _gradient(config.seed, config.n, 256, "rk4")
    return float((_gradient(config.seed, config.n, config.layers, config.method) - exact).norm() / exact.norm())


@lru_cache(maxsize=256)
def _gradient(seed: int, n: int, steps: int, method: str) -> Tensor:
    """The gradient in coordinates in which its norm is that of L2(0, T)."""
    draw = STREAMS.generator(seed, "samples")
    x, y = (torch.randn(n, 3, generator=draw, dtype=F64) for _ in range(2))
    field = flows.Plain(3, flows.PiecewiseLinear(5), seed=STREAMS.seed(seed, "weights"), dtype=F64)
    found = control.pontryagin(control.Problem(flows.Flow(field, steps=steps, method=method), x, y))
    whitened = torch.linalg.inv(torch.linalg.cholesky(field.basis.gram()))
    return torch.cat([(whitened @ g[0].flatten(1)).flatten() for g in found.gradient.values()])


def _linear(config: Limit) -> tuple[float, float]:
    """How far the least objective is from its limit, and how much H varies along the control."""
    known = _problem(config.seed, config.n, config.layers, config.layers / 16 if config.stretched else 1.0)
    theta = config.detuned * known.solution()
    problem = control.Problem(known.flow(), known.starts, known.targets, loss=control.half_square)
    found = control.pontryagin(problem, {"theta": theta[None]})
    H = found.hamiltonian[0] - known.tikhonov / 2 * theta.square().sum(1)
    return abs(known.value() - _least(config.seed, config.n)), float((H.max() - H.min()) / H.abs().mean())


def _problem(seed: int, n: int, steps: int, T: float) -> control.LinearQuadratic:
    draw = STREAMS.generator(seed, "linear")
    A, B = 0.5 * torch.randn(3, 3, generator=draw, dtype=F64), torch.randn(3, 2, generator=draw, dtype=F64)
    starts, targets = (torch.randn(n, 3, generator=draw, dtype=F64) for _ in range(2))
    return control.LinearQuadratic(A, B, starts, targets, tikhonov=0.5, steps=steps, T=T)


@lru_cache(maxsize=256)
def _least(seed: int, n: int) -> float:
    """The least objective of many steps."""
    return _problem(seed, n, FINE, 1.0).value()
