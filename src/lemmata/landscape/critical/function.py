"""A plain function of a vector as an objective: for surfaces whose critical points are known."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_callable, require_whole
from lemmata.objective import Objective


class _Function(nn.Module):
    """f(theta), once for each sample; the samples themselves are not looked at."""

    def __init__(self, f: Callable[[Tensor], Tensor], at: Tensor):
        super().__init__()
        self.f, self.theta = f, nn.Parameter(at)

    def forward(self, x: Tensor) -> Tensor:
        return self.f(self.theta).reshape(1, 1).expand(len(x), 1)


def function(f: Callable[[Tensor], Tensor], dimension: int, *, at: Sequence[float] | Tensor | None = None) -> Objective:
    """The objective L(theta) = f(theta), theta (dimension,) in float64, at the origin or `at`.

    `f` maps a vector to one number by torch operations. Raises `InvalidInput` where it does not, or is not finite.

    >>> bowl = function(lambda v: (v**2).sum(), 3, at=[1.0, 2.0, 2.0])
    >>> bowl.value().item(), bowl.gradient()["theta"].tolist()
    (9.0, [2.0, 4.0, 4.0])
    """
    require_callable(f, "f")
    size = require_whole(dimension, "dimension")
    here = torch.zeros(size, dtype=torch.float64) if at is None else torch.as_tensor(at, dtype=torch.float64).clone()
    if here.shape != (size,):
        raise InvalidInput(f"at has shape {tuple(here.shape)}; the function is of {size} numbers")
    one = torch.zeros(1, 1, dtype=torch.float64)
    return Objective(_Function(f, here), loss=lambda z, y: (z + 0 * y).mean(), data=(one, one))
