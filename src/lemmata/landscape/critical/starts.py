"""Where a search starts: drawn, given as vectors or trees, or taken from an earlier result."""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_whole
from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.points import CriticalPoints
from lemmata.objective import Tree

Starts: TypeAlias = int | Tensor | Tree | CriticalPoints


def read_starts(field: Field, starts: Starts, *, spread: float, generator: torch.Generator) -> Tensor:
    """The starts as rows (M, P), in float64.

    A number draws that many around the model's own parameters, `spread` times a standard normal away. Raises
    `InvalidInput` for shapes that do not fit, none, and NaN.
    """
    own = field.own
    if isinstance(starts, CriticalPoints):
        starts = starts.theta
    if isinstance(starts, Mapping):
        starts = torch.atleast_2d(field.objective.vector({n: t.to(own) for n, t in starts.items()}))
    if isinstance(starts, Tensor):
        points = torch.atleast_2d(starts.detach().to(own))
        if points.ndim != 2 or points.shape[1] != field.size or not len(points):
            raise InvalidInput(
                f"starts of shape {tuple(starts.shape)}; the objective has {field.size} parameters: give (M, "
                f"{field.size}), M at least 1"
            )
        if not points.isfinite().all():
            raise InvalidInput("starts hold NaN or infinity; the runs that left them diverged")
        return points.clone()
    if not require_number(spread, "spread") > 0:
        raise InvalidInput(f"spread = {spread}; starts are drawn that far from the model's parameters, so above 0")
    count = require_whole(starts, "starts")
    drawn = torch.randn(count, field.size, generator=generator, dtype=torch.float64)
    return own + spread * drawn.to(own)
