"""Sampled Tikhonov: a large regularised least squares problem solved block of rows by block of rows.

    min over X of  |A X - B|_F^2 + ridge |X|_F^2,     rows (A_k, B_k) seen at step k

With the rows of the last r steps in memory, M_k = [A_{k-r}; ...; A_k], and Lambda_k = ridge_1 + ... + ridge_k > 0, a
step is

    X_k = X_{k-1} - (M_k' M_k + Lambda_k I)^-1 (A_k' (A_k X_{k-1} - B_k) + ridge_k X_{k-1})

(Chung, Chung, Slagel and Tenorio, 2020, Inverse Problems 36, 054001; Newman, Chung, Chung and Ruthotto, 2022, SIAM
Journal on Scientific Computing 44, A2322-A2348). With full memory X_k is the Tikhonov solution of all rows seen so far
with penalty Lambda_k, whatever the ridge_k were: recursive least squares. So Lambda may be chosen anew at each step
(ridge_k negative where it falls), here by *sampled GCV*, generalised cross-validation on the rows just seen:

    sGCV(Lambda) = b |A_k X_k(Lambda) - B_k|_F^2 / (b - tr A_k (M_k' M_k + Lambda I)^-1 A_k')^2

One block is little evidence, and now and then puts the minimum far too low, where it ruins the solution at once. So its
three parts (rows, misfit and rows left over) are pooled over the blocks before, forgetting them with a half-life, at
equal Lambda over the largest s^2; ``pooled=1`` is the published choice.

With ``ridge="next"`` the penalty is instead the one whose solutions have predicted the blocks best before they were
taken in, |A_k X_{k-1}(Lambda) - B_k|_F^2 pooled likewise. It sees what sGCV cannot: that the rows, features of a
network in training, move from step to step, which small penalties do not survive.

From one singular value decomposition M_k = U diag(s) V', everything follows for all Lambda at once; memory is kept as
rows, or, if full, as the triangular factor of all rows, so that nothing is squared. Cost a step, with q = min(rows in
memory, m): O(q^2 m) flops for the decomposition and O(b q L) for L penalties tried. Where it fails: with short memory
and a small Lambda the solution follows the last blocks only; a block of few rows gives sGCV little to judge by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.regression.stochastic.checks import check_counts, check_tensors

Choice = Literal["sgcv", "next"] | float
CHOICES = ("sgcv", "next")
GRID = 65  # penalties tried at each step
DECADES = 12.0  # that the grid spans below the square of the largest singular value


class RecursiveTikhonov:
    """The state of the recursion: the solution `X` (m, k), the rows in memory, and the total penalty `total`.

    `memory` is the number of earlier blocks kept (r), None for all. `ridge` is the penalty added at each step, or
    "sgcv" or "next", pooled over about `pooled` blocks. A block of more rows than unknowns is first reduced to a
    triangle, which changes nothing.

    >>> state = RecursiveTikhonov(torch.zeros(2, 1).double(), memory=None, ridge=0.5)
    >>> A, B = torch.eye(2).double(), torch.ones(2, 1).double()
    >>> for _ in range(2): state.step(A, B)
    >>> state.X.flatten().round(decimals=6).tolist(), state.total  # 2 / (2 + 1)
    ([0.666667, 0.666667], 1.0)
    """

    def __init__(self, X: Tensor, *, memory: int | None = None, ridge: Choice = "sgcv", pooled: float = 20):
        if isinstance(ridge, str) and ridge not in CHOICES:
            raise UnknownName("choice of the penalty", ridge, CHOICES)
        if not isinstance(ridge, str) and not (math.isfinite(ridge) and ridge > 0):
            raise InvalidInput(f"ridge = {ridge}; the penalty added at each step is finite and positive")
        if memory is not None:
            check_counts(0, memory=memory)
        if not 1 <= pooled < math.inf:
            raise InvalidInput(f"pooled = {pooled}; a criterion is pooled over 1 block or more")
        self.X, self.memory, self.ridge = X, memory, ridge
        self.kept, self.pool = 1 - 1 / pooled, torch.zeros(3, GRID, dtype=X.dtype, device=X.device)
        self.total, self.criterion = 0.0, math.nan
        self.blocks: list[Tensor] = []
        self.tried = X.expand(GRID, *X.shape)  # the solutions after the last step, for every penalty of the grid

    def step(self, A: Tensor, B: Tensor) -> None:
        """Take in the rows A (b, m) and right-hand sides B (b, k)."""
        if not (A.isfinite().all() and B.isfinite().all()):
            raise InvalidInput("the rows hold NaN or infinity; the features have overflowed, so take smaller steps")
        self.blocks.append(A)
        self._forget()
        V, s = _right_vectors(torch.cat(self.blocks))
        residual = A @ self.X - B
        parts = _Step(A @ V, V, s.square(), residual, V.mT @ (A.mT @ residual), V.mT @ self.X)
        if isinstance(self.ridge, str):
            grid = torch.logspace(-DECADES, 1, GRID, dtype=A.dtype, device=A.device) * parts.top
            total = float(grid[self._best(parts, grid, A, B)])
        else:
            grid, total = None, self.total + self.ridge
        if self.ridge == "next" and grid is not None:
            self.tried = parts.moved(self.X, grid, self.total)
        self.X = parts.moved(self.X, self.X.new_tensor([total]), self.total)[0]
        self.total = total

    def _best(self, parts: _Step, grid: Tensor, A: Tensor, B: Tensor) -> int:
        """The place in the grid of the total penalty after this step."""
        if self.ridge == "next":
            misfit = (A @ self.tried - B).square().sum((-2, -1))
            left = torch.full_like(misfit, len(A))
        else:
            misfit, left = parts.sampled_gcv(grid, self.total)
        self.pool = self.kept * self.pool + torch.stack([torch.full_like(left, len(A)), misfit, left])
        rows, misfit, left = self.pool
        values = torch.where(left > 1e-9 * rows, rows * misfit / left.square(), torch.inf)
        best = int(values.argmin())
        self.criterion = float(values[best])
        return best

    def _forget(self) -> None:
        """Drop the blocks beyond the memory; with full memory keep one triangle of all rows."""
        if self.memory is not None:
            self.blocks = self.blocks[-(self.memory + 1) :]
            return
        rows = torch.cat(self.blocks)
        if len(rows) > rows.shape[1]:
            self.blocks = [torch.linalg.qr(rows, mode="r").R]


class _Step(NamedTuple):
    """One step in the right singular vectors V (m, q) of the rows in memory.

    P = A V, s^2, A X - B, g = V'A'(A X - B) and x = V'X.
    """

    P: Tensor
    V: Tensor
    square: Tensor
    residual: Tensor
    g: Tensor
    x: Tensor

    @property
    def top(self) -> float:
        """The largest squared singular value, which the grid is relative to."""
        return max(float(self.square[0]), torch.finfo(self.P.dtype).tiny ** 0.5)

    def change(self, totals: Tensor, before: float) -> Tensor:
        """What a step takes from V'X for each new total penalty (L,): (L, q, k)."""
        shrink = 1 / (self.square + totals[:, None])
        return shrink[..., None] * (self.g + (totals - before)[:, None, None] * self.x)

    def moved(self, X: Tensor, totals: Tensor, before: float) -> Tensor:
        """X after the step, for each total: (L, m, k). Where no row in memory reaches, the penalty alone acts."""
        outside = X - self.V @ self.x
        return X - self.V @ self.change(totals, before) - (1 - before / totals)[:, None, None] * outside

    def sampled_gcv(self, totals: Tensor, before: float) -> tuple[Tensor, Tensor]:
        """The squared misfit of the rows just seen, and how many of them are left over, for each total: (L,)."""
        misfit = (self.residual - self.P @ self.change(totals, before)).square().sum((-2, -1))
        return misfit, len(self.P) - (self.P.square().sum(0) / (self.square + totals[:, None])).sum(-1)


