"""The complexity of labels to a kernel: how well descent on a wide network will generalise from them.

    sqrt(2 y^T K^-1 y / n)

With K = H^inf of a two-layer ReLU network (`two_layer_gram`) this is the leading term of a bound on the test error of
the trained network that holds for any sufficient width: small for labels that lie along large eigenvalues, about
sqrt(2 / lambda) for labels spread over eigenvalues of the size lambda, so that above 1 the bound says nothing. Up to
the factor it is the norm of the kernel interpolant per sample.

Source: Arora, Du, Hu, Li, Wang (2019), arXiv:1901.08584, theorem 5.1. Cost: one eigendecomposition, about 10 n^3 flops.

What is known of the value. K is given with rounded entries: the true matrix is K + E, |E|_2 <= |E|_F <= epsilon. For
the decomposition too epsilon takes n u |K|. Since K - epsilon I <= K + E <= K + epsilon I, inverses are ordered the
other way, and with computed c_i = v_i^T y, off by delta = n u |y|,

    sum (|c_i| - delta)_+^2 / (lambda_i + epsilon) <= y^T (K + E)^-1 y <= sum (|c_i| + delta)^2 / (lambda_i - epsilon).

That interval is given with the value, and where lambda_min <= epsilon there is none: it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.kernels.complexity.label_projections import LabelProjections, label_projections
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelComplexity:
    """`value` sqrt(2 y^T K^-1 y / n), float64 () or (k,) for k labellings, within [`low`, `high`] for all rounding.

    `projections` holds the eigenvalues and the labels' coefficients, `condition` is lambda_max / lambda_min.
    """

    value: Tensor
    low: Tensor
    high: Tensor
    condition: float
    projections: LabelProjections

    __repr__ = short_repr

    @property
    def contributions(self) -> Tensor:
        """2 c_i^2 / (n lambda_i), shape of the coefficients, which sum to the value's square; largest lambda first."""
        found = self.projections
        return 2 * _over(found.coefficients.square(), found.eigenvalues) / len(found.eigenvalues)

    def plot(self) -> Figure:
        """Draw which eigenvalues make the value: its square, summed from the largest eigenvalue down.

        >>> label_complexity(torch.eye(2), torch.tensor([1.0, -1.0])).plot().name
        'label-complexity'
        """
        index = np.arange(1, len(self.projections.eigenvalues) + 1)
        sums = self.contributions.cumsum(0).reshape(len(index), -1).mT.cpu().numpy()
        values = self.value.reshape(-1).tolist()
        series = [
            Series(label=f"{value:.3g}² in all", x=index, y=line) for value, line in zip(values, sums, strict=True)
        ]
        panel = Panel(
            x=Axis(label="eigenvectors taken, largest first", log=True),
            y=Axis(label="2 yᵀK⁻¹y / n, so far", log=True),
            series=series,
            references=[Reference(label="above 1 the bound says nothing", value=1.0, role="theory")],
        )
        caption = f"{len(index):,} samples, condition {self.condition:.3g}."
        return Figure(name="label-complexity", title="Complexity of labels", caption=caption, panels=[panel])


def label_complexity(kernel: KernelMatrix | Tensor, y: Tensor) -> LabelComplexity:
    """Give sqrt(2 y^T K^-1 y / n) of labels y (n,), or of k labellings (n, k) from one decomposition.

    `kernel` is the matrix (n, n) of the samples, a tensor or a `KernelMatrix`, each entry right to two units in the
    last place of its dtype. Computed in float64; nothing is random. Raises `InvalidInput` where the smallest eigenvalue
    is within rounding of zero, so that the value is not determined, and as `label_projections`.

    >>> found = label_complexity(2 * torch.eye(4), torch.tensor([1.0, -1.0, 1.0, 1.0]))
    >>> found.value, bool(found.low <= 1 <= found.high)
    (tensor(1., dtype=torch.float64), True)
    """
    found = label_projections(kernel, y)
    largest, smallest, n = float(found.eigenvalues[0]), float(found.eigenvalues[-1]), len(found.eigenvalues)
    if not smallest > found.rounding:
        dtype = (kernel.values if isinstance(kernel, KernelMatrix) else kernel).dtype
        better = "drop repeated or parallel points, add a ridge" + (", give float64" if dtype.itemsize < 8 else "")
        raise InvalidInput(
            f"y^T K^-1 y is not determined: the smallest eigenvalue {smallest:.3g} of {n:,} is within the rounding of "
            f"the matrix in {dtype}, {found.rounding:.2g} (largest {largest:.3g}); {better}"
        )
    c = found.coefficients.abs()
    delta = n * torch.finfo(torch.float64).eps * c.norm(dim=0)
    value, low, high = (
        (2 * _over(part.square(), eigenvalues).sum(0) / n).sqrt()
        for part, eigenvalues in (
            (c, found.eigenvalues),
            ((c - delta).clamp(min=0), found.eigenvalues + found.rounding),
            (c + delta, found.eigenvalues - found.rounding),
        )
    )
    return LabelComplexity(value=value, low=low, high=high, condition=largest / smallest, projections=found)


def _over(squares: Tensor, eigenvalues: Tensor) -> Tensor:
    return squares / (eigenvalues if squares.ndim == 1 else eigenvalues[:, None])
