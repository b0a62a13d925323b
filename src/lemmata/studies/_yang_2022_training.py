"""Perceptrons in the standard and the maximal update parametrisation: how far a step moves them, and how well a step
size trains them.

Three hidden layers of one width, rectifiers, weights of variance 2/fan-in; the digits, every pixel standardised. muP
is `lemmata.nets.mup`; at the base width both parametrisations are one.

What to expect of the first step on one example, with width n. The weights of a hidden layer move by d_l h_{l-1}^T (d
the derivative by pre-activations, h the activations), or under Adam by its signs, and act on the h along which they
moved, so that n terms add up instead of n^(1/2). Powers of n with which a step of a fixed size changes pre-activations:

                    first layer    hidden layers    output
    SP, SGD         -1/2           1/2              1
    SP, Adam        0              1                3/2
    muP, either     0              0                0

since derivatives are of order n^(-1/2) in SP. The 3/2: the last hidden layer moves by n times the signs of what the
output weights send back, and along these the output weights add up to n n^(-1/2).
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lemmata import data, nets, training
from lemmata.nets import mup
from lemmata.study import Config, Curve, Measurements

LAYERS = ("first", "second", "third", "output")
FITTED = 2  # grid points to either side of the lowest through which the parabola is laid


class Network(Config):
    """A perceptron in one of the parametrisations."""

    parametrisation: Literal["mup", "sp"] = "mup"
    width: int = Field(default=64, ge=2)
    base: int = Field(default=64, ge=2, description="the width at which muP is SP")
    depth: int = Field(default=3, ge=3, le=3, description="hidden layers")


class Coordinates(Network):
    """A few steps on one example, which is drawn."""

    base: int = Field(default=32, ge=2, description="the width at which muP is SP")
    optimiser: Literal["adam", "sgd"] = "adam"
    lr: float = Field(default=1e-7, gt=0, description="step size")
    steps: int = Field(default=1, ge=1)


class Transfer(Network):
    """Trainings by Adam, one for each step size 2^lowest, ..., 2^highest."""

    proxy: int = Field(default=64, ge=2, description="width of the small network, in SP, whose best step size is used")
    lowest: int = -10
    highest: int = -3
    n: int = Field(default=1280, ge=32, description="training examples")
    batch: int = Field(default=32, ge=2)


def digits(n: int | None = None) -> tuple[Tensor, Tensor]:
    """The first n digits: inputs (n, 64) float64, standardised by pixel with 0.1 added to the deviation, and labels."""
    whole = data.load("digits")
    x = whole.x.flatten(1).double()
    return ((x - x.mean(0)) / (x.std(0) + 0.1))[:n], whole.y[:n]


def perceptron(config: Network, width: int, *, seed: int | None, dtype: torch.dtype = torch.float32) -> nn.Module:
    """An untrained network of this width in SP; without a seed, its shapes alone."""
    law = "he" if seed is not None else lambda weight, generator: None
    return nets.mlp(64, [width] * config.depth, 10, initialisation=law, seed=seed or 0, dtype=dtype)


def network(config: Network, width: int, dtype: torch.dtype, *, standard: bool) -> nn.Module:
    """An untrained network of this width, in SP or in muP, whose weights differ by factors alone."""
    made = perceptron(config, width, seed=config.seed, dtype=dtype)
    return made if standard else mup.rescale(made, perceptron(config, config.base, seed=None))


# ---- how far a step moves each layer ---------------------------------------------------------------------------------


def move(configs: Sequence[Coordinates]) -> list[Measurements]:
    """Each member takes its steps; root mean squares over units of what changed, in units of the step size."""
    x, y = digits()
    return [_moved(config, x, y) for config in configs]


def _moved(config: Coordinates, x: Tensor, y: Tensor) -> Measurements:
    standard = config.parametrisation == "sp"
    net = network(config, config.width, torch.float64, standard=standard)
    base = net if standard else perceptron(config, config.base, seed=None)
    groups = mup.parameter_groups(net, base, lr=config.lr, optimiser=config.optimiser)
    # no eps to speak of: gradients fall with the width, as a fixed one does not
    rule = torch.optim.Adam(groups, eps=1e-30) if config.optimiser == "adam" else torch.optim.SGD(groups)
    chosen = torch.randint(len(x), (1,), generator=torch.Generator().manual_seed(config.seed))
    before = preactivations(net, x[chosen])
    for _ in range(config.steps):
        rule.zero_grad()
        cross_entropy(net(x[chosen]), y[chosen]).backward()
        rule.step()
    after = preactivations(net, x[chosen])
    changes: dict[str, Any] = {
        n: _size(new - old) / config.lr for n, old, new in zip(LAYERS, before, after, strict=True)
    }
    return Measurements.of(**changes, output_at_start=_size(before[-1]))


@torch.no_grad()
def preactivations(net: nn.Module, x: Tensor) -> list[Tensor]:
    """What each linear layer of the perceptron gives, before its rectifier: (n, width) for each."""
    found = []
    for layer in net.children():
        x = layer(x)
        if isinstance(layer, nn.Linear):
            found.append(x)
    return found


def _size(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


# ---- which step size trains best -------------------------------------------------------------------------------------


def transfer(configs: Sequence[Transfer]) -> list[Measurements]:
    """Train every member at every step size, and its proxy; all of them at once."""
    first = configs[0]
    x, y = digits(first.n)
    grid = np.arange(first.lowest, first.highest + 1)
    losses = _trained(configs, first.width, x.float(), y, grid, proxy=False)
    proxies = _trained(configs, first.proxy, x.float(), y, grid, proxy=True)
    return [_tuned(grid, own, small) for own, small in zip(losses, proxies, strict=True)]


def _trained(
    configs: Sequence[Transfer], width: int, x: Tensor, y: Tensor, grid: np.ndarray, *, proxy: bool
) -> np.ndarray:
    """Training loss of the whole set after one epoch: (members, step sizes), NaN where training diverged."""
    models: list[nn.Module] = []
    scales: list[dict[str, float]] = []
    for config in configs:
        standard = proxy or config.parametrisation == "sp"
        net = network(config, width, torch.float32, standard=standard)
        base = net if standard else perceptron(config, config.base, seed=None)
        models += [net] * len(grid)
        scales += [mup.lr_scale(net, base)] * len(grid)
    rule = training.Adam(
        lr=np.tile(2.0**grid, len(configs)).tolist(),
        lr_scale={name: [scale[name] for scale in scales] for name in scales[0]},
    )
    result = training.train(
        models, x, y, optimiser=rule, epochs=1, batch_size=configs[0].batch, schedule=training.cosine(),
        seeds=[config.seed for config in configs for _ in grid], train_at=training.last_epoch,
    )  # fmt: skip
    return result.final["train_loss"].numpy().reshape(len(configs), len(grid))


def _tuned(grid: np.ndarray, losses: np.ndarray, proxy: np.ndarray) -> Measurements:
    if np.isnan(losses).all() or np.isnan(proxy).all():
        return Measurements.of(status="diverged")
    best = lowest(grid, losses)
    given = losses[np.nanargmin(proxy)]
    return Measurements.of(
        best=best,
        best_lr=2.0**best,
        shift=best - lowest(grid, proxy),
        best_loss=np.nanmin(losses),
        transferred=np.inf if np.isnan(given) else np.log(given),
        loss=Curve(grid, losses),
    )


def lowest(grid: np.ndarray, losses: np.ndarray) -> float:
    """Where the least-squares parabola of log loss through the points next to the lowest one has its vertex.

    Kept within those points; NaN (a training that diverged) is left out.

    >>> round(lowest(np.arange(-8.0, 0.0), np.exp((np.arange(-8.0, 0.0) + 3.3) ** 2)), 6)
    -3.3
    """
    place = int(np.nanargmin(losses))
    near = slice(max(place - FITTED, 0), place + FITTED + 1)
    kept = np.isfinite(losses[near])
    x, z = grid[near][kept].astype(float), np.log(losses[near][kept])
    if len(x) < 3:
        return float(grid[place])
    bend, slope, _ = np.polyfit(x - grid[place], z, 2)
    vertex = -slope / (2 * bend) if bend > 0 else 0.0
    return float(np.clip(grid[place] + vertex, x[0], x[-1]))
