"""Multigrid in layers on residual networks: its iterations either way, by depth and by coarsening."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import flows
from lemmata.data.synthetic import peaks_classes
from lemmata.flows.parallel import Gradient, Multigrid, gradient, mgrit, serial_gradient, two_grid_bound
from lemmata.study import Config, Curve, Measurements

STREAMS = 400_000  # added to every seed
TOL = 1e-9
COARSEST = 16
WIDTH = 8
F64 = torch.float64


class Depth(Config):
    """A residual network of width 8 on the peaks, solved to 1e-9 by V-cycles down to 16 steps."""

    layers: int = Field(default=256, ge=16)
    added: bool = Field(default=False, description="layers beyond 64 are added, T growing with them, not refined")
    method: Literal["forward-euler", "rk4"] = "forward-euler"
    relaxation: Literal["F", "FCF"] = "FCF"
    backwards: int = Field(default=0, ge=0, description="coarsen the adjoint by this factor, with F-relaxation")
    gain: float = Field(default=2.0, gt=0, description="standard deviation of the weights times the root of the width")
    samples: int = Field(default=30, ge=1)
    stop: int = Field(default=0, ge=0, description="iterations either way, instead of to the tolerance")


def converging(configs: Sequence[Depth]) -> list[Measurements]:
    """Solve forwards and backwards, and compare the gradient with backpropagation."""
    return [_converging(config) for config in configs]


def _converging(config: Depth) -> Measurements:
    found, error = _solved(config.model_copy(update={"backwards": 0}))  # type: ignore[arg-type]
    ahead, back = found.forward, found.adjoint
    if config.backwards:
        flow, loss, y0 = _problem(config)
        scheme = Multigrid(m=config.backwards, relaxation="F")
        back = gradient(flow, loss, y0, scheme=scheme, tol=TOL, iterations=60).adjoint
    return Measurements.of(
        forwards=iterations(ahead.residuals), backwards_iterations=iterations(back.residuals),
        alike=iterations(back.residuals) / iterations(ahead.residuals), gradient_error=error,
        ahead=Curve(np.arange(len(ahead.residuals)), np.log10(ahead.residuals)),
        back=Curve(np.arange(len(back.residuals)), np.log10(back.residuals)),
    )  # fmt: skip


@lru_cache(maxsize=32)
def _solved(config: Depth) -> tuple[Gradient, float]:
    """Both solves by V-cycles, which the controls on the adjoint share, and the gradient's error."""
    flow, loss, y0 = _problem(config)
    levels = round(np.log2(config.layers / COARSEST)) + 1
    scheme = Multigrid(m=2, levels=levels, relaxation=config.relaxation)
    rest: dict[str, Any] = {"tol": None, "iterations": config.stop} if config.stop else {"tol": TOL, "iterations": 60}
    found = gradient(flow, loss, y0, scheme=scheme, **rest)
    return found, found.error(serial_gradient(flow, loss, y0))


def _problem(config: Depth) -> tuple[flows.Flow, Callable[[Tensor], Tensor], Tensor]:
    """The network, the loss of its last states, and its first states."""
    seed = config.seed + STREAMS
    T = config.layers / 64 if config.added else 1.0
    field = flows.Plain(WIDTH, flows.PiecewiseLinear(5, T=T), gain=config.gain, seed=_draw(seed, 1), dtype=F64)
    flow = flows.Flow(field, steps=config.layers, method=config.method)
    x, _ = peaks_classes(config.samples, generator=_draw(seed, 2))
    y0 = torch.tanh(x @ torch.randn(2, WIDTH, generator=_draw(seed, 3), dtype=F64))
    end = torch.randn(config.samples, WIDTH, generator=_draw(seed, 4), dtype=F64)
    return flow, lambda y: (y * end).mean(), y0


def iterations(residuals: Sequence[float], tol: float = TOL) -> float:
    """The number of iterations to the tolerance, between two whole numbers by the logarithm of the residuals.

    Extrapolated where it was not reached.

    >>> round(iterations([1e-2, 1e-6, 1e-14]), 3)
    1.375
    """
    logs = np.log10(np.maximum(residuals, 1e-300))
    k = int(np.argmax(logs <= np.log10(tol))) if (logs <= np.log10(tol)).any() else len(logs) - 1
    k = max(k, 1)
    return float(k - 1 + (np.log10(tol) - logs[k - 1]) / (logs[k] - logs[k - 1]))


class Coarsening(Config):
    """A damped network in 420 layers of forward Euler, two levels: which coarsening factors converge."""

    T: float = Field(default=1.0, gt=0)
    rate: float = Field(default=52.5, gt=0, description="largest eigenvalue of K^T K, so that mu = 1 - rate T m / N")
    relaxation: Literal["F", "FCF"] = "F"
    layers: int = 420


def thresholds(configs: Sequence[Coarsening]) -> list[Measurements]:
    """The factor of iterations 2 to 4 for every coarsening factor, and where it passes 1."""
    return [_threshold(config) for config in configs]


def _threshold(config: Coarsening) -> Measurements:
    seed, N = config.seed + STREAMS, config.layers
    field = flows.Parabolic(WIDTH, flows.PiecewiseConstant(1, T=config.T), seed=_draw(seed, 5), dtype=F64)
    K = field.coefficients["K"]
    with torch.no_grad():
        K.mul_(config.rate**0.5 / torch.linalg.matrix_norm(K, 2))
    y0 = 1e-6 * torch.randn(3, WIDTH, generator=_draw(seed, 6), dtype=F64)  # small, so that tanh is linear
    guess = 1e-6 * torch.randn(N + 1, 3, WIDTH, generator=_draw(seed, 7), dtype=F64)
    factors = np.array([m for m in range(2, 31) if N % m == 0])
    measured, predicted = [], []
    h = config.T / N
    rates = torch.linalg.svdvals(K[0].detach()).square().numpy()
    for m in factors:
        scheme = Multigrid(m=int(m), relaxation=config.relaxation)
        run = mgrit(
            field, y0, steps=N, method="forward-euler", scheme=scheme, tol=None, iterations=4, guess=guess[:: int(m)]
        )
        r = run.residuals
        measured.append((r[4] / r[1]) ** (1 / 3))
        bounds = two_grid_bound(1 - h * rates, 1 - m * h * rates, int(m), relaxation=config.relaxation, chunks=N // m)
        predicted.append(float(np.max(bounds)))
    return Measurements.of(
        threshold=crossing(factors, np.array(measured)), predicted=crossing(factors, np.array(predicted)),
        factor=Curve(factors, np.log10(measured)), bound=Curve(factors, np.log10(predicted)),
    )  # fmt: skip


def crossing(m: np.ndarray, factor: np.ndarray) -> float:
    """The m from which on iterations do not converge, between two factors by the logarithm; the largest m if all do."""
    above = np.flatnonzero(factor >= 1)
    if not len(above):
        return float(m[-1])
    k = above[0]
    if k == 0:
        return float(m[0])
    low, high = np.log(factor[k - 1]), np.log(factor[k])
    return float(m[k - 1] + (m[k] - m[k - 1]) * -low / (high - low))


def _draw(seed: int, use: int) -> torch.Generator:
    """A stream of its own for each use of a seed."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, use]).generate_state(1)[0]))
