"""A specification put to the test: random permutations of random parameters must leave the outputs as they are.

The permutations that keep a function are a subgroup of all that a specification allows. If that is not all of them it
is at most half, so that a uniform draw other than the identity is kept by chance with a probability below 1/2, and m
draws with one below 2^-m: 0.001 for ten.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from lemmata.given import require_seed, require_whole
from lemmata.landscape.permutation.permuting import Permutations, State, identity, permuted, random
from lemmata.landscape.permutation.specification import Specification
from lemmata.landscape.permutation.trace import Inputs, as_inputs


def check(
    spec: Specification, model: nn.Module, x: Inputs, *, draws: int = 10, seed: int | torch.Generator = 0
) -> float:
    """How far random permutations of random parameters change the model's outputs at most, as a share of their size.

    Parameters are drawn anew, so that equal ones (biases of 0, scales of 1) hide nothing, in float64, where the answer
    is of the order of 1e-12 for a specification that is right and of the order of 1 for one that is not. None of the
    `draws` permutations is the identity; where nothing is free the answer is 0. Costs a forward pass more than there
    are draws. Nothing of the model is changed.

    >>> from lemmata.landscape.permutation import specification
    >>> model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.ones(2, 3)
    >>> check(specification(model, x), model, x) < 1e-12
    True
    """
    seed = require_seed(seed)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    copied, inputs = in_double(model, x)
    own = redrawn(copied, draw)
    own |= {alias: own[name] for alias, name in spec.aliases.items()}
    moved = [_moving(spec, draw) for _ in range(require_whole(draws, "draws"))] if spec.free else []
    states = [own, *(permuted(spec, own, one) for one in moved)]
    kept = [{name: tensor for name, tensor in state.items() if name not in spec.aliases} for state in states]
    found = torch.stack([outputs(copied, state, inputs) for state in kept])
    return float((found - found[0]).abs().max() / found[0].abs().max())


def _moving(spec: Specification, draw: torch.Generator) -> Permutations:
    """Uniformly random permutations other than the identity."""
    still = identity(spec)
    while True:
        drawn = random(spec, draw)
        if any(not torch.equal(p, still[name]) for name, p in drawn.items()):
            return drawn


def in_double(model: nn.Module, x: Inputs) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A copy of the model in evaluation mode and its inputs, in float64."""
    copied = copy.deepcopy(model).eval().double().requires_grad_(False)
    return copied, tuple(part.double() if part.is_floating_point() else part for part in as_inputs(x))


def outputs(model: nn.Module, state: State, inputs: tuple[Tensor, ...]) -> Tensor:
    """All that the model gives with this state, which names tied weights once, as one vector."""
    with _double_by_default():
        found = _pytree.tree_leaves(torch.func.functional_call(model, dict(state), inputs))
    return torch.cat([t.flatten().double() for t in found if isinstance(t, Tensor)])


@contextmanager
def _double_by_default() -> Iterator[None]:
    """Let a model that makes tensors of its own as it runs make them in float64."""
    own = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(own)


def redrawn(model: nn.Module, draw: torch.Generator) -> dict[str, Tensor]:
    """A state of random numbers in which no two units are alike."""
    return {name: _redrawn(name, t, draw) for name, t in model.state_dict().items() if isinstance(t, Tensor)}


def _redrawn(name: str, tensor: Tensor, draw: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    noise = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
    if name.endswith("running_var"):
        return noise.abs() + 0.5
    return noise / max(tensor[0].numel(), 1) ** 0.5 if tensor.ndim > 1 else 1 + 0.5 * noise
