"""One Hessian product of ResNet-18 on a CUDA device, in gradients: the setting of curvlinops' own benchmark.

ResNet-18 for images of 32x32 pixels (He et al., 2016: four stages of two blocks with 64, 128, 256 and 512 channels),
128 images. Published by curvlinops for its eager product 7.87 gradients, and for its compiled one 2.25 compiled
gradients, on their machine.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flops
import peers
from lemmata import curvature
from lemmata.nets.resnet import Block
from networks import Network, blobs
from turns import Row, Side

PUBLISHED = "eager 7.87, compiled 2.25 compiled gradients"
PRODUCTS = 20


def rows(_cifar: Path | None) -> Iterator[Row]:
    """One row where there is a device, else none."""
    if not torch.cuda.is_available():
        return
    x, y = (part[:128].cuda() for part in blobs(128))
    network = Network("ResNet-18, batch 128", resnet18().cuda().eval(), x, y)
    makers = {
        "lemmata": our_product,
        peers.PYHESSIAN: peers.pyhessian_hvp,
        peers.CURVLINOPS: peers.curvlinops_hvp,
        peers.EIGENTHINGS: peers.eigenthings_hvp,
    }
    sides = [Side(name, set_up=partial(_repeated, maker, network), judge=way) for name, maker in makers.items()]
    yield Row(
        f"Hessian-vector product on CUDA, {network.name}", partial(_finished, network.gradient), "gradients a product",
        sides, turns=5, per=PRODUCTS, clock=time.perf_counter, limit=flops.product(network),
        limit_reason="matrix products", bar=2.25,
        facts={"device": torch.cuda.get_device_name(), "published by curvlinops": PUBLISHED},
    )  # fmt: skip


def resnet18(outputs: int = 10) -> nn.Sequential:
    """ResNet-18 for small images, untrained: the time of a product does not depend on the weights."""
    torch.manual_seed(0)
    stages, channels = [], 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        stages += [Block(channels, width, stride, True, torch.float32), Block(width, width, 1, True, torch.float32)]
        channels = width
    stem = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    net = nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, outputs))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return net


def our_product(network: Network) -> Callable[[], Any]:
    """The operator as a spectrum would use it: many products wanted."""
    H = curvature.hessian(network.subject(), products=1000, memory=2**34 if network.x.is_cuda else 2**30)
    v = torch.randn(network.size, device=network.x.device)

    def product() -> str:
        H @ v
        return H.way.name

    return product


def way(name: str | None) -> dict[str, str]:
    """How the last product was done, where that is told."""
    return {"way": name} if isinstance(name, str) else {}


def _finished(call: Callable[[], Any]) -> None:
    call()
    torch.cuda.synchronize()


def _repeated(make: Callable[[Network], Callable], network: Network) -> Callable[[], Any]:
    product = make(network)
    _finished(product)  # the first one loads kernels

    def run() -> Any:
        answers = [product() for _ in range(PRODUCTS)]
        torch.cuda.synchronize()
        return answers[-1]

    return run
