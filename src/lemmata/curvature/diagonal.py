"""The diagonal of the Hessian or Gauss-Newton matrix of a loss: exactly where that can be had, else estimated.

    (diag H)_i = d^2 L / d theta_i^2

The curvature along each parameter alone, which pruning (Optimal Brain Damage: theta_i^2 H_ii / 2 is the rise of the
loss when theta_i is removed) and diagonal preconditioners ask for. Exact where `lemmata.curvature.trace` is, at the
cost of the trace plus the gradients that it could avoid forming: those of convolutions.

Estimates: Hutchinson entry by entry (Bekas, Kokiopoulou and Saad, 2007), whose error for an entry is the size of the
rest of its row; XDiag (Epperly, Tropp and Webber, 2024), better where the spectrum decays. Fails as the trace does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import t as student

from lemmata.curvature.exactness import Matrix, check_choice, check_exact, exact_cost, operator_of
from lemmata.curvature.ggn_diagonal import ggn_diagonal
from lemmata.curvature.layer_axis import layer_axis
from lemmata.curvature.not_exact import NotExact
from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg import hutchinson_diagonal, xdiag
from lemmata.objective import Objective, Subject, Tree

Method = Literal["auto", "exact", "hutchinson", "xdiag"]
METHODS = ("auto", "exact", "hutchinson", "xdiag")


@dataclass(frozen=True)
class Diagonal(Estimate):
    """A diagonal as a parameter tree {name: tensor}, its standard errors as another (0.0 if exact), cost and method."""

    method: str = "exact"
    operator: str = "hessian"

    def interval(self, level: float = 0.95) -> tuple[Tree, Tree]:
        """The confidence interval of every entry as two trees, by Student's t with n - 1 degrees of freedom."""
        if not 0 < level < 1:
            raise InvalidInput(f"confidence level {level} is not between 0 and 1; take 0.95, say")
        if self.method == "exact":
            return self.value, self.value
        width = float(student.ppf((1 + level) / 2, self.n - 1))
        low = {name: value - width * self.stderr[name] for name, value in self.value.items()}
        return low, {name: value + width * self.stderr[name] for name, value in self.value.items()}

    def plot(self, label: str = "diagonal entry") -> Figure:
        """Draw for each parameter the mean of its entries, and the range of the middle 90 % of them."""
        entries = [value.detach().cpu().double().numpy().ravel() for value in self.value.values()]
        mean = np.array([part.mean() for part in entries])
        low, high = (np.array([np.quantile(part, q) for part in entries]) for q in (0.05, 0.95))
        wide = bool((mean > 0).all() and (low >= 0).all() and mean.max() > 50 * mean.min())
        floor = 1e-3 * mean.min()
        band = Series(
            label="mean, middle 90 %",
            x=np.arange(len(mean), dtype=float),
            y=mean,
            low=np.maximum(low, floor) if wide else low,
            high=high,
            style="points",
        )
        y = Axis(label=label, log=wide, limits=(floor, 2 * high.max()) if wide else None)
        panel = Panel(x=layer_axis("parameter", list(self.value)), y=y, series=[band])
        zeros = " Bars that reach the bottom go on below." if wide and (low < floor).any() else ""
        caption = f"By {self.method}; {self.cost:.3g} gradient evaluations.{zeros}"
        return Figure(name="diagonal", title="Curvature of single parameters", caption=caption, panels=[panel])


@torch.enable_grad()  # the exact one reads the graph of the outputs
def diagonal(
    subject: Subject,
    *,
    method: Method = "auto",
    operator: Matrix = "hessian",
    products: int = 100,
    memory: int = 2**30,
    seed: int | torch.Generator = 0,
) -> Diagonal:
    """The diagonal of the Hessian (or ``operator="ggn"``, the Gauss-Newton matrix) at the model's own parameters.

    Options and refusals are those of `trace`; ``"auto"`` falls back to Hutchinson's estimator. `value` is a tree in
    the type of the parameters.

    >>> from torch import nn
    >>> x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2, 1)
    >>> found = diagonal((nn.Linear(2, 1, bias=False), "mse", (x, y)))
    >>> found.value["weight"], found.method
    (tensor([[10., 20.]]), 'exact')
    """
    check_choice(method, METHODS, operator)
    objective = Objective.of(subject)
    if method in ("auto", "exact") and (method == "exact" or exact_cost(objective) <= 2 * products):
        try:
            check_exact(objective, operator)
            squares = ggn_diagonal(objective, memory=memory)
            return Diagonal(squares.values, cost=squares.cost, operator=operator)
        except NotExact:
            if method == "exact":
                raise
    matrix = operator_of(objective, operator, products=products, memory=memory)
    estimator: Callable[..., Any] = xdiag if method == "xdiag" else hutchinson_diagonal
    count = {"products": products} if method == "xdiag" else {"draws": products}
    found = estimator(matrix, **count, memory=memory, seed=seed)
    value, stderr = objective.tree(found.value), objective.tree(found.stderr)
    chosen = "xdiag" if method == "xdiag" else "hutchinson"
    return Diagonal(value, stderr, found.n, cost=found.cost, method=chosen, operator=operator)
