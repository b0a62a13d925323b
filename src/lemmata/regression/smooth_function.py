"""A smooth function of one flat vector as minimisers see it: value, gradient, products with second derivatives, counts.

A minimiser asks for f(x) and its gradient at once, for the product v -> H v at a point, and for v -> G v, with the
Gauss-Newton matrix G. `SmoothFunction.of` makes this of an `Objective`, of a function of a tensor that torch can
differentiate, or of an object with methods ``value_and_gradient(x)`` and ``hvp(v, x)`` (and ``ggn_vp(v, x)``).
Costs are in evaluations of the gradient: a product with H counts two (Pearlmutter, 1994), or what its operator says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator
from lemmata.objective import Objective

Product = Callable[[Tensor], Tensor]
Target = Any  # an Objective, a function of a tensor, an object with value_and_gradient, or a SmoothFunction


class SmoothFunction:
    """A function f of a flat vector (p,), with what is known of its derivatives; counts what it is asked.

    `value_and_gradient`(x) gives f and its gradient (p,); `hessian`(x) and `gauss_newton`(x) give the product v -> H v,
    as a function or a `LinearOperator`; `preconditioner`(x) gives v -> M v, with M near the inverse of the Hessian.
    `residual_and_jacobian`(x) gives r (m,) and J (m, p) where f = |r|^2 / 2 and J is small enough to hold.

    `evaluations` and `products` count calls, `cost` sums them in gradients.

    >>> f = SmoothFunction(lambda x: (x @ x, 2 * x), hessian=lambda x: lambda v: 2 * v)
    >>> f(torch.ones(2)), f.hessian(torch.ones(2))(torch.ones(2)), f.cost
    ((2.0, tensor([2., 2.])), tensor([2., 2.]), 3.0)
    """

    def __init__(
        self,
        value_and_gradient: Callable[[Tensor], tuple[Any, Tensor]],
        *,
        hessian: Callable[[Tensor], Product | LinearOperator] | None = None,
        gauss_newton: Callable[[Tensor], Product | LinearOperator] | None = None,
        preconditioner: Callable[[Tensor], Product] | None = None,
        residual_and_jacobian: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    ):
        self._value_and_gradient, self._hessian, self._gauss_newton = value_and_gradient, hessian, gauss_newton
        self._residual_and_jacobian = residual_and_jacobian
        self.preconditioner = preconditioner
        self.evaluations, self.products, self.cost = 0, 0, 0.0

    @classmethod
    def of(cls, target: Target, like: Tensor | None = None) -> SmoothFunction:
        """Take what a user has as a smooth function of a flat vector; `like` has the shape that a plain function takes.

        >>> SmoothFunction.of(lambda x: (x**2).sum(), torch.zeros(2, 2))(torch.ones(4))[1]
        tensor([2., 2., 2., 2.])
        """
        if isinstance(target, SmoothFunction):
            return target
        if isinstance(target, Objective):
            return _of_objective(target)
        if hasattr(target, "value_and_gradient"):
            return _of_methods(target, like)
        if not isinstance(target, Callable):
            raise InvalidInput(
                f"cannot minimise a {type(target).__name__}; give an Objective, a function of a tensor, or an object "
                "with value_and_gradient(x)"
            )
        return _of_function(target, like)

    def __call__(self, x: Tensor) -> tuple[float, Tensor]:
        """f(x) and its gradient, which cost one."""
        self.evaluations += 1
        self.cost += 1
        value, gradient = self._value_and_gradient(x)
        return float(value), gradient.detach()

    def hessian(self, x: Tensor) -> Product:
        """The product v -> H v at x."""
        if self._hessian is None:
            raise InvalidInput("this method needs products with the Hessian; give hvp(v, x), or take method='lbfgs'")
        return self._counted(self._hessian(x))

    def gauss_newton(self, x: Tensor) -> Product:
        """The product v -> G v at x, with the Gauss-Newton matrix G = J^T H_loss J."""
        if self._gauss_newton is None:
            raise InvalidInput(
                "this method needs products with the Gauss-Newton matrix; give an Objective, ggn_vp(v, x), "
                "NonlinearLeastSquares(residual), or take method='newton-cg'"
            )
        return self._counted(self._gauss_newton(x))

    def residual_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Residual r (m,) and Jacobian J (m, p) where J is held, else None; J counts min(m, p) gradients."""
        if self._residual_and_jacobian is None:
            return None
        r, J = self._residual_and_jacobian(x)
        self.cost += min(J.shape)
        return r.detach(), J.detach()

    def _counted(self, product: Product | LinearOperator) -> Product:
        cost = product.cost if isinstance(product, LinearOperator) else 2.0
        apply = product.__matmul__ if isinstance(product, LinearOperator) else product

        def count(v: Tensor) -> Tensor:
            self.products += 1
            self.cost += cost
            return apply(v)

        return count


