"""A 25x25 loss surface of a ResNet-20 beside its peers, in forward passes a point.

    python benchmarks/landscape.py [--data-dir FOLDER]

writes ``benchmarks/results/landscape.json``. One process, one thread, processor time; the unit is one forward pass of
the batch, and a side's figure its whole time, for 625 points, in that unit and divided by 625. The limit of whoever
evaluates every point is therefore 1.

The surface is drawn in filter-normalised random directions around the trained weights. Errors are against the dense
surface in the same directions: the median and the 95th percentile over the points, in units of its range. The package
loss-landscapes draws its own directions and cannot be told others; what can be checked is whether its centre has the
loss of the model, and whether its directions are random.
"""

import argparse
import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import machine
import networks
import peers
from lemmata import landscape
from lemmata.landscape import Surface
from networks import Network
from turns import RESULTS, Row, Side, merge, show

POINTS, BATCH = 25, 32


def rows(cifar: Path | None) -> list[Row]:
    network = networks.resnet20(cifar).first(BATCH)
    dense = landscape.surface(network.subject(), points=POINTS, adaptive=False, seed=0)
    sides = [
        Side("lemmata", partial(landscape.surface, network.subject(), points=POINTS, seed=0), partial(_error, dense)),
        Side(
            "lemmata, every point",
            partial(landscape.surface, network.subject(), points=POINTS, adaptive=False, seed=0),
            partial(_error, dense),
        ),
        Side("a loop that sets the weights", partial(_loop, network, dense), partial(_off, dense)),
        Side(peers.LANDSCAPES, partial(peers.landscapes_surface, network, POINTS), partial(_centre, network)),
    ]
    return [
        Row(
            f"{POINTS}x{POINTS} surface, {network.name}", network.forward, "forward passes a point", sides, turns=1,
            per=POINTS**2, bar=0.27, limit=1.0, limit_reason="one pass a point, for whoever evaluates every point",
            facts={"smallest loss": float(dense.loss.min()), "largest loss": float(dense.loss.max())},
        )
    ]  # fmt: skip


def _error(dense: Surface, found: Surface) -> dict[str, Any]:
    """What is off, and whether the estimate of it is right."""
    inside = np.abs(found.loss - dense.loss) <= 2 * found.error + 1e-6 * np.abs(dense.loss)
    return {
        **_off(dense, found.loss),
        "points evaluated": found.evaluations,
        "share of errors within twice their estimate": float(inside.mean()),
    }


def _off(dense: Surface, loss: np.ndarray) -> dict[str, Any]:
    off = np.abs(loss - dense.loss) / np.ptp(dense.loss)
    logarithm = np.abs(np.log(loss) - np.log(dense.loss)) / np.ptp(np.log(dense.loss))
    return {
        "median error / range": float(np.median(off)),
        "95th percentile": float(np.quantile(off, 0.95)),
        "median error of the log-loss / its range": float(np.median(logarithm)),
    }


def _loop(network: Network, dense: Surface) -> np.ndarray:
    """What scripts do: for every point, set every weight to w + x d + y e and take the loss."""
    model = copy.deepcopy(network.model)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    first, second = dense.directions
    moved = Network(network.name, model, network.x, network.y)
    values = np.empty((len(dense.y), len(dense.x)))
    with torch.no_grad():
        for i, y in enumerate(dense.y.tolist()):
            for j, x in enumerate(dense.x.tolist()):
                for name, p in model.named_parameters():
                    p.copy_(weights[name] + x * first[name] + y * second[name])
                values[i, j] = moved.forward()
    return values


def _centre(network: Network, found: np.ndarray) -> dict[str, Any]:
    """How far the value in the middle is from the model's own loss."""
    own = network.forward()
    return {"off at the centre, relative": float(abs(found[POINTS // 2, POINTS // 2] - own) / own)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 lies; without it, images of its shape")
    parser.add_argument("--output", type=Path, default=RESULTS / "landscape.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    peers.load()
    facts, done = machine.facts(), []
    for row in rows(options.data_dir):
        done.append(row.measure(note=print))
        merge(options.output, done[-1], facts)
    show(done)


if __name__ == "__main__":
    main()
