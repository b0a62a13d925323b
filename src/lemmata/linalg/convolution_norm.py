"""The spectral norm of a convolution on images of a given size, with its stride, padding, dilation and groups.

    |T| = max_x |conv(x, w)| / |x|            bounded from both sides: low <= |T| <= high

The matrix T of the convolution has (out positions x channels) rows, and is not the kernel reshaped to a matrix
(out, in k^2): that one's norm can be too small by a factor of up to k, or too large by stride and border (Gouk et al.,
2021; Sedghi et al., 2019), and circular convolution on the unpadded image is another operator still.

    low    Lanczos on T^T T: the quotient |T v| / |v| of a vector v that is given back
    high   a proof (`lemmata.linalg.verified_norm`): by factorisation, within `tolerance` of the norm, where n b^2 flops
           are affordable; else by the symbol on the torus around the padded image, some percent too large on small
           images and less on large ones. Groups are bounded one by one and the largest counts.

Cost: Lanczos some dozens of convolutions each way; factorisation n b^2 flops with n entries of the image and half
bandwidth b of about (k - 1) side channels; the symbol about 20 min(in, out)^3 flops a frequency. Where it fails: on
large images `high` is the symbol's, whose gap to `low` is seen in the result. Nothing is left to a start's luck: a
vector that Lanczos missed makes `low` smaller, never `high`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional, grad

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_number, require_tensor, require_whole
from lemmata.linalg.convolution_matrix import MODES, Geometry, half_bandwidth, sparse_matrix
from lemmata.linalg.convolution_symbol import proven_by_symbol
from lemmata.linalg.lanczos import eigenpairs
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.verified_norm import gamma, power_of_two, proven_by_factorisation
from lemmata.short_repr import short_repr

WAYS = ("auto", "factorisation", "symbol")
RESIDUAL = 1e-5  # of Lanczos; the error of the norm is of the order of its square
FLOPS = 3e9  # that a factorisation may take, about a second
BYTES = 2**30


@dataclass(frozen=True, eq=False)
class OperatorNorm:
    """`low` <= |T| <= `high`, both proven; `vector` is one that reaches `low`, `way` what proved `high`.

    `reshaped` is the norm of the kernel as a matrix (out, in x positions), which is *not* a bound; `products` counts
    those with T and T^T.

    >>> OperatorNorm(1.0, 1.5, "symbol", torch.ones(1), 0.9, 4).gap
    0.5
    """

    low: float
    high: float
    way: str
    vector: Tensor
    reshaped: float
    products: int

    __repr__ = short_repr

    @property
    def gap(self) -> float:
        """High / low - 1."""
        return self.high / self.low - 1 if self.low > 0 else (0.0 if self.high == 0 else math.inf)

    def plot(self) -> Figure:
        """Draw both bounds, and the norm of the reshaped kernel beside them."""
        bounds = Series(
            label=f"bounds, by {self.way}", x=[0.0], y=[(self.low + self.high) / 2], low=np.array([self.low]),
            high=np.array([self.high]), style="points",
        )  # fmt: skip
        reshaped = Series(
            label="kernel reshaped to a matrix", x=[1.0], y=[self.reshaped], style="points", role="control"
        )
        axis = Axis(label="matrix", ticks=("convolution", "reshaped kernel"))
        panel = Panel(x=axis, y=Axis(label="spectral norm"), series=[bounds, reshaped])
        caption = "The norm of the convolution lies between its bounds; the reshaped kernel is another matrix."
        return Figure(name="operator-norm", title="Norm of a convolution", caption=caption, panels=[panel])


def convolution_norm(
    weight: Tensor,
    input_size: Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    tolerance: float = 1e-6,
    way: str = "auto",
    flops: float = FLOPS,
    seed: int = 0,
) -> OperatorNorm:
    """Bound the spectral norm of a convolution with `weight` (out, in / groups, *kernel) on images of `input_size`.

    One to three sides; `padding_mode` as torch's. `way` is how the upper bound is proven: ``"factorisation"`` comes to
    1 + `tolerance` of the norm, ``"symbol"`` does not need `flops`, ``"auto"`` factors where that takes fewer than
    `flops` operations. Computed in float64 on the weight's device (factorisation on the host). `seed` draws the start
    of Lanczos: another seed gives the same bounds but for digits below its residual. Raises `InvalidInput` for
    shapes that do not fit, weights that are complex, whole or not finite, and a tolerance outside (0, 1).

    >>> identity = torch.zeros(1, 1, 3, 3)
    >>> identity[0, 0, 1, 1] = 2.0
    >>> found = convolution_norm(identity, (8, 8), padding=1)
    >>> round(found.low, 5), round(found.high, 5), found.way
    (2.0, 2.0..., 'factorisation')
    """
    if way not in WAYS:
        raise UnknownName("way to bound a norm", way, WAYS)
    if not 0 < require_number(tolerance, "tolerance") < 1:
        raise InvalidInput(f"tolerance = {tolerance}; give a share of the norm between 0 and 1, such as 1e-6")
    if not require_number(flops, "flops") >= 0:
        raise InvalidInput(f"flops = {flops}; give a number of operations, 0 or more")
    geometry = _geometry(weight, input_size, stride, padding, dilation, padding_mode)
    weight = weight.detach().double()
    scale = power_of_two(weight)
    parts = _of_groups(weight / scale, groups)
    found = [_one_group(part, geometry, way, tolerance, flops, seed) for part in parts]
    best = max(range(groups), key=lambda i: found[i].low)
    vector = weight.new_zeros(groups, *found[best].vector.shape)
    vector[best] = found[best].vector
    hardest = max(found, key=lambda one: one.high)
    reshaped = float(torch.linalg.matrix_norm(weight.flatten(1), 2))
    products = sum(one.products for one in found)
    low, high = scale * found[best].low, scale * hardest.high
    return OperatorNorm(low, high, hardest.way, vector.flatten(0, 1), reshaped, products)


def matrix_norm(matrix: Tensor, *, tolerance: float = 1e-6, seed: int = 0) -> OperatorNorm:
    """Bound the spectral norm of a matrix (m, n) in the same way; `tolerance` as for `convolution_norm`.

    >>> found = matrix_norm(torch.tensor([[3.0, 0.0], [4.0, 0.0]]))
    >>> found.low <= 5 <= found.high < 5.0001
    True
    """
    if require_tensor(matrix, "matrix").ndim != 2:
        raise InvalidInput(f"a matrix of shape {tuple(matrix.shape)}; give (m, n)")
    return convolution_norm(matrix[:, :, None], (1,), tolerance=tolerance, seed=seed, flops=math.inf)


def _one_group(  # noqa: PLR0917
    weight: Tensor, geometry: Geometry, way: str, tolerance: float, flops: float, seed: int
) -> OperatorNorm:  # fmt: skip
    low, vector, products = _reached(weight, geometry, seed)
    reshaped = float(torch.linalg.matrix_norm(weight.flatten(1), 2))
    if not weight.any():
        return OperatorNorm(0.0, 0.0, "factorisation", vector, 0.0, products)
    affordable = way == "factorisation" or (way == "auto" and _factorisation_flops(weight, geometry) <= flops)
    if affordable:
        high = _factored(weight.cpu().numpy(), geometry, low, tolerance)
        if high < math.inf:
            return OperatorNorm(low, high, "factorisation", vector, reshaped, products)
    return OperatorNorm(low, proven_by_symbol(weight, geometry), "symbol", vector, reshaped, products)


def _reached(weight: Tensor, geometry: Geometry, seed: int) -> tuple[float, Tensor, int]:
    """|T v| / |v| rounded down, v (in, *size), and the products taken."""
    shape = (weight.shape[1], *geometry.size)
    n = math.prod(shape)

    def gram(V: Tensor) -> Tensor:
        x = V.T.reshape(-1, *shape)
        return _transposed(weight, _convolved(weight, x, geometry), x.shape, geometry).reshape(V.shape[1], n).T

    operator = LinearOperator(gram, (n, n), symmetric=True, dtype=torch.float64, device=weight.device)
    if not weight.any():
        return 0.0, weight.new_zeros(shape), 0
    try:
        pairs = eigenpairs(operator, 1, tolerance=RESIDUAL, max_products=1000, seed=seed)
    except NotConverged as stopped:  # a vector is a vector: its quotient is a lower bound all the same
        pairs = stopped.best
    v = pairs.vectors[:, 0].reshape(1, *shape)
    g = gamma(n + weight[0].numel())
    rounding = g * float(_convolved(weight.abs(), v.abs(), geometry).norm())
    reached = (float(_convolved(weight, v, geometry).norm()) * (1 - g) - rounding) / (float(v.norm()) * (1 + g))
    return max(0.0, reached), v[0], 2 * pairs.products + 1


def _factored(weight: np.ndarray, geometry: Geometry, low: float, tolerance: float) -> float:
    """The bound by factorisation just above `low`, further above where Lanczos had missed the norm; else inf."""
    matrix = sparse_matrix(weight, geometry)
    size = abs(matrix)
    one, most = float(size.sum(0).max()), float(size.sum(1).max())
    terms = max(weight[0].size, weight[:, 0].size)
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    gram = (matrix.T @ matrix).tocsr()
    width, above = half_bandwidth(gram), 2 * tolerance
    forming = gamma(terms + 4) * one * most  # | |T|^T |T| | <= |T|_1 |T|_inf
    for _ in range(12):
        proven = proven_by_factorisation(gram, low**2 * (1 + above), width, forming)
        if proven < math.inf:
            return math.sqrt(proven) * (1 + 1e-15)
        above *= 8
    return math.inf


def _factorisation_flops(weight: Tensor, geometry: Geometry) -> float:
    """N b^2, or inf where the matrix would not fit in memory."""
    outs, ins = weight.shape[:2]
    rows, columns = outs * math.prod(geometry.output), ins * math.prod(geometry.size)
    sides, channels = (geometry.size, ins) if columns <= rows else (geometry.output, outs)
    n = min(rows, columns)
    reach = [
        (k - 1) * d if columns <= rows else (k - 1) * d // s
        for k, d, s in zip(geometry.kernel, geometry.dilation, geometry.stride, strict=True)
    ]
    width = 0
    for place, side in enumerate(sorted(range(len(sides)), key=lambda i: -geometry.size[i])):
        inner = sorted(range(len(sides)), key=lambda i: -geometry.size[i])[place + 1 :]
        width += reach[side] * math.prod(sides[i] for i in inner)
    width = n if geometry.mode == "circular" else min(n, (width + 1) * channels)
    entries = weight.numel() * math.prod(geometry.output)
    fits = 8 * n * min(n, width + 1) <= BYTES and 80 * entries <= BYTES
    return (n**3 / 3 if 2 * width >= n else n * width**2) if fits else math.inf


def _convolved(weight: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
    """T x for images x (N, in, *size)."""
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[weight.ndim - 3]
    if geometry.mode == "zeros":
        return convolve(x, weight, None, geometry.stride, geometry.padding, geometry.dilation)
    sides = [pad for pad in reversed(geometry.padding) for _ in range(2)]
    padded = functional.pad(x, sides, mode=geometry.mode)
    return convolve(padded, weight, None, geometry.stride, 0, geometry.dilation)


def _transposed(weight: Tensor, y: Tensor, shape: torch.Size, geometry: Geometry) -> Tensor:
    """T^T y for outputs y (N, out, *output), where inputs have this shape."""
    if geometry.mode == "zeros":
        pull: Callable[..., Tensor] = (grad.conv1d_input, grad.conv2d_input, grad.conv3d_input)[weight.ndim - 3]
        return pull(shape, weight, y, geometry.stride, geometry.padding, geometry.dilation)
    return torch.func.vjp(lambda x: _convolved(weight, x, geometry), y.new_zeros(shape))[1](y)[0]


def _of_groups(weight: Tensor, groups: int) -> list[Tensor]:
    if len(weight) % require_whole(groups, "groups"):
        raise InvalidInput(f"{len(weight)} output channels do not part into groups = {groups!r}")
    return list(weight.chunk(groups))


def _geometry(  # noqa: PLR0917
    weight: Tensor, input_size: Sequence[int], stride: int | Sequence[int], padding: int | Sequence[int],
    dilation: int | Sequence[int], mode: str,
) -> Geometry:  # fmt: skip
    dimensions = require_tensor(weight, "weight").ndim - 2
    if not 1 <= dimensions <= 3:
        raise InvalidInput(f"weight of shape {tuple(weight.shape)}; give (out, in / groups, *kernel), 1 to 3 sides")
    if not weight.is_floating_point() or not weight.numel():
        raise InvalidInput(
            f"weight: {weight.dtype} of shape {tuple(weight.shape)}; give real floating-point numbers, to have a norm"
        )
    if not weight.isfinite().all():
        raise InvalidInput("the weight holds NaN or infinity; it has no norm")
    if mode not in MODES:
        raise UnknownName("padding mode", mode, MODES)
    given = {"size": input_size, "stride": stride, "padding": padding, "dilation": dilation}
    sides = {name: _sides(name, value, dimensions) for name, value in given.items()}
    geometry = Geometry(**sides, kernel=tuple(weight.shape[2:]), mode=mode)
    if min(geometry.output) < 1:
        raise InvalidInput(f"a kernel of {geometry.kernel} does not fit on images of {geometry.size} with this padding")
    room = [n + (mode == "circular") for n in geometry.size]
    if mode in ("circular", "reflect") and any(p >= n for p, n in zip(geometry.padding, room, strict=True)):
        raise InvalidInput(f"{mode} padding of {geometry.padding} is larger than images of {geometry.size} allow")
    return geometry


def _sides(name: str, value: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    """A whole number for each side of the image."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    numbers = tuple(value) if several else (value,) * dimensions  # type: ignore[arg-type]
    if len(numbers) != dimensions:
        raise InvalidInput(f"{name} = {value} for a kernel with {dimensions} sides; give as many whole numbers")
    return tuple(require_whole(one, name, least=0 if name == "padding" else 1) for one in numbers)
