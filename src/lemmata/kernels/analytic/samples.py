"""Samples as a kernel of inner products sees them: directions and second moments, in float64.

    D_ij = 1 - cos(x_i, z_j) = |u_i - v_j|^2 / 2,    u = x / |x|,  v = z / |z|

One product of matrices gives all cosines, to an absolute rounding of 1e-16. Where D is small that is too little (the
angle is about sqrt(2 D)), and D is computed anew from the difference of the two directions, for those pairs only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor

_AT_ONCE = 1 << 22  # numbers gathered at a time


@dataclass(frozen=True, eq=False)
class Samples:
    """`directions` (n, d), unit rows or zero, and `variance` (n,) = |x|^2 / d; float64."""

    directions: Tensor
    variance: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Samples:
        """Flatten and normalise samples (n, ...)."""
        flat = x.detach().flatten(1).double()
        norms = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
        return cls(flat / torch.where(norms > 0, norms, 1.0), norms.squeeze(1).square() / flat.shape[1])

    def __getitem__(self, rows: slice) -> Samples:
        return Samples(self.directions[rows], self.variance[rows])

    def __len__(self) -> int:
        return len(self.directions)


def deficits(x: Samples, z: Samples, close: float) -> Tensor:
    """1 - cos of all pairs (n, m), float64, to a relative rounding of 1e-16 / close; below `close`, 1e-16 / sqrt(D)."""
    return deficits_of(x.directions @ z.directions.mT, x, z, close)


def deficits_of(cosines: Tensor, x: Samples, z: Samples, close: float) -> Tensor:
    """The same of cosines that are known, in their place."""
    found = cosines.neg_().add_(1).clamp_(0, 2)
    rows, columns = (found < close).nonzero(as_tuple=True)
    step = max(1, _AT_ONCE // max(1, x.directions.shape[1]))
    for at in range(0, len(rows), step):
        i, j = rows[at : at + step], columns[at : at + step]
        found[i, j] = (x.directions[i] - z.directions[j]).square().sum(1) / 2
    return found


def check(x: Tensor, z: Tensor | None) -> None:
    """Refuse samples that no kernel is defined on."""
    for name, samples in (("x", x), ("z", z)):
        if samples is None and name == "z":
            continue
        if not isinstance(samples, Tensor) or samples.dtype not in (torch.float32, torch.float64):
            what = samples.dtype if isinstance(samples, Tensor) else type(samples).__name__
            raise InvalidInput(f"samples {name} are {what}; give a tensor in float32 or float64")
        if require_tensor(samples, f"samples {name}").ndim < 2 or not samples.numel():
            raise InvalidInput(f"samples {name} of shape {tuple(samples.shape)}; expected (n, d) with n, d >= 1")
        if not bool(samples.isfinite().all()):
            raise InvalidInput(f"samples {name} hold NaN or infinity; remove or replace those samples")
    if z is None:
        return
    if x.shape[1:] != z.shape[1:]:
        raise InvalidInput(
            f"samples of shapes {tuple(x.shape)} and {tuple(z.shape)}; all but the first axis must agree"
        )
    if x.dtype != z.dtype or x.device != z.device:
        raise InvalidInput(f"samples in {x.dtype} on {x.device} and {z.dtype} on {z.device}; bring them together")
