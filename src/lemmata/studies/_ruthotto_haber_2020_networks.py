"""Convolutional networks of parabolic, hyperbolic, Hamiltonian and unrestricted blocks, trained on images."""

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import jvp, vjp
from torch.nn.functional import avg_pool2d

from lemmata import data, flows, nets
from lemmata.studies._disjoint_parts import apart
from lemmata.studies._ruthotto_haber_2020_propagation import STREAMS
from lemmata.study import Config, Measurements
from lemmata.training import Adam, Result, cosine, last_epoch, train
from lemmata.training.streams import derived

WEIGHTS, ORDERS, NOISE, SPLITS = 11, 12, 13, 14  # what streams are drawn for; two of splits
METHODS = {"parabolic": "forward-euler", "hyperbolic": "verlet", "hamiltonian": "verlet", "resnet": "forward-euler"}


class Network(Config):
    """An opening convolution, two blocks of layers with a connector of 1 x 1 convolutions after each, and a head."""

    kind: Literal["resnet", "parabolic", "hyperbolic", "hamiltonian"] = "resnet"
    source: Literal["mnist-5k", "cifar10"] = Field(
        default="mnist-5k", description="digits of 14 x 14 pixels, or photos"
    )
    omit: bool = Field(default=False, description="leave the blocks out of all networks but the residual one")
    n: int = Field(default=800, ge=50, description="images to train on")
    n_test: int = Field(default=416, ge=1, description="images to test on: twelve seeds share none")
    channels: int = Field(default=8, ge=2, description="of the first block; the second has twice as many")
    layers: int = Field(default=2, ge=1, description="in a block")
    step: float = Field(default=1.0, gt=0, description="h")
    gain: float = Field(default=0.5, gt=0, description="factor of the blocks' initial weights")
    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=50, ge=1)
    lr: float = Field(default=0.01, gt=0, description="step size of Adam, falling as a cosine")
    looked_at: int = Field(default=4, ge=1, description="digits at which the blocks are linearised")
    finer: bool = Field(default=True, description="blocks are linearised with steps so short that h |K|^2 is at most 2")


class Halves(nn.Module):
    """A flow of pairs on the two halves of the channels."""

    def __init__(self, flow: flows.Flow):
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor) -> Tensor:
        """Give the halves, moved."""
        return torch.cat(self.flow(x.chunk(2, 1)), 1)


