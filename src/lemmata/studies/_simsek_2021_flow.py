"""Gradient flow of small students to its end, many at once, for the study of Simsek et al. (2021).

    f(x) = sum_i a_i sigma(w_i x),    sigma(z) = softplus(z) + 1 / (1 + e^-z),    L = E (f(x) - f*(x))^2 / 2

over Gaussian inputs in the plane, by Gauss-Hermite quadrature. The flow is stiff, its curvatures range over ten orders;
it is followed by a Rosenbrock method of second order with the exact Hessian (ROS2 of Verwer, Spee, Blom and
Hundsdorfer, 1999, with gamma = 1 - 1 / sqrt 2), whose step follows an error estimate and ends as Newton's.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

GAMMA = 1 - 1 / math.sqrt(2)
NODES = 14
TOLERANCE = 1e-3  # of a step's error, relative to 1 + |theta|


@dataclass(frozen=True)
class Task:
    """Inputs x (Q, 2) with weights (Q,), targets y (S, Q) of S students."""

    x: Tensor
    weights: Tensor
    y: Tensor

    @property
    def variance(self) -> Tensor:
        """The targets' variances (S,)."""
        mean = self.y @ self.weights
        return self.y.square() @ self.weights - mean.square()

    def of(self, chosen: Tensor) -> "Task":
        """The task of some of the students."""
        return Task(self.x, self.weights, self.y[chosen])


@dataclass(frozen=True)
class Local:
    """Loss (S,), gradient (S, P) and Hessian (S, P, P) of students, P = 3 n: incoming vectors, then output weights.

    `second` (S, n, 2, 2) is E[(f - f*) a_i sigma''(w_i x) x x'], the part of the Hessian that splitting a neuron meets.
    """

    loss: Tensor
    gradient: Tensor
    hessian: Tensor
    second: Tensor


def plane(nodes: int = NODES, least: float = 1e-7) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite points (Q, 2) and weights (Q,) of a Gaussian in the plane, without weights below `least`."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    points = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
    weights = np.outer(w, w).ravel()
    kept = weights > least
    return torch.tensor(points[kept]), torch.tensor(weights[kept] / weights[kept].sum())


def activation(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The activation sigma and its two derivatives."""
    s = torch.sigmoid(z)
    slope = s * (1 - s)
    return functional.softplus(z) + s, s + slope, slope * (2 - 2 * s)


def outputs(theta: Tensor, x: Tensor) -> Tensor:
    """What students (S, 3 n) compute: (S, Q)."""
    n = theta.shape[1] // 3
    W, a = theta[:, : 2 * n].reshape(-1, n, 2), theta[:, 2 * n :]
    return torch.einsum("sn,snq->sq", a, activation(W @ x.T)[0])


def local(theta: Tensor, task: Task) -> Local:
    """Everything at students theta (S, 3 n)."""
    S, n, x = len(theta), theta.shape[1] // 3, task.x
    W, a = theta[:, : 2 * n].reshape(S, n, 2), theta[:, 2 * n :]
    value, slope, bend = activation(W @ x.T)  # (S, n, Q)
    residual = torch.einsum("sn,snq->sq", a, value) - task.y
    pull = (residual * task.weights)[:, None]  # (S, 1, Q)
    jacobian = torch.cat([((a[..., None] * slope)[:, :, None] * x.T).reshape(S, 2 * n, -1), value], 1)
    gradient = (jacobian @ pull.transpose(1, 2))[..., 0]
    scaled = jacobian * task.weights.sqrt()
    hessian = scaled @ scaled.transpose(1, 2)
    squares = (x[:, :, None] * x[:, None]).reshape(len(x), 4)
    second = ((a[..., None] * bend * pull) @ squares).reshape(S, n, 2, 2)
    mixed = (slope * pull) @ x  # (S, n, 2)
    for i in range(n):
        own = slice(2 * i, 2 * i + 2)
        hessian[:, own, own] += second[:, i]
        hessian[:, own, 2 * n + i] += mixed[:, i]
        hessian[:, 2 * n + i, own] += mixed[:, i]
    return Local((residual.square() @ task.weights) / 2, gradient, hessian, second)


def slope_at(theta: Tensor, task: Task) -> Tensor:
    """The gradient alone (S, 3 n)."""
    S, n, x = len(theta), theta.shape[1] // 3, task.x
    W, a = theta[:, : 2 * n].reshape(S, n, 2), theta[:, 2 * n :]
    value, slope, _ = activation(W @ x.T)
    pull = ((torch.einsum("sn,snq->sq", a, value) - task.y) * task.weights)[:, None]
    return torch.cat([(a[..., None] * ((slope * pull) @ x)).reshape(S, 2 * n), (value * pull).sum(2)], 1)


def flow(
    theta: Tensor, task: Task, *, steps: int, loss: float = 1e-22, gradient: float = 1e-13
) -> tuple[Tensor, Tensor]:
    """Where the gradient flow of each student (S, P) ends: at a loss or gradient norm this small, or after `steps`.

    Gives the ends and the number of steps (S,) of each. A step is refused if its error is too large, the
    loss rises, or I + gamma h H is not positive definite.
    """
    ends, live = theta.clone(), torch.arange(len(theta))
    taken = torch.zeros(len(theta))
    h = torch.full((len(theta),), 0.1, dtype=theta.dtype)
    at, own, eye = local(theta, task), task, torch.eye(theta.shape[1], dtype=theta.dtype)
    for _ in range(steps):
        taken[live] += 1
        factor, failed = torch.linalg.cholesky_ex(eye + (GAMMA * h)[:, None, None] * at.hessian)
        k1 = torch.cholesky_solve(-at.gradient[..., None], factor)[..., 0]
        middle = -slope_at(theta + h[:, None] * k1, own)
        k2 = torch.cholesky_solve((middle - 2 * k1)[..., None], factor)[..., 0]
        new = theta + h[:, None] * (1.5 * k1 + 0.5 * k2)
        error = (h / 2 * (k1 + k2).norm(dim=1)) / (TOLERANCE * (1 + theta.norm(dim=1)))
        there = local(new, own)
        good = (failed == 0) & (error <= 1) & (there.loss <= at.loss * (1 + 1e-9) + 1e-28)
        theta = torch.where(good[:, None], new, theta)
        at = Local(*(_where(good, getattr(there, name), getattr(at, name)) for name in Local.__dataclass_fields__))
        grow = torch.nan_to_num(0.9 / error.clamp(min=1e-9).sqrt(), nan=0.2).clamp(0.2, 5)
        h = (h * torch.where(good, grow, grow.clamp(max=0.5))).clamp(max=1e13)
        ends[live] = theta
        left = (at.loss > loss) & (at.gradient.norm(dim=1) > gradient)
        if not left.all():
            live, theta, h, own = live[left], theta[left], h[left], own.of(left)
            at = Local(*(getattr(at, name)[left] for name in Local.__dataclass_fields__))
        if not len(live):
            break
    return ends, taken


def _where(chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, *[1] * (a.ndim - 1)), a, b)
