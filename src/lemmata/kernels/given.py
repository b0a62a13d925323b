"""What was given, refused by its type where torch would fail on it later and say nothing of the argument."""

from __future__ import annotations

from numbers import Real

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput


def require_tensor(value: object, name: str) -> Tensor:
    """Give a dense tensor back that holds its numbers.

    >>> require_tensor([1.0, 2.0], "targets y")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: targets y: a list; give a torch tensor, as torch.as_tensor(...) makes it
    """
    if not isinstance(value, Tensor):
        raise InvalidInput(f"{name}: a {type(value).__name__}; give a torch tensor, as torch.as_tensor(...) makes it")
    if value.layout != torch.strided or value.is_meta:
        raise InvalidInput(
            f"{name}: a tensor of layout {value.layout} on {value.device}; give a dense one that holds numbers"
        )
    return value


def require_number(value: object, name: str) -> float:
    """Give one real number back as a float; whether it is in range, NaN included, is the caller's question.

    >>> require_number("0.1", "ridge")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: ridge = '0.1'; give one real number
    """
    one = isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex() and not value.is_meta
    if not (isinstance(value, Real) or one):
        raise InvalidInput(f"{name} = {value!r}; give one real number")
    return float(value)  # type: ignore[arg-type]


def require_model(value: object) -> nn.Module:
    """Give a module back.

    >>> require_model(abs)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: a model is a torch.nn.Module, not builtin_function_or_method
    """
    if not isinstance(value, nn.Module):
        raise InvalidInput(f"a model is a torch.nn.Module, not {type(value).__name__}")
    return value
