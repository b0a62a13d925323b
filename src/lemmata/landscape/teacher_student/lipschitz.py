"""A Lipschitz constant of the Hessian around a student, from bounds on the third derivatives of its pairs.

The third derivative of the loss couples at most two neurons. Let T_iii bound it for three directions in neuron i, and
T_iij for two in i and one in j. For unit directions x, y, z with parts x_i of neuron i, the diagonal terms are at most
max_i T_iii (Hoelder), the others the Frobenius norm of their array (Cauchy-Schwarz):

    |D3 L [x, y, z]| <= max_i T_iii + sqrt(3 sum_{i != j} T_iij^2)

Outputs are ones. The bound is crude, by a factor of two or so in practice, and holds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.landscape.teacher_student.problem import TeacherStudent


def hessian_lipschitz(problem: TeacherStudent, W: Tensor, radius: Tensor | float = 0.0) -> Tensor:
    """Constants (...,) of the Hessian by W (..., n, d) in the ball of `radius` (...,) around W, in the spectral norm.

    Infinite where the ball reaches a ReLU student with a neuron of zero. Raises `InvalidInput` for trained outputs, for
    which no bound is derived. Cost: that of a loss.

    >>> hessian_lipschitz(TeacherStudent(torch.eye(1)), torch.ones(1, 1)).item() < 0.52     # sqrt(31/3) / (2 pi)
    True
    """
    if problem.trained_outputs:
        raise InvalidInput("trained outputs: no bound on the third derivatives; take a problem with fixed outputs")
    W, _ = problem.students(W, None)
    reach = torch.as_tensor(radius, dtype=W.dtype, device=W.device).expand(W.shape[:-2])
    www, wwv, _, _ = problem.phi.third(W, W, reach)
    fixed, *_ = problem.phi.third(W, problem.teacher, reach)
    other = 1 - torch.eye(W.shape[-2]).to(W)
    same = (www.nan_to_num(posinf=torch.inf) * other).nan_to_num(nan=0.0, posinf=torch.inf)
    alone = same.sum(-1) + (fixed * problem.b.abs()).sum(-1) + problem.phi.third_alone(W) / 2
    mixed = torch.where(other > 0, wwv, 0.0).square().sum((-1, -2))
    return alone.amax(-1) + (3 * mixed).sqrt()
