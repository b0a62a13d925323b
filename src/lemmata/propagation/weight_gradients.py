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

from lemmata.propagation.passage import Call

BUDGET = 64 * 2**20


def weight_gradient_moments(call: Call, d: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Mean and mean square over the entries of the weight gradient through this call: (samples,) each, in float64.

    `d` is the gradient at the call's output, of its shape. NaN for a module that cannot be differentiated sample by
    sample: one that got its samples along another axis than the first.
    """
    a = call.input
    if isinstance(call.module, nn.Linear) and a is not None and a.ndim == 2 and len(a) == samples:
        left, right = d.double(), a.detach().double()
        return left.mean(1) * right.mean(1), left.square().mean(1) * right.square().mean(1)
    return _formed(call, d, samples)


def _formed(call: Call, d: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    module = call.module
    own = {name: p.detach() for name, p in module.named_parameters(recurse=False)}
    weights = {name: p for name, p in own.items() if p.ndim >= 2}
    rest = {name: p for name, p in own.items() if name not in weights}
    arguments = tuple(_detached(each) for each in call.arguments)
    keywords = {name: _detached(each) for name, each in call.keywords.items()}
    nan = torch.full((samples,), float("nan"), dtype=torch.float64)
    if len(d) % samples or any(len(each) != len(d) for each in _tensors(arguments, keywords)):
        return nan, nan

    def pulled(weights: dict[str, Tensor], d: Tensor, arguments: tuple, keywords: dict) -> Tensor:
        out = functional_call(module, {**rest, **weights}, _single(arguments), _single(keywords))
        out = out[0] if isinstance(out, tuple) else out
        return (out[0] * d).sum()

    size = sum(p.numel() for p in weights.values()) * d.element_size()
    rows = max(1, BUDGET // max(size, 1))
    axes = (None, 0, _axes(arguments), _axes(keywords))
    sums, squares = [], []
    groups = len(d) // samples
    for part in torch.arange(len(d)).split(max(groups, rows - rows % groups)):
        span = slice(int(part[0]), int(part[-1]) + 1)
        given = (weights, d[span], _cut(arguments, span), _cut(keywords, span))
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "There is a performance drop")
                found = vmap(grad(pulled), in_dims=axes)(*given)
        except RuntimeError:  # torch cannot map this module: one with data-dependent control flow, a fused kernel
            return nan, nan
        flat = torch.cat([g.flatten(1) for g in found.values()], 1).double()
        flat = flat.unflatten(0, (-1, groups)).sum(1)
        sums.append(flat.mean(1).cpu())
        squares.append(flat.square().mean(1).cpu())
    return torch.cat(sums), torch.cat(squares)


def _detached(each: Any) -> Any:
    return each.detach() if isinstance(each, Tensor) else each


def _tensors(arguments: tuple, keywords: dict) -> list[Tensor]:
    return [each for each in (*arguments, *keywords.values()) if isinstance(each, Tensor)]


def _axes(given: Any) -> Any:
    if isinstance(given, dict):
        return {name: 0 if isinstance(each, Tensor) else None for name, each in given.items()}
    return tuple(0 if isinstance(each, Tensor) else None for each in given)


def _cut(given: Any, span: slice) -> Any:
    if isinstance(given, dict):
        return {name: each[span] if isinstance(each, Tensor) else each for name, each in given.items()}
    return tuple(each[span] if isinstance(each, Tensor) else each for each in given)


def _single(given: Any) -> Any:
    """Every tensor as a batch of one."""
    if isinstance(given, dict):
        return {name: each[None] if isinstance(each, Tensor) else each for name, each in given.items()}
    return tuple(each[None] if isinstance(each, Tensor) else each for each in given)
