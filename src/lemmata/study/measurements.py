"""What a trial gives back for one member: numbers, curves and arrays, each by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from lemmata.errors import InvalidInput


@dataclass(frozen=True)
class Curve:
    """A quantity followed along an axis: `x` and `y` of shape (T,), float64, `x` increasing.

    >>> Curve([1, 2, 4], [0.9, 0.5, 0.2]).y
    array([0.9, 0.5, 0.2])
    """

    x: np.ndarray
    y: np.ndarray

    def __post_init__(self):
        for name in ("x", "y"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        if self.x.ndim != 1 or self.x.shape != self.y.shape:
            raise InvalidInput(f"a curve wants x and y of one shape (T,), got {self.x.shape} and {self.y.shape}")
        if not np.all(np.diff(self.x) > 0):
            raise InvalidInput("a curve wants x strictly increasing and no NaN; sort the points, drop repeated ones")


@dataclass(frozen=True)
class Measurements:
    """One member's outcome. `status` is "ok" or "diverged"; a diverged member stays visible in every report.

    >>> Measurements.of(train_error=0.0, test_error=Curve([1, 2], [0.4, 0.3])).scalars
    {'train_error': 0.0}
    """

    scalars: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)  # standard errors of scalars, by the same name
    curves: Mapping[str, Curve] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    status: str = "ok"

    @classmethod
    def of(cls, status: str = "ok", **quantities: Any) -> Self:
        """Sort quantities by what they are: numbers, `Estimate`s, `Curve`s, arrays (numpy or torch)."""
        scalars: dict[str, float] = {}
        errors: dict[str, float] = {}
        curves: dict[str, Curve] = {}
        arrays: dict[str, np.ndarray] = {}
        for name, quantity in quantities.items():
            if isinstance(quantity, Curve):
                curves[name] = quantity
            elif hasattr(quantity, "stderr"):
                scalars[name] = float(_plain(quantity.value))
                errors[name] = float(_plain(quantity.stderr))
            else:
                array = _plain(quantity, dtype=None)
                if array.dtype.kind not in "fiub":
                    raise InvalidInput(f"{name} = {quantity!r}: a measurement is a number, a Curve or an array")
                if array.ndim == 0:
                    scalars[name] = float(array)
                else:
                    arrays[name] = array
        return cls(scalars, errors, curves, arrays, status)


def _plain(values: Any, dtype: Any = np.float64) -> np.ndarray:
    values = values.detach().cpu().numpy() if hasattr(values, "detach") else values
    return np.asarray(values, dtype=dtype)
