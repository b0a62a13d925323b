"""Certified accuracy: the share of images classified correctly within every radius at once, with confidence over
images.

    A(r) = P(the certificate of a random image gives its class, and a radius of at least r)

estimated by the share of the n images that were certified: a step function, which falls just *after* each certified
radius. As the images are a sample, so is the curve. Its band holds at all radii together (`confidence_band`), or, for a
table of R radii, by R intervals of Clopper and Pearson at level alpha / R, which is narrower for small R. An interval
that holds at one radius alone ("pointwise") covers a whole curve far less often than it says: 0.95 becomes 0.30 at 500
images.

Whose accuracy? A certificate is itself wrong with probability at most `alpha`, so the true robust accuracy satisfies

    A*(r) = P(right, and truly robust within r) >= A(r) - alpha          `low_true` = low - alpha, for the population

and of these very n images at most `false_certificates(...)` are wrongly certified, a quantile of Binomial(n, alpha).

Cost: sorting n radii, and the band (milliseconds, kept). Fails: images that are no independent sample of what one
speaks about (a hand-picked subset, a changed distribution), for which no band says anything.

Sources: Cohen, Rosenfeld, Kolter (2019), section 4, where the curve has no band; Anderson (1969) for the mean radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom
from torch import Tensor

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Figure
from lemmata.given import require_number
from lemmata.robustness.certificates import confidence_band
from lemmata.robustness.certificates.confidence_band import Floats
from lemmata.short_repr import short_repr

if TYPE_CHECKING:
    from lemmata.robustness.certificates.certificates import Certificates
    from lemmata.robustness.smoothing.noise import Noise

METHODS = ("auto", *confidence_band.METHODS, "bonferroni", "pointwise")


@dataclass(frozen=True, eq=False)
class CertifiedAccuracy:
    """`accuracy` (R,) at `radii` (R,), increasing, with its band `low`, `high` (R,) at confidence `confidence`.

    Between radii the curve has the value at the next larger one, and beyond the last it is 0 (or, for a table of chosen
    radii, unknown: `whole` says which). `certified` (R,) counts the images, out of `n`; `method` is the band's, `alpha`
    the probability with which a single certificate may be false; `decided` (D,) are the radii at which alone decisions
    were made, None where a radius was found for each image; `noise` is what smoothed the classifier.
    """

    radii: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    certified: np.ndarray
    n: int
    confidence: float
    method: str
    whole: bool
    alpha: float
    norm: str = "l2"
    name: str = "smoothed classifier"
    decided: Floats | None = None
    noise: Noise | None = None

    __repr__ = short_repr

    @property
    def simultaneous(self) -> bool:
        """Whether the band holds at all its radii at once."""
        return self.method != "pointwise"

    @property
    def low_true(self) -> Floats:
        """Lower bounds of the *true* robust accuracy, (R,): `low` less the share alpha of certificates that may be
        false.

        P(T >= r) <= P(T* >= r) + P(T > T*), where T is the radius that is certified and T* the true one, and the last
        is at most alpha. Nothing bounds the true accuracy from above: a certificate says no more than "at least".
        """
        return np.maximum(self.low - self.alpha, 0.0)

    def at(self, radius: float | Sequence[float] | Floats) -> Any:
        """The accuracy at any radius, exactly: the share of images certified for at least that radius.

        A float for one radius, else float64 of the same shape. Raises `InvalidInput` for negative and NaN radii, and
        where only a table is known and the radius is none of it.

        >>> import torch
        >>> from lemmata.robustness import Certificates
        >>> certificates = Certificates(torch.tensor([1, 1]), torch.tensor([0.5, 0.25]), label=torch.tensor([1, 1]))
        >>> certificates.accuracy().at([0.0, 0.25, 0.3, 0.5, 0.51])
        array([1. , 1. , 0.5, 0.5, 0. ])
        """
        return self._step(self.accuracy, 0.0, radius)

    def band_at(self, radius: float | Sequence[float] | Floats) -> tuple[Any, Any]:
        """The ends (low, high) of the band at any radius, as `at` gives the accuracy."""
        return self._step(self.low, 0.0, radius), self._step(self.high, self._high_of_none, radius)

    def false_certificates(self, confidence: float = 0.999) -> int:
        """How many of the n certificates are false, at most: the quantile of Binomial(n, alpha) at the confidence.

        What is assumed: that the certificates are independent, each false with probability at most alpha. They are
        where each image has noise of its own; `certify` draws it from generators keyed by the image's place, whose
        streams are nearly independent, as pseudo-random numbers are, and by no theorem. Without that only the expected
        number is bounded, by n alpha. Of these n images the share ``accuracy - false_certificates() / n`` is then truly
        robust, at all radii at once. Raises `InvalidInput` for a confidence outside (0, 1).

        >>> import torch
        >>> from lemmata.robustness import Certificates
        >>> right = torch.ones(500, dtype=torch.int64)
        >>> Certificates(right, torch.rand(500), label=right, alpha=0.001).accuracy().false_certificates()
        4
        """
        require_confidence(confidence)
        return int(binom.ppf(confidence, self.n, self.alpha)) if self.alpha > 0 else 0

    def average_radius(self, largest: float) -> tuple[float, float]:
        """An interval for the average certified radius over all images, valid at any n: the areas below the band's
        ends.

        The mean of T >= 0 is the area below P(T >= r). `largest` bounds the radius that the procedure can certify at
        all, sigma Phi^-1(alpha^(1/n)) for n Gaussian samples. Raises `InvalidInput` for a table of radii, a
        pointwise band, and a `largest` below a certified radius.
        """
        if not (self.whole and self.simultaneous):
            raise InvalidInput(
                "the mean radius wants the whole curve with a simultaneous band: accuracy() of the certificates"
            )
        if not largest >= self.radii[-1]:
            raise InvalidInput(f"largest = {largest}, but a radius of {self.radii[-1]:g} was certified")
        steps = np.diff(self.radii)
        beyond = self._high_of_none * (largest - float(self.radii[-1]))
        return float(self.low[1:] @ steps), float(self.high[1:] @ steps) + beyond

    def plot(self, beside: Sequence[Any] = ()) -> Figure:
        """Draw the curve with its band, and `beside` it empirical robust accuracies: attacks, or (eps, accuracy,
        label).

        What no attack of a size has changed bounds the robust accuracy from above, so the truth lies between.
        """
        from lemmata.robustness.certificates.certified_accuracy_figure import draw

        return draw([self], beside)

    def _step(self, values: Floats, beyond: float, radius: Any) -> Any:
        asked = np.asarray(radius, dtype=np.float64)
        if not (asked >= 0).all():  # NaN fails too
            raise InvalidInput(f"radius = {radius}; radii are distances, so give 0 or more")
        if not self.whole and not np.isin(asked, self.radii).all():
            raise InvalidInput(
                f"this is a table of the radii {self.radii.tolist()}; ask accuracy() for the whole curve"
            )
        found = np.append(values, beyond)[np.searchsorted(self.radii, asked, side="left")]
        return float(found) if asked.ndim == 0 else found

    @property
    def _high_of_none(self) -> float:
        """The band's upper end where no image is certified: beyond the last radius of a whole curve."""
        _, high, _ = _bounds(self.n, self.confidence, self.method, None if self.whole else len(self.radii))
        return float(high[0])