class NonlinearLeastSquares:
    """f(x) = |r(x)|^2 / 2 of a residual r: (p,) or any shape -> (m,), differentiable by torch: for Gauss-Newton.

    With `dense` the Jacobian (m, p) is formed at each step, at min(m, p) gradients; else products only are.

    >>> f = NonlinearLeastSquares(lambda x: torch.stack([x[0] - 1, 10 * (x[1] - x[0] ** 2)]))
    >>> f.value_and_gradient(torch.zeros(2))[0].item()
    0.5
    """

    def __init__(self, residual: Callable[[Tensor], Tensor], *, dense: bool = True):
        self.residual, self.dense = residual, dense

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """|r|^2 / 2 and J^T r."""
        r, pull = torch.func.vjp(self.residual, x)[:2]
        return r.square().sum() / 2, pull(r)[0]

    def hvp(self, v: Tensor, x: Tensor) -> Tensor:
        """The full Hessian at x times v; `linalg.check_gradient` takes (x, v): give it `lambda x, v: F.hvp(v, x)`."""
        return self.hessian(x)(v)

    def ggn_vp(self, v: Tensor, x: Tensor) -> Tensor:
        """J^T J v."""
        return self.gauss_newton(x)(v)

    def hessian(self, x: Tensor) -> Product:
        """The product with the full Hessian at x, linearised once."""
        pull = torch.func.vjp(torch.func.grad(lambda x: self.residual(x).square().sum() / 2), x)[1]
        return lambda v: pull(v)[0]

    def gauss_newton(self, x: Tensor) -> Product:
        """The product with J^T J at x, linearised once; J v is the derivative of u -> J^T u, pulled back."""
        r, pull = torch.func.vjp(self.residual, x)[:2]
        push = torch.func.vjp(lambda u: pull(u)[0], torch.zeros_like(r))[1]
        return lambda v: pull(push(v)[0])[0]

    def residual_and_jacobian(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Residual r (m,) and Jacobian J (m, p), by rows or by columns, whichever are fewer."""
        r, pull = torch.func.vjp(self.residual, x)[:2]
        m, p = r.numel(), x.numel()
        if m <= p:
            units = torch.eye(m, dtype=r.dtype, device=r.device).reshape(m, *r.shape)
            return r.reshape(-1), torch.func.vmap(pull)(units)[0].reshape(m, p)
        push = torch.func.vjp(lambda u: pull(u)[0], torch.zeros_like(r))[1]
        units = torch.eye(p, dtype=x.dtype, device=x.device).reshape(p, *x.shape)
        return r.reshape(-1), torch.func.vmap(push)(units)[0].reshape(p, m).T


def _of_objective(objective: Objective) -> SmoothFunction:
    def value_and_gradient(x: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = objective.value_and_gradient(objective.tree(x))
        return value, objective.vector(gradient)

    return SmoothFunction(
        value_and_gradient,
        hessian=lambda x: objective.hessian(objective.tree(x)),
        gauss_newton=lambda x: objective.ggn(objective.tree(x)),
    )


def _of_methods(target: Any, like: Tensor | None) -> SmoothFunction:
    shape = (-1,) if like is None else tuple(like.shape)

    def value_and_gradient(x: Tensor) -> tuple[Any, Tensor]:
        value, gradient = target.value_and_gradient(x.reshape(shape))
        return value, gradient.reshape(-1)

    def products(name: str, once: str) -> Callable[[Tensor], Product] | None:
        if isinstance(target, NonlinearLeastSquares):
            at = getattr(target, once)
            return lambda x: _shaped(at(x.reshape(shape)), shape)
        if not hasattr(target, name):
            return None
        apply = getattr(target, name)
        return lambda x: _shaped(lambda v: apply(v, x.reshape(shape)), shape)

    dense = getattr(target, "dense", True) and hasattr(target, "residual_and_jacobian")
    return SmoothFunction(
        value_and_gradient,
        hessian=products("hvp", "hessian"),
        gauss_newton=products("ggn_vp", "gauss_newton"),
        residual_and_jacobian=(lambda x: target.residual_and_jacobian(x.reshape(shape))) if dense else None,
    )


def _shaped(product: Product, shape: tuple[int, ...]) -> Product:
    """A product of flat vectors made of one that takes and gives `shape`."""
    return lambda v: product(v.reshape(shape)).reshape(-1)


def _of_function(function: Callable[[Tensor], Tensor], like: Tensor | None) -> SmoothFunction:
    shape = (-1,) if like is None else tuple(like.shape)

    def flat(x: Tensor) -> Tensor:
        value = function(x.reshape(shape))
        if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
            what = f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise InvalidInput(
                f"f gives a {what}; it must give a floating tensor of shape (), as .sum() does, made of x by torch; "
                "for least squares of a residual vector take NonlinearLeastSquares(residual)"
            )
        return value

    def value_and_gradient(x: Tensor) -> tuple[Tensor, Tensor]:
        gradient, value = torch.func.grad_and_value(flat)(x)
        if not gradient.any() and not _depends(flat, x):
            raise InvalidInput(
                f"f = {float(value):.4g} does not depend on x through autograd; compute it by torch from x itself, "
                "without detach(), .data, no_grad() or NumPy"
            )
        return value, gradient

    def hessian(x: Tensor) -> Product:
        pull = torch.func.vjp(torch.func.grad(flat), x)[1]  # the Jacobian of the gradient is symmetric
        return lambda v: pull(v)[0]

    return SmoothFunction(value_and_gradient, hessian=hessian)


def _depends(function: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """Whether autograd finds a way from the value back to x, even one along which the derivative is 0."""
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        value = function(x)
    return value.requires_grad and torch.autograd.grad(value, x, allow_unused=True)[0] is not None
