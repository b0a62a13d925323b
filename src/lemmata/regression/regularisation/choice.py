"""What a rule for the regularisation parameter gives: the value, the solution there, and the curve it was read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Reference, Series

if TYPE_CHECKING:
    from collections.abc import Callable

    from lemmata.regression.regularisation.path import Path

ROUNDS, POINTS = 6, 41  # each round of 41 points narrows the bracket by 20: 6 rounds to 1e-8 of a grid step


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """`value` of the parameter by `rule`, the solution `x` (n,) or (n, k) there, and `freedom`, its degrees of freedom.

    `score` (T,) is the rule's curve over the path's values, named by `quantity`: least at the choice (GCV, cross-
    validation), largest (curvature), or level with `target` (discrepancy). `at_end` says that the choice lies at an end
    of the values, so that a wider path may give another.
    """

    rule: str
    value: float
    x: Tensor
    freedom: float
    residual_norm: float
    solution_norm: float
    score: Tensor
    quantity: str
    path: Path
    target: float | None = None
    at_end: bool = False

    def plot(self) -> Figure:
        """Draw the rule's curve with the choice."""
        caption = f"{self.rule}: {self.value:.4g}, {self.freedom:.3g} effective degrees of freedom."
        return Figure(name="choice", title=f"Parameter by {self.rule}", caption=caption, panels=[self.panel()])

    def panel(self) -> Panel:
        """The rule's curve as one panel; other rules' choices can be drawn into it."""
        scores, values = self.score.cpu().numpy(), self.path.values.double().cpu().numpy()
        log = bool((scores > 0).all())
        lines = [Reference(label=f"chosen: {self.value:.3g}", value=self.value, axis="x", role="theory")]
        if self.target is not None:
            lines.append(Reference(label="noise", value=self.target, role="theory"))
        return Panel(
            x=Axis(label=self.path.filter.parameter, log=self.path.filter.continuous),
            y=Axis(label=self.quantity, log=log),
            series=[Series(label=self.quantity, x=values, y=scores)],
            references=lines,
        )


def choose(
    path: Path,
    value: float,
    score: Tensor,
    *,
    rule: str,
    quantity: str,
    target: float | None = None,
    at_end: bool = False,
) -> Choice:
    """The choice of one value on a path, with all that belongs to it."""
    residual, seminorm, left = path.squares(torch.tensor([value], dtype=torch.float64, device=path.b.device))
    return Choice(
        rule=rule, value=value, x=path.solution(value), freedom=len(path.b) - float(left[0]),
        residual_norm=float(residual[0].sqrt()), solution_norm=float(seminorm[0].sqrt()), score=score,
        quantity=quantity, path=path, target=target, at_end=at_end,
    )  # fmt: skip


def least(path: Path, score: Callable[[Tensor], Tensor]) -> tuple[float, Tensor, bool]:
    """Where a score is least, its values on the path, and whether that is at the path's end.

    The grid decides which of several minima is meant; around it the minimum is refined to rounding by ever finer
    grids between the neighbours, where the parameter is continuous.
    """
    values = path.values
    scores = score(values)
    place = int(torch.where(scores.isnan(), torch.inf, scores).argmin())
    at_end = place in (0, len(values) - 1)
    best = values[place]
    if not path.filter.continuous:
        return float(best), scores, at_end
    low, high = values[max(place - 1, 0)].log(), values[min(place + 1, len(values) - 1)].log()
    for _ in range(ROUNDS if len(values) > 1 else 0):
        finer = torch.linspace(float(low), float(high), POINTS, dtype=torch.float64, device=values.device).exp()
        place = int(score(finer).argmin())
        best, low, high = finer[place], finer[max(place - 1, 0)].log(), finer[min(place + 1, POINTS - 1)].log()
    return float(best), scores, at_end
