"""Solve a stage u = start + c f(u) of an implicit method by Newton's method, each sample by itself, and differentiably.

    u <- u - (I - c J(u))^-1 (u - start - c f(u)),   J = df/du

The last of these iterations is taken at the solution u*, with J held. Its derivative by weights and by `start` is

    du = (I - c J(u*))^-1 (d start + c (d_theta f)(u*)),

which is the implicit function theorem's: gradients are exact, whatever way u* was found, and no iteration is recorded.
Second derivatives through a step are not. Small systems are solved by their matrices, wide ones (convolutions) by GMRES
with products of the field.

Cost of an iteration: `width` products of the field and width^3 / 1.5 operations for each sample, or for wide states two
products a Krylov vector. Under vmap nobody can look whether it converged: all ITERATIONS are taken, and a sample that
did not converge becomes NaN; otherwise it raises `NotConverged`. Fails where the step is so long that c J has an
eigenvalue near 1, or that Newton's method starts too far away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.func import jvp, vjp

from lemmata.estimate import NotConverged
from lemmata.flows.field import State, VectorField, Velocity
from lemmata.flows.methods.gmres import gmres
from lemmata.flows.state import jacobian, known, moved, packed, require_solvable, unpacked

ITERATIONS = 12
DENSE = 2**24  # numbers in the samples' matrices, above which products are used instead


def solve(f: Velocity, start: State, c: float) -> State:
    """Give u with u = start + c f(u), to the rounding of the state's dtype.

    Raises `NotConverged` (under vmap the samples concerned are NaN), `InvalidInput` for states of no numbers or in half
    precision.
    """
    require_solvable(packed(start), "an implicit step")
    tolerance = torch.finfo(packed(start).dtype).eps ** 0.5  # of a step whose successor is quadratically smaller
    with torch.no_grad():
        u, left = start, packed(start)[:, 0].new_full((), torch.inf)
        for _ in range(ITERATIONS):
            step = _linear_solve(f, u, c, _residual(f, start, c, u))
            u = moved(u, [(-1.0, unpacked(step, u))])
            left = _relative(step, packed(u), packed(start))
            if known((left <= tolerance).all()) or known(left.isfinite().all()) is False:
                break
        if known((left <= tolerance).all()) is False:
            raise NotConverged(
                "Newton's method for an implicit step", best=u, residual=float(left.max()), tolerance=tolerance,
                remedy="take more steps, so that each is shorter",
            )  # fmt: skip
    last = _linear_solve(f, u, c, _residual(f, start, c, u))
    return unpacked(torch.where((left <= tolerance)[:, None], packed(u) - last, torch.nan), u)


def _relative(step: Tensor, *states: Tensor) -> Tensor:
    """The largest number of a step over that of the states, (samples,): the same in any unit; 0 where all are 0."""
    size = torch.stack([state.abs().amax(1) for state in states]).amax(0)
    return step.abs().amax(1) / size.clamp_min(torch.finfo(step.dtype).tiny)


def _residual(f: Velocity, start: State, c: float, u: State) -> Tensor:
    """U - start - c f(u), (samples, width)."""
    return packed(u) - packed(moved(start, [(c, f(u))]))


def _linear_solve(f: Velocity, u: State, c: float, residual: Tensor) -> Tensor:
    """(I - c J(u))^-1 residual, linear in the residual for derivatives: J is held."""
    samples, width = residual.shape
    if samples * width**2 > DENSE:
        shapes = u if isinstance(u, tuple) else (u,)
        return _Held.apply(f.field, c, residual, len(shapes), *shapes, *f.weights)  # type: ignore[no-any-return]
    with torch.no_grad():
        matrix = torch.eye(width, dtype=residual.dtype, device=residual.device) - c * jacobian(f, u)
    return torch.linalg.solve_ex(matrix, residual[..., None])[0][..., 0]


class _Held(torch.autograd.Function):
    """The same by GMRES: a linear map of the residual with its transpose as its derivative backwards."""

    generate_vmap_rule = True

    @staticmethod
    def forward(field: VectorField, c: float, residual: Tensor, count: int, *tensors: Tensor) -> Tensor:  # type: ignore[override]
        rule, rows = _rule(field, count, tensors)
        return gmres(lambda v: v - c * jvp(rule, (rows,), (v,))[1], residual)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.field, ctx.c, _, ctx.count, *tensors = inputs  # type: ignore[attr-defined]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        rule, rows = _rule(ctx.field, ctx.count, tensors)
        pull = vjp(rule, rows)[1]
        back = gmres(lambda v: v - ctx.c * pull(v)[0], cotangents[0])
        return None, None, back, None, *(None for _ in tensors)


def _rule(field: VectorField, count: int, tensors: tuple[Tensor, ...]) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The field's velocity on rows, with the weights that come after the state's `count` tensors; and the rows."""
    like, weights = tensors[:count], tensors[count:]
    state = like if count > 1 else like[0]
    return lambda rows: packed(field.velocity(unpacked(rows, state), *weights)), packed(state)
