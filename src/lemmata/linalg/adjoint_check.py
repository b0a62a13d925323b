"""Check that an adjoint is one: u^T (A v) = (A^T u)^T v for random u and v, to rounding.

For Gaussian u and v a wrong adjoint B passes with probability 0: u^T A v - (B u)^T v vanishes for almost no u, v
unless B = A^T. Cost: `trials` products each way. Errors below some 1e-12 of |A| (in float64) pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.linalg.derivative_check import Array, inner, norm, random_directions
from lemmata.linalg.operator import LinearOperator


@dataclass(frozen=True)
class AdjointCheck:
    """The products u^T (A v) and (A^T u)^T v, (trials,) each, and whether they agree.

    `mismatch` is the largest |difference| / (|u| |A v|), which is rounding where the adjoint is right.
    """

    forward: np.ndarray
    backward: np.ndarray
    mismatch: float
    tolerance: float
    holds: bool
    cost: int

    def __bool__(self) -> bool:
        return self.holds

    def plot(self) -> Figure:
        """Draw one product against the other: on the diagonal where the adjoint is right."""
        both = np.concatenate([self.forward, self.backward])
        ends = np.array([both.min(), both.max()])
        points = Series(label="random u and v", x=self.forward, y=self.backward, style="points")
        line = Series(label="equal", x=ends, y=ends, role="theory")
        panel = Panel(x=Axis(label="u · (A v)"), y=Axis(label="(Aᵀ u) · v"), series=[points, line])
        caption = f"Largest mismatch {self.mismatch:.1e}, tolerance {self.tolerance:.1e}."
        return Figure(name="adjoint-check", title="Adjoint check", caption=caption, panels=[panel])


def check_adjoint(
    A: LinearOperator | tuple[Callable[[Array], Array], Callable[[Array], Array]],
    *,
    like: tuple[Array, Array] | None = None,
    trials: int = 5,
    tolerance: float | None = None,
    seed: int | torch.Generator = 0,
) -> AdjointCheck:
    """Check that u^T (A v) = (A^T u)^T v for Gaussian u and v drawn from `seed`.

    A is an operator with an adjoint, or a pair (forward, adjoint) of functions; then `like` = (v, u) shows the shapes,
    types and device of what they take (any shape). `tolerance` is relative to |u| |A v| + |A^T u| |v| and defaults to
    sqrt(n) 100 units in the last place, n the larger of the two sizes.

    Raises `InvalidInput` for an operator without adjoint, shapes that do not fit, and products that are not finite.

    >>> A = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    >>> check_adjoint(LinearOperator.of(A)).holds
    True
    >>> check_adjoint((lambda v: A @ v, lambda u: A @ u), like=(torch.zeros(2), torch.zeros(2))).holds
    False
    """
    if isinstance(A, LinearOperator):
        transposed, operator = A.T, A
        forward, adjoint = operator.__matmul__, transposed.__matmul__
        empty = torch.empty(0, dtype=A.dtype, device=A.device)
        like = empty.new_zeros(A.shape[1]), empty.new_zeros(A.shape[0])
    else:
        forward, adjoint = A
    if like is None:
        raise InvalidInput("a pair (forward, adjoint) needs like=(v, u), an example of what each takes")
    if trials < 1:
        raise InvalidInput(f"trials = {trials}; take at least one")
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    ways, mismatch = np.zeros((2, trials)), 0.0
    for trial in range(trials):
        v, u = (random_directions(one, None, 1, draw)[0] for one in like)
        Av, Au = forward(v), adjoint(u)
        for product, wanted, what in ((Av, u, "forward"), (Au, v, "adjoint")):
            if tuple(product.shape) != tuple(wanted.shape):
                raise InvalidInput(f"the {what} product is {tuple(product.shape)}; {tuple(wanted.shape)} would fit")
            if not math.isfinite(norm(product)):
                raise InvalidInput(f"the {what} product is not finite")
        ways[:, trial] = inner(u, Av), inner(Au, v)
        scale = norm(u) * norm(Av) + norm(Au) * norm(v)
        mismatch = max(mismatch, abs(ways[0, trial] - ways[1, trial]) / (scale or 1.0))
    size = max(math.prod(one.shape) for one in like)
    eps = max(float(torch.finfo(o.dtype).eps if isinstance(o, Tensor) else np.finfo(o.dtype).eps) for o in like)
    allowed = 100 * math.sqrt(size) * eps if tolerance is None else tolerance
    return AdjointCheck(ways[0], ways[1], mismatch, allowed, bool(mismatch <= allowed), 2 * trials)
