"""How residual networks of growing depth approach the control problem that they discretise."""

from collections.abc import Sequence
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
    draw = STREAMS.generator(config.seed, "samples")
    x, y = (torch.randn(config.n, 3, generator=draw, dtype=F64) for _ in range(2))
    field = flows.Plain(3, flows.PiecewiseLinear(5), seed=STREAMS.seed(config.seed, "weights"), dtype=F64)

    def gradient(steps: int, method: str) -> Tensor:
        found = control.pontryagin(control.Problem(flows.Flow(field, steps=steps, method=method), x, y))
        whitened = torch.linalg.inv(torch.linalg.cholesky(field.basis.gram()))  # so that norms are those of L2(0, T)
        return torch.cat([(whitened @ g[0].flatten(1)).flatten() for g in found.gradient.values()])

    exact = gradient(256, "rk4")
    return float((gradient(config.layers, config.method) - exact).norm() / exact.norm())


def _linear(config: Limit) -> tuple[float, float]:
    """How far the least objective is from its limit, and how much H varies along the control."""
    draw = STREAMS.generator(config.seed, "linear")
    A, B = 0.5 * torch.randn(3, 3, generator=draw, dtype=F64), torch.randn(3, 2, generator=draw, dtype=F64)
    starts, targets = (torch.randn(config.n, 3, generator=draw, dtype=F64) for _ in range(2))
    T = config.layers / 16 if config.stretched else 1.0

    def made(steps: int, T: float) -> control.LinearQuadratic:
        return control.LinearQuadratic(A, B, starts, targets, tikhonov=0.5, steps=steps, T=T)

    known = made(config.layers, T)
    theta = config.detuned * known.solution()
    problem = control.Problem(known.flow(), starts, targets, loss=control.half_square)
    found = control.pontryagin(problem, {"theta": theta[None]})
    H = found.hamiltonian[0] - known.tikhonov / 2 * theta.square().sum(1)
    limit = made(FINE, 1.0).value()
    return abs(known.value() - limit), float((H.max() - H.min()) / H.abs().mean())
