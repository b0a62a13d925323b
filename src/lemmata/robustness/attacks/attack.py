"""What an attack gives: the changed images, whether they are misclassified, and how it went.

Shapes: `(..., N)` stands for the shape that the radii broadcast to with the N images: (N,) for one radius or one an
image, (E, N) for a grid of E radii given as (E, 1), with a leading M where M models were attacked at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Field, Figure, Panel, Series
from lemmata.short_repr import short_repr

SHOWN = 9  # images in a mosaic


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

        Up to nine images that the attack broke by a change, the first ones (any, if it broke none), at the first
        radius and model where there are several.
        """
        image = self.x.shape[1:]
        as_image = len(image) in (2, 3) and min(image[-2:]) > 1
        return self._mosaics() if as_image else self._course()

    def _mosaics(self) -> Figure:
        first = (0,) * (self.success.ndim - 1)
        broken = self.success[first]
        changed = broken & (self.distance[first] > 0)  # the others were wrong before
        chosen = (changed.nonzero().flatten() if bool(changed.any()) else torch.arange(len(self)))[:SHOWN]
        chosen = chosen.to(self.x.device)
        found = self.adversarial[first][chosen].detach()
        clean = self.x[chosen].detach()
        change = found - clean
        reach = float(change.abs().max()) or 1.0
        low, high = self.clip or (float(clean.min()), float(clean.max()))
        parts = (
            ("image", clean, (low, high), "pixel"),
            ("perturbation", change, (-reach, reach), "change of the pixel"),
            ("adversarial", found, (low, high), "pixel"),
        )
        panels = [
            Panel(
                x=Axis(label="pixels"),
                y=Axis(label="pixels"),
                fields=[_mosaic(rows, label, limits)],
                title=title,
                equal=True,
            )
            for title, rows, limits, label in parts
        ]
        names = ", ".join(str(int(label)) for label in self.y[chosen])
        return Figure(
            name="attack",
            title=f"{self.name}: {int(broken.sum())} of {len(self)} images broken",
            caption=f"Images of classes {names}, row by row; what the attack adds; the sum. Radius "
            f"{float(self.eps.flatten()[0]):g} in {self.norm}. Colour images are averaged over their channels.",
            panels=panels,
        )

    def _course(self) -> Figure:
        if self.loss is None or self.loss.shape[0] < 2:
            raise InvalidInput("no images and no history to draw; attack images (n, c, h, w), or by several steps")
        rows = self.loss.flatten(1).double().cpu()
        mean = rows.nanmean(1)
        low, high = rows.nanquantile(0.25, 1), rows.nanquantile(0.75, 1)
        kept = ~mean.isnan()
        step = torch.arange(len(rows))[kept].numpy()
        series = Series(
            label="mean, quartiles", x=step, y=mean[kept].numpy(), low=low[kept].numpy(), high=high[kept].numpy()
        )
        left = (~rows.isnan()).double().mean(1)[kept].numpy()
        panels = [Panel(x=Axis(label="step"), y=Axis(label="loss"), series=[series], title="Images still attacked")]
        if float(left.min()) < 1:
            count = Axis(label="share of images", limits=(0.0, 1.02))
            ended = Series(label="still attacked", x=step, y=left)
            panels.append(Panel(x=Axis(label="step"), y=count, series=[ended], title="How many are left"))
        share = float(self.success.double().mean())
        return Figure(
            name="attack", title=f"{self.name}: {share:.1%} of the images broken",
            caption="The loss at each step, over the images that are not yet broken.", panels=panels,
        )  # fmt: skip


def _mosaic(images: Tensor, label: str, limits: tuple[float, float]) -> Field:
    """Up to nine images side by side, the first one at the top left."""
    grey = images.double().cpu()
    grey = grey.mean(1) if grey.ndim == 4 else grey
    count, height, width = grey.shape
    across = min(3, count)
    down = -(-count // across)
    sheet = torch.full((down * (height + 1) - 1, across * (width + 1) - 1), torch.nan, dtype=torch.float64)
    for i, one in enumerate(grey):
        top, left = (i // across) * (height + 1), (i % across) * (width + 1)
        sheet[top : top + height, left : left + width] = one
    rows, columns = sheet.shape
    return Field(label=label, x=range(columns), y=range(rows), z=sheet.flip(0).numpy(), kind="heatmap", limits=limits)
