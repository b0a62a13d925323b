"""Kernel ridge regression for all ridges from one eigendecomposition, and what it says of held-out samples.

    K = V diag(lambda) V^T,    C = (K + ridge I)^-1 = V diag(1 / (lambda + ridge)) V^T,    alpha = C y

    leave-one-out     y_i - f_{-i}(x_i) = alpha_i / C_ii
    folds             y_S - f_{-S}(x_S) = (C_SS)^-1 alpha_S
    GCV               (|alpha|^2 / (n k)) / (tr C / n)^2
    freedom           tr K C = sum lambda / (lambda + ridge)

The closed forms are the block inverse: with S held out and T kept, (C_SS)^-1 = A_SS - A_ST A_TT^-1 A_TS and
alpha_S = C_SS (y_S - A_ST A_TT^-1 y_T), A = K + ridge I. Nothing is fitted again. Cost: about 10 n^3 flops once; then a
ridge takes 2 n^2 k for alpha, 2 n^2 for leave-one-out, 2 n^3 / F for F folds. Memory: three matrices in float64.

Sources: Rasmussen, Williams (2006), 5.4.2; Golub, Heath, Wahba (1979) (GCV); Rifkin, Lippert (2007), Notes on
regularized least squares. Fails where lambda + ridge is lost in the rounding of K: such ridges are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.kernels.kernel_matrix import Kernel, KernelMatrix
from lemmata.kernels.regression import memory as budget
from lemmata.kernels.regression.entries import Entries, blocks
from lemmata.kernels.regression.held_out import HeldOut
from lemmata.kernels.regression.kernel_fit import KernelFit
from lemmata.kernels.regression.kernel_ridge import require_targets
from lemmata.short_repr import short_repr

RIDGES = 41
AT_ONCE = 2**26  # numbers in a batch of folds' matrices


def kernel_ridge_path(
    kernel: Kernel | KernelMatrix | Tensor,
    y: Tensor,
    *,
    x: Tensor | None = None,
    ridges: Sequence[float] | Tensor | None = None,
    memory: int | None = None,
) -> KernelRidgePath:
    """Regress y (n,) or (n, k) for every ridge (R,); `kernel` and `x` are as for `kernel_ridge`.

    By default 41 ridges from 1e-10 (or the rounding of K, if that is more) to 1 times the largest eigenvalue. Computed
    in float64, whatever the dtype of K is; nothing is random. Raises `InvalidInput` where K has an eigenvalue that is
    more negative than its rounding explains, where a ridge leaves lambda + ridge within that rounding, and where
    `memory` bytes (by default what is free) do not suffice.

    >>> path = kernel_ridge_path(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([1.0, 4.0]), ridges=[0.0, 1.0])
    >>> path.coefficients
    tensor([[-0.6667,  2.3333],
            [-0.1250,  1.3750]], dtype=torch.float64)
    >>> path.leave_one_out().predictions
    tensor([[2.0000, 0.5000],
            [1.3333, 0.3333]], dtype=torch.float64)
    """
    entries = Entries(kernel, x)
    targets = require_targets(y, entries.n).to(entries.device)
    _require_room(entries, memory)
    eigenvalues, eigenvectors = torch.linalg.eigh(whole(entries))
    noise = torch.finfo(entries.dtype).eps * float(eigenvalues[-1].abs())
    if float(eigenvalues[0]) < -noise * entries.n**0.5:
        raise InvalidInput(
            f"the kernel matrix has the eigenvalue {float(eigenvalues[0]):.3g}, below zero by more than rounding in "
            f"{entries.dtype} explains (largest {float(eigenvalues[-1]):.3g}): it is not positive semidefinite"
        )
    eigenvalues = eigenvalues.clamp(min=0)
    wanted = _default(noise, float(eigenvalues[-1])) if ridges is None else _ridges(ridges)
    _require_beyond_rounding(wanted, float(eigenvalues[0]), noise)
    return KernelRidgePath(
        entries=entries, targets=targets, ridges=wanted.to(entries.device), eigenvalues=eigenvalues,
        eigenvectors=eigenvectors,
    )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class KernelRidgePath:
    """The fits of all `ridges` (R,), by `eigenvalues` (n,), smallest first, and `eigenvectors` (n, n) of K, float64."""

    entries: Entries = field(repr=False)
    targets: Tensor
    ridges: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor

    __repr__ = short_repr

    @property
    def coefficients(self) -> Tensor:
        """Give alpha for every ridge: (R, n) or (R, n, k)."""
        found = self._alpha
        return found[..., 0] if self.targets.ndim == 1 else found

    @property
    def freedom(self) -> Tensor:
        """Effective degrees of freedom tr K (K + ridge I)^-1 (R,): between 0 and n."""
        return (self.eigenvalues / (self.eigenvalues + self.ridges[:, None])).sum(1)

    def fit(self, ridge: float) -> KernelFit:
        """The fit with one ridge, any: a function of new samples. It keeps no Cholesky factor.

        >>> kernel_ridge_path(torch.eye(2), torch.tensor([1.0, 2.0])).fit(1.0).coefficients
        tensor([0.5000, 1.0000], dtype=torch.float64)
        """
        noise = torch.finfo(self.entries.dtype).eps * float(self.eigenvalues[-1])
        _require_beyond_rounding(_ridges([ridge]), float(self.eigenvalues[0]), noise)
        alpha, y = self.eigenvectors @ (self._projections / (self.eigenvalues + ridge)[:, None]), self._y
        left = y - self.eigenvectors @ (self.eigenvalues[:, None] * (self.eigenvectors.mT @ alpha)) - ridge * alpha
        residual = float(left.abs().max()) / (float(y.abs().max()) or 1.0)
        return KernelFit(
            entries=self.entries, targets=self.targets, coefficients=alpha[:, 0] if self.targets.ndim == 1 else alpha,
            ridge=ridge, residual=residual, tolerance=max(residual, 1e-6), way="one of a path, by eigendecomposition",
            bytes=_bytes(self.entries), cost=10.0 * self.entries.n**3, history=[(1, residual)],
        )  # fmt: skip

    def leave_one_out(self) -> HeldOut:
        """What each fit says of each sample without having seen it: 2 n^2 flops a ridge beside the coefficients."""
        inverse = (self.eigenvalues + self.ridges[:, None]).reciprocal()
        diagonal = torch.cat([part.square() @ inverse.mT for part in self.eigenvectors.split(1024)]).mT
        return self._held_out(self._alpha / diagonal[..., None], "leave-one-out", None)

    def cross_validation(self, folds: int | Tensor = 5, *, seed: int | torch.Generator = 0) -> HeldOut:
        """What the fits without each fold say of it. Random, by `seed`: the folds; or `folds` (n,) says each sample's.

        2 n^3 / F flops a ridge for F folds: as many as one Cholesky factorisation for F = 6.
        """
        assigned = self._assigned(folds, seed)
        errors = torch.empty_like(self._alpha)
        for fold in assigned.unique():
            S = (assigned == fold).nonzero()[:, 0]
            V = self.eigenvectors[S]
            many = max(1, AT_ONCE // V.numel())
            for some in blocks(len(self.ridges), many):
                inverse = (self.eigenvalues + self.ridges[some, None]).reciprocal()
                C = (V * inverse[:, None]) @ V.mT
                errors[some, S] = torch.cholesky_solve(self._alpha[some][:, S], torch.linalg.cholesky(C))
        return self._held_out(errors, f"cross-validation in {len(assigned.unique())} folds", assigned)

    def gcv(self) -> Tensor:
        """The score of generalised cross-validation (R,): an estimate of the squared error of one output.

        >>> K = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
        >>> kernel_ridge_path(K, torch.tensor([1.0, 4.0]), ridges=[1.0]).gcv()
        tensor([6.7778], dtype=torch.float64)
        """
        trace = (self.eigenvalues + self.ridges[:, None]).reciprocal().mean(1)
        return self._alpha.square().mean((1, 2)) / trace.square()

    def plot(self) -> Figure:
        """Draw leave-one-out and GCV against the ridge, and the degrees of freedom."""
        above = self.ridges > 0
        x = self.ridges[above].cpu().numpy()
        held_out, outputs = self.leave_one_out(), self._y.shape[1]
        curves = {"leave-one-out": held_out.squared_error, "GCV": self.gcv() * outputs}
        errors = [Series(label=name, x=x, y=curve[above].cpu().numpy()) for name, curve in curves.items()]
        ridge, best = Axis(label="ridge", log=True), held_out.best
        lines = [Reference(label=f"least: {best:.3g}", value=best, axis="x", role="theory")] * (best > 0)
        freedom = Series(label="", x=x, y=self.freedom[above].cpu().numpy())
        panels = [
            Panel(x=ridge, y=Axis(label="squared error", log=True), series=errors, references=lines),
            Panel(x=ridge, y=Axis(label="effective degrees of freedom", log=True), series=[freedom]),
        ]
        caption = f"{self.entries.n:,} samples, {len(self.ridges)} ridges from one eigendecomposition."
        return Figure(name="kernel-ridge-path", title="Kernel ridge regression", caption=caption, panels=panels)

    @cached_property
    def _alpha(self) -> Tensor:
        """Alpha (R, n, k)."""
        weights = self._projections / (self.eigenvalues + self.ridges[:, None])[..., None]
        return self.eigenvectors @ weights

    @cached_property
    def _projections(self) -> Tensor:
        return self.eigenvectors.mT @ self._y

    @property
    def _y(self) -> Tensor:
        y = self.targets.double()
        return y[:, None] if y.ndim == 1 else y

    def _held_out(self, errors: Tensor, rule: str, folds: Tensor | None) -> HeldOut:
        predictions = self._y - errors
        if self.targets.ndim == 1:
            predictions = predictions[..., 0]
        return HeldOut(ridges=self.ridges, predictions=predictions, targets=self.targets, rule=rule, folds=folds)

    def _assigned(self, folds: int | Tensor, seed: int | torch.Generator) -> Tensor:
        n = self.entries.n
        if isinstance(folds, Tensor):
            if folds.shape != (n,) or len(folds.unique()) < 2:
                raise InvalidInput(
                    f"folds of shape {tuple(folds.shape)}; give each of {n} samples one of two folds or more"
                )
            return folds.to(self.entries.device)
        if not isinstance(folds, int) or not 2 <= folds <= n:
            raise InvalidInput(f"{folds!r} folds of {n} samples; take from 2 to {n}")
        generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        places = torch.randperm(n, generator=generator, device=generator.device)
        return (places * folds // n).to(self.entries.device)


def whole(entries: Entries) -> Tensor:
    """K in float64, exactly symmetric."""
    K = torch.empty(entries.n, entries.n, dtype=torch.float64, device=entries.device)
    for rows in blocks(entries.n):
        for columns in blocks(rows.stop):
            part = entries.block(rows, columns).double()
            if not bool(part.isfinite().all()):
                raise InvalidInput(f"the kernel has values that are not finite among samples from {rows.start} on")
            K[rows, columns] = part
            if columns.start < rows.start:
                K[columns, rows] = part.mT
    return K


def _ridges(values: Sequence[float] | Tensor) -> Tensor:
    try:
        ridges = torch.as_tensor(values, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        raise InvalidInput(f"ridges {values!r}; give numbers, each 0 or positive") from None
    if not len(ridges) or not bool(((ridges >= 0) & ridges.isfinite()).all()):
        raise InvalidInput(f"ridges {ridges.tolist()}; each must be 0 or positive, and there must be one at least")
    return ridges


def _require_beyond_rounding(ridges: Tensor, smallest: float, noise: float) -> None:
    lost = ridges[ridges + smallest < noise]
    if len(lost):
        raise InvalidInput(
            f"with ridge {float(lost[0]):.3g} the smallest eigenvalue {smallest:.3g} is lost in the kernel's rounding, "
            f"{noise:.3g}; take larger ridges, or a kernel in float64"
        )


def _default(noise: float, largest: float) -> Tensor:
    if not largest > 0:
        raise InvalidInput("the kernel matrix is zero; there is nothing to regress on")
    low = max(1e-10 * largest, 2 * noise)
    return torch.logspace(0, 1, RIDGES, base=largest / low, dtype=torch.float64) * low


def _bytes(entries: Entries) -> int:
    return 3 * 8 * entries.n**2


def _require_room(entries: Entries, memory: int | None) -> None:
    there = budget.free_bytes(entries.device) if memory is None else memory
    if _bytes(entries) > there:
        raise InvalidInput(
            f"the eigendecomposition of {entries.n:,} samples needs {_bytes(entries) / 1e9:.3g} GB, and "
            f"{there / 1e9:.3g} GB are free on {entries.device}; use fewer samples, or kernel_ridge with each ridge"
        )
