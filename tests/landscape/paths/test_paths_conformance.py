"""Every path keeps what instruments promise: trained ones too, whose steps take all samples at once.

The ends are those of `ends_of`: the subject's parameters, and others made of them. Adding one: a class at the end.
"""

import numpy as np
import torch

from lemmata.conformance import InstrumentConformance
from lemmata.landscape import paths
from lemmata.objective import Objective
from lemmata.training import GD


def ends_of(own: Objective) -> list[dict[str, torch.Tensor]]:
    """Two networks and a third: shifted and stretched, so that none lies between the others."""
    return [{name: s * p + 0.1 * s**2 for name, p in own.parameters.items()} for s in (1.0, 1.3, 0.7)]


class OfPaths(InstrumentConformance):
    """Compared by the losses along the path. The products of several networks at once differ in rounding."""

    tolerance32 = 1e-2  # five steps of descent in single precision

    def values(self, result):
        return torch.as_tensor(result.path(points=5).loss)


class TestLinear(OfPaths):
    def instrument(self, subject):
        own = Objective.of(subject)
        return paths.linear(own.model, *ends_of(own)[:2], loss=own.loss, data=own.batches, points=5)

    def values(self, result):
        return torch.as_tensor(result.loss)


class TestBezier(OfPaths):
    def instrument(self, subject):
        own = Objective.of(subject)
        return paths.curve(
            own.model, *ends_of(own)[:2], loss=own.loss, data=own.batches, epochs=5, batch_size=None, draws=3,
            optimiser=GD(lr=0.1), seed=0,
        )  # fmt: skip


class TestPolygon(OfPaths):
    def instrument(self, subject):
        own = Objective.of(subject)
        return paths.curve(
            own.model, *ends_of(own)[:2], kind="polygon", bends=2, loss=own.loss, data=own.batches, epochs=5,
            batch_size=None, optimiser=GD(lr=0.1), seed=0,
        )  # fmt: skip


class TestElasticBand(OfPaths):
    def instrument(self, subject):
        own = Objective.of(subject)
        return paths.nudged_elastic_band(
            own.model, *ends_of(own)[:2], pivots=2, rounds=2, insert=1, loss=own.loss, data=own.batches, epochs=3,
            batch_size=None, optimiser=GD(lr=0.1), seed=0,
        )  # fmt: skip

    def values(self, result):
        return torch.as_tensor(np.concatenate([result.path.loss, result.history]))


class TestPlane(OfPaths):
    def instrument(self, subject):
        own = Objective.of(subject)
        curve = paths.curve(
            own.model, *ends_of(own)[:2], loss=own.loss, data=own.batches, epochs=2, batch_size=None,
            optimiser=GD(lr=0.1), seed=0,
        )  # fmt: skip
        return paths.plane(curve, points=5, adaptive=False)

    def values(self, result):
        return torch.cat([torch.as_tensor(result.surface.loss).flatten(), torch.as_tensor(result.course).flatten()])


class TestSpanningTree(OfPaths):
    def instrument(self, subject):
        own = Objective.of(subject)
        return paths.spanning_tree(own.model, ends_of(own), by="line", loss=own.loss, data=own.batches, points=5)

    def values(self, result):
        return torch.as_tensor(result.heights)
