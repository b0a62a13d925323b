"""Descent on deep linear networks in `saxe_2014`: many networks at once, every step of the literal weight matrices.

The target M = U diag(s) V^T is 8 x 8 with four singular values, U and V random orthogonal. White inputs have the second
moment I; others diag(4, ..., 1/4) in random directions. The loss is 1/2 E |W_N ... W_1 x - M x|^2, full batch.

    decoupled    W_1 = w R_1 V^T,  W_l = w R_l R_{l-1}^T,  W_N = w U R_{N-1}^T,  w = a_0^(1/N),  R_l orthonormal
    random       Gaussian entries of standard deviation `size`: hidden units overlap; theory starts from |P_0|^2

A step of N layers costs 4 N - 2 products of matrices no larger than hidden x hidden a network.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies import _saxe_2014_theory as theory
from lemmata.studies._deep_linear import layer_gradients, orthonormal, prefixes
from lemmata.study import Config, Curve, Measurements

WIDTH = 8  # inputs and outputs
STRENGTHS = (4.0, 2.0, 1.0, 0.5)
MODES = tuple(range(1, len(STRENGTHS) + 1))
POINTS = 250  # of a recorded curve
SECOND_ORDER = 2.5  # times step size times largest curvature: allowed for what the first order leaves out


class Network(Config):
    """One network, its target and its descent."""

    depth: int = Field(default=2, ge=1, description="layers of weights, N")
    hidden: int = Field(default=16, ge=WIDTH, description="hidden units of a layer")
    strength: float = Field(default=1.0, gt=0, description="multiplies the target's singular values 4, 2, 1, 1/2")
    start: float = Field(default=1e-3, gt=0, description="a_0, of every mode of decoupled weights")
    initial: Literal["decoupled", "random"] = Field(default="decoupled", description="the initial weights")
    size: float = Field(default=0.005, gt=0, description="standard deviation of random weights")
    white: bool = Field(default=True, description="inputs of second moment I")
    step: float = Field(default=0.002, gt=0, description="step size")
    horizon: float = Field(default=12.0, gt=0, description="steps times step size")

    @property
    def strengths(self) -> np.ndarray:
        """The singular values of the target that are not 0, (4,)."""
        return self.strength * np.array(STRENGTHS)

    @property
    def eta(self) -> float:
        """The step size that descent takes."""
        return self.step

    @property
    def weight(self) -> float:
        """The singular values of decoupled weights, w."""
        return self.start ** (1 / self.depth)

    @property
    def modes(self) -> int:
        """How many modes are followed: the strongest ones."""
        return len(STRENGTHS)


class DeepNetwork(Network):
    """Layers up to dozens, at the step size c / N that the largest curvature N s_1^(2 - 2/N) allows; s_1 = 1."""

    depth: int = Field(default=16, ge=1, description="layers of weights, N")
    hidden: int = Field(default=8, ge=WIDTH, description="hidden units of a layer")
    strength: float = Field(default=0.25, gt=0, description="multiplies the target's singular values 4, 2, 1, 1/2")
    start: float = Field(default=0.1, gt=0, description="a_0, of every mode")
    step: float = Field(default=0.02, gt=0, description="c: step size times depth")
    horizon: float = Field(default=14.0, gt=0, description="steps times c")
    layer_weight: float | None = Field(default=None, description="w, the same at every depth, in place of a_0^(1/N)")

    @property
    def eta(self) -> float:
        """The step size that descent takes."""
        return self.step / self.depth

    @property
    def weight(self) -> float:
        """The singular values of decoupled weights, w."""
        return self.layer_weight or super().weight

    @property
    def modes(self) -> int:
        """How many modes are followed: the strongest one, within the horizon."""
        return 1


def measure(configs: Sequence[Network]) -> list[Measurements]:
    """Run all networks of a block together, and hold each against the theory."""
    drawn = [draw(config) for config in configs]
    layers = [torch.stack(part) for part in zip(*(one[0] for one in drawn), strict=True)]
    U, V, moment = (torch.stack(part) for part in zip(*(one[1:] for one in drawn), strict=True))
    followed = descend(configs, layers, U, V, moment)
    firsts = [[layer[i] for layer in layers] for i in range(len(configs))]
    return [measured(c, followed[i], U[i], V[i], firsts[i]) for i, c in enumerate(configs)]


def draw(config: Network) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
    """Initial layers, the target's U and V (8, 8), and the inputs' second moment (8, 8), from the seed alone."""
    random = torch.Generator().manual_seed(config.seed)
    U, V = orthonormal(WIDTH, random), orthonormal(WIDTH, random)
    axes = orthonormal(WIDTH, random)
    widths = [WIDTH, *[config.hidden] * (config.depth - 1), WIDTH]
    if config.initial == "random":
        shapes = zip(widths[1:], widths[:-1], strict=True)
        layers = [config.size * torch.randn(*shape, generator=random, dtype=torch.float64) for shape in shapes]
    else:
        frames = [V, *(orthonormal(config.hidden, random)[:, :WIDTH] for _ in range(config.depth - 1)), U]
        layers = [config.weight * frames[i + 1] @ frames[i].mT for i in range(config.depth)]
    spread = torch.tensor(np.geomspace(4.0, 0.25, WIDTH))
    moment = torch.eye(WIDTH, dtype=torch.float64) if config.white else axes * spread @ axes.mT
    return layers, U, V, moment


def descend(configs: Sequence[Network], layers: list[Tensor], U: Tensor, V: Tensor, moment: Tensor) -> Tensor:
    """Every step of gradient descent; u^T W_N ... W_1 v of each mode followed at every step, (network, step, mode)."""
    first, k = configs[0], configs[0].modes
    strengths = torch.tensor(np.stack([config.strengths for config in configs]))
    target = U[:, :, : len(STRENGTHS)] * strengths[:, None, :] @ V[:, :, : len(STRENGTHS)].mT
    eta = torch.tensor([config.eta for config in configs], dtype=torch.float64)[:, None, None]
    steps, layers = math.ceil(first.horizon / first.step), list(layers)
    followed = torch.empty(len(configs), steps + 1, k, dtype=torch.float64)
    white = all(config.white for config in configs)
    for step in range(steps + 1):
        parts = prefixes(layers)
        followed[:, step] = (U[:, :, :k] * (parts[-1] @ V[:, :, :k])).sum(1)
        error = parts[-1] - target
        gradients = layer_gradients(layers, parts, error if white else error @ moment)
        layers = [layer - eta * gradient for layer, gradient in zip(layers, gradients, strict=True)]
    return followed


def measured(config: Network, followed: Tensor, U: Tensor, V: Tensor, layers: list[Tensor]) -> Measurements:
    """One network: `followed` (steps + 1, modes) beside the solution for each mode, and the error that is stated.

    That is the first order of the step, and for the solution with overlaps |Q_0|^2 besides.
    """
    t, N = config.eta * np.arange(len(followed)), config.depth
    s, modes = config.strengths[: config.modes], followed.numpy().T
    starts, overlaps, shrinking = started(config, U, V, layers)
    decoupled = np.stack([theory.trajectory(t, s[i], starts[i], N) for i in range(len(s))])
    clear = starts if overlaps is None else theory.clear_of_stronger(overlaps)
    steps = np.array([np.abs(theory.step_error(t, s[i], clear[i], N, config.eta)).max() for i in range(len(s))])
    off = np.abs(modes - decoupled).max(1)
    coupled = decoupled if overlaps is None else theory.coupled(t, padded(config), overlaps).T[: len(s)]
    off_coupled = np.abs(modes - coupled).max(1)
    allowed = steps * (1 + SECOND_ORDER * config.eta * N * s[0] ** (2 - 2 / N))
    halves, rises = times(t, modes, s)
    expected = np.array([theory.half_time(s[i], starts[i], N) for i in range(len(s))])
    kept = np.unique(np.linspace(0, len(t) - 1, POINTS).astype(int))
    curves: dict[str, Any] = {f"mode_{i + 1}": Curve(t[kept], modes[i, kept]) for i in range(len(s))}
    curves |= {f"theory_{i + 1}": Curve(t[kept], decoupled[i, kept]) for i in range(len(s))}
    halved = {f"half_time_{i + 1}": halves[i] for i in range(len(s))}
    return Measurements.of(
        **curves, **halved, in_order=float((halves[1:] > halves[:-1]).all()), scaled_half_time=halves[0] * N,
        deviation=(off / s).max(), deviation_over_stated=(off / allowed).max(),
        deviation_over_step=(off / steps).mean(), coupled_deviation=(off_coupled / s).max(),
        coupled_over_stated=(off_coupled / (allowed + shrinking[: len(s)])).max(),
        half_time_off=(np.abs(halves - expected) / np.maximum(expected, 0.5 / s)).max(),
        rise_over_half=rises[0] / halves[0] if 0 < halves[0] < math.inf else math.inf,
    )  # fmt: skip


def started(
    config: Network, U: Tensor, V: Tensor, layers: list[Tensor]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """The a_0 of each mode (8,), for random weights the overlaps P_0^T P_0 (8, 8), and |Q_0|^2 (8,)."""
    if config.initial == "decoupled":
        return np.full(WIDTH, config.weight**config.depth), None, np.zeros(WIDTH)
    in_, out = layers[0] @ V, layers[1].mT @ U
    P, Q = ((in_ + out) / 2).numpy(), ((in_ - out) / 2).numpy()
    overlaps = P.T @ P
    return np.diag(overlaps).copy(), overlaps, (Q**2).sum(0)


def padded(config: Network) -> np.ndarray:
    """All eight singular values of the target."""
    return np.concatenate([config.strengths, np.zeros(WIDTH - len(STRENGTHS))])


def times(t: np.ndarray, modes: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When each mode (modes, T) is half learned, and how long it takes from a tenth to nine tenths."""
    halves, low, high = (
        [crossing(t, a, share * b) for a, b in zip(modes, s, strict=True)] for share in (0.5, 0.1, 0.9)
    )
    rises = [b - a if math.isfinite(b) else math.inf for a, b in zip(low, high, strict=True)]
    return np.array(halves), np.array(rises)


def crossing(t: np.ndarray, a: np.ndarray, level: float) -> float:
    """The time at which a (T,) first passes the level, between steps by a straight line; infinity if it never does."""
    above = np.flatnonzero(a >= level)
    if len(above) == 0:
        return math.inf
    i = int(above[0])
    if i == 0:
        return 0.0
    return float(t[i - 1] + (level - a[i - 1]) / (a[i] - a[i - 1]) * (t[i] - t[i - 1]))
