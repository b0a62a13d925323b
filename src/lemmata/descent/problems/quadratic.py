"""A quadratic with a given spectrum, in the basis of its eigenvectors: f(x) = (1/2) sum_i lambda_i x_i^2.

First-order methods commute with rotations, so that the diagonal basis is no restriction. Everything is exact: L and mu
are the ends of the spectrum, f* = 0, and an x* nearest to a start keeps its coordinates of zero curvature.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lemmata.descent.problems.problem import Bracket, Problem, start_of
from lemmata.errors import InvalidInput


def quadratic(spectrum: Sequence[float] | Tensor, *, x0: Tensor | None = None) -> Problem:
    """The quadratic with these eigenvalues (d,), none of them negative, from `x0` (d,) or (S, d), ones by default.

    Raises `InvalidInput` for an empty spectrum, one that is not finite, all zero, or with a negative eigenvalue, which
    it names.

    >>> bowl = quadratic([4.0, 1.0])
    >>> float(bowl.value(bowl.x0)), bowl.gradient(bowl.x0).tolist(), bowl.condition
    (2.5, [4.0, 1.0], 4.0)
    """
    values = torch.as_tensor(spectrum)
    values = values if values.is_floating_point() and isinstance(spectrum, Tensor) else values.double()
    if values.ndim != 1 or not len(values) or not values.isfinite().all() or not values.any():
        raise InvalidInput(f"a spectrum of shape {tuple(values.shape)}: give finite eigenvalues (d,), not all zero")
    if values.min() < 0:
        raise InvalidInput(f"the spectrum holds {float(values.min()):g} < 0: the quadratic is not convex")
    return Problem(
        name=f"quadratic, {len(values)} variables",
        value=lambda x: (values * x.square()).sum(-1) / 2,
        gradient=lambda x: values * x,
        x0=start_of(x0, torch.ones_like(values), what="quadratic"),
        L=float(values.max()),
        mu=float(values.min()),
        minimum=Bracket(0.0, 0.0),
        nearest=lambda start: torch.where(values > 0, 0.0, start),
    )
