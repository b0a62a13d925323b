"""One readable loop that trains many networks at once, with optimisers, schedules, probes and early stopping."""

from lemmata.training.epochs import epochs_at, every, every_epoch, last_epoch, log_epochs
from lemmata.training.loop import train
from lemmata.training.mimic_targets import mimic_targets, offset_share
from lemmata.training.optimisers import GD, SGD, Adam
from lemmata.training.probes import Probe, WeightProbe
from lemmata.training.recipe import Batch, Course, Recipe
from lemmata.training.result import Result
from lemmata.training.schedules import Schedule, constant, cosine, exponential, inverse_sqrt
from lemmata.training.stopping import Stop

__all__ = [
    "GD",
    "SGD",
    "Adam",
    "Batch",
    "Course",
    "Probe",
    "Recipe",
    "Result",
    "Schedule",
    "Stop",
    "WeightProbe",
    "constant",
    "cosine",
    "epochs_at",
    "every",
    "every_epoch",
    "exponential",
    "inverse_sqrt",
    "last_epoch",
    "log_epochs",
    "mimic_targets",
    "offset_share",
    "train",
]
