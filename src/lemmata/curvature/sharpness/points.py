"""The loss at many points, as many at once as a memory budget allows, and the parts of the data of m-sharpness.

Evaluating points together saves the overhead of small networks (measured on one thread: 7 times for 1,000 parameters,
nothing beyond 30,000), so the budget decides and not the architecture; one of the size of a cache is best.
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.objective import Objective

DRAWN = torch.float32  # in which noise is drawn whatever the parameters are: the same for all, and four times faster


def losses(objective: Objective, points: Tensor) -> Tensor:
    """The loss at each point (K, size): (K,), float64. One point is evaluated without a leading axis."""
    if len(points) == 1:
        return objective.value(objective.tree(points[0]))[None].double()
    return objective.value(objective.tree(points)).double()


def losses_and_slopes(objective: Objective, points: Tensor) -> tuple[Tensor, Tensor]:
    """The loss (K,), float64, and its gradient (K, size) at each point."""
    if len(points) == 1:
        value, slope = objective.value_and_gradient(objective.tree(points[0]))
        return value[None].double(), objective.vector(slope)[None]
    value, slope = objective.value_and_gradient(objective.tree(points))
    return value.double(), objective.vector(slope)


def at_once(objective: Objective, memory: int) -> int:
    """How many points may be evaluated together in `memory` bytes: parameters thrice, and all activations."""
    if memory < 1:
        raise InvalidInput(f"memory = {memory} bytes; give a positive number")
    item = torch.empty(0, dtype=objective.dtype).element_size()
    return max(1, memory // (item * (3 * objective.size + _activations(objective))))


def parts(objective: Objective, m: int | None) -> list[Objective]:
    """The objective on consecutive parts of m samples (the last may be smaller); itself if m is None."""
    if m is None:
        return [objective]
    if not 1 <= m <= objective.n:
        raise InvalidInput(f"m = {m} samples at a time, of {objective.n}; m must be between 1 and {objective.n}")
    return [_on(objective, x, y) for x, y in _cut(objective, m)]


def _cut(objective: Objective, m: int) -> Iterator[tuple[Tensor, Tensor]]:
    x, y = (torch.cat(column) for column in zip(*objective.batches, strict=True))
    return zip(x.split(m), y.split(m), strict=True)


def _on(objective: Objective, x: Tensor, y: Tensor) -> Objective:
    part = copy.copy(objective)
    part.batches, part.n = [(x, y)], len(y)
    return part


def _activations(objective: Objective) -> int:
    """The numbers that all leaf modules give for the largest batch."""
    largest, sizes = max(len(y) for _, y in objective.batches), [0]
    x = objective.batches[0][0]
    leaves = [module for module in objective.model.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(lambda *call: sizes.append(_numel(call[-1]))) for leaf in leaves]
    try:
        with torch.no_grad():
            objective.model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return x.numel() + sum(sizes) * largest // len(x)


def _numel(output: object) -> int:
    return output.numel() if isinstance(output, Tensor) else 0
