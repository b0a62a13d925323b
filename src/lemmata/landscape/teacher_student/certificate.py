"""A proof that there is a strict local minimum next to a student, and that it is not a global one.

Let g be the gradient at W, lambda the lowest eigenvalue of the Hessian there, and l a Lipschitz constant of the Hessian
in the ball of radius r = 2 |g| / lambda around W. If 2 l |g| < lambda^2, the loss is strongly convex in the ball, with
lambda - l r > 0, and on its sphere the derivative outwards is at least lambda r - l r^2 / 2 - |g| > 0. So the ball
contains exactly one critical point; it is a minimum, its Hessian's eigenvalues are at least lambda - l r, and the loss
there is at least L(W) - |g| r. Where that is positive and the student has as many neurons as the teacher, which fits
itself with loss 0, the minimum is spurious.

No rounding enters: g, L and the entries of the Hessian are enclosed by balls (`enclosure`), lambda is bounded below by
an exact test of definiteness (`linalg.definite`) of the rounded Hessian shifted by 9/10 of its computed lowest
eigenvalue, less the sum of the balls' sizes, and l is a closed form, taken with a margin of one part in a million.
Safran and Shamir (2018) prove their points in this way, by interval arithmetic and a bound of their own.

Cost, n = k = d = 10, 20: about a second, half a minute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.landscape.teacher_student.enclosure import PRECISION, Enclosure
from lemmata.landscape.teacher_student.lipschitz import hessian_lipschitz
from lemmata.landscape.teacher_student.problem import TeacherStudent
from lemmata.linalg.definite import is_positive_definite


@dataclass(frozen=True)
class Certificate:
    """What is proved of the neighbourhood of a student; `holds` says whether anything is.

    Within `radius` of the student there is exactly one critical point. It is a minimum whose Hessian's eigenvalues are
    at least `lowest_eigenvalue`, and whose loss is at least `loss`. `gradient_norm` and `lipschitz` are upper bounds.
    `spurious`: the loss is proved positive, while that of a global minimum is zero.
    """

    holds: bool
    radius: float
    lowest_eigenvalue: float
    loss: float
    gradient_norm: float
    lipschitz: float
    spurious: bool


def certify(problem: TeacherStudent, W: Tensor) -> Certificate:
    """Try to prove that there is a strict minimum next to the student W (n, d), outputs being ones.

    A student near a saddle, too far from a minimum, or with parallel ReLU neurons gets a certificate that does not hold
    (NaN where there is nothing to say). Raises `InvalidInput` for trained outputs or more than one student. Not random.

    >>> from torch import eye
    >>> proof = certify(TeacherStudent(eye(2), "erf"), eye(2))
    >>> proof.holds, proof.spurious, proof.radius < 1e-12
    (True, False, True)
    """
    if problem.trained_outputs:
        raise InvalidInput("trained outputs: minima are proved for fixed outputs only")
    W, _ = problem.students(W, None)
    if W.ndim != 2:
        raise InvalidInput(f"W of shape {tuple(W.shape)}; give one student, (n, {problem.dimension})")
    if problem.activation == "relu" and not bool((W.norm(dim=1) > 0).all()):
        return _nothing()
    from flint import ctx

    before = ctx.prec
    try:
        ctx.prec = PRECISION
        balls = Enclosure(problem, W.cpu().numpy())
        norm = _length(balls.gradient())
        loss = math.nextafter(float(balls.loss().lower()), -math.inf)
        lowest = _lowest_eigenvalue(problem, W, balls)
    finally:
        ctx.prec = before
    if not (math.isfinite(norm) and lowest > 0):
        return _nothing()
    radius = 2.000001 * norm / lowest
    lipschitz = 1.000001 * float(hessian_lipschitz(problem, W, radius))
    if not 2.000001 * lipschitz * norm < lowest**2:
        return _nothing()
    floor = loss - 1.000001 * norm * radius - 1e-300
    enough = W.shape[0] >= problem.neurons and bool((problem.b == 1).all())
    return Certificate(True, radius, lowest - lipschitz * radius, floor, norm, lipschitz, floor > 0 and enough)


def _lowest_eigenvalue(problem: TeacherStudent, W: Tensor, balls: Enclosure) -> float:
    """A number below the lowest eigenvalue of the true Hessian; minus infinity where none is found."""
    rounded = problem.hessian(W).cpu().numpy()
    guess = float(np.linalg.eigvalsh(rounded)[0])
    if not guess > 0:
        return -math.inf
    lower = balls.hessian()
    error = _length([lower[i][j] - float(rounded[i, j]) for i in range(len(lower)) for j in range(i + 1)] * 2)
    shifted = rounded - 0.9 * guess * np.eye(len(rounded))  # rounds the diagonal once more: covered by the 1e-13 below
    if not (math.isfinite(error) and is_positive_definite(_exact(shifted))):
        return -math.inf
    return 0.9 * guess - error - 1e-13 * (1 + float(np.abs(np.diag(rounded)).max()))


def _exact(matrix: np.ndarray) -> Any:
    """A finite matrix as fractions, straight from the floats' own."""
    from flint import fmpq, fmpq_mat

    rows, columns = matrix.shape
    return fmpq_mat(rows, columns, [fmpq(*x.as_integer_ratio()) for x in matrix.ravel().tolist()])


def _length(balls: Sequence[Any]) -> float:
    """A number above the Euclidean norm of what the balls contain."""
    sizes = [math.nextafter(float(ball.abs_upper()), math.inf) for ball in balls]
    return math.sqrt(math.fsum(x * x for x in sizes)) * (1 + 1e-12)


def _nothing() -> Certificate:
    return Certificate(False, *(math.nan,) * 5, spurious=False)
