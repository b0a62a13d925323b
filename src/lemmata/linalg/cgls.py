"""Conjugate gradients for least squares: min |A x - b|^2 + ridge |x|^2 (Hestenes and Stiefel, 1952).

    s = A^T r - ridge x,   p <- s + (|s_new|^2 / |s|^2) p,   t = |s|^2 / (|A p|^2 + ridge |p|^2),
    x <- x + t p,   r <- r - t A p

This is conjugate gradients on (A^T A + ridge I) x = A^T b, which is never formed, and with r = b - A x carried along
so that no accuracy is lost to it (Bjorck, 1996, section 7.4). From x = 0 the iterates grow, |x_k| rises and |b - A x_k|
falls, and they tend to the solution of least norm: stopped early, the method regularises. The error in the norm of
A^T A + ridge I falls at least like 2 ((sqrt(c) - 1) / (sqrt(c) + 1))^k, c its condition number.

Cost: two products a step, for all right-hand sides at once, each with steps of its own. Slow for large c:
give a preconditioner, M near (A^T A + ridge I)^-1.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.linalg.least_squares_run import Callback, Course, LeastSquaresRun, safe
from lemmata.linalg.operator import LinearOperator


def cgls(
    A: LinearOperator,
    b: Tensor,
    *,
    ridge: float = 0.0,
    start: Tensor | None = None,
    preconditioner: Callable[[Tensor], Tensor] | None = None,
    tolerance: float = 1e-8,
    iterations: int = 1000,
    callback: Callback | None = None,
) -> LeastSquaresRun:
    """Run CGLS from `start` (p, k), or zero, on the right-hand sides b (m, k), in their type and on their device.

    It ends where |A^T (b - A x) - ridge x| <= tolerance |A^T b| for every column by the recursion, after `iterations`,
    or where `callback`(step, x) gives True. Whether that is good enough, `lemmata.regression.least_squares` decides by
    residuals computed afresh. `preconditioner` maps (p, k) to (p, k), symmetric and positive definite.

    >>> A = LinearOperator.of(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    >>> cgls(A, torch.tensor([[1.0], [2.0], [5.0]])).x.flatten().round(decimals=5)
    tensor([1., 1.])
    """
    adjoint = A.T
    scale = safe((adjoint @ b).norm(dim=0))
    x = b.new_zeros(A.shape[1], b.shape[1]) if start is None else start.clone()
    r = b.clone() if start is None else b - A @ x
    s = adjoint @ r - ridge * x
    z = s if preconditioner is None else preconditioner(s)
    p, gamma, products = z.clone(), (s * z).sum(0), 2 if start is None else 3
    course = Course(scale)
    course.record(r.norm(dim=0), x.norm(dim=0), s.norm(dim=0))
    for step in range(1, iterations + 1):
        if bool((course.normals[-1] <= tolerance).all()):
            break
        q = A @ p
        bend = q.square().sum(0) + ridge * p.square().sum(0)
        t = gamma / safe(bend)
        x = torch.addcmul(x, p, t)
        r = torch.addcmul(r, q, t, value=-1)
        s = adjoint @ r
        if ridge:
            s = s.sub_(x, alpha=ridge)
        products += 2
        course.record(r.norm(dim=0), x.norm(dim=0), s.norm(dim=0), t * gamma)
        z = s if preconditioner is None else preconditioner(s)
        gamma, before = (s * z).sum(0), gamma
        p = torch.addcmul(z, p, gamma / safe(before))
        if callback is not None and callback(step, x):
            break
    return course.run(x, products)
