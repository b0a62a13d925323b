"""A specification put to the test: a random permutation of random parameters must leave the outputs as they are."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from lemmata.given import require_seed
from lemmata.landscape.permutation.permuting import permuted, random
from lemmata.landscape.permutation.specification import Specification
from lemmata.landscape.permutation.trace import Inputs, as_inputs


def check(spec: Specification, model: nn.Module, x: Inputs, *, seed: int | torch.Generator = 0) -> float:
    """How far a random permutation of random parameters changes the model's outputs, as a share of their size.

    Parameters are drawn anew, so that equal ones (biases of 0, scales of 1) hide nothing, in float64, where the answer
    is of the order of 1e-12 for a specification that is right and of the order of 1 for one that is not. Costs two
    forward passes. Nothing of the model is changed.

    >>> from lemmata.landscape.permutation import specification
    >>> model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.ones(2, 3)
    >>> check(specification(model, x), model, x) < 1e-12
    True
    """
    seed = require_seed(seed)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    copied = copy.deepcopy(model).eval().double().requires_grad_(False)
    own = {name: _redrawn(name, t, draw) for name, t in copied.state_dict().items() if isinstance(t, Tensor)}
    own |= {alias: own[name] for alias, name in spec.aliases.items()}
    inputs = tuple(part.double() if part.is_floating_point() else part for part in as_inputs(x))
    results = []
    for state in (own, permuted(spec, own, random(spec, draw))):
        copied.load_state_dict(state)
        with _double_by_default():
            found = _pytree.tree_leaves(copied(*inputs))
        results.append(torch.cat([t.flatten().double() for t in found if isinstance(t, Tensor)]))
    return float((results[0] - results[1]).abs().max() / results[0].abs().max())


@contextmanager
def _double_by_default() -> Iterator[None]:
    """Let a model that makes tensors of its own as it runs make them in float64."""
    own = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(own)


def _redrawn(name: str, tensor: Tensor, draw: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    noise = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
    if name.endswith("running_var"):
        return noise.abs() + 0.5
    return noise / max(tensor[0].numel(), 1) ** 0.5 if tensor.ndim > 1 else 1 + 0.5 * noise
