"""Bounds of networks beside auto_LiRPA, and norms of convolutions beside dense and Fourier decompositions; one process.

    python benchmarks/linear_bounds.py [--only crown] [--output FILE]

writes ``benchmarks/results/linear_bounds.json``, row by row. One thread, processor time. The rows:

    intervals, crown-ibp, crown    bounds of all logits of 20 digits at eps 0.02 (linf), on a perceptron and a
                                   convolutional network trained briefly. The unit is a forward pass of the 20 digits;
                                   auto_LiRPA 0.3 computes in float32, lemmata in both precisions, rounding included
    norm                           of a 3 x 3 convolution; the unit is a product with T and one with T^T

auto_LiRPA runs in the environment that ``benchmarks/peers/auto_lirpa.md`` describes; elsewhere its side is "crashed".
"""

import argparse
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import machine
from lemmata import data, nets
from lemmata.linalg import convolution_norm
from lemmata.robustness.linear_bounds import LogitBounds, crown, interval_bounds
from lemmata.robustness.linear_bounds.ball import Ball
from lemmata.robustness.linear_bounds.forward import propagate
from lemmata.robustness.linear_bounds.tracing import trace
from turns import RESULTS, Row, Side, merge, show

EPS, IMAGES, PEER = 0.02, 20, "auto_LiRPA 0.3"


@cache
def digits() -> tuple[Tensor, Tensor]:
    loaded = data.load("mnist-5k")
    order = torch.randperm(len(loaded.x), generator=torch.Generator().manual_seed(0))
    return loaded.x[order].reshape(-1, 1, 28, 28), loaded.y[order]