@dataclass(frozen=True, eq=False)
class SampledTikhonov:
    """A solution `X` (m, k) by sampled Tikhonov, and its history, one entry a step.

    `penalties` are the Lambda_k, `criteria` sGCV there (NaN where the penalty was given), `residuals` |A_k X_k - B_k|_F
    over |B_k|_F of the block just seen, `errors` |X_k - truth|_F / |truth|_F where a truth was given. `cost` counts
    passes over all rows.
    """

    X: Tensor
    penalties: np.ndarray
    criteria: np.ndarray
    residuals: np.ndarray
    errors: np.ndarray | None
    cost: float

    def plot(self) -> Figure:
        """Draw the penalty, and the residual and the error, step by step."""
        steps = np.arange(1, len(self.penalties) + 1)
        fits = [Series(label="residual of the block", x=steps, y=self.residuals)]
        if self.errors is not None:
            fits.append(Series(label="error of the solution", x=steps, y=self.errors))
        step = Axis(label="step", log=True)
        chosen = Series(label="total penalty", x=steps, y=self.penalties)
        panels = [
            Panel(x=step, y=Axis(label="relative size", log=True), series=fits),
            Panel(x=step, y=Axis(label="penalty Lambda", log=True), series=[chosen]),
        ]
        caption = f"{len(steps)} blocks of rows; the penalty in use after each."
        return Figure(name="sampled-tikhonov", title="Sampled Tikhonov", caption=caption, panels=panels)


