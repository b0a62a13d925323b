"""Permutations that bring the weights of one model as near as can be to those of another.

    min_pi |theta_a - pi theta_b|^2  =  max_pi <theta_a, pi theta_b>

over the permutations of a specification (Ainsworth, Hayase and Srinivasa, 2023, algorithm 1), by coordinate ascent. No
data are needed. Parameters count and buffers do not (running statistics go along). All tensors count alike, whatever
their scale: layers with large weights decide. Of complex parameters the inner product is Re <a, b>, which is what the
distance asks for. Cost: passes x (2 n^2 m flops and an assignment problem for each group of n units with m weights
each); a local maximum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.given import require_seed, require_whole
from lemmata.landscape.permutation.ascent import Ascent, Pair
from lemmata.landscape.permutation.matching import Matching
from lemmata.landscape.permutation.permuting import (
    State,
    check_permutations,
    check_shapes,
    identity,
    permuted,
    read,
    state_of,
)
from lemmata.landscape.permutation.specification import Specification, specification
from lemmata.landscape.permutation.trace import Inputs


def weight_matching(
    a: State | nn.Module,
    b: State | nn.Module,
    spec: Specification | None = None,
    *,
    x: Inputs | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
    max_passes: int = 100,
    seed: int | torch.Generator = 0,
) -> Matching:
    """Align b with a by their weights.

    `a` and `b` are models or their states; `spec` is that of the model, or is derived from the model `a` on a batch of
    inputs `x`. The ascent starts at `start` (the identity if nothing is said) and visits groups in an order drawn from
    `seed`, until nothing improves or `max_passes`. Works in the larger type of the two, float32 at least; `state` keeps
    the type of b. Nothing given is changed. Raises `InvalidInput` for states that are not of the specification's model,
    or not finite.

    >>> from lemmata.landscape import permutation
    >>> model, x = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)), torch.zeros(2, 5)
    >>> spec = permutation.specification(model, x)
    >>> planted = permutation.random(spec, seed=0)
    >>> found = permutation.weight_matching(model, permutation.permuted(spec, model, planted), spec, seed=0)
    >>> bool((found.state["0.weight"] == model[0].weight).all()), found.converged
    (True, True)
    """
    spec = given_specification(a, spec, x)
    first, second = state_of(a), state_of(b)
    names = [block.tensor for block in spec.blocks if block.tensor not in spec.buffers]
    for state in (first, second):
        check_shapes(spec, state)
        missing = [name for name in names if name not in state]
        if missing:
            raise InvalidInput(f"a state lacks {missing[0]!r}; give that of the whole model")
    pairs = [
        _pair(block.groups, *(read(spec, block, state[block.tensor]) for state in (first, second)))
        for block in spec.blocks
        if block.tensor not in spec.buffers
    ]
    return matched(pairs, spec, second, start=start, max_passes=max_passes, seed=seed)


def matched(
    pairs: list[Pair],
    spec: Specification,
    state: State,
    *,
    start: Mapping[str, torch.Tensor] | None,
    max_passes: int,
    seed: int | torch.Generator,
) -> Matching:
    """Ascend on pairs of arrays, and permute the state by what was found."""
    check_permutations(spec, start or {})
    seed, max_passes = require_seed(seed), require_whole(max_passes, "max_passes")
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    if not all(bool(part.isfinite().all()) for pair in pairs for part in (pair.a, pair.b)):
        raise InvalidInput("the arrays to be aligned hold NaN or infinity; the run that left them diverged")
    groups = {group.name: group for group in spec.free}
    found = Ascent(pairs, groups, identity(spec) | dict(start or {})).run(draw, max_passes)
    squares = [
        sum(float(torch.linalg.vector_norm(part, dtype=torch.float64)) ** 2 for part in side)
        for side in zip(*((p.a, p.b) for p in pairs), strict=True)
    ]
    return Matching(
        permutations=found.permutations,
        state=permuted(spec, state, found.permutations),
        objective=np.array(found.history),
        largest=float(np.sqrt(np.prod(squares))),
        passes=found.passes,
        converged=found.converged,
        spec=spec,
    )


def given_specification(a: object, spec: Specification | None, x: Inputs | None) -> Specification:
    """The specification that was given, or that of the model a on x."""
    if spec is not None:
        return spec
    if not isinstance(a, nn.Module) or x is None:
        raise InvalidInput("give spec = specification(model, x), or a model as a and a batch of its inputs as x")
    return specification(a, x)


def _pair(groups: tuple[str, ...], a: torch.Tensor, b: torch.Tensor) -> Pair:
    """Two arrays in one real type, float32 at least; real and imaginary parts on a last axis, which stays as it is."""
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    a, b = a.to(dtype), b.to(dtype)
    if dtype.is_complex:
        return Pair((*groups, "real and imaginary"), torch.view_as_real(a), torch.view_as_real(b))
    return Pair(groups, a, b)