@cache
def network(name: str) -> nn.Sequential:
    """Trained for 300 batches of 128 digits."""
    if name == "perceptron 784-100-100-10":
        model = nets.mlp(784, [100, 100], 10, seed=0)
    else:
        model = nets.convnet(8, image=(1, 28, 28), hidden=64, seed=0)
    (x, y), optimiser = digits(), torch.optim.Adam(model.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(300):
        rows = torch.randint(4000, (128,), generator=generator)
        optimiser.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()
        optimiser.step()
    return model.eval().requires_grad_(False)


NETWORKS = ("perceptron 784-100-100-10", "convolutional, 5x5/2 x 8, 3x3/2 x 16, 64, 10")


def bounds(method: str) -> Iterator[Row]:
    for name in NETWORKS:
        model, x = network(name), digits()[0][4000 : 4000 + IMAGES]
        ours = {"intervals": interval_bounds, "crown-ibp": partial(crown, intermediate="interval"), "crown": crown}
        call, peer = ours[method], {"intervals": "IBP", "crown-ibp": "CROWN-IBP", "crown": "CROWN"}[method]
        single, double = torch.float32, torch.float64
        sides = [
            Side("lemmata, float32", judge=width, set_up=partial(ours_traced, call, model, x, single)),
            Side("lemmata, float64", judge=width, set_up=partial(ours_traced, call, model, x, double)),
            Side("lemmata, float64, from the module", partial(call, model, x, EPS), width),
            Side(PEER, judge=width, set_up=partial(theirs, model, x, peer)),
        ]
        yield Row(
            f"{method}, {name}", partial(model, x), "forward passes of the 20 digits", sides, turns=3,
            limit=flop_limit(model, x, method), limit_reason="operations of its products, in forward passes",
        )  # fmt: skip


def width(found: LogitBounds) -> dict[str, Any]:
    return {"mean width": float(found.width.double().mean())}


def ours_traced(
    call: Callable[..., LogitBounds], model: nn.Module, x: Tensor, dtype: torch.dtype
) -> Callable[[], LogitBounds]:
    return partial(call, trace(model, x.shape[1:], dtype), x, EPS, dtype=dtype)


def theirs(model: nn.Module, x: Tensor, method: str) -> Callable[[], LogitBounds]:
    sys.path.insert(0, str(Path(__file__).parent / "peers"))
    warnings.simplefilter("ignore")
    import auto_lirpa  # noqa: F401 - lets the next line succeed
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm

    bounded = BoundedModule(model, x[:1].repeat(len(x), 1, 1, 1))
    low, high = (x - EPS).clamp(0, 1), (x + EPS).clamp(0, 1)
    ball = BoundedTensor(x, PerturbationLpNorm(norm=math.inf, x_L=low, x_U=high))

    def run() -> LogitBounds:
        with torch.no_grad():
            found = bounded.compute_bounds(x=(ball,), method=method)
        return LogitBounds(*found, torch.full((len(x),), EPS), "linf", method)

    return run


def flop_limit(model: nn.Module, x: Tensor, method: str) -> float:
    """2 forward passes for intervals; for lines 2 C, and for CROWN 2 an unsettled unit through what is before it."""
    if method == "intervals":
        return 2.0
    graph = trace(model, x.shape[1:], torch.float64)
    state = propagate(graph, Ball.of(x, EPS, "linf", (0, 1), torch.float64), "crown", 2**28)
    work, total = [0.0], 2.0 + 2 * graph.outputs
    for node in graph.nodes[1:]:
        weight = getattr(node.step, "weight", None)
        places = node.shape[1:].numel() if len(node.shape) > 1 else 1
        work.append(work[-1] + (0.0 if weight is None else weight.numel() * places))
    for node in graph.nodes[1:] if method == "crown" else ():
        if hasattr(node.step, "unsettled") and node.parents[0] not in graph.exact:
            count = node.step.unsettled(state.boxes[node.parents[0]]).flatten(1).sum(1).double().mean()
            total += 2 * float(count) * work[node.parents[0]] / work[-1]
    return total


def norms() -> Iterator[Row]:
    for ins, outs, side, stride in ((1, 8, 28, 1), (16, 16, 14, 1), (32, 64, 16, 2), (64, 64, 32, 1)):
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(outs, ins, 3, 3, generator=generator, dtype=torch.float64) / math.sqrt(9 * ins)
        small = ins * side * side <= 4000
        exact = float(np.linalg.norm(dense(weight, side, stride), 2)) if small else None
        best = convolution_norm(
            weight, (side, side), stride=stride, padding=1, way="factorisation" if small else "auto"
        )
        reference = exact or best.low

        def against(found: Any, reference: float = reference) -> dict[str, Any]:
            if isinstance(found, float):
                return {"relative to the norm": found / reference - 1}
            return {"low": found.low / reference - 1, "high": found.high / reference - 1, "way": found.way}

        call = partial(convolution_norm, weight, (side, side), stride=stride, padding=1)
        sides = [
            Side("lemmata", call, against),
            Side("lemmata, by the symbol", partial(call, way="symbol"), against),
            Side("kernel reshaped, svd", lambda w=weight: float(np.linalg.norm(w.flatten(1).numpy(), 2)), against),
        ]
        if stride == 1:
            sides.append(Side("circular, all frequencies, svd", partial(circular, weight, side), against))
        if small:
            sides.append(
                Side(
                    "dense matrix, svd",
                    lambda w=weight, n=side, s=stride: float(np.linalg.norm(dense(w, n, s), 2)),
                    against,
                    turns=1,
                )
            )
        yield Row(
            f"norm, 3x3, {ins} to {outs}, {side} x {side}, stride {stride}", partial(product, weight, side, stride),
            "products with T^T T", sides, turns=3, facts={"reference": "dense" if exact else "lower bound"},
        )  # fmt: skip


def product(weight: Tensor, side: int, stride: int) -> Tensor:
    x = torch.ones(1, weight.shape[1], side, side, dtype=torch.float64)
    y = nn.functional.conv2d(x, weight, stride=stride, padding=1)
    return torch.nn.grad.conv2d_input(x.shape, weight, y, stride=stride, padding=1)


def dense(weight: Tensor, side: int, stride: int) -> np.ndarray:
    eye = torch.eye(weight.shape[1] * side * side, dtype=torch.float64).reshape(-1, weight.shape[1], side, side)
    return nn.functional.conv2d(eye, weight, stride=stride, padding=1).flatten(1).numpy()


def circular(weight: Tensor, side: int) -> float:
    """Sedghi, Gupta and Long (2019): the norm of the circular convolution, which is not that with zeros padded."""
    transforms = np.fft.fft2(weight.numpy(), (side, side), axes=(2, 3))
    return float(np.linalg.svd(transforms.transpose(2, 3, 0, 1), compute_uv=False).max())


GROUPS = {
    "intervals": partial(bounds, "intervals"),
    "crown-ibp": partial(bounds, "crown-ibp"),
    "crown": partial(bounds, "crown"),
    "norm": norms,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(GROUPS), help="measure this group alone")
    parser.add_argument("--output", type=Path, default=RESULTS / "linear_bounds.json", help="the JSON to merge into")
    given = parser.parse_args()
    torch.set_num_threads(1)
    facts, rows = machine.facts(), []
    for name, group in GROUPS.items():
        if given.only in (None, name):
            for row in group():
                rows.append(row.measure(note=print))
                merge(given.output, rows[-1], facts)
    show(rows)


if __name__ == "__main__":
    main()
