"""What every instrument promises, kept by training in closed form of a model that an objective holds."""

import copy

import torch

from lemmata.conformance import InstrumentConformance
from lemmata.kernels.dynamics import LinearisedTraining
from lemmata.objective import Objective
from lemmata.training import SGD


class TestLinearisedTraining(InstrumentConformance):
    def instrument(self, subject):
        objective = Objective.of(subject)
        x, y = (torch.cat(parts) for parts in zip(*objective.batches, strict=True))
        model = copy.deepcopy(objective.model)
        for name, p in model.named_parameters():
            p.requires_grad_(name in objective.names)
        training = LinearisedTraining.of(model, x, y, loss="cross_entropy")
        return training.run([0, 3, 20], SGD(lr=0.2, momentum=0.5))

    def values(self, result):
        return torch.cat([result.train_outputs.flatten(), result.coefficients.flatten(), result.distance])