def certified_accuracy(
    certificates: Certificates,
    radii: Sequence[float] | Floats | Tensor | None = None,
    *,
    confidence: float = 0.95,
    method: str = "auto",
) -> CertifiedAccuracy:
    """The certified accuracy of certificates with labels: the whole curve, or a table of `radii`.

    `method` is "auto" (the narrowest valid band: of the two exact ones, and for a table also "bonferroni", by their
    mean width, which depends on n, R and the confidence alone), "equal local levels", "kolmogorov", "dkw", "bonferroni"
    (of a table) or "pointwise", which holds at each radius alone and not at all at once. Deterministic. Raises
    `InvalidInput` for missing labels, negative, NaN or no radii, a confidence outside (0, 1) and "bonferroni" without
    radii; `UnknownName` for another method.
    """
    require_confidence(confidence)
    n = len(certificates)
    radius = certificates.radius.detach().double().cpu().numpy()
    right = np.sort(radius[certificates.correct.cpu().numpy()])
    whole = radii is None
    asked = np.unique(np.append(right, 0.0)) if radii is None else _table(radii)
    counts = len(right) - np.searchsorted(right, asked, side="left")
    low, high, used = _bounds(n, confidence, method, None if whole else len(asked))
    decided = certificates.radii
    return CertifiedAccuracy(
        radii=asked, accuracy=counts / n, low=low[counts], high=high[counts], certified=counts, n=n,
        confidence=confidence, method=used, whole=whole, alpha=certificates.alpha, norm=certificates.norm,
        noise=certificates.noise,
        name=certificates.name, decided=None if decided is None else decided.detach().double().cpu().numpy(),
    )  # fmt: skip


def _bounds(n: int, confidence: float, method: str, table: int | None) -> tuple[Floats, Floats, str]:
    """Bounds by count (n + 1,) each, and the method: which is chosen before any sample is looked at."""
    if method not in METHODS:
        raise UnknownName("band", method, METHODS)
    if method == "bonferroni" and table is None:
        raise InvalidInput("a band by Bonferroni is one of a table: give radii, or take method='equal local levels'")
    separate = {"bonferroni": table or 1, "pointwise": 1}
    if method in separate:
        return (*_intervals(n, (1 - confidence) / separate[method]), method)
    found = confidence_band.band(n, confidence=confidence, method=method)  # type: ignore[arg-type]
    if method == "auto" and table is not None:
        low, high = _intervals(n, (1 - confidence) / table)
        if float((high - low).mean()) < found.mean_width:
            return low, high, "bonferroni"
    return found.low, found.high, found.method


def _intervals(n: int, alpha: float) -> tuple[Floats, Floats]:
    return clopper_pearson(np.arange(n + 1), n, alpha=alpha, side="two-sided")


def _table(radii: Sequence[float] | Floats | Tensor) -> Floats:
    try:
        asked = np.asarray(radii.detach().cpu() if isinstance(radii, Tensor) else radii, dtype=np.float64)
    except (TypeError, ValueError):
        asked = np.zeros(0)
    if asked.ndim != 1 or not len(asked) or not (asked >= 0).all() or not np.isfinite(asked).all():
        raise InvalidInput(f"radii = {radii}; give a sequence of at least one finite distance, such as [0.25, 0.5]")
    if (np.diff(asked) <= 0).any():
        raise InvalidInput(f"radii = {asked.tolist()} do not increase; sort them, each once")
    return asked


def require_confidence(confidence: float) -> None:
    """Refuse a confidence outside (0, 1).

    >>> require_confidence(95)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: confidence = 95; give a probability between 0 and 1, such as 0.95
    """
    if not 0 < require_number(confidence, "confidence") < 1:
        raise InvalidInput(f"confidence = {confidence}; give a probability between 0 and 1, such as 0.95")
