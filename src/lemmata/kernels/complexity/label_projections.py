"""Labels in the eigenbasis of a kernel matrix: how much of them lies where the kernel learns fast.

    K = sum_i lambda_i v_i v_i^T,    c_i = v_i^T y,    energy c_i^2 / |y|^2,   cumulative from the largest lambda down

Cost: about 10 n^3 flops in float64 for one decomposition, 2 n^2 a labelling. Fails where eigenvalues coincide: within
their space the directions are arbitrary, and only the energy of the space means something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.kernels.regression.entries import Entries
from lemmata.kernels.regression.kernel_ridge import require_targets
from lemmata.kernels.regression.ridge_path import whole
from lemmata.short_repr import short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelProjections:
    """`coefficients` c, float64 (n,) or (n, k) as the labels, by `eigenvalues` lambda (n,), largest first.

    `rounding` bounds what the entries' dtype and the decomposition move the eigenvalues by.
    """

    eigenvalues: Tensor
    coefficients: Tensor
    rounding: float

    __repr__ = short_repr

    @property
    def energy(self) -> Tensor:
        """c_i^2 / |y|^2, shape of the coefficients; sums to 1."""
        squares = self.coefficients.square()
        return squares / squares.sum(0)

    @property
    def cumulative_energy(self) -> Tensor:
        """The share of |y|^2 in the first 1, 2, ..., n eigenvectors; shape of the coefficients."""
        return self.energy.cumsum(0)

    def plot(self) -> Figure:
        """Draw the cumulative energy of every labelling, and the eigenvalues.

        >>> K = torch.diag(torch.tensor([3.0, 1.0]))
        >>> label_projections(K, torch.tensor([1.0, 1.0])).plot().panels[0].y.label
        'share of the labels, cumulative'
        """
        index = np.arange(1, len(self.eigenvalues) + 1)
        shares = self.cumulative_energy.reshape(len(index), -1).mT.cpu().numpy()
        labels = ["labels"] if len(shares) == 1 else [f"labels {i}" for i in range(len(shares))]
        energy = [Series(label=name, x=index, y=share) for name, share in zip(labels, shares, strict=True)]
        values = self.eigenvalues.cpu().numpy()
        above = values > self.rounding
        spectrum = Series(label="eigenvalues", x=index[above], y=values[above])
        direction = Axis(label="eigenvector, largest first", log=True)
        panels = [
            Panel(x=direction, y=Axis(label="share of the labels, cumulative", limits=(0.0, 1.02)), series=energy),
            Panel(x=direction, y=Axis(label="eigenvalue", log=True), series=[spectrum]),
        ]
        caption = f"{len(index):,} samples; {int(above.sum()):,} eigenvalues are above rounding."
        return Figure(name="label-projections", title="Labels along eigenvectors", caption=caption, panels=panels)


def label_projections(kernel: KernelMatrix | Tensor, y: Tensor) -> LabelProjections:
    """Project labels y (n,), or k labellings (n, k), on the eigenvectors of a kernel matrix (n, n).

    In float64; nothing is random. Raises `InvalidInput` for shapes that do not go together, values that are not finite,
    labels that are all zero, and a matrix that is not symmetric.

    >>> K = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    >>> found = label_projections(K, torch.tensor([1.0, 1.0]))
    >>> found.eigenvalues, found.energy.round(decimals=6)
    (tensor([3., 1.], dtype=torch.float64), tensor([1., 0.], dtype=torch.float64))
    """
    entries = Entries(kernel, None)
    labels = require_targets(y, entries.n).to(entries.device).double()
    if not bool(labels.any(0).all()):
        raise InvalidInput("labels that are all zero have no energy to be projected")
    K = whole(entries)
    eigenvalues, V = torch.linalg.eigh(K)
    n, u = entries.n, torch.finfo(torch.float64).eps
    entry_error = ULPS * torch.finfo(entries.dtype).eps * float(K.norm())
    rounding = entry_error + n * u * float(eigenvalues.abs().max())
    return LabelProjections(eigenvalues=eigenvalues.flip(0), coefficients=(V.mT @ labels).flip(0), rounding=rounding)


ULPS = 2.0  # relative error of an entry, in units of the dtype's eps: its own rounding and that of what made it
