"""What flows are given, refused by its kind where torch would fail on it later and say nothing of the argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.field import FLOATS, refusing, shape_of
from lemmata.given import require_number, require_seed, require_tensor

Kind = TypeVar("Kind")


def require_kind(value: object, kind: type[Kind], name: str, example: str) -> Kind:
    """Give a value back that is of a kind.

    >>> require_kind("mse", int, "count", "3")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: count: str 'mse'; give such as 3
    """
    if not isinstance(value, kind):
        shown = repr(value) if isinstance(value, (str, int, float, type(None), type)) else "object"
        raise InvalidInput(f"{name}: {type(value).__name__} {shown}; give such as {example}")
    return value


def require_dtype(value: object, name: str = "dtype") -> torch.dtype:
    """Give a dtype of real floating-point numbers back.

    >>> require_dtype("float64")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: dtype = 'float64'; give a real floating-point one, as torch.float64
    """
    if not isinstance(value, torch.dtype) or not value.is_floating_point:
        raise InvalidInput(f"{name} = {value!r}; give a real floating-point one, as torch.float64")
    return value


def require_rows(value: object, name: str) -> Tensor:
    """Give states (samples, width) back.

    >>> require_rows(torch.ones(3), "x")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: x is (3,) in torch.float32; give floating-point states (samples, width)
    """
    rows = require_tensor(value, name)
    if rows.ndim != 2 or rows.dtype not in FLOATS:
        raise InvalidInput(
            f"{name} is {tuple(rows.shape)} in {rows.dtype}; give floating-point states (samples, width)"
        )
    return rows


def require_matrix(value: object, name: str) -> Tensor:
    """Give a matrix of finite floating-point numbers back.

    >>> require_matrix(torch.ones(3), "A")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: A is (3,) in torch.float32; give a matrix of finite floating-point numbers
    """
    matrix = require_tensor(value, name)
    if matrix.ndim != 2 or matrix.dtype not in FLOATS or not bool(matrix.isfinite().all()):
        raise InvalidInput(
            f"{name} is {tuple(matrix.shape)} in {matrix.dtype}; give a matrix of finite floating-point numbers"
        )
    return matrix


def require_window(value: object, name: str) -> tuple[float, float]:
    """Give the finite ends (low, high) of an interval back.

    >>> require_window((1, 0), "x")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: x = (1, 0); give a finite window (low, high) with low < high
    """
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        low, high = (require_number(end, name) for end in value)
        if -torch.inf < low < high < torch.inf:
            return low, high
    raise InvalidInput(f"{name} = {value!r}; give a finite window (low, high) with low < high")


def require_list(value: object, name: str, example: str) -> list[Any]:
    """Give the entries of a sequence back that is no string.

    >>> require_list("K", "names", "['K']")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: names = 'K'; give a sequence, as ['K']
    """
    if isinstance(value, (str, bytes, Tensor)):
        raise InvalidInput(f"{name} = {value!r}; give a sequence, as {example}")
    try:
        return list(value)  # type: ignore[call-overload]
    except TypeError:
        raise InvalidInput(f"{name} = {value!r}; give a sequence, as {example}") from None


def generator_of(seed: object) -> torch.Generator:
    """Give the generator itself, or one that starts from a seed."""
    checked = require_seed(seed)
    return checked if isinstance(checked, torch.Generator) else torch.Generator().manual_seed(checked)


def loss_at(loss: Callable[[Any], Tensor], state: Any) -> Tensor:
    """Give the value of a loss at a state; what it raises of tensors unlike those it is made for is its refusal.

    >>> loss_at(lambda y: y[9], torch.ones(3, 2))
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: the loss gave no value of (3, 2) torch.float32: IndexError: index 9 is out of bounds \
for dimension 0 with size 3; give a function of what the flow gives
    """
    with refusing(f"the loss gave no value of {shape_of(state)}", "give a function of what the flow gives"):
        value = loss(state)
    return require_loss_value(value)


def require_loss_value(value: object) -> Tensor:
    """Give the value of a loss back: one finite number that can be differentiated.

    >>> require_loss_value(3.0)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: the loss gave a float; it must give one finite number, as a tensor of one entry
    """
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        given = f"{tuple(value.shape)} in {value.dtype}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise InvalidInput(f"the loss gave {given}; it must give one finite number, as a tensor of one entry")
    if not bool(torch.isfinite(value)):
        raise InvalidInput(
            f"the loss is not finite, {value.item()}: it must give one finite number; take more steps, or look at y0"
        )
    if not value.requires_grad:
        raise InvalidInput("the loss does not depend on what the flow gives, or is detached from it; leave it attached")
    return value.reshape(())
