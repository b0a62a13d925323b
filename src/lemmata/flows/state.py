"""States: a tensor (samples, ...) or a pair (q, p) of such; what every method asks of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import jvp, vmap

from lemmata.errors import InvalidInput
from lemmata.flows.field import FLOATS, Partitioned, State, VectorField, require_pair, shape_of
from lemmata.given import require_tensor

AT_ONCE = 2**25  # numbers that the columns of a Jacobian hold in memory at the same time


def moved(y: State, terms: Sequence[tuple[float, State]]) -> State:
    """Give y + sum c k for tensors or pairs of them."""
    if isinstance(y, tuple):
        return tuple(moved(part, [(c, k[i]) for c, k in terms]) for i, part in enumerate(y))
    for c, k in terms:
        y = y.add(k, alpha=c)
    return y


def packed(y: State) -> Tensor:
    """Give each sample's numbers in a row: (samples, width), q before p."""
    if isinstance(y, tuple):
        return torch.cat([packed(part) for part in y], dim=1)
    return y.flatten(1) if y.ndim > 1 else y[:, None]


def unpacked(rows: Tensor, like: State) -> State:
    """Give the state whose rows these are, in the shape of `like`."""
    if isinstance(like, tuple):
        return tuple(part.reshape(like[0].shape) for part in rows.chunk(len(like), dim=1))
    return rows.reshape(like.shape)


def jacobian(f: Callable[[State], State], y: State) -> Tensor:
    """Give the Jacobian of f at each sample, (samples, width, width), rows and columns as `packed` has them.

    One forward product a column serves all samples, as f's answer for a sample depends on that sample alone (a layer of
    batch normalisation in training is none such). It can be differentiated. Cost: `width` products of f.
    """
    rows = packed(y)
    width = rows.shape[1]
    basis = torch.eye(width, dtype=rows.dtype, device=rows.device)

    def column(e: Tensor) -> Tensor:
        return jvp(lambda u: packed(f(unpacked(u, y))), (rows,), (e.expand_as(rows),))[1]

    chunk = max(1, AT_ONCE // max(rows.numel(), 1))
    return vmap(column, chunk_size=min(chunk, width))(basis).permute(1, 2, 0)


def known(condition: Tensor) -> bool | None:
    """Give the truth of a condition, or None where nobody can look: under vmap each member has its own."""
    try:
        return bool(condition)
    except RuntimeError:
        return None


def require_state(y: State, field: VectorField, name: str = "y0") -> None:
    """Refuse what is no state of this field."""
    pair = isinstance(y, tuple)
    if pair or isinstance(field, Partitioned):
        require_pair(field, y)
    tensors = [require_tensor(part, name) for part in (y if pair else (y,))]
    for part in tensors:
        if part.dtype not in FLOATS or part.ndim == 0:
            raise InvalidInput(f"{name} is {shape_of(y)}; give floating-point states, (samples, ...)")
        if 0 in part.shape[1:]:
            raise InvalidInput(f"{name} is {shape_of(y)}; give samples of at least one number")
    if pair and (tensors[0].shape != tensors[1].shape or tensors[0].dtype != tensors[1].dtype):
        raise InvalidInput(f"{name} is {shape_of(y)}; q and p are of one shape and dtype")


def require_solvable(rows: Tensor, what: str) -> None:
    """Refuse rows (samples, width) of which no linear system can be made: of no width, or in half precision."""
    if not rows.shape[1]:
        raise InvalidInput(f"{what}: the state has no numbers, {tuple(rows.shape)}; give samples of at least one")
    if rows.dtype not in (torch.float32, torch.float64):
        raise InvalidInput(
            f"{what}: linear systems are not solved in {rows.dtype}; give states and weights in float32 or float64, or "
            f"take an explicit method"
        )


def require_samples(y: State, field: VectorField, name: str = "y") -> None:
    """Refuse what is no state (samples, ...) of this field with at least one sample of at least one number."""
    require_state(y, field, name)
    first = y[0] if isinstance(y, tuple) else y
    if not first.numel():
        raise InvalidInput(f"{name} is {shape_of(y)}; give at least one sample, of at least one number")


def finite(y: State) -> bool | None:
    """Whether all numbers of a state are finite; None where nobody can look, under vmap.

    A sum that is finite has no other terms, and costs a tenth of looking at each number; one that is not may have
    overflowed, and each is looked at.
    """
    parts = y if isinstance(y, tuple) else (y,)
    try:
        return all(math.isfinite(part.detach().sum().item()) or bool(part.isfinite().all()) for part in parts)
    except RuntimeError:
        return None
