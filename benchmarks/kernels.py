"""Kernels beside their peers, in float32 products of two 1000 x 1000 matrices, on one thread.

    python benchmarks/kernels.py [--only empirical] [--data-dir FOLDER]

writes ``benchmarks/results/kernels.json``, row by row, in the environment that `peers/README.md` describes; peers that
are not there are left out and named. One process, one thread, processor time. The unit is 2e9 flops at the rate of this
machine, measured beside every turn, so that a figure is also the time of the work in multiples of what the fastest
program could do with its flops, where a limit says how many there are. All sides get the same inputs, and what they
answer is held against ours: a side that disagrees fails. The rows:

    empirical    the tangent kernel of an MLP and of a small CNN, 200 samples, all pairs of 10 outputs
    analytic     the NTK of 5 layers of ReLU on 5,000 points
    cntk         CNTK with global average pooling on 8 x 8, 16 x 16 and 32 x 32 images, a pair
    rounding     errors of float32 and smallest eigenvalues, against float64; no times
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import kernel_peers as peers
import machine
from kernel_rounding import Rounding, images
from lemmata.kernels import FullyConnected, KernelMatrix, analytic_ntk
from lemmata.kernels.cntk import Convolutional, cntk
from lemmata.kernels.empirical import empirical_ntk
from turns import RESULTS, Row, Side, merge, show

UNIT_FLOPS = 2e9
UNIT_NAME = "products of two 1000 x 1000 matrices in float32"
AGREES = 1e-3  # of the largest entry: what float32 leaves of the textbook recursions


@cache
def _square() -> tuple[Tensor, Tensor]:
    return torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0)), torch.empty(1000, 1000)


def unit() -> None:
    """One product."""
    a, out = _square()
    torch.mm(a, a, out=out)


def off(right: Any, found: Any, where: tuple[slice, ...] = ()) -> dict[str, Any]:
    """The largest difference to the right answer, in units of its largest entry; it has to be small. Our way beside."""
    values = np.asarray(found.values if isinstance(found, KernelMatrix) else found, dtype=np.float64)[where]
    right = np.asarray(right, dtype=np.float64)
    error = float(np.abs(values - right).max() / np.abs(right).max())
    if not error <= AGREES:
        raise AssertionError(f"{error:.3g} off the others")
    return {"largest difference": error, **({"way": found.way} if isinstance(found, KernelMatrix) else {})}


def warmed(call: Callable[[], Any]) -> Callable[[], Callable[[], Any]]:
    """A set-up that makes the call once, so that what is compiled is compiled, as the peers' is."""

    def set_up() -> Callable[[], Any]:
        call()
        return call

    return set_up


# ---- empirical kernels -----------------------------------------------------------------------------------------------


def empirical(_: Path | None) -> Iterator[Row]:
    draw = torch.Generator().manual_seed(0)
    cases = (
        ("MLP 784-256-256-10", mlp(), torch.randn(200, 784, generator=draw), 7.8e9, 2.7, 8.4),
        ("CNN 32-32-pool-64 on 3x16x16", cnn(), torch.randn(200, 3, 16, 16, generator=draw), 279e9, 1.6, 13.8),
    )
    for name, model, x, bar, beyond_nt, beyond_ng in cases:
        right = empirical_ntk(model.double(), x.double()).values
        model.float()
        judge, limit = partial(off, right), empirical_ntk(model, x).flops / UNIT_FLOPS
        structured, default = "STRUCTURED_DERIVATIVES", "JACOBIAN_CONTRACTION"
        nt, ng = f"{peers.NEURAL_TANGENTS}, structured", peers.NNGEOMETRY
        sides = [
            Side("lemmata", judge=judge, set_up=warmed(lambda model=model, x=x: empirical_ntk(model, x).values)),
            Side(nt, judge=judge, set_up=partial(peers.neural_tangents_empirical, model, x, structured)),
            Side(
                f"{peers.NEURAL_TANGENTS}, default", judge=judge, turns=1,
                set_up=partial(peers.neural_tangents_empirical, model, x, default),
            ),
            Side(ng, partial(peers.nngeometry_empirical, model, x), judge, turns=2),
            Side("torch.func, Jacobians", partial(peers.jacobian_empirical, model, x), judge, turns=1),
        ]  # fmt: skip
        yield Row(
            f"empirical NTK, 200 samples, all pairs of outputs, {name}", unit, UNIT_NAME, sides, limit=limit,
            limit_reason="flops of the cheapest contraction of each layer and of the passes, half of a symmetric one",
            bar=bar / UNIT_FLOPS,
            facts={"times ours, at least": {nt: beyond_nt, ng: beyond_ng}},
        )  # fmt: skip


def mlp() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
        )  # fmt: skip


# ---- analytic kernels ------------------------------------------------------------------------------------------------


