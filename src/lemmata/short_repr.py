"""A result in a line or a few, however much it holds: numbers as they are, larger arrays by dtype and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from torch import Tensor

MANY = 6  # entries of a list or vector beyond which it is only described


def short_repr(self: Any) -> str:
    """The `__repr__` of a dataclass, with matrices, long vectors and long lists only described.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Found:
    ...     K: Any
    ...     ranks: Any
    ...     ridge: float
    ...     __repr__ = short_repr
    >>> Found(np.eye(3), np.array([1.5, 2.0]), 0.5)
    Found(K=<float64 (3, 3)>, ranks=[1.5, 2], ridge=0.5)
    """
    parts = [f"{field.name}={_described(getattr(self, field.name))}" for field in fields(self) if field.repr]
    return f"{type(self).__name__}({', '.join(parts)})"


def _described(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return _array(value)
    if isinstance(value, Mapping) and len(value) <= MANY:
        return "{" + ", ".join(f"{key!r}: {_described(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple) and len(value) <= MANY:
        return f"[{', '.join(map(_described, value))}]"
    if isinstance(value, Mapping | list | tuple):
        return f"<{len(value)} entries>"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _array(values: Tensor | np.ndarray) -> str:
    if values.ndim == 0:
        return f"{values.item():.6g}"
    if values.ndim == 1 and len(values) <= MANY:
        return f"[{', '.join(f'{value:.6g}' for value in values.tolist())}]"
    return f"<{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)}>"
