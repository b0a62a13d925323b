"""Batch normalisation without automatic differentiation: the units of all members at once, and the way back.

A unit of a member has the sums z_1, ..., z_n over the samples of a batch; then

    mu = mean z;  v = mean (z - mu)^2;  c = z - mu;  r = (v + eps)^(-1/2);  outputs gamma r c + beta
    D_z = gamma r (D - mean D - c r^2 mean(D c));  dgamma = r sum D c;  dbeta = sum D,   D = dloss/doutputs

and the running statistics move by a share m (the momentum) towards mu and n / (n - 1) v. In evaluation mode the running
statistics take the place of mu and v, and are constants; where a module keeps none, those of the batch serve there too.
As in torch, statistics of a batch of one sample are refused.

Source: Ioffe, Szegedy (2015), Batch normalization, arXiv:1502.03167, algorithm 1 and section 3.
Cost: about a dozen passes over the units, forth and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput

aten = torch.ops.aten


@dataclass(frozen=True)
class Norm:
    """What a `torch.nn.BatchNorm1d` of this name says of itself."""

    name: str
    eps: float
    momentum: float | None
    affine: bool
    tracked: bool

    @classmethod
    def of(cls, name: str, module: nn.BatchNorm1d) -> "Norm":
        """Read a module.

        >>> Norm.of("1", nn.BatchNorm1d(4, affine=False))
        Norm(name='1', eps=1e-05, momentum=0.1, affine=False, tracked=True)
        """
        return cls(name, module.eps, module.momentum, module.affine, module.running_mean is not None)


class Normalisation:
    """One layer's batch normalisation, of all M members.

    `parameters` has gamma and beta as ``{name}.weight`` and ``{name}.bias``, `constants` the running statistics, each
    (M, width). Sums and outputs are (M, width, n).
    """

    def __init__(self, norm: Norm, parameters: Mapping[str, Tensor], constants: Mapping[str, Tensor]):
        self.norm, self.constants = norm, constants
        self.gamma, self.beta = (
            parameters[f"{norm.name}.{part}"][:, :, None] if norm.affine else None for part in ("weight", "bias")
        )

    def apply(self, sums: Tensor, out: Tensor, *, training: bool) -> Tensor | None:
        """Normalise `sums` into `out` (which may be `sums`); if training, move the running statistics.

        Returns r (M, width, 1) where statistics are those of the batch, and the sums are centred then; else None.
        """
        if not training and self.norm.tracked:
            centre, r = self._running()
            self._scaled(torch.sub(sums, centre, out=out), r, out)
            return None
        n = sums.shape[2]
        if n == 1:
            remedy = "choose a batch_size that leaves no last batch of one" if training else "set track_running_stats"
            raise InvalidInput(f"{self.norm.name!r} normalises over a batch of one sample, of variance zero; {remedy}")
        mean = sums.mean(2, keepdim=True)
        sums.sub_(mean)
        variance = torch.linalg.vector_norm(sums, dim=2, keepdim=True).square_().mul_(1 / n)
        if training and self.norm.tracked:
            self._move(mean[:, :, 0], variance[:, :, 0] * (n / (n - 1)))
        r = variance.add_(self.norm.eps).rsqrt_()
        self._scaled(sums, r, out)
        return r

    def pull(self, slope: Tensor, sums: Tensor, r: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Pull the slope by the outputs back to the sums, given what `apply` left; with dgamma and dbeta (M, width).

        Where running statistics served (r is None), in place, and without dgamma and dbeta.
        """
        if r is None:
            return slope.mul_(self._scale(self._running()[1])), []
        members, width, n = slope.shape
        flat = (1, members * width, n)  # as many channels as there are units of all members
        gamma = None if self.gamma is None else self.gamma.reshape(-1)
        down, *own = aten.native_batch_norm_backward(
            slope.view(flat), sums.view(flat), gamma, None, None, torch.zeros_like(r).view(-1), r.view(-1),
            True, self.norm.eps, [True, self.norm.affine, self.norm.affine],
        )  # fmt: skip
        return down.view_as(slope), [part.view(members, width) for part in own if part is not None]

    def _running(self) -> tuple[Tensor, Tensor]:
        mean, variance = (self.constants[f"{self.norm.name}.running_{part}"][:, :, None] for part in ("mean", "var"))
        return mean, (variance + self.norm.eps).rsqrt_()

    def _move(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics; without a momentum they are means over all batches so far."""
        name = self.norm.name
        count = self.constants[f"{name}.num_batches_tracked"].add_(1)
        share = 1 / count.to(mean.dtype)[:, None] if self.norm.momentum is None else self.norm.momentum
        self.constants[f"{name}.running_mean"].lerp_(mean, share)
        self.constants[f"{name}.running_var"].lerp_(variance, share)

    def _scale(self, r: Tensor) -> Tensor:
        return r if self.gamma is None else r * self.gamma

    def _scaled(self, centred: Tensor, r: Tensor, out: Tensor) -> None:
        torch.mul(centred, self._scale(r), out=out)
        if self.beta is not None:
            out.add_(self.beta)
