"""Parareal (Lions, Maday and Turinici 2001), in its own terms: a coarse and a fine propagator.

    U_{k+1} <- G(U_k new) + F(U_k old) - G(U_k old)

This is multigrid in layers with two levels and F-relaxation. What it saves is G at the old states, which is known.
"""

from __future__ import annotations

import torch

from lemmata.errors import InvalidInput
from lemmata.flows.field import State, as_field
from lemmata.flows.integrate import grid_of
from lemmata.flows.methods import Method, method_of
from lemmata.flows.parallel.chain import Steps, packed, unpacked
from lemmata.flows.parallel.scheme import Multigrid
from lemmata.flows.parallel.solution import Solution
from lemmata.flows.parallel.span import Span
from lemmata.flows.state import finite, require_state
from lemmata.given import require_whole


def parareal(
    field: object, y0: State, *, steps: int, iterations: int, m: int = 8, T: float | None = None,
    method: str | Method = "rk4", coarse_method: str | Method | None = None,
) -> Solution:  # fmt: skip
    """Do `iterations` of parareal on N/m chunks of m layers, from a run of the coarse propagator, one step a chunk.

    Gives the states at the chunks' ends and residuals as `mgrit` does, whose iterates with two levels and F-relaxation
    are the same but for rounding. Cost of an iteration: N fine steps, parallel over the chunks, and N/m coarse ones.
    Raises `InvalidInput` as `mgrit` does.

    >>> class Decay(torch.nn.Module):
    ...     def forward(self, t, y):
    ...         return -y
    >>> run = parareal(Decay(), torch.ones(1, 1), steps=64, T=1.0, iterations=2, coarse_method="forward-euler")
    >>> run.steps
    (192, 24)
    """
    own, fine_method, scheme = as_field(field), method_of(method), Multigrid(m, 2, "F", coarse_method)
    grid = grid_of(own, T, steps)
    coarser = method_of(coarse_method) if coarse_method else fine_method
    fine_method.suit(own)
    coarser.suit(own)
    require_state(y0, own)
    require_whole(iterations, "iterations", least=0)
    count, pair = scheme.sizes(steps)[1], isinstance(y0, tuple)
    if finite(y0) is False:
        raise InvalidInput("y0 holds a NaN or an infinite number; give finite states")
    with torch.no_grad():
        span = Span.whole(own, grid, fine_method, m)
        span.load(pair=pair, graph=False)
        coarse = Steps(own, grid, coarser, first=0, every=m, steps=count, pair=pair)
        U, G = [packed(y0)], []
        for k in range(count):
            G.append(coarse.one(k, U[-1]))
            U.append(G[-1])
        F = span.forwards(torch.stack(U[:-1]))
        scale = float(torch.stack(U).double().norm()) or 1.0
        residuals = [float((F - torch.stack(U[1:])).double().norm()) / scale]
        for _ in range(iterations):
            jumps, G, U = [f - g for f, g in zip(F, G, strict=True)], [], U[:1]
            for k in range(count):
                G.append(coarse.one(k, U[-1]))
                U.append(G[-1] + jumps[k])
            F = span.forwards(torch.stack(U[:-1]))
            residuals.append(float((F - torch.stack(U[1:])).double().norm()) / scale)
    return Solution(
        states=unpacked(torch.stack([*U[:-1], F[-1]]), pair, 1), final=unpacked(F[-1], pair),
        residuals=tuple(residuals), rounding=torch.finfo(F.dtype).eps, steps=(span.applied[0], coarse.applied),
        stages=(fine_method.stages, coarser.stages), serial=steps, scheme=scheme,
    )  # fmt: skip
