"""Checks of arguments that several functions here share. Cost: none."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput


def check_tensors(**given: Any) -> None:
    """Refuse what is no tensor, NumPy arrays and lists included.

    >>> check_tensors(start=[0.0, 1.0])
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: start is a list; give a torch tensor
    """
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise InvalidInput(f"{name} is a {type(value).__name__}; give a torch tensor")


def check_counts(least: int = 1, **given: Any) -> None:
    """Refuse what is no integer of at least `least`.

    >>> check_counts(n=2.5)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: n = 2.5; it must be an integer, 1 or more
    """
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
            raise InvalidInput(f"{name} = {value}; it must be an integer, {least} or more")


def check_point(name: str, point: Any, size: int) -> None:
    """Refuse what is no finite vector (size,)."""
    check_tensors(**{name: point})
    if point.shape != (size,) or not torch.isfinite(point).all():
        raise InvalidInput(f"{name} of shape {tuple(point.shape)}; expected ({size},), finite")


def sorted_marks(marks: Sequence[int]) -> list[int]:
    """The different marks in order. Raises `InvalidInput` where there is none, or one that counts no steps."""
    if not isinstance(marks, Iterable):
        raise InvalidInput(f"marks = {marks}; give a list of steps")
    found = sorted(set(marks))
    if not found or found[0] < 0 or any(int(mark) != mark for mark in found):
        raise InvalidInput(f"marks {found[:3]}; at least one is wanted, and they must be 0 or more, integers")
    return [int(mark) for mark in found]
