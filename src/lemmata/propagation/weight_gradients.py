"""Mean and mean square of the entries of a layer's weight gradient, for every sample by itself.

For a linear layer on vectors the gradient of sample i is d_i a_i^T, with a_i what the layer got and d_i the gradient at
its output: its entries have mean (mean d_i)(mean a_i) and mean square (mean d_i^2)(mean a_i^2), and are never formed.
With positions (a sequence) the products add up and are formed, as they are for all other modules, by one vectorised
backward pass through the module alone, in chunks of samples to 64 MiB.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lemmata.propagation.passage import Call

BUDGET = 64 * 2**20


def weight_gradient_moments(call: Call, d: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Mean and mean square over the entries of the weight gradient through this call: (samples,) each, in float64.

    `d` is the gradient at the call's output, of its shape. NaN for a module that torch cannot differentiate sample by
    sample, and for parametrised weights other than of a linear layer on vectors.
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
    arguments, keywords = (_each(Tensor.detach, part) for part in (call.arguments, dict(call.keywords)))
    nan = torch.full((samples,), float("nan"), dtype=torch.float64)
    if not weights or len(d) % samples or any(len(each) != len(d) for each in _tensors(arguments, keywords)):
        return nan, nan

    def pulled(weights: dict[str, Tensor], d: Tensor, arguments: tuple, keywords: dict) -> Tensor:
        single = (_each(lambda t: t[None], part) for part in (arguments, keywords))
        out = functional_call(module, {**rest, **weights}, *single)
        out = out[0] if isinstance(out, tuple) else out
        return (out[0] * d).sum()

    size = sum(p.numel() for p in weights.values()) * d.element_size()
    rows = max(1, BUDGET // max(size, 1))
    axes = (None, 0, *(_each(lambda _: 0, part, lambda _: None) for part in (arguments, keywords)))
    sums, squares = [], []
    groups = len(d) // samples
    for part in torch.arange(len(d)).split(max(groups, rows - rows % groups)):
        span = slice(int(part[0]), int(part[-1]) + 1)
        given = (weights, d[span], *(_each(lambda t, s=span: t[s], part) for part in (arguments, keywords)))
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "There is a performance drop")
                found = vmap(grad(pulled), in_dims=axes)(*given)
        except RuntimeError:  # torch cannot map this module (a GRU, for one)
            found = _one_by_one(pulled, given)
        flat = torch.cat([g.flatten(1) for g in found.values()], 1).double()
        flat = flat.unflatten(0, (-1, groups)).sum(1)
        sums.append(flat.mean(1).cpu())
        squares.append(flat.square().mean(1).cpu())
    return torch.cat(sums), torch.cat(squares)


def _one_by_one(pulled: Callable[..., Tensor], given: tuple) -> dict[str, Tensor]:
    """The gradients of every sample, (samples, *shape) by name, by a pass for each."""
    weights, d, arguments, keywords = given
    each = [
        grad(pulled)(weights, d[i], *(_each(lambda t, i=i: t[i], part) for part in (arguments, keywords)))
        for i in range(len(d))
    ]
    return {name: torch.stack([one[name] for one in each]) for name in weights}


def _tensors(arguments: tuple, keywords: dict) -> list[Tensor]:
    return [each for each in (*arguments, *keywords.values()) if isinstance(each, Tensor)]


def _each(change: Callable[[Tensor], Any], given: Any, otherwise: Callable[[Any], Any] = lambda one: one) -> Any:
    """Arguments (a tuple) or keywords (a dictionary) with every tensor changed."""

    def changed(one: Any) -> Any:
        return change(one) if isinstance(one, Tensor) else otherwise(one)

    return {k: changed(v) for k, v in given.items()} if isinstance(given, dict) else tuple(map(changed, given))
