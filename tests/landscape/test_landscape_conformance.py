"""Every instrument of the landscape keeps what instruments promise.

Adding one: a class at the end, with the call in `instrument` and, where an answer is known, `truth`.
"""

import numpy as np
import torch

from lemmata import landscape
from lemmata.conformance import InstrumentConformance, flat
from lemmata.landscape.batch_norm import recomputed
from lemmata.objective import Objective


class Cut(InstrumentConformance):
    """A line or a surface, compared by its losses."""

    def values(self, result):
        return torch.as_tensor(result.loss).flatten()


class TestLine(Cut):
    def instrument(self, subject):
        return landscape.line(subject, points=7)


class TestSurface(Cut):
    def instrument(self, subject):
        return landscape.surface(subject, points=5, adaptive=False)


class TestBetween(Cut):
    def instrument(self, subject):
        own = Objective.of(subject)
        other = {name: 1.3 * p + 0.1 for name, p in own.parameters.items()}
        return landscape.between(own, [own.parameters, other], points=5)


class TestTrajectory(Cut):
    def instrument(self, subject):
        own = Objective.of(subject)
        path = [{name: (1 + 0.1 * k) * p + 0.03 * k**2 for name, p in own.parameters.items()} for k in (3, 2, 1, 0)]
        return landscape.trajectory(own, path, points=5, adaptive=False)

    def values(self, result):
        return torch.as_tensor(result.loss).flatten()


class TestConvexity(InstrumentConformance):
    repeats = 1e-6  # eigenvalues to a residual of 1e-2, by products that differ in rounding
    tolerance = 1e-3
    tolerance32 = 2e-2  # the iteration stops at a residual of 1e-2, in float32 elsewhere than in float64

    def instrument(self, subject):
        return landscape.convexity(subject, points=3, tolerance=1e-2)

    def values(self, result):
        return torch.as_tensor(np.stack([result.smallest, result.largest])).flatten()


class OfStatistics(InstrumentConformance):
    """Running statistics taken anew: of a restricted objective those of the whole model, which its weights decide."""

    def values(self, result):
        return flat({name: tensor for name, tensor in result.items() if tensor.is_floating_point()})

    def test_works_on_some_of_the_parameters(self) -> None:
        """Statistics belong to the whole model: the same whichever parameters are looked at."""
        whole, block = self._objective(), self._objective(parameters=["norm.weight", "norm.bias"])
        self._same(self._measure(block), self._measure(whole), 0.0, "statistics depend on the parameters looked at")


class TestPopulationStatistics(OfStatistics):
    def instrument(self, subject):
        own = Objective.of(subject)
        return recomputed(own.model, own.parameters, own.batches, statistics="population")


class TestBatchStatistics(OfStatistics):
    """Each layer sees its own batch's statistics, so that how the data are cut is part of what is asked for."""

    def instrument(self, subject):
        own = Objective.of(subject)
        samples = tuple(torch.cat(part) for part in zip(*own.batches, strict=True))
        return recomputed(own.model, own.parameters, samples, statistics="batches", chunk=8)
