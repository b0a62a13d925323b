"""Cases for the Triton kernel; run by itself with TRITON_INTERPRET=1, it writes their kernels to the file named."""

import sys

import torch

from lemmata.kernels.cntk import Convolutional
from lemmata.kernels.cntk.triton_backend import triton_kernel

CASES = {  # name -> images (n, m or None for the same, channels, rows, columns), the net, and what is computed
    "average": ((1, 2, 3, 3, 4), Convolutional(4, "average"), {}),
    "average, plain": ((1, 2, 3, 3, 4), Convolutional(4, "average"), {"plain": True}),
    "symmetric, in parts": ((3, None, 1, 2, 3), Convolutional(3, "average"), {"memory": 40}),
    "vanilla, all trained": ((2, 2, 1, 3, 5), Convolutional(3, train_first=True, train_last=True), {}),
    "vanilla, plain, all trained": (
        (2, 1, 1, 3, 5), Convolutional(3, train_first=True, train_last=True), {"plain": True},
    ),
    "local average": ((1, 1, 2, 5, 4), Convolutional(3, "local-average", window=3), {}),
    "prior": ((1, 1, 2, 4, 3), Convolutional(3, "average"), {"tangent": False}),
    "prior, plain": ((1, 1, 2, 4, 3), Convolutional(3, "average"), {"tangent": False, "plain": True}),
    "deep": ((1, 1, 1, 3, 3), Convolutional(16, "average"), {}),
    "one pixel": ((2, 2, 2, 1, 1), Convolutional(5, "average"), {}),
}  # fmt: skip


def images(shape: tuple) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Gaussian pixels with a black corner, where norms vanish."""
    n, m, *rest = shape
    draw = torch.Generator().manual_seed(len(str(shape)))
    x = torch.randn(n, *rest, generator=draw)
    z = None if m is None else torch.randn(m, *rest, generator=draw)
    if rest[1] > 2:
        x[0, :, :2, :2] = 0
    return x, z


def near() -> tuple[torch.Tensor, torch.Tensor]:
    """An image, and the same with changes in the fifth digit, which their kernels must tell apart."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(1, 1, 3, 3, generator=draw) + 0.5
    return x, x * (1 + 1e-4 * torch.randn(x.shape, generator=draw))


def main() -> None:
    """Compute all cases."""
    found = {}
    options = {"tangent": True, "plain": False, "memory": 1 << 20}
    for name, (shape, network, more) in CASES.items():
        found[name] = triton_kernel(*images(shape), network, **{**options, **more})
    for plain in (False, True):
        both = torch.cat(near())
        found[f"near, {plain}"] = triton_kernel(both, None, Convolutional(6, "average"), **{**options, "plain": plain})
    torch.save(found, sys.argv[1])


if __name__ == "__main__":
    main()
