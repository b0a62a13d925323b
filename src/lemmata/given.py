"""What was given, refused by its type where torch would fail on it later and say nothing of the argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

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
    if isinstance(value, bool) or not (isinstance(value, Real) or one):
        raise InvalidInput(f"{name} = {value!r}; give one real number")
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise InvalidInput(f"{name} is beyond the range of a float64, 1.8e308; give a smaller number") from None


def require_model(value: object) -> nn.Module:
    """Give a module back.

    >>> require_model(abs)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: a model is a torch.nn.Module, not builtin_function_or_method
    """
    if not isinstance(value, nn.Module):
        raise InvalidInput(f"a model is a torch.nn.Module, not {type(value).__name__}")
    return value


def require_callable(value: object, name: str) -> Callable[..., Any]:
    """Give a function back.

    >>> require_callable(3, "progress")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: progress: int 3; give a function
    """
    if not callable(value):
        raise InvalidInput(f"{name}: {type(value).__name__} {value!r}; give a function")
    return value


def require_kernel(value: object) -> Callable[..., Any]:
    """Give a function back that can be called as k(x, z), as far as its signature tells.

    >>> require_kernel(lambda x: x @ x.T)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: the kernel takes (x); it must take two arguments, k(x, z), where z may be None for x
    """
    if not callable(value):
        raise InvalidInput(f"kernel: a {type(value).__name__}; give a function k(x, z), where z may be None for x")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # what is compiled need not have one
        return value
    try:
        signature.bind(None, None)
    except TypeError:
        raise InvalidInput(
            f"the kernel takes {signature}; it must take two arguments, k(x, z), where z may be None for x"
        ) from None
    return value


def require_devices(value: object) -> list[torch.device]:
    """Give devices back that are there, at least one.

    >>> require_devices(["cpu", "abacus"])
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: devices: 'abacus' is none that torch knows; give such as 'cpu' or 'cuda:0'
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidInput(f"devices = {value!r}; give a sequence of devices, [{value!r}]")
    if not value:
        raise InvalidInput("devices is empty; name at least one device, or leave it out")
    return [_device(name) for name in value]


def _device(name: Any) -> torch.device:
    try:
        device = torch.device(name)
        there = 0 if device.type == "meta" else torch.get_device_module(device).device_count()
    except (RuntimeError, TypeError, AttributeError):
        raise InvalidInput(f"devices: {name!r} is none that torch knows; give such as 'cpu' or 'cuda:0'") from None
    if device.type != "cpu" and (device.index or 0) >= there:
        raise InvalidInput(f"devices: {name!r} is not there; there are {there} of type {device.type!r}")
    return device


def require_whole(value: object, name: str, *, least: int = 1) -> int:
    """Give a whole number back that is at least `least`; neither a truth value nor 2.0 is one.

    >>> require_whole(2.5, "steps")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: steps = 2.5; give a whole number, at least 1
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InvalidInput(f"{name} = {value!r}; give a whole number, at least {least}")
    return int(value)


def require_seed(value: object, name: str = "seed") -> int | torch.Generator:
    """Give a seed back that torch takes: a whole number from 0 to 2^63 - 1, or a generator.

    >>> require_seed(0.5)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: seed = 0.5; give a whole number from 0 to 2^63 - 1, or a torch.Generator
    """
    if isinstance(value, torch.Generator):
        return value
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
        raise InvalidInput(f"{name} = {value!r}; give a whole number from 0 to 2^63 - 1, or a torch.Generator")
    return int(value)


def require_flag(value: object, name: str) -> bool:
    """Give True or False back.

    >>> require_flag("no", "early_exit")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: early_exit = 'no'; give True or False
    """
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} = {value!r}; give True or False")
    return value
