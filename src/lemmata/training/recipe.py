"""Recipes: what `train` minimises on a batch, where that is more than the loss on the samples as they are.

A `Recipe` is a description (a frozen dataclass); ``start`` gives the `Course` of one training, which may hold state of
each member: its random stream, its sigma. At each step the course turns the batch of all live members into the one
that the step is taken on: noisy copies, adversarial examples, other targets; and, where the loss of the outputs is
another, says so. Rules that it keeps so that each member trains as it would alone:

    random numbers come from the members' own `Streams`, one draw of the same shape for each;
    nothing is reduced over the member axis;
    ``select`` drops the members that stopped.

Adversarial examples are found with ``ensemble.input_gradient``. `lemmata.robustness.training` has the literature's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.training.ensemble import Ensemble
from lemmata.training.losses import BatchLoss
from lemmata.training.probes import Samples


@dataclass(frozen=True)
class Batch:
    """Samples x (M, n, ...), targets y (M, ...), and the loss of (outputs, y), None being the one given to `train`."""

    x: Tensor
    y: Tensor
    loss: BatchLoss | None = None


class Course(Protocol):
    """A recipe under way, for the live members."""

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        """Turn a batch x (M, b, ...), y (M, b, ...) of epoch 1, 2, ... into the one that the step is taken on.

        Neither x nor y may be changed in place. What is given back is used up before the next call.
        """
        ...

    def select(self, index: Tensor) -> None:
        """Keep only the members `index`."""
        ...


class Recipe(Protocol):
    """What `train` takes as `recipe`."""

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> Course:
        """Begin a training of these members on these samples; refuse what does not fit."""
        ...


class Selecting:
    """Keeps the live members of every attribute that has them: tensors (M, ...), and whatever has a `select`."""

    def select(self, index: Tensor) -> None:
        """Keep only the members `index`."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[index])
            elif hasattr(value, "select"):
                value.select(index)


def require_recipe(value: object) -> Recipe:
    """Give a recipe back.

    >>> require_recipe(0.25)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: recipe: a float; give one, as lemmata.robustness.training.gaussian_augmentation(0.25)
    """
    if not callable(getattr(value, "start", None)) or isinstance(value, type):
        raise InvalidInput(
            f"recipe: a {type(value).__name__}; give one, as lemmata.robustness.training.gaussian_augmentation(0.25)"
        )
    return value  # type: ignore[return-value]


def own_axis(x: Tensor, members: int, *, shared: bool) -> Tensor:
    """Give samples (n, ...) that are shared a member axis, without a copy; leave others as they are.

    >>> from torch import zeros
    >>> own_axis(zeros(5, 2), 3, shared=True).shape
    torch.Size([3, 5, 2])
    """
    return x.expand(members, *x.shape) if shared else x
