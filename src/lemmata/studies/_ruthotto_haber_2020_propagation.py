"""Distances, energies and limits of the step in random networks of convolutions with a known norm."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import flows
from lemmata.flows.field import hold
from lemmata.study import Config, Curve, Measurements

STREAMS = 1_212_000  # added to every seed: the streams on which the verdicts rest
NEAR = 1e-5  # between the states of every other pair, and of those at the limit of the step
Kind = Literal["parabolic", "anti-diffusion", "two-layer", "antisymmetric", "hyperbolic", "hamiltonian"]


class Random(Config):
    """A random network of convolutions on small images; its weights have the largest singular value `norm`."""

    kind: Kind = "parabolic"
    activation: str = Field(default="tanh", description="sigma")
    method: str = Field(default="forward-euler", description="how the equation is stepped")
    norm: float = Field(default=1.0, gt=0, description="largest singular value of K")
    moving: bool = Field(default=True, description="each layer draws weights of its own")
    channels: int = Field(default=3, ge=1)
    pixels: int = Field(default=6, ge=1, description="of a side of the image")


class Distances(Random):
    """Pairs of inputs, near and far, followed through the layers."""

    step: float = Field(default=1.0, gt=0, description="h")
    layers: int = Field(default=100, ge=1)
    pairs: int = Field(default=32, ge=2)


class Limit(Random):
    """Two states a little apart in the direction that K stretches most, near 0, for many steps h."""

    moving: bool = False
    layers: int = Field(default=20, ge=1)


class Energies(Random):
    """The energy along the network of one length in time, for one step h."""

    kind: Kind = "hyperbolic"
    method: str = "verlet"
    moving: bool = False
    step: float = Field(default=0.1, gt=0, description="h")
    time: float = Field(default=10.0, gt=0, description="T")
    samples: int = Field(default=16, ge=1)


class AntiDiffusion(flows.Layer):
    """y' = +K^T sigma(K y + b): the parabolic layer with the other sign."""

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b = weights
        return self.symmetric(K, b, y)


LAYERS: dict[str, Any] = {
    "parabolic": flows.Parabolic,
    "anti-diffusion": AntiDiffusion,
    "two-layer": flows.TwoLayer,
    "antisymmetric": flows.Antisymmetric,
    "hyperbolic": flows.Hyperbolic,
    "hamiltonian": flows.Hamiltonian,
}


@torch.no_grad()
def distances(configs: Sequence[Distances]) -> list[Measurements]:
    """Follow the pairs of each member: the largest distance over the first one, layer by layer."""
    return [_distances(config) for config in configs]


def _distances(config: Distances) -> Measurements:
    draw = _stream(config.seed, 1)
    field = layers(config, config.layers, config.step * config.layers, draw)
    y = _images(config, config.pairs, draw)
    apart = _images(config, config.pairs, draw)
    apart[::2] *= NEAR
    run = flows.integrate(field, _at_rest(field, torch.cat([y, y + apart])), steps=config.layers, method=config.method)
    states = run.states[0] if isinstance(run.states, tuple) else run.states
    moved = (states[:, config.pairs :] - states[:, : config.pairs]).flatten(2).norm(dim=2)
    ratio = moved / moved[0]
    largest = ratio.max(1).values
    return Measurements.of(
        growth=largest.max(), log_growth=largest.max().log10(), last=ratio[-1].log10().mean(),
        distance=Curve(np.arange(config.layers + 1), largest.numpy()),
    )  # fmt: skip


@torch.no_grad()
def limits(configs: Sequence[Limit]) -> list[Measurements]:
    """Grow the pair of each member through the layers at every step of a grid."""
    return [_limit(config) for config in configs]


def _limit(config: Limit) -> Measurements:
    field = layers(config, 1, 1.0, _stream(config.seed, 2), bias=0.0)
    K = matrix(field, field.coefficients["K"].detach(), config.pixels)[0]
    top = torch.linalg.svd(K).Vh[:1].reshape(1, config.channels, config.pixels, config.pixels)

    def grown(h: float) -> float:
        start = _at_rest(field, NEAR * top)
        run = flows.integrate(field, start, steps=config.layers, T=h * config.layers, method=config.method)
        states = run.states[0] if isinstance(run.states, tuple) else run.states
        return float(states[-1].norm() / NEAR)

    low, high = 0.5, 3.5
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if grown(middle) > 1 else (middle, high)
    steps = np.arange(0.6, 3.5, 0.1)
    return Measurements.of(limit=(low + high) / 2, grown=Curve(steps, np.array([grown(h) for h in steps])))


@torch.no_grad()
def energies(configs: Sequence[Energies]) -> list[Measurements]:
    """Follow the energy of each member's samples."""
    return [_energies(config) for config in configs]


def _energies(config: Energies) -> Measurements:
    draw = _stream(config.seed, 3)
    pieces = 10 if config.moving else 1
    field = layers(config, pieces, config.time, draw)
    steps = round(config.time / config.step)
    y = _images(config, config.samples, draw), _images(config, config.samples, draw)
    run = flows.integrate(field, y, steps=steps, method=config.method)
    held = hold(field, run.times, run.times)
    energy = torch.stack([f.energy((q, p)) for f, q, p in zip(held, *run.states, strict=True)])
    gap = (energy - energy[0]).abs() / energy[0]
    return Measurements.of(drift=gap.max(0).values.mean(), gap=Curve(run.times.numpy(), gap.mean(1).numpy()))


def layers(config: Random, pieces: int, T: float, draw: torch.Generator, *, bias: float = 0.5) -> flows.Layer:
    """The network's field: `pieces` weights with the largest singular value `norm`, biases of that deviation."""
    field = LAYERS[config.kind](
        flows.Convolution(config.channels), flows.PiecewiseConstant(pieces if config.moving else 1, T),
        activation=config.activation, seed=draw, dtype=torch.float64,
    )  # fmt: skip
    with torch.no_grad():
        for name, theta in field.coefficients.items():
            if name == "b":
                theta.normal_(generator=draw).mul_(bias)
            else:
                K = matrix(field, theta, config.pixels)
                norms = torch.linalg.eigvalsh(K.mT @ K)[:, -1].sqrt()  # a third of the time of singular values
                theta.mul_((config.norm / norms).reshape(-1, *(1,) * (theta.ndim - 1)))
    return field


def matrix(field: flows.Layer, theta: Tensor, pixels: int) -> Tensor:
    """The matrices of the convolutions of images of so many pixels a side: (pieces, n, n), n = channels pixels^2."""
    channels = field.linear.width
    basis = torch.eye(channels * pixels**2, dtype=theta.dtype).reshape(-1, channels, pixels, pixels)
    return torch.stack([field.linear.apply(K, basis).flatten(1).mT for K in theta.unbind()])


def _images(config: Random, n: int, draw: torch.Generator) -> Tensor:
    return torch.randn(n, config.channels, config.pixels, config.pixels, generator=draw, dtype=torch.float64)


def _at_rest(field: flows.VectorField, y: Tensor) -> Any:
    return (y, torch.zeros_like(y)) if isinstance(field, flows.Partitioned) else y


def _stream(seed: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed + STREAMS, purpose]).generate_state(1)[0]))
