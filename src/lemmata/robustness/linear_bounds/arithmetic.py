"""Sums, differences, products and quotients in a model: of two values of the input, or of one and a constant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from lemmata.errors import InvalidInput
from lemmata.robustness.linear_bounds.affine import Scale
from lemmata.robustness.linear_bounds.graph import Step, Sum

ARITHMETIC = ("add", "sub", "mul", "truediv", "div", "iadd", "isub", "imul", "itruediv", "neg")
NEUTRAL = (("alpha", 1), ("rounding_mode", None), ("out", None))  # keywords that change nothing


def arithmetic(name: str, args: tuple[Any, ...], named: dict[str, Any], x: Tensor, result: Tensor) -> Step:
    """The step of an operation on `args`, nodes where they depend on the input and constants where not.

    `named` are its keywords, `x` a value of the first node and `result` that of the operation. Raises `InvalidInput`
    for what is not affine and for keywords that would change it.
    """
    name = {"iadd": "add", "isub": "sub", "imul": "mul", "truediv": "div", "itruediv": "div"}.get(name, name)
    unread = [f"{key}={value}" for key, value in named.items() if (key, value) not in NEUTRAL]
    if len(args) > 2 or unread:
        raise InvalidInput(f"{name} with {', '.join(unread) or 'a factor'} has no bounds here; multiply first")
    first, second, *_ = (*args, None)
    both = [isinstance(a, fx.Node) for a in args]
    if name in ("add", "sub") and all(both):
        return Sum((1.0, 1.0 if name == "add" else -1.0))
    if (all(both) and len(both) == 2) or (name == "div" and not both[0]):
        raise InvalidInput(f"{name} of two values of the input has no bounds here: it is not linear")
    if result.shape != x.shape:
        raise InvalidInput(f"{name} with a constant changes shape {tuple(x.shape)} to {tuple(result.shape)}")
    zero = x.new_zeros(())
    if name == "neg":
        return Scale(zero - 1, zero, zero)
    constant = torch.as_tensor(second if both[0] else first, dtype=x.dtype, device=x.device)
    if constant.ndim == x.ndim:
        if constant.shape[0] != 1:
            raise InvalidInput(f"{name} with a constant of its own for each sample of a batch has no bounds here")
        constant = constant[0]
    if name == "add":
        return Scale(zero + 1, constant, zero)
    if name == "sub":
        return Scale(zero + 1, zero, constant) if both[0] else Scale(zero - 1, constant, zero)
    return Scale(constant if name == "mul" else 1 / constant, zero, zero)
