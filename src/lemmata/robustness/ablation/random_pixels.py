"""Randomised ablation: certificates in l0, against an adversary who may change any rho pixels as he likes.

The smoothed classifier sees k of the d pixels of an image, chosen evenly among all subsets, and gives the class that
the base classifier gives most often. Two images that differ in rho pixels look the same unless one of these is among
the k, so that the probability p of any class changes by at most

    Delta(rho) = 1 - C(d - rho, k) / C(d, k)            and        p - Delta(rho) > 1/2

certifies rho (Levine and Feizi, 2020a, theorem 1). With p bounded by Clopper and Pearson this holds with probability
1 - alpha. Delta is computed in whole numbers and rounded up.

A pixel is a place with all its channels. The subsets are those of the largest of d random scores of 48 bits, whose ties
(probability below d^2 2^-48) are counted in Delta.
Cost: as randomised smoothing, n forward passes an image at most. Where it fails: few pixels must suffice to tell the
class; radii grow like d / k log 2, and accuracy falls with k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_model, require_number, require_whole
from lemmata.robustness.ablation.encoding import encode, largest, require_count_of_pixels, require_images
from lemmata.robustness.certificates.certificates import Certificates
from lemmata.robustness.smoothing.certify import certify
from lemmata.robustness.smoothing.noise import FloatArray, Noise

SCORES = 2  # channels of scores, of 24 bits each


def ablation_distance(pixels: int, keep: int, changed: int) -> float:
    """Delta: the probability that `keep` of `pixels`, drawn without order, meet `changed` given ones; rounded up.

    Raises `InvalidInput` for what is no whole number, and more kept or changed pixels than there are.

    >>> ablation_distance(10, 3, 2)                                             # 1 - C(8, 3) / C(10, 3) = 64 / 120
    0.533333333333...
    """
    require_whole(pixels, "pixels")
    for name, count in (("keep", keep), ("changed", changed)):
        if require_whole(count, name, least=0) > pixels:
            raise InvalidInput(f"{name} = {count} of {pixels} pixels; give 0 to {pixels}")
    hit, total = math.comb(pixels, keep) - math.comb(pixels - changed, keep), math.comb(pixels, keep)
    return math.nextafter(hit / total, 2.0) if hit else 0.0


@cache
def _distances(pixels: int, keep: int) -> FloatArray:
    """Delta for 0, 1, ..., pixels changed, with the ties of the scores."""
    exact = np.array([ablation_distance(pixels, keep, changed) for changed in range(pixels + 1)])
    return exact + np.where(exact > 0, pixels**2 * 2.0**-48, 0.0)


@dataclass(frozen=True)
class RandomAblation(Noise):
    """The law that keeps `keep` of `pixels` pixels: certifies l0 balls, of whole radii.

    As noise it is added to an image with two channels of zeros, in which it draws the scores.

    >>> law = RandomAblation(keep=45, pixels=784)
    >>> law.radius([0.5, 0.9, 0.99]).tolist(), law.norm
    ([0.0, 8.0, 11.0], 'l0')
    """

    keep: int
    pixels: int
    norm: ClassVar[str] = "l0"

    def __post_init__(self) -> None:
        if require_whole(self.keep, "keep") > require_whole(self.pixels, "pixels"):
            raise InvalidInput(f"keep = {self.keep} of {self.pixels} pixels; give 1 to {self.pixels}")

    def _fill(self, out: Tensor, generator: torch.Generator) -> Tensor:
        out.zero_()
        out[..., -SCORES:, :, :].uniform_(0, 1, generator=generator)
        return out

    def _log_failure(self, radius: FloatArray) -> FloatArray:
        Delta = _distances(self.pixels, self.keep)[np.minimum(np.ceil(radius), self.pixels).astype(int)]
        if not (Delta < 0.5).all():
            raise InvalidInput(
                f"radius = {np.max(radius):g}: keeping {self.keep} of {self.pixels} pixels certifies at most "
                f"{int(self.radius(1.0))} changed ones; keep fewer"
            )
        return np.log(0.5 - Delta)

    def _radius(self, p: FloatArray, q: FloatArray) -> FloatArray:
        return self._largest((p - q) / 2)

    def _radius_of_failure(self, log_failure: FloatArray) -> FloatArray:
        return self._largest(0.5 - np.exp(log_failure))

    def _largest(self, room: FloatArray) -> FloatArray:
        """The most pixels with Delta below the room, but for rounding."""
        table = _distances(self.pixels, self.keep)
        return np.maximum(np.searchsorted(table, np.asarray(room) * (1 - 1e-12)) - 1, 0).astype(float)


class _SeesKept(nn.Module):
    """The base classifier behind the choice of pixels, which is read off the scores."""

    def __init__(self, model: nn.Module, keep: int):
        super().__init__()
        self.model, self.keep = model, keep

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images with their scores, (N, C + 2, H, W)."""
        images, scores = x[:, :-SCORES], x[:, -SCORES:].double()
        return self.model(encode(images, largest(scores[:, 0] * 2.0**24 + scores[:, 1], self.keep)))


