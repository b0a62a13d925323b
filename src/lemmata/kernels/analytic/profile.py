r"""A kernel that is one function of the angle, tabulated once: its cost does not depend on the depth.

Where the network is positively homogeneous (a rectifier without biases) its kernels are

    k(x, z) = r(x) r(z) f(D),      D = 1 - cos(x, z)

with r(x) the square root of k(x, x). The recursion over layers is run once, at Chebyshev points, for f; a kernel matrix
is then one product of matrices and one short series an entry: of 16 terms at depth 5 for float32, 20 at depth 20, 44
at depth 100; for float64 24, 32 and 68.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from lemmata.errors import InvalidInput
from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Deficit, Pairs
from lemmata.kernels.analytic.rectifier import Rectifier
from lemmata.kernels.analytic.recursion import through_layers
from lemmata.kernels.analytic.series import Series, fitted

Which = Literal["ntk", "nngp"]
DEEPEST = 10_000  # the time of a table grows as depth^1.5, to half a minute here


@dataclass(frozen=True, eq=False)
class Profile:
    """f as a series; k(x, x) = `size` r^2 for an input of variance r^2."""

    series: Series
    size: float


def is_homogeneous(network: FullyConnected) -> bool:
    """Whether the network's kernels are norms times one function of the angle."""
    mixed = network.residual and network.layer_norm and network.depth > 2
    return isinstance(network.dual, Rectifier) and network.bias_variance == 0 and not mixed


def profile(network: FullyConnected, which: Which, dtype: torch.dtype) -> Profile:
    """Tabulate the kernel of a homogeneous network for values in `dtype`.

    Raises `InvalidInput` beyond `DEEPEST` layers, and where the variances leave float64 on their way through them.

    >>> f = profile(FullyConnected(depth=2), "nngp", torch.float64).series
    >>> round(f(torch.tensor([1.0], dtype=torch.float64)).item() * torch.pi, 12)     # of orthogonal inputs: 1 / pi
    1.0
    """
    if network.depth > DEEPEST:
        raise InvalidInput(
            f"depth = {network.depth}; the kernel's function of the angle is tabulated up to depth {DEEPEST}, beyond "
            "which the table takes minutes; take fewer layers"
        )
    deficits, size = _sampled(network, which, np.array([0.0, 0.5, 1.0, 2.0]))
    if not (np.isfinite(deficits).all() and 0 < size < float("inf")):
        raise InvalidInput(
            f"weight_variance = {network.weight_variance} at depth {network.depth}: the kernel overflows or underflows "
            f"float64, k(x, x) = {size} for inputs of variance 1; take a variance nearer to 2, or fewer layers"
        )
    rounding = max(torch.finfo(dtype).eps / 16, (8 + network.depth) * 2.0**-50)  # layers add up their rounding
    (series,) = fitted(lambda deficit: _sampled(network, which, deficit)[0][None], rounding)
    return Profile(series, size)


def _sampled(network: FullyConnected, which: Which, deficit: np.ndarray) -> tuple[np.ndarray, float]:
    """The kernel's own deficit at these, and k(x, x), for inputs of variance 1."""
    pairs = torch.from_numpy(deficit)[:, None]
    one = torch.ones(1, 1, dtype=pairs.dtype)
    kernel = through_layers(Deficit(one.expand(len(pairs), 1), one, pairs), network)
    found: Pairs = kernel.nngp if which == "nngp" else kernel.ntk
    return found.entries.squeeze(1).numpy(), float(found.right)
