"""How residual networks of growing depth approach the control problem that they discretise."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.func import vjp, vmap

from lemmata import flows
from lemmata.flows import control
from lemmata.studies._streams import Streams
from lemmata.study import Config, Measurements

STREAMS = Streams("weights", "samples", "linear", first=660_000)
FINE = 64  # steps of RK4 that stand for infinitely many: an error of order 1e-7
F64 = torch.float64


class Limit(Config):
    """A network y' = tanh(K(t) y + b(t)) of width 3 on [0, 1], and a linear-quadratic problem, in `layers` steps."""

    layers: int = Field(default=16, ge=2)
    method: Literal["forward-euler", "heun"] = "forward-euler"
    sign: Literal[1, -1] = Field(default=1, description="-1 for the wrong sign in the costate's equation")
    detuned: float = Field(default=1.0, description="the best control times this")
    stretched: bool = Field(default=False, description="T grows with the layers, beyond 16, instead of h falling")
    n: int = Field(default=10, ge=1)


def approached(configs: Sequence[Limit]) -> list[Measurements]:
    """The distance of every member from its limit; gradients of all seeds are taken at once."""
    seeds = tuple(sorted({config.seed for config in configs}))
    return [_approached(config, seeds) for config in configs]


def _approached(config: Limit, seeds: tuple[int, ...]) -> Measurements:
    i = seeds.index(config.seed)
    exact = _gradients(seeds, config.n, FINE, "rk4", 1)[i]
    found = _gradients(seeds, config.n, config.layers, config.method, config.sign)[i]
    T = config.layers / 16 if config.stretched else 1.0
    value, spread = _linear(config.seed, config.n, config.layers, T, config.detuned)
    error = float((found - exact).norm() / exact.norm())
    return Measurements.of(gradient_error=error, value_gap=value, spread=spread)


@lru_cache(maxsize=256)
def _gradients(seeds: tuple[int, ...], n: int, steps: int, method: str, sign: int) -> Tensor:
    """Every seed's gradient by theta(t), (seeds, P), in coordinates in which its norm is that of L2(0, T)."""
    samples = []
    for seed in seeds:
        draw = STREAMS.generator(seed, "samples")
        samples.append([torch.randn(n, 3, generator=draw, dtype=F64) for _ in range(2)])
    x, y = (torch.stack(part) for part in zip(*samples, strict=True))
    basis = flows.PiecewiseLinear(5)
    fields = [flows.Plain(3, basis, seed=STREAMS.seed(seed, "weights"), dtype=F64) for seed in seeds]
    kind = control.Problem if sign == 1 else WrongSign
    found = control.pontryagin(
        kind([flows.Flow(field, steps=steps, method=method) for field in fields], x, y, own_data=True)
    )
    whitened = torch.linalg.inv(torch.linalg.cholesky(basis.gram()))
    return torch.cat([(whitened @ g.flatten(2)).flatten(1) for g in found.gradient.values()], 1)


class WrongSign(control.Problem):
    """A problem whose costates solve p' = +dH/dy, from the right end."""

    def costates(self, states: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        """Give p_n = p_{n+1} - h grad_y (p_{n+1} . f_h), as `states`."""

        def back(rows: Tensor, weights: tuple[Tensor, ...], p: Tensor) -> Tensor:
            return p - self.h * vjp(lambda r: self.velocity(r, weights), rows)[1](p)[0]

        p = [super().costates(states, weights)[:, -1]]
        for n in reversed(range(self.grid.steps)):
            p.append(vmap(back)(states[:, n], tuple(w[:, n] for w in weights), p[-1]))
        return torch.stack(p[::-1], 1)


@lru_cache(maxsize=1024)
def _linear(seed: int, n: int, layers: int, T: float, detuned: float) -> tuple[float, float]:
    """How far the least objective is from its limit, and how much H varies along the best control times `detuned`."""
    known = _problem(seed, n, layers, T)
    best = known.solution()
    theta = detuned * best
    problem = control.Problem(known.flow(), known.starts, known.targets, loss=control.half_square)
    found = control.pontryagin(problem, {"theta": theta[None]})
    H = found.hamiltonian[0] - known.tikhonov / 2 * theta.square().sum(1)
    return abs(known.value(best) - least(_problem(seed, n, 1, 1.0))), float((H.max() - H.min()) / H.abs().mean())


def _problem(seed: int, n: int, steps: int, T: float) -> control.LinearQuadratic:
    draw = STREAMS.generator(seed, "linear")
    A, B = 0.5 * torch.randn(3, 3, generator=draw, dtype=F64), torch.randn(3, 2, generator=draw, dtype=F64)
    starts, targets = (torch.randn(n, 3, generator=draw, dtype=F64) for _ in range(2))
    return control.LinearQuadratic(A, B, starts, targets, tikhonov=0.5, steps=steps, T=T)


def least(known: control.LinearQuadratic) -> float:
    """The least objective in continuous time, by the Gramian G = int e^{At} B B^T e^{A^T t} dt (Van Loan, 1978).

    What is missed without control is r_i = e^{AT} s_i - z_i; only its mean m can be mended, and with the best control
    costs m^T (I + G / lambda)^{-1} m / 2.
    """
    A, B, d = known.A, known.B, len(known.A)
    whole = torch.linalg.matrix_exp(
        known.T * torch.cat([torch.cat([-A, B @ B.mT], 1), torch.cat([torch.zeros_like(A), A.mT], 1)])
    )
    E = whole[d:, d:].mT
    missed = known.starts @ E.mT - known.targets
    mean, price = missed.mean(0), torch.eye(d, dtype=A.dtype) + E @ whole[:d, d:] / known.tikhonov
    apart = (missed - mean).square().sum(1).mean() / 2
    return float(apart + mean @ torch.linalg.solve(price, mean) / 2)
