"""The problem that an attack solves, checked: which images, which radii, what is climbed, and on which classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lemmata.errors import InvalidInput
from lemmata.given import require_flag, require_number, require_tensor, require_whole
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.balls import Bounds, require_norm
from lemmata.robustness.attacks.classifiers import Classifiers, require_finite
from lemmata.robustness.attacks.gradients import usable
from lemmata.robustness.attacks.losses import Values, log_mean_softmax, require_values, values_of
from lemmata.robustness.smoothing.noise import Noise
from lemmata.robustness.smoothing.noise_seeds import seed_number
from lemmata.robustness.smoothing.smoothed import Smoothed

Radii = float | Sequence[float] | Tensor
CACHE = 8 * 2**20  # bytes that a batch keeps for its backward pass, on a processor: what its caches hold
DEVICE_MEMORY = 2**30  # the same elsewhere
FEWEST = 16  # rows a batch, however large a row is


@dataclass(frozen=True)
class Problem:
    """Maximise values(logits(z), y) over balls of radius eps (L, N) around x (N, ...), for each of M models."""

    classifiers: Classifiers
    x: Tensor
    y: Tensor
    eps: Tensor
    lead: tuple[int, ...]  # the shape of the radii without the images: () for one radius or one an image
    norm: str
    clip: Bounds
    targeted: bool
    loss: str | Values
    noise: Noise | None = None
    draws: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole(self.draws, "draws")
        require_flag(self.targeted, "targeted")
        self.classifiers.check(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is found, images last: (M?, *lead, N)."""
        return (*((len(self.classifiers),) if self.classifiers.several else ()), *self.lead, len(self.x))

    def noises(self, images: Tensor) -> Tensor | None:
        """The noise of these images, (n, draws, ...): it depends on the seed and the image alone."""
        if self.noise is None:
            return None
        like, draws = self.x, []
        for image in images.tolist():
            generator = generator_of(self.seed, image, stream=1)
            draws.append(self.noise.sample((self.draws, *like.shape[1:]), generator, dtype=like.dtype))
        return torch.stack(draws).to(like.device)

    def logits(self, z: Tensor, model: Tensor, noise: Tensor | None) -> Tensor:
        """Logits of rows z (B, ...); of the smoothed classifier, if there is noise (B, draws, ...)."""
        if noise is None:
            return self.classifiers(z, model)
        copies = (z[:, None] + noise).flatten(0, 1)
        logits = self.classifiers(copies, model.repeat_interleave(self.draws))
        return log_mean_softmax(logits.unflatten(0, (-1, self.draws)), 1)

    def values(self, logits: Tensor, y: Tensor) -> Tensor:
        """What is climbed: (B,)."""
        values = values_of(self.loss)(logits, y)
        if callable(self.loss):
            require_values(values, logits)
        return -values if self.targeted else values

    def shown(self, values: Tensor) -> Tensor:
        """What is reported of the climbed values: cross-entropy for the log-odds, negative where it is to fall."""
        if self.loss != "cross_entropy":
            return values
        return -softplus(-values) if self.targeted else softplus(values)

    def broken(self, logits: Tensor, y: Tensor) -> Tensor:
        """Whether the attack has what it wants: (B,) bool."""
        return (logits.argmax(-1) == y) == self.targeted

    def rows_at_once(self, batch: int | None) -> int:
        """How many rows to evaluate together."""
        if batch is not None:
            return require_whole(batch, "batch")
        budget = CACHE if self.x.device.type == "cpu" else DEVICE_MEMORY
        return max(FEWEST, budget // (self.draws * self.classifiers.bytes_of_a_row(self.x)))

    @torch.no_grad()
    def clean(self, at_once: int) -> tuple[Tensor, Tensor]:
        """The climbed values at the images themselves, and whether they are broken already: (M, N) each."""
        values, broken = [], []
        for model in range(len(self.classifiers)):
            for first in range(0, len(self.x), at_once):
                images = torch.arange(first, min(first + at_once, len(self.x)), device=self.x.device)
                x, y = self.x[images], self.y[images]
                logits = self.logits(x, torch.full_like(images, model), self.noises(images))
                require_finite(logits, first)
                require_labels(y, logits.shape[1])
                values.append(self.values(logits, y))
                broken.append(self.broken(logits, y))
        shape = (len(self.classifiers), len(self.x))
        return torch.cat(values).view(shape), torch.cat(broken).view(shape)

    def result(self, **found: object) -> Attack:
        """An attack on this problem, with what was found."""
        eps = self.eps.reshape(*self.lead, -1)
        return Attack(
            x=self.x, y=self.y, eps=eps, norm=self.norm, targeted=self.targeted, clip=self.clip,
            seed=self.seed, subject=self.subject, **found,  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def subject(self) -> str:
        """What is attacked: the model, or what noise makes of it."""
        return subject_of(self.classifiers.models[0], self.noise)


def problem_of(
    model: nn.Module | Sequence[nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    eps: Radii,
    norm: str,
    clip: Bounds,
    targeted: bool = False,
    loss: str | Values = "cross_entropy",
    noise: Noise | None = None,
    draws: int = 1,
    seed: int | torch.Generator = 0,
) -> Problem:
    """Check what was given, and put it together."""
    require_norm(norm)
    values_of(loss)
    clip = require_clip(clip)
    x, y = require_images(x, y, clip)
    radii = broadcast(eps, x, "eps", "radii")
    return Problem(
        Classifiers(model), x, y, radii.reshape(-1, len(x)), tuple(radii.shape[:-1]), norm, clip, targeted, loss,
        noise, draws, seed_number(seed) % 2**64,
    )  # fmt: skip


def subject_of(model: nn.Module, noise: Noise | None = None) -> str:
    """What an attack on `model`, or on what `noise` makes of it, speaks of: "model", or "smoothed, " and the noise.

    >>> subject_of(nn.Identity()), subject_of(Smoothed(nn.Identity(), sigma=0.5))
    ('model', 'smoothed, Gaussian(sigma=0.5)')
    """
    law = model.noise if noise is None and isinstance(model, Smoothed) else noise
    return "model" if law is None else f"smoothed, {law}"


def require_images(x: Tensor, y: Tensor, clip: Bounds) -> tuple[Tensor, Tensor]:
    """Images (N, ...), N >= 1, finite and inside the range `clip`, and one whole label an image on their device."""
    require_tensor(x, "images x")
    require_tensor(y, "labels y")
    if not x.is_floating_point() or x.ndim < 2 or not x.numel():
        raise InvalidInput(
            f"images x: {x.dtype} of shape {tuple(x.shape)}; give floating-point images (N, ...), N >= 1"
        )
    if y.shape != x.shape[:1] or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise InvalidInput(
            f"labels y: {y.dtype} of shape {tuple(y.shape)} for {len(x)} images; give whole numbers (N,)"
        )
    low, high = (float(end) for end in x.detach().aminmax())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InvalidInput("the images hold NaN or infinity; remove or replace those images")
    if clip is not None and not clip[0] <= low <= high <= clip[1]:
        raise InvalidInput(
            f"the images reach from {low:g} to {high:g}, beyond clip = {clip}; give the range that the model "
            "expects, or clip=None for none"
        )
    return usable(x), usable(y).to(x.device, torch.int64)


def require_clip(clip: object) -> Bounds:
    """A pair low < high, or None."""
    if clip is None:
        return None
    if not isinstance(clip, Sequence) or isinstance(clip, str) or len(clip) != 2:
        raise InvalidInput(f"clip = {clip!r}; give (lowest, highest) value of a pixel, or None")
    low, high = (require_number(end, "clip") for end in clip)
    if not low < high:
        raise InvalidInput(f"clip = {clip}; the lowest value of a pixel must be below the highest")
    return low, high


def require_labels(y: Tensor, classes: int) -> None:
    """Labels from 0 to classes - 1."""
    low, high = (int(end) for end in y.aminmax())
    if low < 0 or high >= classes:
        raise InvalidInput(f"labels run from {low} to {high}, but the model has {classes} classes")


def broadcast(given: Radii, x: Tensor, name: str, what: str) -> Tensor:
    """Radii or steps as a tensor (..., N): a number for all, a sequence as a grid (E, N), a tensor as it broadcasts."""
    if isinstance(given, Tensor):
        values = usable(given).to(x.device, x.dtype)
    elif isinstance(given, Sequence) and not isinstance(given, str):
        if not given:
            raise InvalidInput(f"{name} is empty; give at least one of the {what}")
        values = x.new_tensor([require_number(one, name) for one in given])[:, None]
    else:
        values = x.new_tensor(require_number(given, name))
    try:
        values = values.broadcast_to(torch.broadcast_shapes(values.shape, (len(x),)))
    except RuntimeError:
        raise InvalidInput(
            f"{name} of shape {tuple(values.shape)} does not go with {len(x)} images; give a number, a tensor "
            f"({len(x)},) with one an image, or a list as a grid"
        ) from None
    if values.shape[-1] != len(x):
        raise InvalidInput(f"{name} of shape {tuple(values.shape)} for one image; its last axis runs over images")
    if not bool((values >= 0).all()) or not bool(values.isfinite().all()):
        raise InvalidInput(f"{name} = {float(values.min()):g}; {what} are finite and not negative")
    return values


def generator_of(seed: int, image: int, *, stream: int) -> torch.Generator:
    """The random numbers of one image, for one purpose."""
    words = np.random.SeedSequence([seed, image, stream]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))


def blocks(count: int, size: int) -> list[tuple[int, int]]:
    """The ends of blocks of at most `size`.

    >>> blocks(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return list(pairwise([*range(0, count, max(size, 1)), count]))


Schedule = Callable[[int, int], float]
