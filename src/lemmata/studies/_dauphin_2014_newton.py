"""Newton's method, the saddle-free one, and gradient descent, for many points of one objective at once.

With the Hessian H = Q diag(lambda) Q^T and the gradient g,

    gradient       p = - eta g
    newton         p = - Q diag(1 / lambda) Q^T g          towards the nearest critical point, of whatever index
    saddle-free    p = - Q diag(1 / |lambda|) Q^T g        (Dauphin and others, 2014)

where |lambda| <= `flat` counts as flat and is left alone. On a quadratic the saddle-free step sends what is convex to
its minimum, and doubles what is concave; Newton's step sends both to the critical point. Steps of `saddle-free` are
halved until the objective falls, at most ten times; Newton's are whole.

Cost a step and point: P products with the Hessian, P^3 flops for its eigenvectors. Cost of gradient descent: one
gradient.
"""

from typing import Literal

import torch
from torch import Tensor

from lemmata.objective import Objective

Method = Literal["gradient", "newton", "saddle-free"]
HALVINGS = 10
ROUNDING = 1e-14  # a relative rise of the objective that is none


def hessians(objective: Objective, theta: Tensor) -> Tensor:
    """The Hessians at points (M, P): (M, P, P)."""
    M, P = theta.shape
    points = theta.repeat_interleave(P, 0)
    directions = torch.eye(P, dtype=theta.dtype).repeat(M, 1)
    return objective.vector(objective.hvp(objective.tree(directions), objective.tree(points))).view(M, P, P)


def newton_step(H: Tensor, g: Tensor, *, absolute: bool, flat: float = 1e-10) -> Tensor:
    """The step of Newton's method, or with `absolute` of the saddle-free one: H (M, P, P), g (M, P) to (M, P).

    >>> saddle = torch.diag(torch.tensor([10.0, -2.0]))[None]
    >>> at = torch.tensor([[1.0, 0.5]])
    >>> g = (saddle @ at[:, :, None])[:, :, 0]
    >>> [(at + newton_step(saddle, g, absolute=free)).tolist() for free in (False, True)]
    [[[0.0, 0.0]], [[0.0, 1.0]]]
    """
    values, vectors = torch.linalg.eigh((H + H.mT) / 2)
    scale = values.abs() if absolute else values
    inverse = torch.where(values.abs() > flat, 1 / scale, 0.0)
    along = (vectors.mT @ g[:, :, None])[:, :, 0]
    return -(vectors @ (inverse * along)[:, :, None])[:, :, 0]


def descend(objective: Objective, start: Tensor, method: Method, *, steps: int, step_size: float = 0.1) -> Tensor:
    """Points (steps + 1, M, P) of a method from start (M, P). `step_size` is that of gradient descent."""
    theta, path = start, [start]
    for _ in range(steps):
        g = objective.vector(objective.gradient(objective.tree(theta)))
        if method == "gradient":
            theta = theta - step_size * g
        else:
            p = newton_step(hessians(objective, theta), g, absolute=method == "saddle-free")
            theta = theta + p if method == "newton" else _fallen(objective, theta, p)
        path.append(theta)
    return torch.stack(path)


def _fallen(objective: Objective, theta: Tensor, p: Tensor) -> Tensor:
    """Go p (M, P), or the largest of its halves, quarters, ... at which the objective is no higher than before."""
    before = objective.value(objective.tree(theta))
    most, share = before + ROUNDING * before.abs(), torch.ones(len(theta), 1, dtype=theta.dtype)
    for _ in range(HALVINGS):
        higher = ~(objective.value(objective.tree(theta + share * p)) <= most)
        if not higher.any():
            break
        share = torch.where(higher[:, None], share / 2, share)
    return theta + share * p
