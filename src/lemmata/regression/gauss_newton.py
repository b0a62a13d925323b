"""Gauss-Newton with Levenberg-Marquardt damping: (G + mu I) p = -g, with mu by how well the model predicted the fall.

G = J^T H_loss J is the Hessian without the curvature of the model, never indefinite (Schraudolph, 2002); for
f = |r|^2 / 2 it is J^T J. The gain ratio

    rho = (f(x) - f(x + p)) / (-g^T p - p^T G p / 2)

raises mu where the model promised too much (rho < 1/4), and lowers it where it kept its word (rho > 3/4; Marquardt,
1963; Nielsen, 1999). A step that does not lower f is not taken. Where J is held, [J; sqrt(mu) I] p = -[r; 0] is
solved by QR, which does not square the condition number; else (G + mu I) p = -g by conjugate gradients.

Cost: a gradient a trial, and the Jacobian, or a product an inner iteration. Near a minimum with large residuals
the convergence is linear.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.line_search import LineSearchFailed
from lemmata.regression.minimum import Point
from lemmata.regression.newton_cg import truncated_cg
from lemmata.regression.smooth_function import SmoothFunction

LEAST, MOST = 1e-20, 1e20  # damping, relative to the size of G


def gauss_newton(
    function: SmoothFunction, start: Point, *, damping: float = 1e-3, products: int = 200, forcing: float = 1e-2
) -> Iterator[Point]:
    """Yield the iterates of damped Gauss-Newton from `start`; a point's `step` is the gain ratio of the step to it.

    `damping` is the first mu, relative to the largest diagonal entry of G (or to |G g| / |g| where only products are
    known). Conjugate gradients take at most `products` and stop at the relative residual `forcing`, less near the end.

    Raises `LineSearchFailed` where no damping makes a step that lowers f.

    >>> import itertools, torch
    >>> from lemmata.regression.smooth_function import NonlinearLeastSquares
    >>> r = NonlinearLeastSquares(lambda x: torch.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)]))
    >>> x = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    >>> f = SmoothFunction.of(r, x)
    >>> sum(1 for _ in itertools.takewhile(lambda point: point.value > 1e-20, gauss_newton(f, Point(x, *f(x))))) < 30
    True
    """
    if not damping >= 0 or not 0 < forcing < 1 or products < 1:
        raise InvalidInput(
            f"damping = {damping} must not be negative, forcing = {forcing} in (0, 1), products positive"
        )
    point, mu, first = start, damping, float(start.gradient.norm())
    while True:
        model = _Model(function, point, products, min(forcing, float(point.gradient.norm()) / max(first, 1e-300)))
        found, mu = _step(function, point, model, mu)
        yield found
        point = found


def _step(function: SmoothFunction, point: Point, model: "_Model", mu: float) -> tuple[Point, float]:
    """Raise the damping until f falls; gives the point and the damping to begin the next step with."""
    grow = 2.0
    while mu <= MOST:
        p, predicted = model.step(max(mu, LEAST))
        x = point.x + p
        value, gradient = function(x)
        rounding = 1e2 * torch.finfo(x.dtype).eps * abs(point.value)
        rho = (point.value - value) / predicted if predicted > 0 and math.isfinite(value) else -1.0
        lost = predicted <= rounding and abs(value - point.value) <= rounding  # in rounding: ask the gradient instead
        if rho > 1e-4 or (lost and float(gradient.norm()) < float(point.gradient.norm())):
            factor = 1.0 if lost else max(0.1, 1 - (2 * rho - 1) ** 3)
            return Point(x, value, gradient, rho), mu * min(factor, 2.0)
        mu, grow = max(mu, LEAST) * grow, 2 * grow
    raise LineSearchFailed("no damping makes a step that lowers f; check the derivatives (check_gradient), or float64")


class _Model:
    """The quadratic model of f at a point, solved for any damping."""

    def __init__(self, function: SmoothFunction, point: Point, products: int, forcing: float):
        self.g, self.products, self.forcing = point.gradient, products, forcing
        dense = function.residual_and_jacobian(point.x)
        if dense is not None:
            self.r, self.J = dense
            self.size = float(self.J.square().sum(0).max())
        else:
            self.r = self.J = None
            self.product = function.gauss_newton(point.x)
            self.size = float(self.product(self.g).norm() / self.g.norm())

    def step(self, mu: float) -> tuple[Tensor, float]:
        """The step of damping mu times the size of G, and the fall of f that it predicts."""
        absolute = mu * (self.size or 1.0)
        if self.J is not None and self.r is not None:
            p = _damped(self.J, self.r, absolute)
            Jp = self.J @ p
            return p, -float(self.g @ p) - float(Jp @ Jp) / 2
        p = truncated_cg(self.product, self.g, eta=self.forcing, products=self.products, curvature=absolute)
        return p, -float(self.g @ p) - float(p @ self.product(p)) / 2


def _damped(J: Tensor, r: Tensor, mu: float) -> Tensor:
    """The least-squares solution of [J; sqrt(mu) I] p = -[r; 0], by QR."""
    eye = torch.eye(J.shape[1], dtype=J.dtype, device=J.device)
    Q, R = torch.linalg.qr(torch.cat([J, math.sqrt(mu) * eye]))
    return -torch.linalg.solve_triangular(R, (Q[: len(J)].T @ r)[:, None], upper=True)[:, 0]
