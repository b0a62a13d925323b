"""A kernel's values on samples: what every kernel of this package answers.

    K_ij = k(x_i, z_j),    effective rank (sum lambda)^2 / sum lambda^2,
    alignment with targets <K, y y^T>_F / (|K|_F |y y^T|_F)

Sources: Cristianini, Shawe-Taylor, Elisseeff, Kandola (2001), definition 1 (alignment); Roy, Vetterli (2007) discuss
effective ranks, of which this is the participation ratio. Eigenvalues cost about 4/3 n^3 flops in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_tensor
from lemmata.short_repr import short_repr

Kernel = Callable[[Tensor, Tensor | None], Tensor]  # k(x, z) -> (n, m); without z the symmetric k(x, x)


@dataclass(frozen=True, eq=False)
class KernelMatrix:
    """`values` (n, m) with its `name`; `symmetric` says that both sides are the same samples.

    `way` names the implementation that computed it (``"numba, 2 threads"``, ``"torch"``, ...), and `flops` what the
    computation counts, 0 where nobody counted.

    >>> kernel = KernelMatrix(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), name="identity", symmetric=True)
    >>> kernel.effective_rank, kernel.alignment(torch.tensor([1.0, -1.0])), kernel.eigenvalues
    (2.0, 0.707..., tensor([2., 2.], dtype=torch.float64))
    """

    values: Tensor
    name: str
    symmetric: bool
    way: str = "torch"
    flops: float = 0.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_tensor(self.values, f"{self.name}: values")
        if self.values.ndim != 2 or not self.values.numel():
            raise InvalidInput(f"{self.name}: values of shape {tuple(self.values.shape)}; a kernel matrix is (n, m)")
        if self.symmetric and self.values.shape[0] != self.values.shape[1]:
            raise InvalidInput(f"{self.name}: values of shape {tuple(self.values.shape)} cannot be symmetric")

    @cached_property
    def eigenvalues(self) -> Tensor:
        """All eigenvalues, largest first, float64 (n,)."""
        return torch.linalg.eigvalsh(self._square("eigenvalue").double()).flip(0)

    @property
    def effective_rank(self) -> float:
        """The participation ratio of the eigenvalues, (tr K)^2 / |K|_F^2: between 1 and n."""
        values = self._square("effective rank", zero=False)
        return float(values.diagonal().double().sum() ** 2 / _square_norm(values))

    def alignment(self, y: Tensor) -> float:
        """Alignment with targets y (n,) or (n, k), as given (not centred): between 0 and 1 for a PSD kernel."""
        values = self._square("alignment", zero=False)
        targets = require_tensor(y, "targets y").to(device=values.device, dtype=torch.float64)
        targets = targets[:, None] if targets.ndim == 1 else targets
        if targets.ndim != 2 or len(targets) != len(values) or not bool(targets.isfinite().all()):
            raise InvalidInput(
                f"{self.name}: targets of shape {tuple(y.shape)} for {len(values)} samples; "
                f"give finite numbers of shape (n,) or (n, k)"
            )
        if not bool(targets.any()):
            raise InvalidInput("targets that are all zero have no alignment")
        inner = sum(
            (part.double() @ targets).mul_(targets[at : at + len(part)]).sum()
            for at, part in zip(range(0, len(values), _ROWS), values.split(_ROWS), strict=True)
        )
        return float(inner / (_square_norm(values) ** 0.5 * (targets.mT @ targets).norm()))

    def plot(self) -> Figure:
        """Draw the eigenvalues of a symmetric kernel against their index, or the spread of a rectangular one's values.

        >>> KernelMatrix(torch.eye(3), name="identity", symmetric=True).plot().panels[0].y.label
        'eigenvalue'
        """
        if not self.symmetric:
            ordered = self.values.double().flatten().sort().values.cpu().numpy()
            share = (np.arange(len(ordered)) + 0.5) / len(ordered)
            series, x, y = Series(label=self.name, x=ordered, y=share), "value", "share of entries below"
            panel = Panel(x=Axis(label=x), y=Axis(label=y), series=[series])
        else:
            values = self.eigenvalues.cpu().numpy()
            above = values > 0
            series = Series(label=self.name, x=np.arange(1, len(values) + 1)[above], y=values[above])
            panel = Panel(x=Axis(label="index", log=True), y=Axis(label="eigenvalue", log=True), series=[series])
        n, m = self.values.shape
        return Figure(name="kernel", title=self.name, caption=f"{n} x {m} values, by {self.way}.", panels=[panel])

    def _square(self, what: str, *, zero: bool = True) -> Tensor:
        if not self.symmetric:
            raise InvalidInput(
                f"{self.name}: an {what} is of a symmetric kernel, and this one is {tuple(self.values.shape)}"
            )
        if not all(bool(part.isfinite().all()) for part in self.values.split(_ROWS)):
            raise InvalidInput(f"{self.name}: NaN or infinity among the values, of which there is no {what}")
        if not zero and not bool(self.values.any()):
            raise InvalidInput(f"{self.name}: a kernel that is zero has no {what}")
        return self.values


_ROWS = 2048  # rows that are taken to float64 at a time


def _square_norm(values: Tensor) -> Tensor:
    return torch.stack([part.double().square().sum() for part in values.split(_ROWS)]).sum()
