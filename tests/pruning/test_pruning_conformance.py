"""What pruning promises as an instrument: masks, weights and errors that only the models, the data and the seed decide.

A pruning trains whole networks, and so does not take some of their parameters; that promise is another here.
"""

import copy

import torch
from torch import Tensor, nn

from lemmata import pruning
from lemmata.conformance import InstrumentConformance, flat
from lemmata.objective import Objective, Subject
from lemmata.training import SGD


class OfTraining(InstrumentConformance):
    """Compared by what was trained in a few steps on all samples; the model's own, of two seeds."""

    tolerance32 = 1e-2  # ten steps in single precision
    rule = SGD(lr=0.1, momentum=0.5)

    def parts(self, subject: Subject) -> tuple[Objective, nn.Module, tuple[Tensor, Tensor]]:
        """The objective, its model to be trained, and the data in one piece: a training has orders of its own."""
        own = Objective.of(subject)
        model = subject[0] if isinstance(subject, tuple) else copy.deepcopy(own.model).requires_grad_(True)
        x, y = (torch.cat(part) for part in zip(*own.batches, strict=True))
        return own, model, (x, y)

    def test_works_on_some_of_the_parameters(self) -> None:
        """All weights are trained whichever are looked at."""
        whole, block = self._objective(), self._objective(parameters=list(self.subset))
        self._same(self._measure(block), self._measure(whole), 0.0, "the result depends on the parameters looked at")


class TestIterativeMagnitude(OfTraining):
    def instrument(self, subject):
        own, model, (x, y) = self.parts(subject)
        return pruning.iterative_magnitude(
            [model, model], (x, y), rounds=2, epochs=5, optimiser=self.rule, loss=own.loss, test=(x, y),
        )  # fmt: skip

    def values(self, result):
        masks = flat([list(level.values()) for level in result.masks]).double()
        return torch.cat([masks, flat(list(result.trained[-1].values())).double()])


class TestOneShot(TestIterativeMagnitude):
    def instrument(self, subject):
        return pruning.one_shot(super().instrument(subject))


class TestRandomTickets(TestIterativeMagnitude):
    def instrument(self, subject):
        return pruning.random_tickets(super().instrument(subject), seed=1)


class TestInstability(OfTraining):
    def instrument(self, subject):
        own, model, (x, y) = self.parts(subject)
        return pruning.instability(
            [model], (x, y), test=(x, y), steps=[0, 2], epochs=2, batch_size=8, optimiser=self.rule, loss=own.loss,
            points=5,
        )  # fmt: skip

    def values(self, result):
        return torch.cat([result.loss.flatten(), result.error.flatten()])


class TestStability(TestIterativeMagnitude):
    def instrument(self, subject):
        tickets = super().instrument(subject)
        return pruning.stability(tickets, test=(tickets.setting.x, tickets.setting.y))

    def values(self, result):
        return torch.cat([part.double().flatten() for part in (result.data_order, result.pruning, result.norm)])
