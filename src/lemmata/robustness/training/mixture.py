"""A weighted sum of recipes' losses, evaluated on one batch that holds the samples of all.

    L = sum_r w_r L_r

Each part draws from random streams of its own. Cost: that of the parts. Where it fails: batch normalisation takes its
statistics over the parts together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.training.ensemble import Ensemble
from lemmata.training.hyper import Hyper, per_member
from lemmata.training.losses import losses_of
from lemmata.training.probes import Samples
from lemmata.training.recipe import Batch, Course, Recipe, Selecting
from lemmata.training.streams import derived


def mixture(*parts: tuple[Hyper, Recipe | None]) -> Mixture:
    """Train on the sum of the losses of `parts`, (weight, recipe) each; None is plain training.

    A weight is one number, or (M,). Raises `InvalidInput` for no parts, a part that is no recipe and, when training
    begins, for a weight that is negative, NaN or infinite, and whatever a part refuses.

    >>> from lemmata.robustness.training import gaussian_augmentation
    >>> len(mixture((0.5, None), (0.5, gaussian_augmentation(0.25))).parts)
    2
    """
    return Mixture(parts)


@dataclass(frozen=True)
class Mixture:
    """The recipe of `mixture`."""

    parts: tuple[tuple[Hyper, Recipe | None], ...]

    def __post_init__(self) -> None:
        if not self.parts or not all(isinstance(part, tuple) and len(part) == 2 for part in self.parts):
            raise InvalidInput(f"a mixture of {self.parts!r}; give pairs (weight, recipe), one at least")
        for _, recipe in self.parts:
            if recipe is not None and (isinstance(recipe, type) or not callable(getattr(recipe, "start", None))):
                raise InvalidInput(
                    f"a mixture with {recipe!r} for a recipe; give such as gaussian_augmentation(0.25), or None for "
                    "plain training"
                )

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> _Course:
        """Begin a training of these members."""
        weights = [per_member("weight", weight, ensemble) for weight, _ in self.parts]
        courses = [
            None if recipe is None else recipe.start(ensemble, samples, derived(seeds, place))
            for place, (_, recipe) in enumerate(self.parts)
        ]
        return _Course(weights, courses)


class _Course(Selecting):
    def __init__(self, weights: Sequence[float | Tensor], courses: Sequence[Course | None]):
        self.weights, self.courses = list(weights), courses

    def select(self, index: Tensor) -> None:
        self.weights = [weight[index] if isinstance(weight, Tensor) else weight for weight in self.weights]
        for course in self.courses:
            if course is not None:
                course.select(index)

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        batches = [
            Batch(x, y) if course is None else course.batch(ensemble, x, y, epoch=epoch) for course in self.courses
        ]
        return Batch(torch.cat([batch.x for batch in batches], 1), y, partial(self._loss, ensemble, batches))

    def _loss(self, ensemble: Ensemble, batches: Sequence[Batch], outputs: Tensor, y: Tensor) -> Tensor:
        total = outputs.new_zeros(len(outputs))
        parts = outputs.split([batch.x.shape[1] for batch in batches], 1)
        for weight, batch, part in zip(self.weights, batches, parts, strict=True):
            own = losses_of(part, batch.y, ensemble.loss) if batch.loss is None else batch.loss(part, batch.y)
            total = total + weight * own
        return total
