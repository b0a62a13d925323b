"""A path: all solutions of one regularised problem, over hundreds of values of the parameter, from one decomposition.

With the singular value decomposition of the problem's standard form (`StandardForm`), beta = U' b and a filter f,

    |A x - b|^2 = sum (1 - f)^2 beta^2 + |b_incompatible|^2,     |L x|^2 = sum (f/s)^2 beta^2,
    effective degrees of freedom = k + sum f,

so that a value of the parameter costs a few operations a singular value, and everything is known between the values
too: the rules that choose a parameter (`gcv`, `unbiased_risk`, `discrepancy`, `l_curve`, `leave_one_out`) look beyond
the grid.

Cost: one decomposition, O(m n min(m, n)), then O(T q) for T values; a solution O(n q). Float64 in all sums over the
spectrum. Fails as the decomposition does (`StandardForm`). For sparse or matrix-free A see `tikhonov` and `iterative`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.filters import Filter, Ridge, Truncation
from lemmata.regression.regularisation.linear_system import dense_system, parameters, positive, right_hand_side, whole
from lemmata.regression.regularisation.standard_form import StandardForm

if TYPE_CHECKING:
    from lemmata.figures import Figure
    from lemmata.regression.regularisation.choice import Choice

VALUES = 200


@dataclass(frozen=True, eq=False)
class Path:
    """`values` (T,) of the parameter, increasing, and what belongs to each, float64.

    `residual_norms` |b - A x|, `solution_norms` |L x| and `freedom`, the effective degrees of freedom (each (T,)).
    With several right-hand sides the norms are Frobenius norms over all of them.
    """

    values: Tensor
    residual_norms: Tensor
    solution_norms: Tensor
    freedom: Tensor
    filter: Filter
    form: StandardForm
    b: Tensor

    def solutions(self) -> Tensor:
        """The solutions x at each value, (n, T), or (n, k, T) for k right-hand sides."""
        x = self.form.solution(self._columns, self.factors(self.values).inverse)
        return x if self.b.ndim == 2 else x[:, 0]

    def solution(self, value: float) -> Tensor:
        """The solution x at any one value of the parameter, (n,) or (n, k).

        Raises `InvalidInput` for a lam that is not positive and finite, and for a count that is no whole number, is
        negative, or above the number of components that are above rounding.
        """
        x = self.form.solution(self._columns, self.factors(self._one(value)).inverse[0])
        return x if self.b.ndim == 2 else x[:, 0]

    def residual(self, value: float) -> Tensor:
        """The residual b - A x at any one value of the parameter, of the shape of b."""
        r = self.form.residual(self._columns, self.factors(self._one(value)).left[0])
        return r if self.b.ndim == 2 else r[:, 0]

    def gcv(self, *, robust: float = 1.0) -> Choice:
        """The value that generalised cross-validation takes; see `lemmata.regression.regularisation.gcv`."""
        from lemmata.regression.regularisation.gcv import gcv

        return gcv(self, robust=robust)

    def discrepancy(self, noise: float, *, factor: float = 1.0) -> Choice:
        """The value at which the residual is factor times the norm of the noise, |e|; see `discrepancy`."""
        from lemmata.regression.regularisation.discrepancy import discrepancy

        return discrepancy(self, noise, factor=factor)

    def l_curve(self) -> Choice:
        """The corner of the curve (log |A x - b|, log |L x|); see `lemmata.regression.regularisation.l_curve`."""
        from lemmata.regression.regularisation.l_curve import l_curve

        return l_curve(self)

    def leave_one_out(self) -> Choice:
        """The value of least leave-one-out error, in closed form; see `leave_one_out`."""
        from lemmata.regression.regularisation.leave_one_out import leave_one_out

        return leave_one_out(self)

    def unbiased_risk(self, sigma: float) -> Choice:
        """The value of least estimated predictive risk for noise of standard deviation sigma; see `unbiased_risk`."""
        from lemmata.regression.regularisation.unbiased_risk import unbiased_risk

        return unbiased_risk(self, sigma)

    def plot(self, *, truth: Tensor | None = None, noise: float | None = None) -> Figure:
        """Draw GCV, the L-curve with its corner, and bias and variance, in three panels.

        With the true x and the noise level sigma the third panel is exact; without, its predictive form estimated
        from the data (Mallows), with sigma from the residual at GCV's choice where `noise` is not given.
        """
        from lemmata.regression.regularisation.path_figure import draw

        return draw(self, truth, noise)

    # ---- at any values of the parameter ------------------------------------------------------------------------------

    def factors(self, values: Tensor):
        """The filter's factors at these values, each (T, q)."""
        return self.filter(self.form.s, values)

    def squares(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """|A x - b|^2, |L x|^2 and the degrees of freedom that are left, m - k - sum f, at these values, each (T,)."""
        f = self.factors(values)
        rows = len(self.b) - self.form.null - len(self.form.s)
        return (
            f.left.square() @ self.power + self.incompatible,
            f.inverse.square() @ self.power,
            rows + f.left.sum(1),
        )

    @cached_property
    def power(self) -> Tensor:
        """The sum over right-hand sides of beta^2, (q,)."""
        return self.form.coefficients(self._columns).double().square().sum(1)

    @cached_property
    def incompatible(self) -> float:
        """|b_incompatible|^2: what no x fits, the residual of the least-squares solution."""
        return float(self.form.incompatible(self._columns).double().square().sum())

    @property
    def _columns(self) -> Tensor:
        return self.b if self.b.ndim == 2 else self.b[:, None]

    def _one(self, value: float) -> Tensor:
        if self.filter.continuous:
            value = positive(value, self.filter.parameter)
        else:
            most = self.form.rank if isinstance(self.filter, Truncation) else math.inf
            value = whole(value, self.filter.parameter, 0, most)
        return torch.tensor([value], dtype=torch.float64, device=self.b.device)


def ridge_path(
    A: Tensor | StandardForm,
    b: Tensor,
    values: int | Tensor = VALUES,
    *,
    L: Tensor | LinearOperator | None = None,
) -> Path:
    """All minimisers of |A x - b|^2 + lam |L x|^2 for `values` of lam, from one singular value decomposition.

    A is (m, n), dense and floating, or the `StandardForm` of (A, L), which several right-hand sides may share; b is
    (m,) or (m, k); L is (p, n), the identity if left out. `values` is a number of them, spaced evenly in log lam
    from the smallest squared (generalised) singular value that is above rounding to a hundred times the largest, or
    the increasing values themselves. Nothing is random.

    Raises `InvalidInput` for shapes that do not fit, NaN, empty data, values that are not positive, and where A and L
    annihilate a common vector.

    >>> path = ridge_path(torch.eye(3).double(), torch.tensor([1.0, 2.0, 2.0]).double(), torch.tensor([1.0, 2.0]))
    >>> path.residual_norms, path.solution_norms, path.freedom
    (tensor([1.5000, 2.0000], dtype=torch.float64), tensor([1.5000, 1.0000], dtype=torch.float64),
     tensor([1.5000, 1.0000], dtype=torch.float64))
    """
    form, b = decomposed(A, b, L)
    return along(form, b, Ridge(), _spread(form.s, values))


def along(form: StandardForm, b: Tensor, family: Filter, values: Tensor) -> Path:
    """The path of any filter over the given values of its parameter."""
    values = values.to(b.device)
    path = Path(values, values.new_empty(0), values.new_empty(0), values.new_empty(0), family, form, b)
    residual, seminorm, left = path.squares(values)
    return Path(values, residual.sqrt(), seminorm.sqrt(), len(b) - left, family, form, b)


def decomposed(A: Tensor | StandardForm, b: Tensor, L: Tensor | LinearOperator | None) -> tuple[StandardForm, Tensor]:
    """The standard form of (A, L), or the one given, and b once it is checked."""
    if not isinstance(A, StandardForm):
        columns = dense_system(A, b)[1]
        return StandardForm.of(A, L), columns.reshape(b.shape)
    if L is not None:
        raise InvalidInput("a StandardForm has its L already; leave L out here")
    return A, right_hand_side(A.A, b).reshape(b.shape)


def _spread(s: Tensor, values: int | Tensor) -> Tensor:
    """That many values from the smallest to the largest that change anything."""
    if not isinstance(values, int):
        return parameters(values)
    if values < 2:
        raise InvalidInput(f"values = {values}; a path has two or more")
    if not s[0] > 0:
        raise InvalidInput("A is zero: every x fits equally badly, and no parameter matters")
    floor = max(float(s[-1]), 16 * torch.finfo(s.dtype).eps * float(s[0]))
    low, high = min(floor, 1e-3 * float(s[0])) ** 2, 100 * float(s[0]) ** 2
    return torch.logspace(0, 1, values, base=high / low, dtype=torch.float64, device=s.device) * low
