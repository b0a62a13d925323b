"""Training of the linearised network on the cross-entropy: an ordinary differential equation, or a recursion.

    f = f_0 - Theta c,      flow  dc/dt = (softmax(f) - onehot(y)) / n,      descent  c <- c - eta (velocity)

in the coefficients c (n, C) of w = w_0 - J^T c, so that train, test and parameters all follow from c. There is no
closed form; the flow is integrated by one of scipy's adaptive methods (`solve_ivp`) with absolute error about
`tolerance` in the outputs at each step, and the descents run step by step, exactly. The weights of separable data
grow without bound, so there is no limit at infinite time.

Cost: 2 n^2 C flops an evaluation (2 (nC)^2 for a kernel that couples outputs). Stability bounds the steps of explicit
methods: up to lambda_max t / n evaluations where the data cannot be fitted, far fewer once they are (measured: 0.7 of
that, and 0.07). Give ``method="LSODA"`` where that is many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.kernels.dynamics.kernel_layout import Layout
from lemmata.kernels.dynamics.spectral_filter import Rule, checked_times, step_and_momentum
from lemmata.training import SGD

Method = Literal["DOP853", "RK45", "LSODA", "BDF", "Radau"]
METHODS: tuple[Method, ...] = ("DOP853", "RK45", "LSODA", "BDF", "Radau")


def cross_entropy_coefficients(
    kernel: Tensor,
    layout: Layout,
    start: Tensor,
    labels: Tensor,
    *,
    times: list[float],
    rule: Rule,
    largest: float,
    tolerance: float,
    method: Method,
    max_evaluations: int,
) -> tuple[Tensor, int]:
    """Coefficients (M, T, n, C) at `times` and the evaluations taken; kernel (M, N, N), start (M, n, C), labels (n,).

    `largest` is the largest eigenvalue. Raises `NotConverged` beyond `max_evaluations` or where the integrator fails,
    and `InvalidInput` for an infinite time.
    """
    when = checked_times(times, rule)
    if math.inf in when:
        raise InvalidInput("cross-entropy has no limit at infinite time: the weights grow for ever; give finite times")
    if method not in METHODS:
        raise InvalidInput(f"method = {method!r}; take one of {', '.join(METHODS)}")
    if not 0 < tolerance < math.inf:
        raise InvalidInput(f"tolerance = {tolerance}; it must be positive")
    target = torch.nn.functional.one_hot(labels, start.shape[-1]).to(start)
    if isinstance(rule, SGD):
        return _descend(_slope(kernel, layout, start, target), torch.zeros_like(start), when, rule, max_evaluations)
    parts, evaluations = [], 0
    for own, origin in zip(kernel.split(1), start.split(1), strict=True):  # each network has steps of its own
        found, taken = _integrate(
            _slope(own, layout, origin, target), torch.zeros_like(origin), when,
            tolerance=tolerance, atol=tolerance / largest, method=method, limit=max_evaluations,
        )  # fmt: skip
        parts.append(found)
        evaluations += taken
    return torch.cat(parts), evaluations


Slope = Callable[[Tensor], Tensor]


def _slope(kernel: Tensor, layout: Layout, start: Tensor, target: Tensor) -> Slope:
    """The derivative of the mean loss by the outputs, as a function of the coefficients (M, n, C)."""

    def slope(c: Tensor) -> Tensor:
        outputs = start - layout.shaped(kernel @ layout.flat(c))
        return (torch.softmax(outputs, -1) - target) / len(target)

    return slope


def _descend(slope: Slope, c: Tensor, when: list[float], rule: SGD, limit: int) -> tuple[Tensor, int]:
    eta, mu = step_and_momentum(rule)
    last = int(max(when))
    if last > limit:
        raise NotConverged(
            "descent on the cross-entropy", best=c, residual=float(last), tolerance=float(limit),
            remedy=f"{last} steps were asked for, max_evaluations = {limit}; allow more",
        )  # fmt: skip
    found, velocity = {0.0: c}, torch.zeros_like(c)
    wanted = set(when)
    for step in range(1, last + 1):
        g = slope(c)
        velocity = mu * velocity + g
        c = c + eta * (g + mu * velocity if rule.nesterov else velocity)
        if float(step) in wanted:
            found[float(step)] = c
    return torch.stack([found[t] for t in when], 1), last


def _integrate(
    slope: Slope, c: Tensor, when: list[float], *, tolerance: float, atol: float, method: Method, limit: int
) -> tuple[Tensor, int]:
    from scipy.integrate import solve_ivp

    taken = 0

    def field(_: float, flat: np.ndarray) -> np.ndarray:
        nonlocal taken
        taken += 1
        if taken > limit:
            raise _TooMany
        return slope(torch.as_tensor(flat, device=c.device).reshape(c.shape)).cpu().numpy().ravel()

    order = np.unique([0.0, *when])
    if len(order) == 1:
        return torch.stack([c for _ in when], 1), 0
    try:
        solved = solve_ivp(
            field, (0.0, order[-1]), c.cpu().numpy().ravel(), t_eval=order, method=method, rtol=tolerance, atol=atol
        )
    except _TooMany:
        solved = None
    if solved is None or not solved.success:
        why = f"max_evaluations = {limit} reached" if solved is None else solved.message
        raise NotConverged(
            "the flow of the cross-entropy", best=c, residual=math.inf, tolerance=tolerance,
            remedy=f"{why}; allow more, a larger tolerance, or method='LSODA'",
        )  # fmt: skip
    places = np.searchsorted(order, when)
    values = torch.as_tensor(solved.y.T[places], dtype=c.dtype, device=c.device)
    return values.reshape(len(when), *c.shape).transpose(0, 1), taken


class _TooMany(Exception):
    pass