def sampled_tikhonov(
    A: Tensor,
    B: Tensor,
    *,
    batch: int,
    memory: int | None = None,
    ridge: Choice = "sgcv",
    pooled: float = 20,
    epochs: int = 1,
    start: Tensor | None = None,
    truth: Tensor | None = None,
    seed: int | Generator = 0,
) -> SampledTikhonov:
    """Solve with A (n, m) and B (n, k) or (n,) in blocks of `batch` rows, in random order, `epochs` times over.

    `memory`, `ridge`, `pooled`: see `RecursiveTikhonov`. With more than one epoch and full memory every row counts as
    often as it was seen. Raises `InvalidInput` for shapes that disagree, NaN, no rows.

    >>> draw = torch.Generator().manual_seed(0)
    >>> A = torch.randn(100, 5, generator=draw).double()
    >>> found = sampled_tikhonov(A, A @ torch.ones(5).double(), batch=10, ridge=0.1)
    >>> dense = torch.linalg.solve(A.T @ A + torch.eye(5), A.T @ A @ torch.ones(5).double())  # 10 steps of 0.1
    >>> torch.allclose(found.X, dense)
    True
    """
    check_tensors(A=A, B=B)
    check_counts(epochs=epochs)
    A, targets = A.detach(), (B[:, None] if B.ndim == 1 else B).detach()
    if A.ndim != 2 or targets.ndim != 2 or len(A) != len(targets) or not A.numel() or not 1 <= batch <= len(A):
        raise InvalidInput(f"A of shape {tuple(A.shape)}, B of shape {tuple(B.shape)}, blocks of {batch} rows")
    check_counts(batch=batch)
    if not A.is_floating_point() or A.dtype != targets.dtype:
        raise InvalidInput(f"A is {A.dtype} and B {targets.dtype}; give both one floating dtype, by .double(), say")
    shape = (A.shape[1], targets.shape[1])
    for name, given in (("start", start), ("truth", truth)):
        _check_solution(name, given, shape)
    X = A.new_zeros(shape) if start is None else start.to(A).reshape(shape)
    state = RecursiveTikhonov(X, memory=memory, ridge=ridge, pooled=pooled)
    generator = seed if isinstance(seed, Generator) else torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(epochs):
        order = torch.randperm(len(A), generator=generator, device=generator.device).to(A.device)
        for block in order.split(batch):
            state.step(A[block], targets[block])
            size = float(targets[block].norm()) or 1.0
            left = float((A[block] @ state.X - targets[block]).norm()) / size
            rows.append((state.total, state.criterion, left, _error(state.X, truth)))
    penalties, criteria, residuals, errors = np.array(rows).T
    found = state.X[:, 0] if B.ndim == 1 else state.X
    return SampledTikhonov(found, penalties, criteria, residuals, None if truth is None else errors, float(epochs))


def _check_solution(name: str, X: Tensor | None, shape: tuple[int, int]) -> None:
    if X is None:
        return
    check_tensors(**{name: X})
    if X.shape not in ((shape, shape[:1]) if shape[1] == 1 else (shape,)) or not X.isfinite().all():
        raise InvalidInput(f"{name} of shape {tuple(X.shape)}; expected {shape}, finite")


def _right_vectors(M: Tensor) -> tuple[Tensor, Tensor]:
    """The right singular vectors (m, q) and singular values (q,) of M, from its triangle where it is tall."""
    M = torch.linalg.qr(M, mode="r").R if len(M) > M.shape[1] else M
    _, s, Vt = torch.linalg.svd(M, full_matrices=False)
    return Vt.mT, s


def _error(X: Tensor, truth: Tensor | None) -> float:
    return math.nan if truth is None else float((X - truth.reshape(X.shape).to(X)).norm() / truth.norm())
