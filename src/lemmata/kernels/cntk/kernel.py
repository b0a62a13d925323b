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

from typing import Literal

from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels.cntk.convolutional import Convolutional
from lemmata.kernels.cntk.reference import reference
from lemmata.kernels.kernel_matrix import KernelMatrix

BACKENDS = ("auto", "cpu", "torch", "triton")
RECURSIONS = ("difference", "plain")
MEMORY = 1 << 30
FLOPS = 61  # of an element and layer, a fused multiplication and addition counted as two


def cntk(
    x: Tensor,
    z: Tensor | None = None,
    *,
    network: Convolutional,
    backend: Literal["auto", "cpu", "torch", "triton"] = "auto",
    recursion: Literal["difference", "plain"] = "difference",
    memory: int = MEMORY,
) -> KernelMatrix:
    """The CNTK of images x (n, C, P, Q) with z (m, C, P, Q), or with themselves: values (n, m) in the dtype of x.

    >>> import torch
    >>> x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> kernel = cntk(x, network=Convolutional(depth=3, readout="average"))
    >>> kernel.symmetric, bool(kernel.eigenvalues.min() > 0)
    (True, True)
    """
    if network.convolutions == 1 and not (network.train_first or network.train_last):
        raise InvalidInput("depth = 2 with first and last layer fixed: nothing is trained; take depth 3, or train one")
    return _kernel(x, z, network, backend=backend, recursion=recursion, memory=memory, tangent=True)


def cnn_gp(
    x: Tensor,
    z: Tensor | None = None,
    *,
    network: Convolutional,
    backend: Literal["auto", "cpu", "torch", "triton"] = "auto",
    recursion: Literal["difference", "plain"] = "difference",
    memory: int = MEMORY,
) -> KernelMatrix:
    """The CNN-GP kernel, of the net at initialisation: arguments and result as those of `cntk`.

    >>> import torch
    >>> x = torch.ones(2, 1, 3, 3)
    >>> float(cnn_gp(x, network=Convolutional(depth=2)).values[0, 1] * 9)
    49.0...
    """
    return _kernel(x, z, network, backend=backend, recursion=recursion, memory=memory, tangent=False)


def _kernel(
    x: Tensor, z: Tensor | None, network: Convolutional, *, backend: str, recursion: str, memory: int, tangent: bool
) -> KernelMatrix:
    if backend not in BACKENDS:
        raise UnknownName("backend", backend, BACKENDS)
    if recursion not in RECURSIONS:
        raise UnknownName("recursion", recursion, RECURSIONS)
    x, z = _images(x, "x"), None if z is None else _images(z, "z")
    if z is not None and (z.shape[1:] != x.shape[1:] or z.dtype != x.dtype or z.device != x.device):
        raise InvalidInput(
            f"images x {_told(x)} and z {_told(z)}; both sides take the same channels, size, dtype and device"
        )
    plain = recursion == "plain"
    values = reference(x, z, network, tangent=tangent, plain=plain, memory=memory)
    n, m, shape = len(x), len(x if z is None else z), (x.shape[2], x.shape[3])
    pairs = n * (n + 1) / 2 if z is None else n * m
    return KernelMatrix(
        values.to(x.dtype),
        name="CNTK" if tangent else "CNN-GP",
        symmetric=z is None,
        way=f"torch, {x.device.type}",
        flops=float(FLOPS * pairs * network.convolutions * network.elements(shape)),
    )


def _images(x: Tensor, name: str) -> Tensor:
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
