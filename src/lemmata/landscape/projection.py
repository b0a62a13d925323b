"""Coordinates of a point on a plane, and how far it lies beside it.

The nearest point of origin + span(d_1, .., d_k) to theta has the coordinates c that solve the normal equations

    (D^T D) c = D^T (theta - origin),        distance^2 = |theta - origin|^2 - c^T D^T (theta - origin)

For one direction this is <d, theta - origin> / |d|^2: dividing by |d| instead gives coordinates that do not belong to
the surface drawn along d. Directions need be neither of unit length nor orthogonal. Sums are taken in float64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput


@dataclass(frozen=True)
class Projection:
    """The `coordinates` (k,) on the plane, the `distance` from it, and the `length` of theta - origin."""

    coordinates: tuple[float, ...]
    distance: float
    length: float


def project(
    theta: Mapping[str, Tensor], origin: Mapping[str, Tensor], directions: Sequence[Mapping[str, Tensor]]
) -> Projection:
    """Project theta onto the plane (or line) through `origin` along the directions.

    All trees have the names of the directions; others in theta and origin are not looked at. Raises `InvalidInput`
    for linearly dependent directions.

    >>> project({"w": torch.tensor([3.0, 4.0])}, {"w": torch.zeros(2)}, [{"w": torch.tensor([2.0, 0.0])}])
    Projection(coordinates=(1.5,), distance=4.0, length=5.0)
    """
    k = len(directions)
    gram, moments, square = torch.zeros(k, k).double(), torch.zeros(k).double(), 0.0
    for name in directions[0]:
        step = (theta[name] - origin[name]).detach().double().reshape(-1)
        D = torch.stack([d[name].detach().double().reshape(-1) for d in directions])
        gram += (D @ D.T).cpu()
        moments += (D @ step).cpu()
        square += float(step.square().sum())
    if not torch.linalg.cond(gram) < 1e12:
        raise InvalidInput("the directions are linearly dependent; a plane needs two that are not")
    c = torch.linalg.solve(gram, moments)
    beside = max(square - float(c @ moments), 0.0)
    return Projection(tuple(c.tolist()), beside**0.5, square**0.5)
