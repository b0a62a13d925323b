"""The subspace distance without a cut of the range, as in the authors' code, along the descent of `bao_2020`.

Descent is that of `bao_2020`, in double precision and in the eigenbasis; the decoder is measured in single precision
and in another basis, as the authors' is among pixels. Where every unit lives this is the distance of
`_bao_2020_descent`. The columns of units that die at the optimum shrink without end, and their directions count as much
as those of the others: at first they span the components that no living unit has, and the distance falls, up and down
by factors of a hundred while they turn, as if nothing was lost. But in the end they point anywhere: a column underflows
(that of the last unit, after 1,600 steps), or it has turned into the span of the living units, and what is left of it
outside is rounding (that of the last but one, after some 3,500). Then the distance rises to about the share of dead
units, less what random directions have of the subspace: with d of k dead and m dimensions, to d (1 - d / (m - k + d)) /
k.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lemmata.studies._bao_2020_descent import Terms, descend
from lemmata.studies._bao_2020_training import PUBLISHED_RATES, Autoencoder, initial
from lemmata.study import Curve, Measurements

FOUND = 1e-3  # a distance below which the subspace counts as found


def fall_and_rise(configs: Sequence[Autoencoder]) -> list[Measurements]:
    """Train all members together; their distances without a cut, and how far these have risen since they were least."""
    W, D = (torch.stack(part) for part in zip(*map(initial, configs), strict=True))
    e = torch.tensor(np.stack([config.spectrum for config in configs]))[:, None]
    terms = Terms.of([config.method for config in configs], torch.tensor(np.stack([config.r for config in configs])))
    rate = torch.tensor([config.rate or PUBLISHED_RATES[config.method] for config in configs], dtype=torch.float64)
    marks = configs[0].marks
    distances = torch.stack([uncut(decoder) for decoder in descend(W, D, e, terms, rate=rate, marks=marks)], 1)
    return [measured(np.array(marks), curve) for curve in distances.numpy()]


def uncut(D: Tensor) -> Tensor:
    """1 - tr(U U^T P) / k, P the projection on all k left singular vectors; D (B, k, m) transposed, NaN if diverged.

    In single precision, and in a basis that a fixed seed draws.
    """
    k, m = D.shape[1:]
    fine = D.isfinite().all((1, 2))
    basis = torch.linalg.qr(torch.randn(m, m, generator=torch.Generator().manual_seed(0), dtype=D.dtype)).Q.float()
    left = torch.linalg.svd(basis @ torch.where(fine[:, None, None], D, 0.0).float().mT, full_matrices=False).U
    inside = (basis[:, :k].mT @ left).double().square().sum((1, 2))
    return torch.where(fine, 1 - inside / k, torch.nan)


def measured(marks: np.ndarray, distance: np.ndarray) -> Measurements:
    """The least distance, the last, and the rise from one to the other; no rise where the subspace was never found."""
    if not np.isfinite(distance).all():
        return Measurements(status="diverged")
    least, last = float(distance.min()), float(distance[-1])
    return Measurements.of(
        least=least, last=last, rise=last - least if least <= FOUND else 0.0, uncut_curve=Curve(marks, distance)
    )
