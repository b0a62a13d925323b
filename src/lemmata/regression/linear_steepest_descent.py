"""Steepest descent with the exact step for min |A x - b|^2 + ridge |x|^2: the baseline of iterative methods.

    s = A^T r - ridge x,   t = |s|^2 / (|A s|^2 + ridge |s|^2),   x <- x + t s

The error in the norm of A^T A + ridge I falls by (c - 1) / (c + 1) a step at worst, and for long runs from nearly any
start at about that (Akaike, 1959). Two products a step; hopeless for large condition numbers c.
"""

from torch import Tensor

from lemmata.linalg.least_squares_run import Callback, Course, LeastSquaresRun, safe
from lemmata.linalg.operator import LinearOperator


def linear_steepest_descent(
    A: LinearOperator,
    b: Tensor,
    *,
    ridge: float = 0.0,
    start: Tensor | None = None,
    tolerance: float = 1e-8,
    iterations: int = 1000,
    callback: Callback | None = None,
) -> LeastSquaresRun:
    """Run steepest descent on the right-hand sides b (m, k), each with steps of its own; stops as `cgls`.

    >>> import torch
    >>> A = LinearOperator.of(torch.eye(2))
    >>> linear_steepest_descent(A, torch.tensor([[1.0], [2.0]])).iterations
    1
    """
    adjoint, scale = A.T, safe((A.T @ b).norm(dim=0))
    x = b.new_zeros(A.shape[1], b.shape[1]) if start is None else start.clone()
    r = b - A @ x
    s = adjoint @ r - ridge * x
    course, products = Course(scale), 3
    course.record(r.norm(dim=0), x.norm(dim=0), s.norm(dim=0))
    for step in range(1, iterations + 1):
        if bool((course.normals[-1] <= tolerance).all()):
            break
        q, gamma = A @ s, s.square().sum(0)
        t = gamma / safe(q.square().sum(0) + ridge * gamma)
        x, r = x + t * s, r - t * q
        s = adjoint @ r - ridge * x
        products += 2
        course.record(r.norm(dim=0), x.norm(dim=0), s.norm(dim=0), t * gamma)
        if callback is not None and callback(step, x):
            break
    return course.run(x, products)
