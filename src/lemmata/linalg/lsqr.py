"""LSQR: min |A x - b|^2 + ridge |x|^2 by Golub-Kahan bidiagonalisation (Paige and Saunders, 1982).

    beta u <- A v - alpha u,    alpha v <- A^T u - beta v,    and a plane rotation of the bidiagonal matrix each step

In exact arithmetic the iterates are those of CGLS; in floating point LSQR's are somewhat better where A is very badly
conditioned, and |b - A x| and |A^T (b - A x)| come from the rotations without a product. The ridge is eliminated by a
rotation of its own, and A^T A is not shifted.

Cost: two products a step, for all right-hand sides at once. Fails, by slowness, as CGLS does.
"""

import math

import torch
from torch import Tensor

from lemmata.linalg.least_squares_run import Callback, Course, LeastSquaresRun, safe
from lemmata.linalg.operator import LinearOperator


def lsqr(
    A: LinearOperator,
    b: Tensor,
    *,
    ridge: float = 0.0,
    tolerance: float = 1e-8,
    iterations: int = 1000,
    callback: Callback | None = None,
) -> LeastSquaresRun:
    """Run LSQR from x = 0 on the right-hand sides b (m, k), in their type and on their device; stops as `cgls`.

    >>> A = LinearOperator.of(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    >>> lsqr(A, torch.tensor([[1.0], [2.0], [5.0]])).x.flatten().round(decimals=5)
    tensor([1., 1.])
    """
    adjoint, damp = A.T, math.sqrt(ridge)
    u, beta = _unit(b)
    v, alpha = _unit(adjoint @ u)
    w, x = v.clone(), torch.zeros_like(v)
    phi_bar, rho_bar, course, products = beta, alpha, Course(safe(alpha * beta)), 1
    eliminated = torch.zeros_like(beta)  # the squares of what the rotations of the ridge took out of the residual
    course.record(beta, torch.zeros_like(beta), alpha * beta)
    for step in range(1, iterations + 1):
        if bool((course.normals[-1] <= tolerance).all()):
            break
        u, beta = _unit(A @ v - alpha * u)
        v, alpha = _unit(adjoint @ u - beta * v)
        products += 2
        damped = torch.hypot(rho_bar, torch.full_like(rho_bar, damp))
        psi = damp / safe(damped) * phi_bar
        phi_bar = rho_bar / safe(damped) * phi_bar
        rho = torch.hypot(damped, beta)
        c, s = damped / safe(rho), beta / safe(rho)
        theta, rho_bar, phi, phi_bar = s * alpha, -c * alpha, c * phi_bar, s * phi_bar
        x = torch.addcmul(x, w, phi / safe(rho))
        w = v - (theta / safe(rho)) * w
        eliminated = eliminated + psi.square()
        course.record(*_norms(x, phi_bar, eliminated, ridge), (alpha * c * phi_bar).abs(), phi.square())
        if callback is not None and callback(step, x):
            break
    return course.run(x, products)


def _unit(columns: Tensor) -> tuple[Tensor, Tensor]:
    """Columns of unit length (or zero), and their lengths."""
    lengths = columns.norm(dim=0)
    return columns / safe(lengths), lengths


def _norms(x: Tensor, phi_bar: Tensor, eliminated: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """|b - A x| and |x|: the rotations give |b - A x|^2 + ridge |x|^2."""
    size = x.norm(dim=0)
    return (phi_bar.square() + eliminated - ridge * size.square()).clamp(min=0).sqrt(), size
