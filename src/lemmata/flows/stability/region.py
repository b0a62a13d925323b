"""Where in the complex plane a method is stable: the z = h lambda for which a step lets no y' = lambda y grow.

    S = {z : growth(z) <= 1},   growth(z) = |R(z)|,

and for partitioned methods the larger modulus of two eigenvalues. Forward Euler's is the disk |1 + z| <= 1; Verlet's
the segment from -2i to 2i, which has no inside. On z = i y no partitioned method of s stages is stable beyond 2 s, by
Chebyshev's polynomials: half the trace of its step is a polynomial 1 - y^2/2 + ... of degree s in y^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Field, Figure, Panel, Series
from lemmata.flows.methods import Method, method_of
from lemmata.flows.required import require_window
from lemmata.given import require_whole

Window = tuple[float, float]
MOST = 4096  # points along one side: the values then take 400 MB
ROUNDING = 1e-4  # of a growth where eigenvalues meet on the unit circle: the root of the trace's; an end by 1e-8


@dataclass(frozen=True, eq=False)
class Region:
    """`growth` (ny, nx) of a step at z = x + i y, x (nx,) and y (ny,)."""

    method: Method
    x: np.ndarray
    y: np.ndarray
    growth: np.ndarray

    @property
    def field(self) -> Field:
        """The growth as a field for figures, coloured up to 2, with the line at 1."""
        return Field(
            label="growth in a step", x=self.x, y=self.y, z=np.minimum(self.growth, 2.0),
            levels=[0.0, 0.5, 1.0, 1.5, 2.0], limits=(0.0, 2.0),
        )  # fmt: skip

    def plot(self) -> Figure:
        """Draw the growth over the plane."""
        panel = Panel(
            x=real_axis(self.x), y=imaginary_axis(self.y), fields=[self.field], series=self.edge(), equal=True
        )
        caption = f"The method {self.method.name}, of order {self.method.order}: stable where the growth is 1 at most."
        return Figure(name="stability-region", title="Stability region", caption=caption, panels=[panel])

    def edge(self) -> Sequence[Series]:
        """The segment around 0 on which a partitioned method is stable; it has no inside to be coloured."""
        if not self.method.partitioned:
            return []
        end = _end(self.method)
        return [Series(label=f"stable: |h omega| <= {end:.4g}", x=[0.0, 0.0], y=[-end, end], role="theory")]


def stability_region(
    method: str | Method, *, x: Window = (-4.0, 2.0), y: Window = (-3.5, 3.5), points: int = 201
) -> Region:
    """Compute the growth of a step over a window of the complex plane, on `points` x `points` values, at most 4096.

    >>> region = stability_region("forward-euler", points=61)
    >>> stable = region.growth <= 1
    >>> bool(stable[30, 30]), bool(stable[30, 45])  # z = -1 and z = 1/2
    (True, False)
    """
    chosen, points = method_of(method), require_whole(points, "points", least=2)
    if points > MOST:
        raise InvalidInput(f"points is more than {MOST}: the window has points x points values; give a smaller number")
    across, up = (np.linspace(*require_window(window, name), points) for name, window in (("x", x), ("y", y)))
    return Region(chosen, across, up, np.asarray(chosen.growth(across + 1j * up[:, None])))


def _end(method: Method) -> float:
    """Up to which y a step is stable on z = i y; gaps narrower than 1/1000 are not seen."""
    from scipy.optimize import brentq

    def excess(y: Any) -> Any:
        return method.growth(1j * y) - 1 - ROUNDING

    y = np.linspace(0, 2 * method.stages, 2000 * method.stages + 1)
    outside = np.flatnonzero(excess(y) > 0)
    return round(float(brentq(excess, *y[outside[0] - 1 : outside[0] + 1])), 6) if len(outside) else float(y[-1])


def real_axis(x: np.ndarray) -> Axis:
    """The axis of Re h lambda over these values."""
    return Axis(label="Re hλ", limits=(float(x[0]), float(x[-1])))


def imaginary_axis(y: np.ndarray) -> Axis:
    """The axis of Im h lambda over these values."""
    return Axis(label="Im hλ", limits=(float(y[0]), float(y[-1])))