def block(config: Network, channels: int, draw: torch.Generator) -> nn.Module:
    """The layers of a block: h F added to the features, or leapfrog steps, so many times."""
    if without(config):
        return nn.Identity()
    basis = flows.PiecewiseConstant(config.layers, T=config.step * config.layers)
    options: dict[str, Any] = {"activation": "relu", "gain": config.gain, "seed": draw}
    if config.kind == "hamiltonian":
        field: flows.Layer = flows.Hamiltonian(flows.Convolution(channels // 2), basis, two=True, **options)
    else:
        layer: Any = {"resnet": flows.TwoLayer, "parabolic": flows.Parabolic, "hyperbolic": flows.Hyperbolic}
        field = layer[config.kind](flows.Convolution(channels), basis, **options)
    flow = flows.Flow(field, steps=config.layers, method=METHODS[config.kind])
    return Halves(flow) if config.kind == "hamiltonian" else flow


def network(config: Network, seed: int) -> nn.Sequential:
    """The whole network, its weights drawn from the seed alone."""
    draw = torch.Generator().manual_seed(seed)
    c = config.channels
    net = nn.Sequential(
        nn.Conv2d(3 if config.source == "cifar10" else 1, c, 3, stride=2, padding=1), nn.ReLU(),
        block(config, c, draw), nn.Conv2d(c, 2 * c, 1), nn.ReLU(),
        nn.AvgPool2d(2), block(config, 2 * c, draw), nn.Conv2d(2 * c, 4 * c, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(16 * c, 10),
    )  # fmt: skip
    nets.initialise(net, "he", draw)
    return net


def without(config: Network) -> bool:
    """Tell whether the blocks are left out."""
    return config.omit and config.kind != "resnet"


def trained(configs: Sequence[Network]) -> list[Measurements]:
    """Train the networks of a block, once each however they are looked at, and measure them."""
    measured: dict[int, Measurements] = {}
    for omitted in sorted({without(config) for config in configs}):
        places = [i for i, config in enumerate(configs) if without(config) == omitted]
        measured |= dict(zip(places, _trained([configs[i] for i in places]), strict=True))
    return [measured[i] for i in range(len(configs))]


def _trained(configs: Sequence[Network]) -> list[Measurements]:
    """Train a network of each seed, all at once, and measure errors and how much the blocks amplify."""
    seeds = tuple(sorted({config.seed + STREAMS for config in configs}))
    kind = "parabolic" if without(configs[0]) else configs[0].kind  # without blocks all kinds are one network
    shared = {"seed": 0, "finer": True, "looked_at": 1, "kind": kind}
    found, x_test, y_test = _taught(configs[0].model_copy(update=shared), seeds)  # type: ignore[arg-type]
    places = [seeds.index(config.seed + STREAMS) for config in configs]
    return [_measured(config, found, i, x_test[i], y_test[i]) for config, i in zip(configs, places, strict=True)]


@lru_cache(maxsize=2)
def _taught(setting: Network, seeds: tuple[int, ...]) -> tuple[Result, Tensor, Tensor]:
    """The networks of all seeds, trained, and what each is tested on."""
    x, y = _images(setting.source)

    def draw(seed: int, use: int) -> int:
        return derived([seed], SPLITS + use)[0]

    rows = [apart(len(x), setting.n, setting.n_test, seed, draw) for seed in seeds]
    seen, held = (torch.stack(part) for part in zip(*rows, strict=True))
    models = [network(setting, seed) for seed in derived(seeds, WEIGHTS)]
    found = train(
        models, x[seen], y[seen], optimiser=Adam(lr=setting.lr), schedule=cosine(), batch_size=setting.batch,
        epochs=setting.epochs, seeds=derived(seeds, ORDERS), train_at=last_epoch,
    )  # fmt: skip
    return found, x[held], y[held]


def _measured(config: Network, found: Result, i: int, x: Tensor, y: Tensor) -> Measurements:
    if bool(found.diverged[i]):
        return Measurements(status="diverged")
    model = found.model(i).eval()
    draw = torch.Generator().manual_seed(derived([config.seed + STREAMS], NOISE)[0])
    noisy = x + 0.3 * torch.randn(x.shape, generator=draw)
    with torch.no_grad():
        measured = {
            "train_error": found.final["train_error"][i], "test_error": _error(model, x, y),
            "noisy_error": _error(model, noisy, y),
            "weights": sum(p.numel() for p in model.parameters()),
        }  # fmt: skip
        measured |= _blocks(config, model, x[: config.looked_at], draw)
    return Measurements.of(**measured)


def _error(model: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((model(x).argmax(1) != y).double().mean())


def _blocks(config: Network, model: nn.Module, x: Tensor, draw: torch.Generator) -> dict[str, float]:
    """How much the blocks stretch a change of their input, and the largest h |K|^2 of their layers, as trained."""
    stretched: list[float] = []
    limits: list[float] = []
    for part in model.children():
        if isinstance(part, flows.Flow | Halves):
            flow = part.flow if isinstance(part, Halves) else part
            limits.append(step_norm(flow, x.shape[-1], draw))
            finer = max(1, math.ceil(limits[-1] / 2)) if config.finer else 1
            as_looked_at = flows.Flow(flow.field, steps=finer * config.layers, method=flow.method)
            seen = Halves(as_looked_at) if isinstance(part, Halves) else as_looked_at
            stretched.append(float(stretch(seen, x, draw).max()))
        x = part(x)
    return {"amplification": max(stretched, default=1.0), "step_norm": max(limits, default=0.0)}


def step_norm(flow: flows.Flow, pixels: int, draw: torch.Generator, *, iterations: int = 60) -> float:
    """The largest h |K|^2 over a flow's layers, by power iteration and a twentieth added for what that may lack."""
    field: Any = flow.field
    largest = 0.0
    for K in field.coefficients["K"].unbind():
        v = torch.randn(1, field.linear.width, pixels, pixels, generator=draw)
        for _ in range(iterations):
            v = field.linear.adjoint(K, field.linear.apply(K, v / v.norm()))
        largest = max(largest, float(v.norm()))
    return 1.05 * flow.grid.h * largest


def stretch(part: nn.Module, x: Tensor, draw: torch.Generator, *, iterations: int = 8) -> Tensor:
    """The largest singular value of a block's derivative at each input, from below, by power iteration: (n,)."""
    v = torch.randn(x.shape, generator=draw, dtype=x.dtype)
    size = x.new_zeros(len(x))
    back = vjp(part, x)[1]
    for _ in range(iterations):
        v = v / v.flatten(1).norm(dim=1).clamp(min=1e-30).reshape(-1, 1, 1, 1)
        moved = jvp(part, (x,), (v,))[1]
        size = torch.maximum(size, moved.flatten(1).norm(dim=1))
        (v,) = back(moved)
    return size


@cache
def _images(source: str) -> tuple[Tensor, Tensor]:
    whole = data.load(source)
    if whole.x_test is None or whole.y_test is None:
        return avg_pool2d(whole.x.float(), 2), whole.y
    return torch.cat([whole.x, whole.x_test]).float(), torch.cat([whole.y, whole.y_test])
