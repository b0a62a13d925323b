"""The course of an iteration for min |A x - b|^2 + ridge |x|^2, for k right-hand sides at once."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Callback = Callable[[int, Tensor], bool | None]


@dataclass(frozen=True)
class LeastSquaresRun:
    """The last iterate x (p, k), and for every iterate and right-hand side, the start first, as tensors (K + 1, k):

    `residual_norms` |b - A x|, `solution_norms` |x|, `normal_residuals` |A^T (b - A x) - ridge x| / |A^T b|, all as
    the recursion has them. `falls` (K, k) is what each step took off |A x - b|^2 + ridge |x|^2, where the method knows
    it: their tail sums are the squares of the error in the energy norm (Hestenes and Stiefel, 1952), without
    cancellation. `products` counts those with A and with its adjoint, all k columns at once.
    """

    x: Tensor
    residual_norms: Tensor
    solution_norms: Tensor
    normal_residuals: Tensor
    falls: Tensor
    products: int

    @property
    def iterations(self) -> int:
        """How many steps were made."""
        return len(self.residual_norms) - 1


@dataclass
class Course:
    """Collects the rows of a `LeastSquaresRun` on the device, without waiting for it."""

    scale: Tensor  # |A^T b| (k,), by which normal residuals are divided
    residuals: list[Tensor] = field(default_factory=list)
    solutions: list[Tensor] = field(default_factory=list)
    normals: list[Tensor] = field(default_factory=list)
    falls: list[Tensor] = field(default_factory=list)

    def record(self, residual: Tensor, solution: Tensor, normal: Tensor, fall: Tensor | None = None) -> None:
        """Take the norms (k,) of an iterate, and what the step to it took off the objective."""
        self.residuals.append(residual)
        self.solutions.append(solution)
        self.normals.append(normal / self.scale)
        if fall is not None:
            self.falls.append(fall)

    def run(self, x: Tensor, products: int) -> LeastSquaresRun:
        """What was collected, with the solution."""
        falls = torch.stack(self.falls) if self.falls else torch.zeros(0, len(self.scale)).to(x)
        residuals, solutions, normals = (torch.stack(part) for part in (self.residuals, self.solutions, self.normals))
        return LeastSquaresRun(x, residuals, solutions, normals, falls, products)


def safe(scale: Tensor) -> Tensor:
    """Positive numbers as they are, and 1 for zeros, to divide by.

    >>> safe(torch.tensor([2.0, 0.0]))
    tensor([2., 1.])
    """
    return torch.where(scale > 0, scale, torch.ones_like(scale))
