r"""Kernels of infinitely wide fully-connected networks: the Gaussian process (NNGP) and the tangent kernel (NTK).

    NNGP(x, z) = E f(x) f(z)                          over initialisations, as widths grow to infinity
    NTK(x, z) = lim <df(x)/dtheta, df(z)/dtheta>      what gradient descent on a wide network regresses with

for one output of the network that `FullyConnected` describes; several outputs are independent and have the same kernel.
Whatever the dtype of the samples, values are computed in float64 and rounded once, and rectifiers carry 1 - cos instead
of cos (`pairs`), where float64 alone would keep eight digits. So a float32 matrix is positive semidefinite up to the
rounding of its entries, even where samples almost coincide.

Cost: n m / 2 entries where z is x. Homogeneous networks (a rectifier, no bias) take one product of matrices and about
60 operations an entry, whatever the depth (`profile`); the others about 60 elementwise operations an entry and layer.

Fails: far beyond the paper's limit, depth against width, no finite network is like its kernel; a kernel whose values
overflow the dtype (a weight variance of 2 with absolute values doubles the variance in each layer) becomes infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_devices
from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.profile import Profile, Which, is_homogeneous, profile
from lemmata.kernels.analytic.progress import Progress, identity
from lemmata.kernels.analytic.rectifier import Rectifier
from lemmata.kernels.analytic.samples import Samples, check
from lemmata.kernels.analytic.tiles import Compute, allocate, fill, tiles
from lemmata.kernels.analytic.workers import by_compiled_layers, by_compiled_profile, by_layers, by_profile
from lemmata.kernels.kernel_matrix import KernelMatrix

Devices = Sequence[str | torch.device]
_OPERATIONS = 60  # an entry by a series of some 16 terms
_OPERATIONS_A_LAYER = 60


def analytic_ntk(
    x: Tensor,
    z: Tensor | None = None,
    *,
    network: FullyConnected,
    out: str | Path | None = None,
    memory: int | None = None,
    threads: int | None = None,
    devices: Devices | None = None,
) -> KernelMatrix:
    """The neural tangent kernel of samples x (n, ...) and z (m, ...), by default x again; nothing is random.

    Values (n, m) have the samples' dtype (float32 or float64) and device. `out` is a path: the values are then a memory
    map in numpy's format, and a computation that was interrupted goes on where it stopped. `memory` is the number of
    bytes granted without a file, by default what is free. `threads` is the number of tiles computed at once on a CPU,
    by default torch's number of threads; `devices` spreads the tiles over several devices instead, each of which gets
    the samples. Cost: see the module. Source: Jacot, Gabriel, Hongler (2018), theorem 1.

    Raises `InvalidInput` for samples that are empty, not floating-point, not finite, or do not fit together, for a
    matrix that does not fit into `memory`, with what it would need, for devices that are not there, and for a network
    without biases that is deeper than 10,000 layers or whose kernel overflows float64.

    >>> x = torch.eye(2, dtype=torch.float64)
    >>> analytic_ntk(x, network=FullyConnected(depth=2)).values * torch.pi
    tensor([[6.2832, 1.0000],
            [1.0000, 6.2832]], dtype=torch.float64)
    """
    return _kernel(x, z, network, "ntk", out=out, memory=memory, threads=threads, devices=devices)


def analytic_nngp(
    x: Tensor,
    z: Tensor | None = None,
    *,
    network: FullyConnected,
    out: str | Path | None = None,
    memory: int | None = None,
    threads: int | None = None,
    devices: Devices | None = None,
) -> KernelMatrix:
    """The covariance of the network's output over its initialisations; arguments and errors as in `analytic_ntk`.

    Source: Lee, Bahri, Novak, Schoenholz, Pennington, Sohl-Dickstein (2018), equations 4 and 5.

    >>> x = torch.eye(2, dtype=torch.float64)
    >>> analytic_nngp(x, network=FullyConnected(depth=2)).values * torch.pi
    tensor([[3.1416, 1.0000],
            [1.0000, 3.1416]], dtype=torch.float64)
    """
    return _kernel(x, z, network, "nngp", out=out, memory=memory, threads=threads, devices=devices)


def _kernel(
    x: Tensor,
    z: Tensor | None,
    network: FullyConnected,
    which: Which,
    *,
    out: str | Path | None,
    memory: int | None,
    threads: int | None,
    devices: Devices | None,
) -> KernelMatrix:
    check(x, z)
    if not isinstance(network, FullyConnected):
        raise InvalidInput(f"network: a {type(network).__name__}; give FullyConnected(depth=...)")
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        raise InvalidInput(f"threads = {threads!r}; take a whole number, at least 1")
    places = [x.device] if devices is None else require_devices(devices)
    n, m, symmetric = len(x), len(x if z is None else z), z is None
    size = 256 if places[0].type == "cpu" else 2048
    copies = [(torch.get_num_threads() if threads is None else threads) if p.type == "cpu" else 1 for p in places]
    copies = copies if devices is None else [1] * len(places)
    spare = 16 * (n + (0 if symmetric else m)) * x[0].numel() + sum(copies) * 12 * 8 * size**2
    values = allocate((n, m), x, memory=memory, out=out, spare=spare)
    table = profile(network, which, x.dtype) if is_homogeneous(network) else None
    workers = [
        w for p, many in zip(places, copies, strict=True) for w in _workers(x, z, network, which, table, p, many)
    ]
    todo = tiles(n, m, size, symmetric=symmetric)
    progress = None
    if out is not None:
        progress = Progress(Path(out), identity(f"{network} {which} {size}", *(t for t in (x, z) if t is not None)))
        todo = progress.remaining(todo)
    fill(values, todo, workers[: max(1, len(todo))], symmetric=symmetric, progress=progress)
    if progress is not None:
        progress.finish()
    return KernelMatrix(
        values, f"{which}, depth {network.depth}", symmetric, way=_way(network, places, len(workers), table),
        flops=_flops(n, m, x[0].numel(), network, symmetric=symmetric, tabulated=table is not None),
    )  # fmt: skip


def _workers(  # noqa: PLR0917
    x: Tensor, z: Tensor | None, network: FullyConnected, which: Which, table: Profile | None, place: torch.device,
    many: int,
) -> list[Compute]:  # fmt: skip
    """So many workers on a device, which share the samples there."""
    left = Samples.of(x.to(place))
    right = left if z is None else Samples.of(z.to(place))
    if table is None and place.type == "cpu" and isinstance(network.dual, Rectifier):
        return [by_compiled_layers(left, right, network, which, x.dtype) for _ in range(many)]
    if table is None:
        return [by_layers(left, right, network, which) for _ in range(many)]
    alike = network.layer_norm and network.depth > 1
    sizes = [(s.variance > 0).double() if alike else s.variance for s in (left, right)]
    norms = (sizes[0] * table.size).sqrt(), (sizes[1] * table.size).sqrt()
    make = by_compiled_profile if place.type == "cpu" else by_profile
    return [make(left, right, norms, table.series, x.dtype) for _ in range(many)]


def _way(network: FullyConnected, places: Sequence[torch.device], workers: int, table: Profile | None) -> str:
    series = None if table is None else f"series of {len(table.series.near)} terms in the angle"
    how = series or "recursion over layers"
    if all(place.type == "cpu" for place in places):
        by = "numba" if isinstance(network.dual, Rectifier) else "torch"
        return f"{by}, {workers} thread{'s'[: workers > 1]}, {how}"
    return f"torch on {', '.join(map(str, places))}, {how}"


def _flops(n: int, m: int, d: int, network: FullyConnected, *, symmetric: bool, tabulated: bool) -> float:
    entries = n * (n + 1) / 2 if symmetric else n * m
    work = _OPERATIONS if tabulated else _OPERATIONS_A_LAYER * (network.depth - 1)
    return float(entries * (2 * d + work))
