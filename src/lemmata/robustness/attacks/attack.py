"""What an attack gives: the changed images, whether they are misclassified, and how it went.

Shapes: `(..., N)` stands for the shape that the radii broadcast to with the N images: (N,) for one radius or one an
image, (E, N) for a grid of E radii given as (E, 1), with a leading M where M models were attacked at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.short_repr import short_repr


class VanishingGradients(UserWarning):
    """The gradient that an attack followed was zero, or lost in rounding: what it did not break need not be robust."""


@dataclass(frozen=True, eq=False)
class Attack:
    """Images changed by at most `eps` in `norm` each, in pursuit of a wrong class (or of the class y, if `targeted`).

    `adversarial` (..., N, *image) are the images found: those of a wrong class where `success` (..., N) says so, else
    those of the largest loss met, over all restarts and steps. `distance` (..., N) is how far each lies from its image
    in `x` (N, *image), `loss_at_end` (..., N) the loss there.

    The history, NaN where an image was done: `loss` (steps + 1, ..., N) the largest loss of the restarts at each step,
    `gradient` (steps, ..., N) the largest dual norm of the gradient of the climbed function (l1 for linf, l2 for l2):
    eps times it is the gain that it promises. `vanished` (..., N) is the share of an image's gradients that were zero
    or promised less, over the whole ball, than the rounding of the logits. `gradients` counts the gradients of single
    images, `evaluations` the logits (those of the gradients included). `subject` is what was attacked: "model", or
    "smoothed, " and the noise.

    >>> import torch
    >>> x = torch.zeros(1, 2)
    >>> found = Attack(x + 0.1, torch.tensor([True]), torch.tensor([0.1]), x, torch.tensor([0]), torch.tensor([0.1]))
    >>> found.robust_accuracy
    tensor(0., dtype=torch.float64)
    """

    adversarial: Tensor
    success: Tensor
    distance: Tensor
    x: Tensor
    y: Tensor
    eps: Tensor
    norm: str = "linf"
    loss: Tensor | None = None
    loss_at_end: Tensor | None = None
    gradient: Tensor | None = None
    vanished: Tensor | None = None
    gradients: int = 0
    evaluations: int = 0
    targeted: bool = False
    clip: tuple[float, float] | None = None
    seed: int | None = None
    name: str = field(default="attack")
    subject: str = "model"

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.y)

    @property
    def robust_accuracy(self) -> Tensor:
        """The share of images that the attack left in their class, (...) float64: no lower than the true one."""
        if self.targeted:
            raise InvalidInput("a targeted attack measures no accuracy; attack untargeted, or read `success`")
        return 1 - self.success.double().mean(-1)

    @property
    def perturbation(self) -> Tensor:
        """What was added to the images: (..., N, *image)."""
        return self.adversarial - self.x

    def plot(self) -> Figure:
        """Draw clean images, perturbations and adversarial images, where they are images; else the course of the loss.

        Up to six images that the attack broke by a change, the first ones (any, if it broke none), at the first
        radius and model where there are several.
        """
        from lemmata.robustness.attacks.attack_figure import draw

        return draw(self)
