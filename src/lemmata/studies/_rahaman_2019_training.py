"""Networks fitted to sums of sinusoids, frequency by frequency: the runs of the study of Rahaman and others (2019).

The target is y(x_j) = sum_k A_k sin(2 pi k x_j + phase_k) at x_j = j / N, so that its discrete Fourier transform F y
has the modulus N A_k / 2 at each k and 0 elsewhere. Of a network's outputs f, the share of k that is learned is
1 - |F f_k - F y_k| / |F y_k|: 0 for f = 0, 1 for f = y, amplitude and phase both counted.

All networks of a block take their steps together, full batch, by Adam.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import kernels, nets
from lemmata.study import Config, Curve, Measurements
from lemmata.study.kinds.trend import spearman
from lemmata.training import Adam
from lemmata.training.ensemble import Ensemble
from lemmata.training.perceptron import assemble

LEARNED = 0.8  # the share from which a frequency counts as learned
EVERY = 5  # steps between two looks
DIRECTIONS = 30  # random directions in which the trained weights are moved


class Sinusoids(Config):
    """One network and its target, a sum of `count` sinusoids."""

    lowest: int = Field(default=2, ge=1, description="lowest frequency")
    spacing: int = Field(default=2, ge=1, description="from one frequency to the next")
    count: int = Field(default=6, ge=2, description="frequencies")
    amplitudes: Literal["equal", "increasing"] = "equal"
    n: int = Field(default=128, ge=8, description="points, evenly spaced")
    bandwidth: float = Field(default=0.0, ge=0, description="sigma of random Fourier features of x; 0 gives x itself")
    features: int = Field(default=64, ge=1, description="Fourier features, a sine and a cosine each")
    width: int = Field(default=128, ge=1)
    depth: int = Field(default=4, ge=1, description="hidden layers")
    activation: Literal["relu", "tanh"] = "relu"
    lr: float = Field(default=1e-3, gt=0)
    steps: int = Field(default=2000, ge=EVERY)
    perturbation: float = Field(default=0.1, gt=0, description="length of a move of the trained weights, in theirs")

    @property
    def frequencies(self) -> np.ndarray:
        """The k of the target, increasing."""
        return self.lowest + self.spacing * np.arange(self.count)


def draw(config: Sinusoids) -> tuple[Tensor, Tensor, nn.Module]:
    """Inputs (n, d), targets (n, 1) and an untrained network: phases, features and weights all follow from the seed."""
    random = np.random.default_rng(config.seed)
    x, k = np.arange(config.n) / config.n, config.frequencies
    amplitude = np.ones(config.count) if config.amplitudes == "equal" else np.arange(1, config.count + 1) / config.count
    phase = random.uniform(0, 2 * np.pi, config.count)
    y = np.sin(2 * np.pi * np.outer(x, k) + phase) @ amplitude
    inputs = 2 * x[:, None] - 1
    if config.bandwidth:
        turns = 2 * np.pi * np.outer(x, config.bandwidth * random.standard_normal(config.features))
        inputs = np.hstack([np.sin(turns), np.cos(turns)])
    widths = [config.width] * config.depth
    net = nets.mlp(inputs.shape[1], widths, 1, activation=config.activation, seed=config.seed)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32), net


def run(configs: Sequence[Sinusoids]) -> list[Measurements]:
    """Train all networks of a block together, and look at the spectrum of their outputs on the way."""
    first = configs[0]
    drawn = [draw(config) for config in configs]
    x, y = (torch.stack(part) for part in zip(*((x, y) for x, y, _ in drawn), strict=True))
    ensemble = assemble([net for *_, net in drawn], "mse")
    rule = Adam(lr=first.lr).start(ensemble)
    k = first.frequencies
    target = spectrum(y, k)
    shares, losses, looks = [], [], range(EVERY, first.steps + 1, EVERY)
    for step in range(1, first.steps + 1):
        rule.step(ensemble, x, y, shared=False, factor=1.0)
        if step % EVERY == 0:
            with torch.no_grad():
                outputs = ensemble(x)
            shares.append(1 - np.abs(spectrum(outputs, k) - target) / np.abs(target))
            losses.append((outputs - y).square().mean((1, 2)).numpy())
    kept = retained(ensemble, x, k, first, [config.seed for config in configs])
    return [
        measured(config, own, np.array(looks), share=np.stack(shares)[:, i], loss=np.stack(losses)[:, i], kept=kept[i])
        for i, (config, own) in enumerate(zip(configs, drawn, strict=True))
    ]


def spectrum(values: Tensor, k: np.ndarray) -> np.ndarray:
    """The discrete Fourier transform of values (..., n, 1) at the frequencies k (K,): (..., K) complex."""
    return np.fft.rfft(values[..., 0].double().numpy(), axis=-1)[..., k]


def retained(ensemble: Ensemble, x: Tensor, k: np.ndarray, config: Sinusoids, seeds: Sequence[int]) -> np.ndarray:
    """The mean over random directions of |F f_k| after a move of all weights, over that before: (M, K)."""
    with torch.no_grad():
        before, theta = np.abs(spectrum(ensemble(x), k)), ensemble.theta.clone()
        weights = ensemble.layout.views(theta)
        length = torch.stack([own.flatten(1).square().sum(1) for own in weights.values()]).sum(0).sqrt()
        random = [torch.Generator().manual_seed(20_000 + seed) for seed in seeds]
        total = np.zeros_like(before)
        for _ in range(DIRECTIONS):
            move = {
                name: torch.stack([torch.randn(own.shape[1:], generator=g) for g in random])
                for name, own in weights.items()
            }
            size = torch.stack([own.flatten(1).square().sum(1) for own in move.values()]).sum(0).sqrt()
            factor = ensemble.layout.spread(dict.fromkeys(move, config.perturbation * length / size))
            ensemble.theta.copy_(theta + factor * ensemble.layout.pack(move))
            total += np.abs(spectrum(ensemble(x), k)) / before
        ensemble.theta.copy_(theta)
    return total / DIRECTIONS


def measured(
    config: Sinusoids,
    drawn: tuple[Tensor, Tensor, nn.Module],
    steps: np.ndarray,
    *,
    share: np.ndarray,
    loss: np.ndarray,
    kept: np.ndarray,
) -> Measurements:
    """When each frequency is learned, what is left of it after a move, and what the kernel at the start says."""
    if not np.isfinite(loss).all():
        return Measurements.of(status="diverged")
    k = config.frequencies.astype(float)
    reached = share >= LEARNED
    first = np.where(reached.any(0), steps[np.argmax(reached, 0)].astype(float), np.inf)
    high = np.arange(4, max(config.n // 5, 8) + 1, 2)
    kernel = kernel_spectrum(drawn[2], drawn[0], high)
    return Measurements.of(
        "ok",
        order=spearman(k, first),
        order_of_moves=spearman(k, kept),
        kernel_exponent=float(np.polyfit(np.log(high), np.log(kernel), 1)[0]),
        learned=int(reached.any(0).sum()),
        final_loss=float(loss[-1]),
        first=Curve(k, first),
        retained=Curve(k, kept),
        kernel=Curve(high.astype(float), kernel / kernel[0]),
        **{f"share_{i}": Curve(steps, share[:, i]) for i in range(config.count)},
    )


def kernel_spectrum(net: nn.Module, x: Tensor, k: np.ndarray) -> np.ndarray:
    """v^H K v of the tangent kernel K of a network on its points, in float64: (K,).

    v is the Fourier vector of frequency k under a Hann window, of unit length. Without the window the two ends of the
    interval, where the kernel is not periodic, would give k^-2 to every kernel, the smoothest included: sums of
    exp(2 pi i k x) over a smooth function fall as its jump over k. Under the window that is k^-6.
    """
    K = kernels.empirical_ntk(deepcopy(net).double(), x.double(), outputs="trace").values.numpy()
    turns = 2 * np.pi * np.arange(len(K))[:, None] / len(K)
    v = (1 - np.cos(turns + np.pi / len(K))) * np.exp(1j * turns * k)
    v /= np.linalg.norm(v, axis=0)
    return np.einsum("ik,ij,jk->k", v.conj(), K, v).real
