"""Deep networks with and without shortcuts, trained alike on small images, and how convex the loss around them is.

A member is one network. Members that differ in their seed only are trained in one call; the surface is that of each.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from lemmata import data, nets, training
from lemmata.data.preprocessing import whiten
from lemmata.landscape import surface
from lemmata.studies._li_2018_convexity import violations
from lemmata.studies._streams import Streams
from lemmata.study import Config, Measurements

STREAMS = Streams("split", "weights", "batches", "directions")
SIDE = 32  # the side of the images before they are averaged over blocks


class Depth(Config):
    """One residual or plain network, and the plane its loss is drawn on."""

    data: Literal["mnist-5k", "cifar10"] = "mnist-5k"
    n: int = Field(default=1000, ge=1, description="training images")
    n_test: int = Field(default=1000, ge=1)
    pool: int = Field(default=4, ge=1, description="side of the blocks of pixels of a 32x32 image that are averaged")
    depth: int = Field(default=32, ge=8, description="6 m + 2 layers")
    shortcuts: bool = True
    channels: int = Field(default=4, ge=1, description="of the first stage")
    epochs: int = Field(default=15, ge=1)
    batch: int = Field(default=100, ge=1)
    step_size: float = Field(default=0.1, gt=0, description="at first; it falls like half a cosine")
    weight_decay: float = Field(default=5e-4, ge=0)
    images: int = Field(default=100, ge=1, description="training images that the loss is drawn for")
    planes: int = Field(default=2, ge=1, description="random planes that convexity is averaged over")
    points: int = Field(default=11, ge=3, description="of each surface, along an axis")
    span: float = Field(default=1.0, gt=0, description="half the width of the plane")


def train_and_draw(configs: Sequence[Depth]) -> list[Measurements]:
    """Train the members at once, then evaluate the loss over the plane of each."""
    setting = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = data.load(setting.data)
    parts = [whole.split(setting.n, setting.n_test, seed=STREAMS.seed(c.seed, "split")) for c in configs]
    x, x_test = (torch.stack([images(t, setting.pool) for t in ts]).to(device)
                 for ts in ([p.x for p in parts], [p.x_test for p in parts]))  # fmt: skip
    y, y_test = (torch.stack(ts).to(device) for ts in ([p.y for p in parts], [p.y_test for p in parts]))  # type: ignore[arg-type]
    result = training.train(
        [_network(c).to(device) for c in configs], x, y, epochs=setting.epochs, batch_size=setting.batch,
        optimiser=training.SGD(lr=setting.step_size, momentum=0.9, nesterov=True, weight_decay=setting.weight_decay),
        schedule=training.cosine(), seeds=[STREAMS.seed(c.seed, "batches") for c in configs], train_at=at_end,
        probes={"test_error": training.Probe(x_test, y_test, metric="error", at=at_end)},
    )  # fmt: skip
    return [_measured(c, result, i, (x[i, : c.images], y[i, : c.images])) for i, c in enumerate(configs)]


def at_end(epochs: int) -> list[int]:
    """Measure after the last epoch only."""
    return [epochs]


def images(x: Tensor | None, pool: int) -> Tensor:
    """Images of three channels, padded to 32x32 and averaged over blocks, each standardised by itself."""
    assert x is not None
    edge = (SIDE - x.shape[-1]) // 2
    return whiten(avg_pool2d(pad(x, (edge,) * 4), pool)).expand(-1, 3, -1, -1).contiguous()


def _network(config: Depth) -> torch.nn.Module:
    seed = STREAMS.seed(config.seed, "weights")
    return nets.resnet(config.depth, shortcuts=config.shortcuts, channels=config.channels, seed=seed)


def _measured(config: Depth, result: training.Result, i: int, sample: tuple[Tensor, Tensor]) -> Measurements:
    final = {name: float(values[i]) for name, values in result.final.items()}
    if bool(result.diverged[i]):
        return Measurements(final, status="diverged")
    model = result.model(i).to(sample[0].device)
    seeds = np.random.SeedSequence(STREAMS.seed(config.seed, "directions")).generate_state(config.planes)
    drawn = [
        surface(
            (model, "cross_entropy", sample), points=config.points, span=config.span, adaptive=False, seed=int(seed)
        )
        for seed in seeds
    ]
    nonconvex, bumps = np.mean([violations(plane.loss) for plane in drawn], axis=0)
    scalars = {**final, "nonconvex": float(nonconvex), "bumps": float(bumps)}
    return Measurements(scalars, arrays={"axis": drawn[0].x, "surface": drawn[0].loss})
