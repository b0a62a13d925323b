"""The two sides of a regression by kernel: training samples and test samples, read and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor
from lemmata.kernels.dynamics.kernel_layout import Layout, kernel_layout

F64 = torch.float64
CURVATURE: dict[str, Callable[[int, int], float]] = {
    "mse": lambda n, C: 2 / (n * C),
    "half_mse": lambda n, C: 1 / (n * C),
    "half_mean": lambda n, C: 1 / n,
    "half_sum": lambda n, C: 1.0,
}
"""kappa of a squared loss (kappa / 2) sum |f - y|^2 on n samples of C outputs."""
LOSSES = (*CURVATURE, "cross_entropy")


@dataclass(frozen=True)
class NewSamples:
    """The other side: `kernel` between m test and n training samples, what the network says there, and targets."""

    kernel: Any
    f0: Tensor | None = None
    y: Tensor | None = None


@dataclass(frozen=True)
class Side:
    """Kernel (M, N, N') in float64, outputs before training (M, n, C), and targets (M, n, C) or labels (n,)."""

    kernel: Tensor
    layout: Layout
    f0: Tensor
    y: Any  # Tensor, or None where no targets were given
    precision: torch.dtype

    @classmethod
    def of(cls, given: NewSamples, outputs: int, *, labels: bool, beside: Side | None = None) -> Side:
        """Read one side; `beside` is the training side, which a test side must match. Raises `InvalidInput`."""
        if not isinstance(given, NewSamples):
            raise InvalidInput(f"test: a {type(given).__name__}; give NewSamples(kernel, f0, y)")
        kernel, layout = kernel_layout(given.kernel, outputs)
        if beside is not None and (layout != beside.layout or kernel.shape[::2] != beside.kernel.shape[::2]):
            raise InvalidInput(
                f"a test kernel {tuple(kernel.shape)} beside a training kernel {tuple(beside.kernel.shape)}; "
                f"its columns must be the training samples, in the same form"
            )
        what = "training" if beside is None else "test"
        n = kernel.shape[1] // outputs if layout.full else kernel.shape[1]
        f0 = kernel.new_zeros(n, outputs) if given.f0 is None else given.f0
        y = None if given.y is None else checked_targets(given.y, labels=labels)
        if y is not None and labels and len(y) != n:
            raise InvalidInput(f"{len(y)} {what} labels for {n} samples of the kernel")
        if y is not None and labels and int(y.max()) >= outputs:
            raise InvalidInput(f"{what} labels run to {int(y.max())}, but there are {outputs} outputs")
        if y is not None:
            y = y.to(kernel.device) if labels else _spread(y, kernel, n, outputs, f"{what} targets")
        values = given.kernel if isinstance(given.kernel, Tensor) else given.kernel.values
        return cls(kernel, layout, _spread(f0, kernel, n, outputs, f"{what} f0"), y, values.dtype)


def checked_targets(y: Tensor, *, labels: bool) -> Tensor:
    """Labels (n,) as they are; other targets as (n, C) or (M, n, C)."""
    require_tensor(y, "labels" if labels else "targets")
    if labels and (y.is_floating_point() or y.ndim != 1 or not len(y) or int(y.min()) < 0):
        raise InvalidInput(f"cross_entropy needs integer labels (n,); these are {y.dtype} of shape {tuple(y.shape)}")
    if labels:
        return y
    if y.ndim not in (1, 2, 3) or not y.numel() or not bool(y.isfinite().all()):
        raise InvalidInput(f"targets of shape {tuple(y.shape)}; give finite numbers (n,) or (n, C), or (M, n, C)")
    return y[:, None] if y.ndim == 1 else y


def classes(labels: Tensor, f0: Tensor | None, test: NewSamples | None) -> int:
    """The number of outputs of a classifier: that of its outputs where they are given, or as many as labels."""
    known = f0 if f0 is not None else (None if test is None else test.f0)
    return max(2, int(labels.max()) + 1) if known is None or known.ndim < 2 else known.shape[-1]


def _spread(values: Tensor, kernel: Tensor, n: int, outputs: int, what: str) -> Tensor:
    """Outputs or targets as (M, n, C), where and as the kernel is."""
    require_tensor(values, what)
    full = values[:, None] if values.ndim == 1 else values
    full = full if full.ndim == 3 else full[None]
    if full.shape[1:] != (n, outputs) or len(full) not in (1, len(kernel)) or not bool(full.isfinite().all()):
        raise InvalidInput(
            f"{what} of shape {tuple(values.shape)}; the kernel has {n} samples, {outputs} outputs and {len(kernel)} "
            f"networks; give finite numbers of shape ({n}, {outputs})"
        )
    return full.detach().to(kernel).expand(len(kernel), n, outputs)