def analytic(_: Path | None) -> Iterator[Row]:
    depth, x = 5, torch.randn(5000, 100, generator=torch.Generator().manual_seed(0))
    network = FullyConnected(depth)
    rows = slice(0, 5000, 50)  # enough of it in float64
    right = analytic_ntk(x[rows].double(), x.double(), network=network).values
    judge = partial(off, right, where=(rows,))
    product = len(x) ** 2 * x.shape[1] / UNIT_FLOPS
    nt = f"{peers.NEURAL_TANGENTS}, compiled"
    yield Row(
        "analytic NTK, 5 layers, ReLU, 5,000 points of dimension 100", unit, UNIT_NAME,
        [
            Side("lemmata", judge=judge, set_up=warmed(lambda: analytic_ntk(x, network=network))),
            Side(nt, judge=judge, set_up=partial(peers.neural_tangents_ntk, x, depth)),
            Side("numpy", partial(peers.numpy_ntk, x, depth), judge),
            Side("torch", partial(peers.torch_ntk, x, depth), judge),
        ],
        limit=product, limit_reason="half of X X^T alone: the elementwise work of four layers comes on top",
        facts={"times ours, at least": {nt: 10.7, "numpy": 20.0}},
    )  # fmt: skip


# ---- convolutional kernels -------------------------------------------------------------------------------------------


LANES = 16  # images z: as many as a vector has lanes


def convolutional(cifar: Path | None) -> Iterator[Row]:
    nt = peers.NEURAL_TANGENTS
    cases = (
        (8, 5, {}), (16, 21, {}), (32, 5, {nt: 539.0, "torch": 25.0}), (32, 21, {nt: 566.0, "torch": 37.0}),
    )  # fmt: skip
    for side, convolutions, wanted in cases:
        many = 8 * (32 // side) ** 2  # images x, for calls that take long enough
        x = images(many + LANES, cifar, side)
        network = Convolutional(convolutions + 1, "average", train_first=True, train_last=True)
        right = cntk(x[:1].double(), x[-LANES : 1 - LANES].double(), network=network).values
        elements = side**4 * convolutions
        few = partial(off, right, where=(slice(1), slice(1)))
        yield Row(
            f"CNTK with average pooling, {side}x{side}, {convolutions} convolutions, a pair", unit, UNIT_NAME,
            [
                Side("lemmata", judge=few, set_up=warmed(partial(_ours, x, network)), per=many * LANES),
                Side(
                    peers.NEURAL_TANGENTS, judge=few, turns=2,
                    set_up=partial(_scaled, peers.neural_tangents_cntk, x, convolutions),
                ),
                Side("torch", _scaled(lambda *a: partial(peers.torch_cntk, *a), x, convolutions), few),
            ],
            limit=44 * elements / UNIT_FLOPS, limit_reason="44 flops an element and layer at the rate of a product",
            bar=0.6e-9 * 175e9 * elements / UNIT_FLOPS,
            facts={
                "the bar is": "0.6 ns an element and layer where a product runs at 175 GFLOP/s",
                **({"times ours, at least": wanted} if wanted else {}),
            },
        )  # fmt: skip


def _ours(x: Tensor, network: Convolutional) -> KernelMatrix:
    return cntk(x[:-LANES], x[-LANES:], network=network, threads=1)


def _scaled(make: Callable[..., Callable[[], Any]], x: Tensor, convolutions: int) -> Callable[[], Any]:
    """A peer's kernel of one pair in our scaling: it divides the first layer by its fan-in, and not the last ReLU."""
    run, scale = make(x[:1], x[-LANES : 1 - LANES], convolutions), x.shape[1] / 2
    return lambda: scale * np.asarray(run())


ROWS: dict[str, Callable[[Path | None], Iterator[Row | Rounding]]] = {
    "empirical": empirical, "analytic": analytic, "cntk": convolutional,
    "rounding": lambda cifar: iter(Rounding.all(cifar)),
}  # fmt: skip


def without(missing: list[str], row: Row | Rounding) -> Row | Rounding:
    """The row without the sides of peers that are not installed."""
    gone = tuple(missing)
    if isinstance(row, Rounding):
        return replace(row, sides={name: make for name, make in row.sides.items() if not name.startswith(gone)})
    return replace(row, sides=[side for side in row.sides if not side.name.startswith(gone)])


def beside_ours(row: dict[str, Any]) -> dict[str, Any]:
    """The row with every side's time in multiples of ours: of the medians, and the range over turns."""
    ours = row["sides"]["lemmata"]
    for side in row["sides"].values():
        if side is not ours and "turns" in side and "turns" in ours:
            ratios = [theirs / mine for theirs, mine in zip(side["turns"], ours["turns"], strict=False)]
            side["times ours"] = side["median"] / ours["median"]
            side["times ours, over turns"] = [min(ratios), max(ratios)]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 lies; without it, smooth images of its shape")
    parser.add_argument("--output", type=Path, default=RESULTS / "kernels.json")
    options = parser.parse_args()
    missing = peers.load()
    torch.set_num_threads(1)
    print("not there, and left out: " + (", ".join(missing) or "none"))
    facts, done = {**machine.facts(), "numpy": np.__version__}, []
    for name in options.only:
        for row in ROWS[name](options.data_dir):
            done.append(beside_ours(without(missing, row).measure(note=print)))
            merge(options.output, done[-1], facts)
    show(done)


if __name__ == "__main__":
    main()
