"""What kernel regression gives: a function, with how well it solves its equations and what it says without each sample.

    f(x) = sum_i alpha_i k(x, x_i),    (K + ridge I) alpha = y

Leave-one-out in closed form: with A = K + ridge I, f fitted without sample i takes at x_i the value
y_i - alpha_i / (A^-1)_ii (the block inverse of A; Rasmussen, Williams, 2006, equation 5.12, after Sundararajan,
Keerthi, 2001). Cost: n^3 / 3 flops for the diagonal of A^-1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.given import require_tensor
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.kernels.regression.block_cholesky import inverse_diagonal, solve
from lemmata.kernels.regression.entries import Entries, product
from lemmata.kernels.regression.held_out import HeldOut
from lemmata.short_repr import short_repr

PROBED, TRUSTED = 4, 1e-2  # entries of the inverse that are solved for again, and how far they may be off
NAMED = 10  # whole numbers that a figure's axis names one by one


@dataclass(frozen=True, eq=False, kw_only=True)
class KernelFit:
    """f: `coefficients` alpha, float64 (n,) or (n, k), as the `targets`, on the `entries` of the kernel.

    `residual` is the largest |y - (K + ridge I) alpha| as a share of the largest |y|, computed afresh as the function
    is evaluated, with sums in float64. `history` holds it after every correction, with the products with K that the
    corrections took till then, and `steps` what conjugate gradients had after every product. `way` names what was done,
    `bytes` is what it took at most and `cost` the floating-point operations on K, both by count; the kernel's own are
    not counted. `factor` are the block columns of the Cholesky factor; none from an
    iterative solve.
    """

    entries: Entries = field(repr=False)
    targets: Tensor
    coefficients: Tensor
    ridge: float
    residual: float
    tolerance: float
    way: str
    bytes: int
    cost: float
    history: list[tuple[int, float]]
    steps: list[float] = field(default_factory=list)
    factor: list[Tensor] | None = field(default=None, repr=False)

    __repr__ = short_repr

    def __call__(self, x: Tensor | KernelMatrix) -> Tensor:
        """Evaluate f, in blocks: float64 (m,) or (m, k), as the targets.

        x is (m, d), points; or (m, n), the kernel of new points with the samples, where K was given as a matrix.
        """
        wanted = self.entries.training_rows().shape[1:]
        what = "k(new, samples)" if self.entries.x is None else "points"
        x = require_tensor(x.values if self.entries.x is None and isinstance(x, KernelMatrix) else x, what)
        if x.shape[1:] != wanted:
            raise InvalidInput(f"{what} of shape {tuple(x.shape)}; expected (m, {', '.join(map(str, wanted))})")
        return self._shaped(product(self.entries, x.detach(), self._columns(self.coefficients)))

    def leave_one_out(self) -> HeldOut:
        """What f says of each sample when fitted without it, in closed form; n^3 / 3 flops.

        Needs the Cholesky factor. Four entries of the diagonal of the inverse are solved for again with refinement;
        raises `NotConverged` where one is off by more than 1 %: the dtype is too coarse for this matrix.

        >>> from lemmata.kernels.regression import kernel_ridge
        >>> kernel_ridge(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([1.0, 4.0])).leave_one_out().predictions
        tensor([[2.0000, 0.5000]], dtype=torch.float64)
        """
        if self.factor is None:
            raise InvalidInput(
                "leave-one-out in closed form needs the Cholesky factor, and this fit was found by iteration; fit with "
                "method='cholesky', or use kernel_ridge_path on fewer samples"
            )
        diagonal = inverse_diagonal(self.factor)
        error = self._error_of(diagonal)
        alpha = self._columns(self.coefficients)
        left_out = self._columns(self.targets.double()) - alpha / diagonal[:, None]
        found = HeldOut(
            ridges=torch.tensor([self.ridge], dtype=torch.float64),
            predictions=self._shaped(left_out)[None],
            targets=self.targets,
            rule="leave-one-out",
        )
        if not error <= TRUSTED:
            raise NotConverged(
                "the diagonal of the inverse kernel matrix", best=found, residual=error, tolerance=TRUSTED,
                remedy="use float64 or a ridge",
            )  # fmt: skip
        return found

    def plot(self) -> Figure:
        """Draw how the residual fell: with each correction by Cholesky, or with each step of conjugate gradients."""
        n = len(self.targets)
        products, residuals = (np.array(part, dtype=float) for part in zip(*self.history, strict=True))
        series = [Series(label="computed afresh", x=products, y=residuals, style="points")]
        last = int(products.max())
        ticks = tuple(map(str, range(last + 1))) if last <= NAMED else ()  # else the axis falls on halves
        if self.steps:
            series.append(Series(label="conjugate gradients", x=np.arange(len(self.steps)), y=np.array(self.steps)))
        panel = Panel(
            x=Axis(label="products with the kernel matrix" if self.steps else "corrections", ticks=ticks),
            y=Axis(label="largest residual / largest target", log=bool((residuals > 0).all())),
            series=series[::-1],
            references=[Reference(label="tolerance", value=self.tolerance, role="theory")],
        )
        caption = f"{n:,} samples, ridge {self.ridge:g}, {self.way}; {self.bytes / 1e9:.2g} GB."
        return Figure(name="kernel-fit", title="Kernel regression", caption=caption, panels=[panel])

    def _error_of(self, diagonal: Tensor) -> float:
        """The largest relative error among a few entries of the inverse's diagonal, spread over the samples."""
        assert self.factor is not None
        n = len(diagonal)
        places = torch.linspace(0, n - 1, min(PROBED, n), device=diagonal.device).long().unique()
        unit = diagonal.new_zeros(n, len(places))
        unit[places, torch.arange(len(places))] = 1.0
        found, left = torch.zeros_like(unit), unit
        for _ in range(3):
            found = found + solve(self.factor, left.to(self.entries.dtype)).double()
            left = unit - product(self.entries, self.entries.training_rows(), found) - self.ridge * found
        again = found[places, torch.arange(len(places))]
        return float((diagonal[places] / again - 1).abs().max())

    def _columns(self, values: Tensor) -> Tensor:
        return values[:, None] if values.ndim == 1 else values

    def _shaped(self, values: Tensor) -> Tensor:
        return values[:, 0] if self.targets.ndim == 1 else values
