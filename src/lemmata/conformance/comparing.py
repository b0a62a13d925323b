"""What results and models are compared by: vectors of numbers, and everything of a user's that might be changed."""

import copy
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")


def flat(value: Any) -> Tensor:
    """A number, an array, a tensor, or a tree or sequence of them, as one vector.

    >>> flat({"a": torch.ones(2), "b": 3.0})
    tensor([1., 1., 3.], dtype=torch.float64)
    """
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return torch.cat([flat(part) for part in value]) if value else torch.zeros(0)
    return torch.as_tensor(value, dtype=torch.float64 if isinstance(value, float) else None).reshape(-1)


def require(condition: bool, message: str) -> None:
    """Raise AssertionError with the message unless the condition holds: also under ``python -O``.

    >>> require(1 + 1 == 2, "arithmetic")
    """
    if not condition:
        raise AssertionError(message)


def fingerprint(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
    """Everything of a user's that an instrument might change, copied."""
    modules = dict(model.named_modules())
    return {
        "a parameter or buffer": copy.deepcopy(dict(model.state_dict())),
        "a gradient": {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()},
        "requires_grad": {n: p.requires_grad for n, p in model.named_parameters()},
        "a parameter's identity": {n: id(p) for n, p in model.named_parameters()},
        "training mode": {n: m.training for n, m in modules.items()},
        "a hook": {n: [len(getattr(m, hooks)) for hooks in HOOKS] for n, m in modules.items()},
        "the data": (x.clone(), y.clone()),
    }


def generators() -> tuple[Any, ...]:
    """The states of the global random generators of torch, numpy and Python."""
    numbers = np.random.get_state()  # noqa: NPY002 - the global generator is what is watched
    return torch.get_rng_state().clone(), tuple(map(str, numbers)), random.getstate()


def equal(a: Any, b: Any) -> bool:
    """Equal to the bit, through trees and tuples."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b
