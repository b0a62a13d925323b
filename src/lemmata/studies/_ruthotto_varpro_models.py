"""Gauss-Newton on all weights, and without the projector: what the study `ruthotto-varpro` compares with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from lemmata.regression.single_layer.gauss_newton import Matrix
from lemmata.regression.single_layer.reduced import At, Reduced, with_ones


class Unprojected(Matrix):
    """J'J / n + ridge I: Kaufman's matrix without its projector, as if the last layer stood still."""

    def __init__(self, at: At):
        self.at = at
        J = at.features.jacobian(at.inner.weights[:-1], slice(None))
        self.G = J.flatten(0, 1).T @ at.inner.bend(J).flatten(0, 1)
        self.G.diagonal().add_(at.ridge)
        self.largest = float(self.G.diagonal().max())


@dataclass
class Both:
    """The whole objective at (theta, W), with what its Gauss-Newton matrix is made of."""

    theta: Tensor  # both, flat
    value: float
    gradient: Tensor
    jacobian: Tensor  # of the outputs over the root of n, (n k, p + M k)
    ridge: float


class Everything:
    """J(theta, W) of least squares as a function of both, with what `levenberg_marquardt` asks of a `Reduced`."""

    def __init__(self, reduced: Reduced, ridge: float):
        self.reduced, self.ridge = reduced, ridge
        weights = reduced.at(reduced.start).inner.weights
        self.shape = weights.shape
        self.start = torch.cat([reduced.start, weights.flatten()])

    def at(self, both: Tensor, near: Both | None = None) -> Both:
        """Evaluate, and differentiate at once: these problems are small."""
        p = len(self.reduced.start)
        theta, W = both[:p], both[p:].view(self.shape)
        point = self.reduced.features.at(theta)
        Z = with_ones(point.H)
        value, slope = self.reduced.problem.loss(Z, W)
        value += self.reduced.ridge / 2 * float(theta @ theta) + self.ridge / 2 * float(W.square().sum())
        inner = point.pull(slope @ W[:-1].T) + self.reduced.ridge * theta
        gradient = torch.cat([inner, (Z.T @ slope + self.ridge * W).flatten()])
        n, k = slope.shape
        by_W = torch.einsum("nm,kc->nkmc", Z, torch.eye(k, dtype=Z.dtype)).reshape(n * k, -1)
        J = torch.cat([point.jacobian(W[:-1], slice(None)).flatten(0, 1), by_W], 1) / n**0.5
        return Both(both, value, gradient, J, self.ridge)


class Whole(Matrix):
    """The Gauss-Newton matrix of both."""

    def __init__(self, at: Both):
        self.at = cast(At, at)
        self.G = at.jacobian.T @ at.jacobian
        self.G.diagonal().add_(at.ridge)
        self.largest = float(self.G.diagonal().max())
