"""What certifying N images gives: of each its class, the radius within which that class cannot change, and the cost.

A certificate states that the smoothed classifier gives `prediction` on the whole ball of `radius` around the image, and
holds with probability at least 1 - alpha over the samples that were drawn for it (of a table of radii: all that is said
of the image together). Abstentions have prediction -1 and
radius 0. Certified accuracy at r is the share of images whose prediction is right and whose radius is at least r.

Source: Cohen, Rosenfeld, Kolter (2019), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import Estimate
from lemmata.figures import Figure
from lemmata.given import require_number, require_tensor
from lemmata.robustness.certificates.average_radius import average_certified_radius
from lemmata.robustness.certificates.certified_accuracy import CertifiedAccuracy, certified_accuracy
from lemmata.robustness.certificates.explain import explain
from lemmata.robustness.smoothing.noise import Noise
from lemmata.short_repr import short_repr

ABSTAIN = -1
NORMS = ("l2", "l1", "linf", "l0", "patch")
Stopped = Literal["fixed", "sequential", ""]
STOPPED: tuple[Stopped, ...] = get_args(Stopped)
COLUMNS = ("radius", "label", "index", "samples", "hits", "drawn", "seconds")


@dataclass(frozen=True, eq=False)
class Certificates:
    """`prediction` (N,) int64 and `radius` (N,) float64 of N images, in the norm `norm` (``"l2"``, ``"l1"``, ...).

    `label` (N,) are the true classes, where they are known; `index` (N,) their places in the data set. `samples`
    (N,) counts the noisy copies drawn of each image, those for choosing the class included; `seconds` (N,) the time of
    each. `hits` (N,) of `drawn` (N,) copies were classified as `prediction`: what the certificate rests on. `radii`
    (R,) are the radii that were asked for, where decisions were made at them and at no other; `noise` is what smoothed
    the classifier, None for certificates by bounds; `name` says what was certified and how, `seed` which noise was
    drawn. `alpha` is 0 where nothing was drawn and all is certain. `stopped` says how sampling ended: "fixed", after a
    number of copies fixed beforehand, "sequential", by what was seen, or "" where it is not known; only of a "fixed"
    sample does the share of hits itself bound a probability.

    Raises `InvalidInput` for what no certificate is: classes that are no whole numbers, an abstention with a radius, a
    negative radius, more hits than copies, alpha outside [0, 1), radii that do not increase; `UnknownName` for another
    norm.

    >>> found = Certificates(torch.tensor([3, -1]), torch.tensor([0.5, 0.0]), label=torch.tensor([3, 1]))
    >>> found.correct, found.average_radius
    (tensor([ True, False]), 0.25)
    """

    prediction: Tensor
    radius: Tensor
    label: Tensor | None = None
    index: Tensor | None = None
    samples: Tensor | None = None
    hits: Tensor | None = None
    drawn: Tensor | None = None
    seconds: Tensor | None = None
    radii: Tensor | None = None
    noise: Noise | None = None
    norm: str = "l2"
    alpha: float = 0.001
    name: str = "smoothed classifier"
    seed: int | None = None
    stopped: Stopped = ""

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_tensor(self.prediction, "prediction")
        if self.prediction.ndim != 1 or not len(self.prediction):
            raise InvalidInput(f"predictions of shape {tuple(self.prediction.shape)}; give one class an image, (N,)")
        for field in COLUMNS:
            values = getattr(self, field)
            if values is not None and require_tensor(values, field).shape != self.prediction.shape:
                raise InvalidInput(
                    f"{field} of shape {tuple(values.shape)} for {len(self.prediction)} images; give one an image"
                )
        _require_classes(self.prediction, self.label)
        if not bool((self.radius >= 0).all()):  # NaN fails too
            raise InvalidInput("a radius is negative or NaN; an image that is not certified has radius 0")
        if bool((wrong := self.abstained & (self.radius > 0).to(self.prediction.device)).any()):
            i = int(wrong.nonzero()[0])
            raise InvalidInput(f"image {i} is abstained from with radius {float(self.radius[i]):g}; give it radius 0")
        if self.hits is not None and self.drawn is not None and bool((more := self.hits > self.drawn).any()):
            i = int(more.nonzero()[0])
            raise InvalidInput(f"image {i} has {int(self.hits[i])} hits of {int(self.drawn[i])} copies drawn")
        _require_radii(self.radii)
        if not 0 <= require_number(self.alpha, "alpha") < 1:  # NaN fails too
            raise InvalidInput(f"alpha = {self.alpha}; give a probability below 1, or 0 where nothing is random")
        if self.norm not in NORMS:
            raise UnknownName("norm", self.norm, NORMS)
        if self.stopped not in STOPPED:
            raise UnknownName("stopped", self.stopped, STOPPED)

    def __len__(self) -> int:
        return len(self.prediction)

    @property
    def abstained(self) -> Tensor:
        """Which images got no class: (N,) bool."""
        return self.prediction == ABSTAIN

    @property
    def correct(self) -> Tensor:
        """Which images got their true class: (N,) bool. Raises `InvalidInput` where no labels were given."""
        if self.label is None:
            raise InvalidInput("these certificates have no labels; give y to certify, or read a log that has them")
        return self.prediction == self.label

    @property
    def average_radius(self) -> float:
        """The mean radius, an image that is not classified correctly counting 0 (average certified radius)."""
        return float(torch.where(self.correct, self.radius.double(), 0.0).mean())

    def mean_radius(self) -> Estimate:
        """`average_radius` with its standard error over the images, as an `Estimate`."""
        return average_certified_radius(self)

    def accuracy(
        self, radii: Sequence[float] | Tensor | None = None, *, confidence: float = 0.95, method: str = "auto"
    ) -> CertifiedAccuracy:
        """The certified accuracy at every radius, or in a table of `radii`, with a band that holds at all at once.

        See `lemmata.robustness.certificates.certified_accuracy` for the methods and what is raised.

        >>> label = torch.tensor([0, 1, 2, 3])
        >>> found = Certificates(label, torch.tensor([0.0, 0.3, 0.6, 0.9]), label=label)
        >>> found.accuracy([0.25, 0.5]).accuracy
        array([0.75, 0.5 ])
        """
        return certified_accuracy(self, radii, confidence=confidence, method=method)

    def explain(self, i: int) -> str:
        """What the certificate of image `i` says and rests on, and what the next step would take, in words."""
        return explain(self, i)

    def plot(self, beside: Sequence[Any] = ()) -> Figure:
        """Draw the curve of certified accuracy with its band, and attacks or (eps, accuracy, label) beside it."""
        return self.accuracy().plot(beside)


def _require_classes(prediction: Tensor, label: Tensor | None) -> None:
    for name, values in (("prediction", prediction), ("label", label)):
        if values is None:
            continue
        if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
            raise InvalidInput(f"{name} of {values.dtype}; classes are whole numbers, so give an integer tensor")
        if bool((values < -1).any()):
            kind = "-1 is an abstention" if name == "prediction" else "-1 is an unknown label"
            raise InvalidInput(f"{name} = {int(values.min())}; classes count from 0, and {kind}")


def _require_radii(radii: Tensor | None) -> None:
    if radii is None:
        return
    asked = require_tensor(radii, "radii")
    if asked.ndim != 1 or not len(asked) or not bool((asked >= 0).all()) or not bool((asked.diff() > 0).all()):
        raise InvalidInput(f"radii = {asked.tolist()}; give those that were asked for, in increasing order, (R,)")
