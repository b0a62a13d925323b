"""Plain gradient descent of many students at once: by the compiled loop where there is one, else by torch.

A student's parameters are one vector, the flattened W followed by the outputs where they are trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from lemmata.landscape.teacher_student.problem import TeacherStudent

Advance = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def by_compiled_steps(problem: TeacherStudent, neurons: int, step: float) -> Advance:
    """Steps of ReLU students with outputs of one on the CPU, split over torch's threads."""
    from lemmata.landscape.teacher_student import steps

    teacher = problem.teacher.numpy()
    rows = np.concatenate([[0], np.cumsum((teacher != 0).sum(1))])
    columns = np.nonzero(teacher)[1]
    lengths = np.sqrt((teacher**2).sum(1))
    rest = (rows, columns, teacher[teacher != 0], lengths, problem.b.numpy()), step
    series = steps.arcsine_series()

    def advance(theta: Tensor, count: int) -> tuple[Tensor, Tensor]:
        starts = len(theta)
        lanes = min(steps.LANES, max(2, 2 ** math.ceil(math.log2(starts))))  # the last few need no full block
        padded = torch.cat([theta, theta[:1].expand(-starts % lanes, -1)])
        blocks = padded.reshape(-1, lanes, neurons, problem.dimension).permute(0, 2, 3, 1).numpy().copy()
        norms = np.empty((len(blocks), lanes))
        threads = min(torch.get_num_threads(), len(blocks))
        parts = np.array_split(np.arange(len(blocks)), threads)
        if threads == 1:
            steps.descend(blocks, *rest, count, series, norms)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for part in [slice(part[0], part[-1] + 1) for part in parts]:
                    pool.submit(steps.descend, blocks[part], *rest, count, series, norms[part])
        moved = torch.from_numpy(blocks).permute(0, 3, 1, 2).reshape(len(padded), -1)
        return moved[:starts], torch.from_numpy(norms).reshape(-1)[:starts].sqrt()

    return advance


def by_torch(problem: TeacherStudent, neurons: int, step: float) -> Advance:
    """Steps of any students, on any device."""

    def advance(theta: Tensor, count: int) -> tuple[Tensor, Tensor]:
        gradient = torch.zeros_like(theta)
        for _ in range(count):
            gradient = flat_gradient(problem, theta, neurons)
            theta = theta - step * gradient
        return theta, gradient.norm(dim=1)

    return advance


def flat_gradient(problem: TeacherStudent, theta: Tensor, neurons: int) -> Tensor:
    """The gradients (starts, P) at parameters (starts, P)."""
    W, a = parts(problem, theta, neurons)
    if a is None:
        return problem.gradient(W).flatten(1)
    found = problem.gradient(W, a)
    return torch.cat([found.W.flatten(1), found.a], dim=1)


def parts(problem: TeacherStudent, theta: Tensor, neurons: int) -> tuple[Tensor, Tensor | None]:
    """W (starts, n, d), and the outputs (starts, n) where they are trained."""
    inner = neurons * problem.dimension
    W = theta[:, :inner].reshape(-1, neurons, problem.dimension)
    return W, theta[:, inner:] if problem.trained_outputs else None
