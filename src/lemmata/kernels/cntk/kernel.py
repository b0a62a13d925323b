"""The convolutional NTK and the CNN-GP of images: the kernels of infinitely wide ReLU convolutional nets, exactly.

    cntk(x, x') = E <grad f(x), grad f(x')>,    cnn_gp(x, x') = E f(x) f(x')    for f as `Convolutional` defines it

`recursion="difference"` carries 1 - cosine of all pairs of positions instead of the covariance, and is exact to the
rounding of the dtype (2e-7 in float32 at depth 21); the textbook recursion, ``"plain"``, loses three digits and, on
images that nearly agree, the sign of small eigenvalues. Cost: `Convolutional.elements` pairs of positions in each
layer, for each pair of images; for all positions of a 32 x 32 image a million.

Sources: Arora, Du, Hu, Li, Salakhutdinov, Wang (2019), arXiv:1904.11955, section 4; Novak et al. (2019),
arXiv:1810.05148 and Garriga-Alonso et al. (2019), arXiv:1808.05587 (CNN-GP).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_callable, require_number, require_tensor
from lemmata.kernels.cntk.convolutional import Convolutional
from lemmata.kernels.cntk.reference import reference
from lemmata.kernels.cntk.triton_backend import refuse, triton_kernel
from lemmata.kernels.kernel_matrix import KernelMatrix

BACKENDS = ("auto", "cpu", "torch", "triton")
RECURSIONS = ("difference", "plain")
MEMORY = 1 << 30
Progress = Callable[[int, int], None]
FLOPS = 64  # of an element and layer, a fused multiplication and addition counted as two


def cntk(
    x: Tensor,
    z: Tensor | None = None,
    *,
    network: Convolutional,
    backend: Literal["auto", "cpu", "torch", "triton"] = "auto",
    recursion: Literal["difference", "plain"] = "difference",
    threads: int | None = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> KernelMatrix:
    """The CNTK of images x (n, C, P, Q) with z (m, C, P, Q), or with themselves: values (n, m) in the dtype of x.

    `backend` is ``"auto"``: ``"triton"`` for float32 images on a GPU, ``"cpu"`` (Numba, `threads` of them, by default
    as many as torch uses) for those in memory; ``"torch"`` for float64, for filters other than 3 x 3 and wherever the
    former do not go. `way` of the result says what ran. `memory` bounds the bytes in use beside the result, and
    `progress(done, total)` is told of pairs of images as they are done. Nothing is random, and values do not depend on
    how many threads there are. A black image has kernel 0 with all others.

    Raises `InvalidInput` for images that are not (n, C, P, Q), not finite or not alike, for a window that does not
    fit, a budget that one block of images exceeds, and where nothing is trained; `UnknownName` for options.

    >>> import torch
    >>> x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> kernel = cntk(x, network=Convolutional(depth=3, readout="average"))
    >>> kernel.symmetric, bool(kernel.eigenvalues.min() > 0)
    (True, True)
    """
    _require_convolutional(network)
    if network.convolutions == 1 and not (network.train_first or network.train_last):
        raise InvalidInput("depth = 2 with first and last layer fixed: nothing is trained; take depth 3, or train one")
    return _kernel(x, z, network, tangent=True, how=_How(backend, recursion, threads, memory, progress))


def cnn_gp(
    x: Tensor,
    z: Tensor | None = None,
    *,
    network: Convolutional,
    backend: Literal["auto", "cpu", "torch", "triton"] = "auto",
    recursion: Literal["difference", "plain"] = "difference",
    threads: int | None = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> KernelMatrix:
    """The CNN-GP kernel, of the net at initialisation: arguments and result as those of `cntk`.

    >>> import torch
    >>> x = torch.ones(2, 1, 3, 3)
    >>> float(cnn_gp(x, network=Convolutional(depth=2)).values[0, 1] * 9)
    49.0...
    """
    return _kernel(x, z, network, tangent=False, how=_How(backend, recursion, threads, memory, progress))


@dataclass(frozen=True)
class _How:
    """The options of a computation, checked."""

    backend: str
    recursion: str
    threads: int | None
    memory: int
    progress: Progress | None

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise UnknownName("backend", self.backend, BACKENDS)
        if self.recursion not in RECURSIONS:
            raise UnknownName("recursion", self.recursion, RECURSIONS)
        if self.threads is not None and not (isinstance(self.threads, int) and self.threads >= 1):
            raise InvalidInput(f"threads = {self.threads!r}; give a whole number, at least one")
        if not require_number(self.memory, "memory") > 0:
            raise InvalidInput(f"memory = {self.memory}; give a number of bytes")
        if self.progress is not None:
            require_callable(self.progress, "progress")


def _kernel(x: Tensor, z: Tensor | None, network: Convolutional, *, tangent: bool, how: _How) -> KernelMatrix:
    _require_convolutional(network)
    x, z = _images(x, "x"), None if z is None else _images(z, "z")
    if z is not None and (z.shape[1:] != x.shape[1:] or z.dtype != x.dtype or z.device != x.device):
        raise InvalidInput(
            f"images x {_told(x)} and z {_told(z)}; both sides take the same channels, size, dtype and device"
        )
    shape = (x.shape[2], x.shape[3])
    for size in shape:
        network.counts(size)  # refuses a window that does not fit
    backend = _chosen(x, network) if how.backend == "auto" else how.backend
    values, way = _computed(backend, x, z, network, tangent=tangent, how=how)
    pairs = len(x) * (len(x) + 1) / 2 if z is None else len(x) * len(z)
    return KernelMatrix(
        values.to(x.dtype),
        name="CNTK" if tangent else "CNN-GP",
        symmetric=z is None,
        way=way,
        flops=float(FLOPS * pairs * network.convolutions * network.elements(shape)),
    )


def _chosen(x: Tensor, network: Convolutional) -> str:
    """The fastest backend that takes the images."""
    if x.dtype != torch.float32 or network.filter != 3:
        return "torch"
    if x.device.type == "cpu":
        return "cpu"
    try:
        refuse(x, network)
    except InvalidInput:
        return "torch"
    return "triton"


def _computed(
    backend: str, x: Tensor, z: Tensor | None, network: Convolutional, *, tangent: bool, how: _How
) -> tuple[Tensor, str]:  # fmt: skip
    plain = how.recursion == "plain"
    if backend == "cpu":
        from lemmata.kernels.cntk.cpu import cpu_kernel, native_lanes  # numba takes half a second to import

        threads = how.threads or torch.get_num_threads()
        values = cpu_kernel(
            x, z, network, tangent=tangent, plain=plain, memory=how.memory, threads=threads, progress=how.progress
        )
        return values, f"numba, {native_lanes().name}, {threads} {'thread' if threads == 1 else 'threads'}"
    computed = triton_kernel if backend == "triton" else reference
    values = computed(x, z, network, tangent=tangent, plain=plain, memory=how.memory)
    return values, f"{backend}, {x.device.type}"


def _require_convolutional(network: object) -> None:
    if not isinstance(network, Convolutional):
        raise InvalidInput(f"network: a {type(network).__name__}; give Convolutional(depth=...)")


def _images(x: Tensor, name: str) -> Tensor:
    if not isinstance(x, Tensor):
        raise InvalidInput(f"{name} is a {type(x).__name__}; give images of one size as a tensor (n, C, P, Q)")
    require_tensor(x, name)
    if x.ndim != 4 or 0 in x.shape:
        raise InvalidInput(
            f"{name} of shape {tuple(x.shape)}; give at least one image, as (n, channels, rows, columns)"
        )
    if not x.dtype.is_floating_point:
        raise InvalidInput(f"{name} is of {x.dtype}; give images in floating point")
    x = x.detach()
    if not bool(x.isfinite().all()):
        raise InvalidInput(
            f"{name} holds NaN or infinity, in image {int((~x.isfinite()).flatten(1).any(1).nonzero()[0])}"
        )
    return x


def _told(x: Tensor) -> str:
    return f"{tuple(x.shape)} of {x.dtype} on {x.device}"
