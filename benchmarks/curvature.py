"""Curvature instruments beside their peers, in multiples of one eager gradient.

    python benchmarks/curvature.py [--only hvp] [--data-dir FOLDER]

writes ``benchmarks/results/curvature.json``, row by row. One process, one thread, processor time; every side is run as
its users run it, set-up included where a call has one (but for the product, whose set-up is given beside it). Errors
are against answers found independently: see `exact.py`. The rows:

    hvp        one product with the Hessian
    top5       the five largest eigenvalues, to a relative tolerance of 1e-3
    trace      exact, and by the peers' draws
    density    stochastic Lanczos quadrature; a ghost is a copy of the largest eigenvalue that is not in the spectrum
    tracking   sharpness along gradient descent, in products an evaluation
    gpu        one product for ResNet-18, on a CUDA device
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import wasserstein_distance

import exact
import flops
import gpu
import machine
import networks
import peers
from lemmata import curvature
from networks import Network
from tracking import Tracking
from turns import RESULTS, Row, Side, merge, show

EACH = "gradients"
BY_FLOPS = "matrix products, all that does not depend on the vector being kept"

# ---- one product -----------------------------------------------------------------------------------------------------


def hvp(cifar: Path | None) -> Iterator[Row]:
    for network, products, turns, bar in (
        (networks.mlp(), 20, 15, 1.15),
        (networks.resnet20(cifar).first(128), 3, 3, 1.9),
    ):
        makers = {
            "lemmata": gpu.our_product,
            peers.PYHESSIAN: peers.pyhessian_hvp,
            peers.CURVLINOPS: peers.curvlinops_hvp,
            peers.EIGENTHINGS: peers.eigenthings_hvp,
        }
        sides = [
            Side(name, set_up=partial(_repeated, maker, network, products), judge=gpu.way)
            for name, maker in makers.items()
        ]
        yield Row(
            f"Hessian-vector product, {network.name}", network.gradient, "gradients a product", sides,
            turns=turns, per=products, limit=flops.product(network), limit_reason=BY_FLOPS, bar=bar,
        )  # fmt: skip


def _repeated(make: Callable[[Network], Callable], network: Network, times: int) -> Callable[[], Any]:
    product = make(network)

    def run() -> Any:
        return [product() for _ in range(times)][-1]

    return run


# ---- the largest eigenvalues -----------------------------------------------------------------------------------------


def top5(cifar: Path | None) -> Iterator[Row]:
    cases = (
        (networks.digits_mlp(), 3, None),
        (networks.mlp(), 3, 55.0),
        (networks.resnet20(cifar).first(128), 1, 60.0),
    )
    for network, turns, bar in cases:
        right = exact.largest(network, 5)
        judge = partial(_eigenvalue_error, right)
        calls = {
            peers.PYHESSIAN: partial(peers.pyhessian_largest, network, 5, 1e-3),
            f"{peers.CURVLINOPS} and eigsh": partial(peers.curvlinops_largest, network, 5, 1e-3),
            f"{peers.EIGENTHINGS}, default": partial(peers.eigenthings_largest, network, 5, None),
            f"{peers.EIGENTHINGS}, 30 steps": partial(peers.eigenthings_largest, network, 5, 30),
        }
        ours = Side("lemmata", partial(_our_top5, network), partial(_our_eigenvalues, network, right))
        sides = [ours, *(Side(name, call, judge) for name, call in calls.items())]
        yield Row(
            f"five largest eigenvalues, {network.name}", network.gradient, EACH, sides, turns=turns, bar=bar,
            facts={"exact": right.tolist()},
        )  # fmt: skip


def _our_top5(network: Network) -> Any:
    return curvature.top_eigenvalues(network.subject(), k=5, tolerance=1e-3, seed=0)


def _our_eigenvalues(network: Network, right: np.ndarray, found: Any) -> dict[str, Any]:
    values = np.asarray(found.value)
    return {
        **_eigenvalue_error(right, values),
        "largest residual / largest eigenvalue": float(np.max(np.asarray(found.residuals)) / abs(values[0])),
        "products": found.products,
        "flop limit of so many products": found.products * flops.product(network),
    }


def _eigenvalue_error(right: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    return {"largest relative error": float(np.max(np.abs(np.asarray(found) - right) / np.abs(right)))}


# ---- the trace -------------------------------------------------------------------------------------------------------


def trace(cifar: Path | None) -> Iterator[Row]:
    cases = (
        (networks.digits_mlp(), 100, 3, None),
        (networks.mlp(), 64, 3, 5.0),
        (networks.resnet20(cifar).first(64), 16, 1, 18.0),
    )
    for network, draws, turns, bar in cases:
        right = exact.trace(network)
        judge = partial(_trace_error, network, right, draws)
        calls = {
            peers.PYHESSIAN: partial(peers.pyhessian_trace, network, draws),
            peers.CURVLINOPS: partial(peers.curvlinops_trace, network, draws),
            peers.EIGENTHINGS: partial(peers.eigenthings_trace, network, draws),
        }
        ours = Side(
            "lemmata, exact", partial(curvature.trace, network.subject(), method="exact"),
            lambda found, right=right: {"relative error": abs(float(found.value) - right) / right},
        )  # fmt: skip
        sides = [ours, *(Side(f"{name}, {draws} draws", call, judge) for name, call in calls.items())]
        yield Row(
            f"trace, {network.name}", network.gradient, EACH, sides, turns=turns, bar=bar, limit=flops.trace(network),
            limit_reason="a forward pass, and a backward pass for each of ten classes but one", facts={"exact": right},
        )  # fmt: skip


def _trace_error(network: Network, right: float, draws: int, found: tuple[float, float | None]) -> dict[str, Any]:
    value, stderr = found
    facts = {"relative error": abs(value - right) / right}
    if stderr is not None:
        needed = (stderr / right / 0.01) ** 2 * draws
        facts["relative standard error"] = stderr / right
        facts["flop limit of an error of 1 %"] = needed * flops.product(network)
    return facts


# ---- the density -----------------------------------------------------------------------------------------------------


def density(_cifar: Path | None) -> Iterator[Row]:
    for network, steps, probes, turns, bar in (
        (networks.digits_mlp(), 60, 8, 3, 450.0), (networks.mlp(), 40, 4, 3, 250.0),
    ):  # fmt: skip
        spectrum = torch.linalg.eigvalsh(exact.hessian(network)).numpy() if network.size <= 3000 else None
        top = float(exact.largest(network, 1)[0])
        judge = partial(_quadrature_error, top, spectrum)
        calls = {
            peers.PYHESSIAN: partial(peers.pyhessian_density, network, steps, probes),
            f"{peers.PYHESSIAN}, torch.eig put back": partial(peers.pyhessian_density_mended, network, steps, probes),
            peers.EIGENTHINGS: partial(peers.eigenthings_density, network, steps, probes),
        }
        hidden = partial(peers.curvlinops_nodes, network, steps, probes)
        sides = [
            Side("lemmata", partial(_our_density, network, steps, probes), judge),
            *(Side(name, call, judge) for name, call in calls.items()),
            Side(
                peers.CURVLINOPS, partial(peers.curvlinops_density, network, steps, probes),
                lambda _, judge=judge, hidden=hidden: judge(hidden()),
            ),
        ]  # fmt: skip
        yield Row(
            f"density, {steps} steps x {probes} probes, {network.name}", network.gradient, EACH, sides, turns=turns,
            bar=bar, limit=steps * probes * flops.product(network), limit_reason=f"{steps * probes} products by flops",
        )  # fmt: skip


def _our_density(network: Network, steps: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
    found = curvature.spectral_density(network.subject(), steps=steps, probes=probes, seed=0)
    return np.asarray(found.nodes), np.asarray(found.weights)


def _quadrature_error(top: float, spectrum: np.ndarray | None, found: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """Ghosts a run: nodes at the largest eigenvalue, to 0.1 %, beyond the first. Distance: mean transport cost."""
    nodes, weights = (np.asarray(part, dtype=float) for part in found)
    facts = {"ghosts a run": float(np.maximum((np.abs(nodes - top) < 1e-3 * top).sum(1) - 1, 0).mean())}
    if spectrum is not None:
        distance = wasserstein_distance(nodes.ravel(), spectrum, weights.ravel())
        facts["Wasserstein distance / largest eigenvalue"] = float(distance / top)
    return facts


ROWS: dict[str, Callable[[Path | None], Iterator[Row | Tracking]]] = {
    "hvp": hvp, "top5": top5, "trace": trace, "density": density, "tracking": lambda _: iter([Tracking()]),
    "gpu": gpu.rows,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-10 lies; without it, images of its shape")
    parser.add_argument("--output", type=Path, default=RESULTS / "curvature.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    peers.load()
    facts, done = machine.facts(), []
    for name in options.only:
        for row in ROWS[name](options.data_dir):
            done.append(row.measure(note=print))
            merge(options.output, done[-1], facts)
    show(done)


if __name__ == "__main__":
    main()