def certify_by_ablation(
    model: nn.Module, x: Tensor, y: Tensor | None = None, *, keep: int, **options: Any
) -> Certificates:
    """Certify images x (N, C, H, W) in [0, 1] against changes of few pixels: ``norm`` "l0", radii in pixels.

    `model` gives logits of encoded images (N, 2 C, H, W) (see `encoding`), trained on images with `keep` pixels left.
    `options` are those of `lemmata.robustness.certify`: ``n``, ``n0``, ``alpha``, ``seed``, ``radii`` (for decisions at
    numbers of pixels, with a fraction of the samples), ``batch``, ``progress`` and others; what is random and
    what is raised, as there. Further, `InvalidInput` for images outside [0, 1], radii that are no whole numbers of
    pixels, a noise, and a model in half precision, whose scores would tie.

    >>> class Brighter(nn.Module):                                              # more bright pixels than dark ones?
    ...     def forward(self, x):
    ...         return torch.stack([x[:, 1].sum((1, 2)), x[:, 0].sum((1, 2))], 1)
    >>> found = certify_by_ablation(Brighter(), torch.ones(1, 1, 8, 8), keep=5, n=1000)
    >>> found.prediction, found.radius, found.norm
    (tensor([1]), tensor([7.], dtype=torch.float64), 'l0')
    """
    images, base = require_images(x), require_model(model)
    _require_options(options)
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in base.parameters()):
        raise InvalidInput("the model is in half precision, in which the scores of pixels tie; give model.float()")
    law = RandomAblation(require_count_of_pixels(keep, images), images.shape[2] * images.shape[3])
    scores = images.new_zeros(len(images), SCORES, *images.shape[2:])
    wrapped = _SeesKept(base, keep).train(base.training)
    options.setdefault("name", f"{type(base).__name__} on {keep} pixels")
    return certify(wrapped, torch.cat([images, scores], 1), y, noise=law, **options)


def _require_options(options: dict[str, Any]) -> None:
    """Refuse a noise beside the choice of pixels, and radii that are no numbers of pixels."""
    for name in ("noise", "sigma"):
        if options.get(name) is not None:
            raise InvalidInput(
                f"{name} = {options[name]!r}; the noise of ablation is the choice of pixels: leave it out"
            )
        options.pop(name, None)
    radii: Any = options.get("radii")
    several = isinstance(radii, Sequence | np.ndarray | Tensor) and not isinstance(radii, str) and np.ndim(radii) > 0
    for radius in () if radii is None else radii if several else (radii,):
        number = require_number(radius, "radii")
        if not (number >= 0 and number == np.floor(number) and np.isfinite(number)):
            raise InvalidInput(f"radii: {number:g} is no number of pixels; give whole numbers, 0 or more")
