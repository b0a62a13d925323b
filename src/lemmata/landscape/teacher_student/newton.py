"""The last stretch by Newton's method, where gradient descent provably goes to the same minimum.

Let W* be a critical point with eigenvalues of its Hessian in [lowest, highest], r = |W - W*|, and l a Lipschitz
constant of the Hessian in the ball of radius r around W*. If

    l r < lowest    and    step (highest + l r) < 2

then gradient descent from W converges to W*: a step multiplies U - W* by I - step H with H the mean Hessian on the
segment, whose eigenvalues lie in [lowest - l r, highest + l r], so that the distance shrinks by a constant factor.
Nothing is taken on trust: Newton's point N is computed first and the condition checked then; where it fails, gradient
descent goes on from W as if nothing had been. N is no critical point itself but has a gradient g. With mu the lowest
eigenvalue of the Hessian at N and l a Lipschitz constant in the ball of radius rho = 2 |g| / mu around it, 2 l |g| <
mu^2 makes the loss strongly convex in that ball and its slope outwards positive on its sphere (`certificate`), so that
W* is in it. Hence r <= |W - N| + rho; the ball around W* lies in that of radius |W - N| + 2 rho =: reach around N, and
the mean Hessians above have eigenvalues in [mu - l reach, highest + l reach] with l and `highest` of N. The condition

    l reach < mu    and    step (highest + l reach) < 2

says all of this, 2 l |g| < mu^2 included. |g| is taken with what rounding may hide of it.

With trained outputs there is no l. Then Newton's point is taken if it is a minimum beyond the symmetry and no further
off than a thousandth of its lowest eigenvalue: a rule, not a proof, and `proved` says so. (A trained ReLU neuron may be
multiplied by c and its output divided by c; Newton moves, and eigenvalues are taken, orthogonally to these directions.)

Cost: a Hessian and a Cholesky factorisation an iteration, 3 or so, and the eigenvalues once, 4/3 P^3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.landscape.teacher_student.advance import flat_gradient, parts
from lemmata.landscape.teacher_student.lipschitz import hessian_lipschitz
from lemmata.landscape.teacher_student.problem import TeacherStudent

BYTES = 2**26
ITERATIONS = 12
ROUNDING = 1e-15  # of each of the n + k terms of a gradient, whose size is at most that of the weights
UNPROVED = 1e-3  # times the lowest eigenvalue: how far Newton may go where no bound is known


@dataclass(frozen=True)
class Polished:
    """Newton's points (m, P), and whether each is the minimum that gradient descent would reach."""

    theta: Tensor
    accepted: Tensor
    lowest: Tensor
    highest: Tensor
    distance: Tensor

    @classmethod
    def joined(cls, batches: list[Polished]) -> Polished:
        """Batches one after the other."""
        return cls(*(torch.cat([getattr(one, name) for one in batches]) for name in cls.__dataclass_fields__))


def polish(problem: TeacherStudent, theta: Tensor, neurons: int, *, step: float, tolerance: float) -> Polished:
    """Newton's method from every row of theta (m, P), in batches of bounded memory."""
    size = max(1, BYTES // (32 * theta.shape[1] ** 2))
    batches = [_batch(problem, part, neurons, step, tolerance) for part in theta.split(size)]
    return Polished.joined(batches)


def _batch(problem: TeacherStudent, start: Tensor, neurons: int, step: float, tolerance: float) -> Polished:
    theta, gradient = start.clone(), flat_gradient(problem, start, neurons)
    going = torch.ones(len(start), dtype=torch.bool, device=start.device)
    for _ in range(ITERATIONS):
        if not going.any():
            break
        here = theta[going]
        factor, failed = torch.linalg.cholesky_ex(_hessian(problem, here, neurons, lift=1.0))
        move = torch.cholesky_solve(gradient[going, :, None], factor)[..., 0]
        moved = here - move
        after = flat_gradient(problem, moved, neurons)
        # near the root rounding ends the fall; a step that does not lower the gradient is not taken
        better = (failed == 0) & (after.norm(dim=1) < gradient[going].norm(dim=1))
        rows = going.nonzero()[:, 0]
        theta[rows[better]], gradient[rows[better]] = moved[better], after[better]
        going[rows[~better]] = False
        going &= gradient.norm(dim=1) > tolerance / 100
    norms = gradient.norm(dim=1)
    return judged(problem, start, theta, norms, neurons=neurons, step=step, tolerance=tolerance)


def judged(
    problem: TeacherStudent,
    start: Tensor,
    theta: Tensor,
    norms: Tensor,
    *,
    neurons: int,
    step: float,
    tolerance: float,
) -> Polished:
    """Which rows of theta (m, P) are next to the minimum that gradient descent reaches from `start` (m, P).

    `norms` (m,) are those of the gradients at theta, at most `tolerance` where a point is to be accepted.
    """
    distance = (theta - start).norm(dim=1)
    accepted = norms <= tolerance
    lowest, highest = torch.full_like(distance, torch.nan), torch.full_like(distance, torch.nan)
    if accepted.any():
        low, high = extremes(problem, theta[accepted], neurons)
        lowest[accepted], highest[accepted] = low, high
    if problem.trained_outputs:
        return Polished(theta, accepted & (distance < UNPROVED * lowest), lowest, highest, distance)
    hidden = ROUNDING * (neurons + problem.neurons) * theta.norm(dim=1)
    reach = distance + 4 * (norms + hidden) / lowest
    accepted &= (lowest > 0) & reach.isfinite()
    spread = hessian_lipschitz(problem, parts(problem, theta, neurons)[0], torch.where(accepted, reach, 0.0)) * reach
    accepted &= (spread < lowest) & (step * (highest + spread) < 2)
    return Polished(theta, accepted, lowest, highest, distance)


def extremes(problem: TeacherStudent, theta: Tensor, neurons: int) -> tuple[Tensor, Tensor]:
    """Lowest and highest eigenvalues (m,) of the Hessian, orthogonally to the directions of the symmetry."""
    lowest, highest = [], []
    for part in theta.split(max(1, BYTES // (32 * theta.shape[1] ** 2))):
        values = torch.linalg.eigvalsh(_hessian(problem, part, neurons, lift=1.0))
        without = torch.linalg.eigvalsh(_hessian(problem, part, neurons, lift=-1.0)) if _symmetric(problem) else values
        lowest.append(values[:, 0])
        highest.append(without[:, -1])
    return torch.cat(lowest), torch.cat(highest)


def _symmetric(problem: TeacherStudent) -> bool:
    return problem.trained_outputs and problem.phi.trained_symmetry


def _hessian(problem: TeacherStudent, theta: Tensor, neurons: int, *, lift: float) -> Tensor:
    """The Hessian (m, P, P), symmetric directions projected out and given the eigenvalue `lift` times the norm."""
    W, a = parts(problem, theta, neurons)
    H = problem.hessian(W, a)
    if not _symmetric(problem) or a is None:
        return H
    m, n, d = W.shape
    eye = torch.eye(n).to(W)
    basis = torch.cat([(eye[:, :, None] * W[:, None]).reshape(m, n, n * d), -eye * a[:, None]], dim=2)
    basis = basis / basis.norm(dim=2, keepdim=True)
    onto = basis.mT @ basis
    kept = torch.eye(theta.shape[1]).to(W) - onto
    H = kept @ H @ kept
    return H + lift * H.flatten(1).norm(dim=1)[:, None, None] * onto
