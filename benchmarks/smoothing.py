"""Randomised smoothing beside the loop of Cohen et al.'s repository, in forward passes of 1,000 noisy digits.

    python benchmarks/smoothing.py [--only samples certificates] [--types float32 bfloat16]

writes ``benchmarks/results/smoothing.json``. One process, one thread, processor time; both sides classify with the same
network of 421,642 parameters (two convolutions of 32 and 64 channels, pooled, and 128 hidden units), trained here for
half a minute on 4,000 digits of mnist-5k under the noise that it is certified with, sigma = 0.5. Nothing is stored of
it. The rows:

    samples        a thousand noisy copies drawn, classified and counted: 20 images' in ours, one image's in the loop
    certificates   the certificate of one image, alpha = 0.001: the loop's 100 + 100,000 copies (timed on 1 in 25 of
                   them), ours for all 80 digits, set-up included, over 80: at one radius, 2 sigma, and at six

Each in float32, and in bfloat16 on both sides. The unit is a pass of the float32 network on 1,000 rows, as it is.
"""

import argparse
import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import flops
import locuslab
import machine
from lemmata import data
from lemmata.robustness import Certificates, Gaussian, Votes, certify
from networks import Network
from turns import RESULTS, Row, Side, merge, show

SIGMA, ALPHA = 0.5, 0.001
SIX = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
DIGITS = 80
EPOCHS = 12
PART = 25  # the loop is timed on one in so many of its copies
UNIT = "passes of 1,000 rows"
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def samples(types: Sequence[str]) -> Iterator[Row]:
    network = trained()
    x = digits()[0]
    for name in types:
        bar = {"float32": 5.0, "bfloat16": 8.0}[name]
        model = in_type(name)
        smooth = locuslab.Smooth(model, 10, SIGMA)
        ours = partial(_counted, Votes(model, x[:20], Gaussian(SIGMA)))
        sides = [
            Side("lemmata", ours, _speed, per=20),
            Side(locuslab.NAME, partial(smooth.sample_noise, x[:1].to(TYPES[name]), 5000), per=5),
        ]
        if name == "bfloat16":
            float32 = locuslab.Smooth(network.model, 10, SIGMA)
            sides.append(Side(f"{locuslab.NAME}, float32", partial(float32.sample_noise, x[:1], 5000), per=5))
        yield Row(
            f"1,000 samples, {name}", network.forward, UNIT, sides, turns=7, bar=1 / bar, limit=_limit(network, name),
            limit_reason=f"the products of 1,000 forward passes at the {name} peak of a large product",
            facts={"bar": f"1 / {bar:g} of the loop"},
        )  # fmt: skip


def certificates(types: Sequence[str]) -> Iterator[Row]:
    network = trained()
    x, y = digits()
    for name in types:
        dtype, model = TYPES[name], in_type(name)
        smooth = locuslab.Smooth(model, 10, SIGMA)
        loop = Side(
            locuslab.NAME, partial(smooth.certify, x[:1].to(dtype), 100 // PART, 100_000 // PART, ALPHA),
            per=1 / PART, turns=3,
        )  # fmt: skip
        for what, radii, bar in (("one radius, 2 sigma", [2 * SIGMA], 100), ("six radii", SIX, 20)):
            ours = partial(certify, model, x, y, sigma=SIGMA, alpha=ALPHA, radii=radii)
            yield Row(
                f"a certificate at {what}, {name}", network.forward, UNIT,
                [Side("lemmata", ours, partial(_certified, radii), per=DIGITS, turns=1), loop], turns=3,
                facts={"bar": f"1 / {bar} of the loop", "radii": radii},
            )  # fmt: skip


def _counted(votes: Votes) -> Votes:
    votes.count(range(20), 1000)
    return votes


def _speed(votes: Votes) -> dict[str, Any]:
    return {"way": votes.way.format, "rows at once": votes.way.batch, "forward alone, us a row": votes.way.microseconds}


def _certified(radii: list[float], found: Certificates) -> dict[str, Any]:
    samples = found.samples
    assert samples is not None
    return {
        "mean samples": float(samples.double().mean()),
        "median samples": float(samples.double().median()),
        **{f"certified accuracy at {r:g}": float((found.correct & (found.radius >= r)).double().mean()) for r in radii},
    }


def _limit(network: Network, name: str) -> float:
    """The flops of a pass at the peak of the type, in passes as they are."""
    return flops.forward(network) / machine.peak(dtype=TYPES[name]) / network_seconds()


@cache
def network_seconds() -> float:
    """The time of one unit, for the limit alone: the best of five."""
    times = []
    for _ in range(6):
        start = machine.clock()
        trained().forward()
        times.append(machine.clock() - start)
    return min(times[1:])


@cache
def trained() -> Network:
    """The network, with 1,000 noisy digits as its batch."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    x, y = split()[0]
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(EPOCHS):
        if epoch == EPOCHS - 3:
            optimiser.param_groups[0]["lr"] = 2e-4
        for rows in torch.randperm(len(x), generator=generator).split(50):
            noisy = x[rows] + SIGMA * torch.randn(x[rows].shape, generator=generator)
            optimiser.zero_grad()
            cross_entropy(model(noisy.contiguous(memory_format=torch.channels_last)), y[rows]).backward()
            optimiser.step()
    model = model.to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    x, y = (part[:1000] for part in split()[1])
    return Network("MNIST conv net", model, x + SIGMA * torch.randn(x.shape, generator=generator), y)


def in_type(name: str) -> nn.Module:
    """The network in another type: a classifier of its own."""
    return copy.deepcopy(trained().model).to(TYPES[name])


def digits() -> tuple[Tensor, Tensor]:
    """The digits that are certified, none of which was trained on."""
    x, y = split()[1]
    return x[:DIGITS], y[:DIGITS]


@cache
def split() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    found = data.load("mnist-5k")
    order = torch.randperm(len(found.x), generator=torch.Generator().manual_seed(0))
    x, y = found.x[order], found.y[order]
    return (x[:4000], y[:4000]), (x[4000:], y[4000:])


ROWS: dict[str, Callable[[Sequence[str]], Iterator[Row]]] = {"samples": samples, "certificates": certificates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--types", choices=TYPES, nargs="+", default=list(TYPES))
    parser.add_argument("--output", type=Path, default=RESULTS / "smoothing.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clean, noisy = accuracy(split()[1][0][:1000]), accuracy(trained().x)
    print(f"trained: accuracy {clean:.3f} clean, {noisy:.3f} under noise")
    facts, done = {**machine.facts(), "accuracy": clean, "accuracy under noise": noisy}, []
    for name in options.only:
        for row in ROWS[name](options.types):
            done.append(row.measure(note=print))
            merge(options.output, done[-1], facts)
    show(done)


def accuracy(x: Tensor) -> float:
    """The share of the first 1,000 held-out digits, or noisy copies of them, that the network classifies rightly."""
    network = trained()
    with torch.no_grad():
        return float((network.model(x).argmax(1) == network.y).double().mean())


if __name__ == "__main__":
    main()
