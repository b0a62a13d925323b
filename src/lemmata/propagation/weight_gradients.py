"""Mean and mean square of the entries of a layer's weight gradient, for every sample by itself.

For a linear layer on vectors the gradient of sample i is d_i a_i^T, with a_i what the layer got and d_i the gradient at
its output: its entries have mean (mean d_i)(mean a_i) and mean square (mean d_i^2)(mean a_i^2), and are never formed.
With positions (a sequence) the products add up and are formed, as they are for all other modules, by one vectorised
backward pass through the module alone, in chunks of samples to 64 MiB.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from lemmata.propagation.passage import Call

BUDGET = 64 * 2**20


def weight_gradient_moments(call: Call, d: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Mean and mean square over the entries of the weight gradient through this call: (samples,) each, in float64.

    `d` is the gradient at the call's output, of its shape. Numbers without an axis among the arguments (a time, say)
    are the same for all samples. NaN for a module that torch cannot differentiate sample by sample, and for
    parametrised weights other than of a linear layer on vectors.
    """
    a = call.input
    plain = type(call.module).forward is nn.Linear.forward
    if plain and a is not None and a.ndim == 2 and len(a) == samples:
        left, right = d.double(), a.detach().double()
        return left.mean(1) * right.mean(1), left.square().mean(1) * right.square().mean(1)
    return _formed(call, d, samples)


def _formed(call: Call, d: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    module = call.module
    own = {name: p.detach() for name, p in module.named_parameters(recurse=False)}
    weights = {name: p for name, p in own.items() if p.ndim >= 2}
    rest = {name: p for name, p in own.items() if name not in weights}
    given = tree_map_only(Tensor, Tensor.detach, (call.arguments, dict(call.keywords)))
    axes = tree_map(lambda one: 0 if isinstance(one, Tensor) and one.ndim else None, given)
    lengths = [len(one) for one in tree_leaves(given) if isinstance(one, Tensor) and one.ndim]
    nan = torch.full((samples,), float("nan"), dtype=torch.float64)
    if not weights or len(d) % samples or any(length != len(d) for length in lengths):
        return nan, nan

    def pulled(weights: dict[str, Tensor], d: Tensor, given: Any) -> Tensor:
        out = functional_call(module, {**rest, **weights}, *_at(None, given, axes))
        out = out[0] if isinstance(out, tuple) else out
        return (out[0] * d).sum()

    size = sum(p.numel() for p in weights.values()) * d.element_size()
    rows = max(1, BUDGET // max(size, 1))
    sums, squares = [], []
    groups = len(d) // samples
    for part in torch.arange(len(d)).split(max(groups, rows - rows % groups)):
        span = slice(int(part[0]), int(part[-1]) + 1)
        block = _at(span, given, axes)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "There is a performance drop")
                found = vmap(grad(pulled), in_dims=(None, 0, axes))(weights, d[span], block)
        except RuntimeError:  # torch cannot map this module (a GRU, for one)
            try:
                each = [grad(pulled)(weights, d[i], _at(i, given, axes)) for i in part.tolist()]
            except RuntimeError:  # nor can it take one sample (states by layer, as many layers as samples)
                return nan, nan
            found = {name: torch.stack([one[name] for one in each]) for name in weights}
        flat = torch.cat([g.flatten(1) for g in found.values()], 1).double()
        flat = flat.unflatten(0, (-1, groups)).sum(1)
        sums.append(flat.mean(1).cpu())
        squares.append(flat.square().mean(1).cpu())
    return torch.cat(sums), torch.cat(squares)


def _at(place: int | slice | None, given: Any, axes: Any) -> Any:
    """Arguments at some of the samples, where they have an axis of those; at None a single one gets that axis."""
    return tree_map(lambda one, axis: one if axis is None else one[place], given, axes)
