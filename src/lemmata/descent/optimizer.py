"""A method with fixed steps as an optimiser of PyTorch: momentum, Nesterov, the optimised gradient method, schedules.

    w <- decay_k w - intake_k g / L,    x <- x - step_k g / L + w

in place, with one buffer beside the parameters for w (none for a schedule). Between steps the parameters are x_k, the
point where the next gradient is wanted. With the number of steps `n` given, the n-th is the method's last one: it ends
on the point that the guarantee speaks of (y_n for Nesterov, the shorter step of the optimised gradient method, the
average of all points for the averaged heavy ball). What is proven holds for full gradients and an L that is no less
than the gradient's Lipschitz constant over all parameters together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lemmata.descent.method import Method
from lemmata.descent.numbers import is_positive
from lemmata.descent.schedules.heavy_ball import AveragedHeavyBall
from lemmata.descent.schedules.length import whole
from lemmata.descent.schedules.polyak import PolyakStep
from lemmata.errors import InvalidInput


def optimizer(params: Any, method: Method, *, L: float = 1.0, n: int | None = None) -> FixedSteps:
    """Run a method on parameters or parameter groups, as any optimiser of torch, state_dict included.

    A group may have an `L` of its own. `step` takes the closure that Polyak's step needs for the value. Raises
    `InvalidInput` for an L that is not positive and finite, an n beyond the method's length, a step beyond n or the
    method's length, and an average without n.

    >>> from lemmata.descent import nesterov
    >>> x = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    >>> steps = optimizer([x], nesterov(), L=2.0, n=3)
    >>> for _ in range(3):
    ...     x.grad = x.detach().clone()  # of x^2 / 2
    ...     steps.step()
    >>> round(x.item(), 4)
    0.0898
    """
    return FixedSteps(params, method, L=L, n=n)


class FixedSteps(Optimizer):
    """The optimiser that `optimizer` makes."""

    def __init__(self, params: Any, method: Method, *, L: float = 1.0, n: int | None = None):
        if not isinstance(method, Method):
            raise InvalidInput(f"the method is {method!r:.80}; make one, such as descent.nesterov()")
        n = None if n is None else whole(n)
        if n is None and isinstance(method, AveragedHeavyBall):
            raise InvalidInput(f"{method.name} ends on an average: say after how many steps, n = ...")
        if n is not None and method.length is not None and n > method.length:
            raise InvalidInput(f"n = {n} steps of {method.name}, which has {method.length}")
        self.method, self.n = method, n
        super().__init__(params, {"L": L, "k": 0})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with an L of their own if `param_group` has one; they begin at their own step 0."""
        super().add_param_group(param_group)
        L = self.param_groups[-1]["L"]
        if not is_positive(L):
            raise InvalidInput(f"L = {L}; it must be positive and finite: `descent.smoothness` estimates it")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step by the gradients there are; parameters without one stay."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        if isinstance(self.method, PolyakStep):
            self._polyak_step(value, self.method)
            return value
        for group in self.param_groups:
            self._step_of(group)
        return value

    def _step_of(self, group: dict[str, Any]) -> None:
        k, last = group["k"], self.n is not None and group["k"] == self.n - 1
        end = self.method.length if self.n is None else self.n
        if end is not None and k >= end:
            raise InvalidInput(f"{self.method.name} has ended after {end} steps; make it for more")
        numbers = self.method.last(k) if last else self.method.coefficients(k)
        for p in group["params"]:
            if p.grad is not None:
                self._move(p, p.grad, numbers, group["L"])
                if isinstance(self.method, AveragedHeavyBall):
                    self._average(p, k, last)
        group["k"] = k + 1

    def _move(self, p: Tensor, gradient: Tensor, numbers: tuple[float, float, float], L: float) -> None:
        step, decay, intake = numbers
        if decay or intake:
            state = self.state[p]
            if isinstance(self.method, AveragedHeavyBall) and "average" not in state:
                state["average"] = p.detach().clone()
            if "memory" not in state:
                state["memory"] = torch.zeros_like(p)
            p.add_(state["memory"].mul_(decay).add_(gradient, alpha=-intake / L))
        if step:
            p.add_(gradient, alpha=-step / L)

    def _average(self, p: Tensor, k: int, last: bool) -> None:
        average = self.state[p]["average"]
        average.lerp_(p, 1 / (k + 2))
        if last:
            p.copy_(average)

    def _polyak_step(self, value: Any, method: PolyakStep) -> None:
        if value is None:
            raise InvalidInput(f"{method.name} needs the value: step(closure), the closure giving the loss")
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        squared = sum(float(p.grad.square().sum()) for p in moved)
        length = method.step(float(value), squared)
        for p in moved:
            p.add_(p.grad, alpha=-length)
