"""Robust accuracy as attacks measure it: the share of images that keep their class, against eps, with its interval.

    A(eps) <= P(f(x) = y, and no attack tried within eps changed it)

An attack that finds nothing proves nothing, so the curve lies above the true robust accuracy, as certified accuracy
lies below. Each image is attacked at all radii in one run, first on cross-entropy, then, where it stands, on the
margin; what breaks it at one radius breaks it at every larger one, so that the curve never rises.

The interval is for the images being a sample. It holds at all radii at once: the number of images standing at eps is
that of samples with a breaking radius above eps, so the exact band of `confidence_band` applies, or intervals of
Clopper and Pearson at level alpha / E, whichever is narrower (which depends on N and E alone).

Cost: that of `pgd` for each loss, an image being done at all radii that reach what broke it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.bernoulli import clopper_pearson
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.figures.figure import Role
from lemmata.given import require_number
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.balls import Bounds
from lemmata.robustness.attacks.losses import Values
from lemmata.robustness.attacks.pgd import pgd
from lemmata.robustness.attacks.problem import broadcast, subject_of
from lemmata.robustness.certificates import confidence_band
from lemmata.short_repr import short_repr

Floats = np.ndarray
OPTIONS = ("step_size", "schedule", "random_start", "early_exit", "batch")
FEW = 8  # radii that are drawn as points
UNITS = {"linf": "ℓ∞ distance", "l2": "ℓ2 distance"}


@dataclass(frozen=True, eq=False)
class RobustAccuracy:
    """`accuracy` (E,) at `eps` (E,) in `norm`, float64, with the ends `low`, `high` (E,) of its band at `confidence`.

    `standing` (E, N) bool are the images that no attack broke, `attacks` the runs, one a loss; `subject` is what was
    attacked: "model", or "smoothed, " and the noise.
    """

    eps: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    standing: Tensor
    norm: str
    label: str
    confidence: float
    attacks: tuple[Attack, ...] = ()
    subject: str = "model"

    __repr__ = short_repr

    def __len__(self) -> int:
        return self.standing.shape[1]

    def plot(self, beside: Sequence[Any] = ()) -> Figure:
        """Draw the shares with their band; `beside` them others of the kind, or certified accuracies.

        Few radii are drawn as points, more as steps: what breaks an image at one radius does so up to the next.
        """
        curves: list[tuple[Any, Role]] = [(one, "measured" if one is self else "control") for one in (self, *beside)]
        series = [
            _drawn(one, role) if isinstance(one, RobustAccuracy) else Series(
                label=f"certified: {one.name}", x=one.radii, y=one.accuracy, low=one.low, high=one.high,
                role=role, style="points" if len(one.accuracy) < FEW else "line",
            )
            for one, role in curves
        ]  # fmt: skip
        panel = Panel(
            x=Axis(label="eps", unit=UNITS.get(self.norm, self.norm)),
            y=Axis(label="share of images right and robust", limits=(0.0, 1.02)),
            series=series,
        )
        caption = (
            f"Share of {len(self):,} images that no attack changed, an upper bound on the robust accuracy, with a band "
            f"that holds at all radii at once ({100 * self.confidence:g} % over images)."
        )
        return Figure(name="robust-accuracy", title="Robust accuracy under attack", caption=caption, panels=[panel])


def robust_accuracy(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float | Sequence[float],
    norm: str = "linf",
    losses: Sequence[str | Values] = ("cross_entropy", "margin"),
    steps: int = 40,
    restarts: int = 2,
    confidence: float = 0.95,
    clip: Bounds = (0.0, 1.0),
    seed: int | torch.Generator = 0,
    label: str | None = None,
    **options: Any,
) -> RobustAccuracy:
    """Attack images x (N, ...) of classes y (N,) at each radius of `eps`, and count what is left.

    Each of `losses` is climbed by `pgd` with `steps` and `restarts` (and further `options` of it) on the images that
    the ones before left. Random, refused and warned of: as by `pgd`. Raises `InvalidInput` for no losses, radii that do
    not increase, several models, a confidence outside (0, 1), and `targeted`; `UnknownName` for other options.

    >>> model = nn.Linear(1, 2).requires_grad_(False)
    >>> _ = model.weight.copy_(torch.tensor([[-1.0], [1.0]])), model.bias.zero_()
    >>> x = torch.tensor([[0.2], [0.4], [0.6]])
    >>> found = robust_accuracy(model, x, torch.ones(3, dtype=torch.int64), eps=[0.1, 0.3, 0.5])
    >>> found.accuracy.round(2)
    array([1.  , 0.67, 0.33])
    """
    if not isinstance(model, nn.Module):
        raise InvalidInput("several models have several curves; ask for the robust accuracy of one after the other")
    if isinstance(losses, str) or not isinstance(losses, Sequence) or not losses:
        raise InvalidInput(f"losses = {losses!r}; give a list of at least one of 'cross_entropy' and 'margin'")
    _require_options(options)
    if not 0 < require_number(confidence, "confidence") < 1:
        raise InvalidInput(f"confidence = {confidence}; give a probability between 0 and 1, such as 0.95")
    several = isinstance(eps, Sequence | np.ndarray | Tensor) and not isinstance(eps, str) and np.ndim(eps) > 0
    given: Any = eps if several else [eps]
    radii = [require_number(one, "eps") for one in given]
    grid = broadcast(radii, x, "eps", "radii").clone()
    if not bool((grid.diff(dim=0) > 0).all()):
        raise InvalidInput(f"eps = {radii} does not increase; sort the radii, each once")
    attacks: list[Attack] = []
    broken = torch.zeros(grid.shape, dtype=torch.bool, device=grid.device)
    for loss in losses:
        left = (~broken).any(0)
        if not bool(left.any()):
            break
        asked = grid.masked_fill(broken, 0.0)[:, left]  # an image of radius 0 is left in peace
        found = pgd(
            model, x[left], y[left], eps=asked, norm=norm, loss=loss, steps=steps, restarts=restarts, clip=clip,
            seed=seed, **options,
        )  # fmt: skip
        attacks.append(found)
        broken[:, left] |= found.success
    standing = (~broken).cpu()
    low, high = _band(len(y), len(radii), confidence)
    counts = standing.sum(1).numpy()
    return RobustAccuracy(
        eps=np.array(radii, dtype=np.float64), accuracy=counts / len(y), low=low[counts], high=high[counts],
        standing=standing, norm=norm, label=label or f"attacked: PGD, {steps} steps x {restarts}, {len(losses)} losses",
        confidence=confidence, attacks=tuple(attacks), subject=subject_of(model),
    )  # fmt: skip


def _require_options(options: dict[str, Any]) -> None:
    """Refuse what is no option of `pgd`, or makes no robust accuracy."""
    if "targeted" in options:
        raise InvalidInput(
            "targeted: a robust accuracy counts the images that no attack moves to any other class; for one class, "
            "take pgd(..., targeted=True) and read `success`"
        )
    if "loss" in options:
        raise InvalidInput(f"loss = {options['loss']!r}; give losses=[...], which are climbed one after the other")
    for name in options:
        if name not in OPTIONS:
            raise UnknownName("option of pgd", name, OPTIONS)


def _band(n: int, radii: int, confidence: float) -> tuple[Floats, Floats]:
    """Bounds by count, (n + 1,) each: the narrower of the two, chosen before any image is looked at."""
    whole = confidence_band.band(n, confidence=confidence)
    low, high = clopper_pearson(np.arange(n + 1), n, alpha=(1 - confidence) / radii, side="two-sided")
    return (low, high) if float((high - low).mean()) < whole.mean_width else (whole.low, whole.high)


def _drawn(one: RobustAccuracy, role: Role) -> Series:
    """Points for few radii, else steps, each share up to the next radius."""
    if len(one.eps) < FEW:
        return Series(label=one.label, x=one.eps, y=one.accuracy, low=one.low, high=one.high, role=role, style="points")
    y, low, high = (np.repeat(values, 2)[:-1] for values in (one.accuracy, one.low, one.high))
    return Series(label=one.label, x=np.repeat(one.eps, 2)[1:], y=y, low=low, high=high, role=role)
