"""`CriticalPoints`: what a search ended at, point by point, with what is known of each."""

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.landscape.critical.kinds import Kind
from lemmata.objective import Objective, Tree

NAMES: tuple[Kind, ...] = ("minimum", "saddle", "maximum", "degenerate", "gradient-flat", "not converged")


@dataclass(frozen=True, eq=False)
class CriticalPoints:
    """M points, in float64, with what is known of each.

    theta             (M, P) the points, flat; `tree(i)` gives one as a parameter tree
    loss              (M,)
    gradient_norm     (M,), infinite where the loss is not finite
    index             (M,) share of negative eigenvalues: those below -eigenvalue_error
    eigenvalues       (M, P) of the Hessian, rising; beyond the dense limit the k smallest and k largest, (M, 2 k)
    eigenvalue_error  (M,) bound on how far each is from that of the true critical point: residual, rounding, distance
    flatness          (M,) Frye's r: above 0.9 at |g| > 0 the point is gradient-flat
    kind              M names: see `lemmata.landscape.critical.kinds`
    distance          (M,) certified distance to a true critical point, infinite where nothing is certified
    slack             (M,) by what factor the Lipschitz constant may be too small before the certificate fails
    lipschitz         (M,) that constant, of the Hessian: an estimate unless it was given
    steps, stalled    (M,) of the search; who could get no further
    history           (M, T) gradient norms along the way, NaN after the last step
    gradients         cost of everything, in gradients, over all points
    """

    theta: Tensor = field(repr=False)
    loss: Tensor
    gradient_norm: Tensor
    index: Tensor
    eigenvalues: Tensor = field(repr=False)
    eigenvalue_error: Tensor = field(repr=False)
    flatness: Tensor
    kind: tuple[Kind, ...]
    distance: Tensor
    slack: Tensor = field(repr=False)
    lipschitz: Tensor = field(repr=False)
    steps: Tensor = field(repr=False)
    stalled: Tensor = field(repr=False)
    history: Tensor = field(repr=False)
    gradients: float
    tolerance: float
    objective: Objective = field(repr=False)

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def counts(self) -> dict[str, int]:
        """How many points there are of each kind that occurs."""
        found = Counter(self.kind)
        return {name: found[name] for name in NAMES if found[name]}

    @property
    def critical(self) -> Tensor:
        """Which points are critical to the tolerance: a mask (M,)."""
        return self.gradient_norm <= self.tolerance

    @property
    def negative(self) -> Tensor:
        """The number of negative eigenvalues known of each point, (M,)."""
        return (self.eigenvalues < -self.eigenvalue_error[:, None]).sum(1)

    @property
    def flat(self) -> Tensor:
        """The number of eigenvalues that cannot be told from zero, (M,), among those known."""
        return (self.eigenvalues.abs() <= self.eigenvalue_error[:, None]).sum(1)

    def tree(self, i: int) -> Tree:
        """Point i as a parameter tree."""
        return self.objective.tree(self.theta[i])

    def of(self, *kind: Kind) -> Self:
        """Only the points of these kinds."""
        return self.at(torch.tensor([name in kind for name in self.kind], dtype=torch.bool))

    def at(self, which: Tensor) -> Self:
        """Only the points chosen by a mask (M,) or indices; the cost stays that of all."""
        rows = which.nonzero()[:, 0] if which.dtype == torch.bool else which
        changed: dict[str, Any] = {"kind": tuple(self.kind[int(i)] for i in rows)}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Tensor):
                changed[each.name] = value[rows.to(value.device)]
        return replace(self, **changed)

    def distinct(self, apart: float = 1e-6) -> Self:
        """One of each group of points within `apart` of its first, in the order found.

        Raises nothing; costs O(M^2 P). Points of one family, by symmetry, are as distinct as they lie.
        """
        kept: list[int] = []
        for i, point in enumerate(self.theta):
            if not kept or float((self.theta[kept] - point).norm(dim=1).min()) > apart:
                kept.append(i)
        return self.at(torch.tensor(kept, dtype=torch.long))

    def plot(self) -> Figure:
        """Draw the index against the loss, a symbol for each kind, and the gradient norm along the way."""
        index, loss, reached = self.index.cpu().numpy(), self.loss.cpu().numpy(), self.gradient_norm.cpu().numpy()
        kind = np.array(self.kind)
        scatter = [
            Series(
                label=f"{name} ({n})", x=loss[kind == name], y=index[kind == name], style="points",
                role="control" if name in ("gradient-flat", "not converged") else "measured",
            )
            for name, n in self.counts.items()
        ]  # fmt: skip
        history = self.history.cpu().numpy()
        each = [
            Series(
                label="", x=np.flatnonzero(~np.isnan(row)), y=row[~np.isnan(row)].clip(min=1e-17),
                role="measured" if r <= self.tolerance else "control",
            )
            for row, r in zip(history[:60], reached[:60], strict=True)
        ]  # fmt: skip
        panels = [
            Panel(x=Axis(label="loss"), y=Axis(label="index: share of negative eigenvalues"), series=scatter),
            Panel(
                x=Axis(label="step"), y=Axis(label="gradient norm", log=True), series=each,
                references=[Reference(label="tolerance", value=self.tolerance, role="theory")],
            ),
        ]  # fmt: skip
        certified = int((self.distance.isfinite() & self.critical).sum())
        caption = (
            f"{len(self)} starts: " + ", ".join(f"{n} {name}" for name, n in self.counts.items()) + ". "
            f"{certified} certified to lie within {self._worst()} of a critical point; {self.gradients:.3g} gradients."
        )
        return Figure(name="critical-points", title="Critical points", caption=caption, panels=panels)

    def _worst(self) -> str:
        found = self.distance[self.distance.isfinite() & self.critical]
        return f"{float(found.max()):.1g}" if len(found) else "no bound"
