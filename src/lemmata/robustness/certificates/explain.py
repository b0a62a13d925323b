"""One certificate in words: what was seen, what it proves, and what it would take to prove more.

    n hits of n prove p > p0 only if p0^n < alpha, whatever the classifier: a decision wants n > log(alpha) / log(p0).
    With a share s of hits that stays as it is, p > p0 wants about log(1 / alpha) / kl(s, p0) samples, if s > p0 at all.

The number of samples is that of Clopper and Pearson's bound at the observed share, found by bisection; it is a plan,
since the share of the next samples is another.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.samples_needed import samples_needed
from lemmata.errors import InvalidInput

if TYPE_CHECKING:
    from lemmata.robustness.certificates.certificates import Certificates
    from lemmata.robustness.smoothing.noise import Noise

HALF = 0.5  # the probability beyond which a class is the smoothed classifier's, and certified at radius 0
MOST = 10**9  # samples beyond which "more than" is said


@dataclass(frozen=True)
class _Seen:
    """What is known of one image; `hits` and `drawn` are None where they were not recorded.

    `fixed` says that the number of samples was fixed beforehand: where sampling stopped by what it saw, Clopper and
    Pearson's bound at the stop proves nothing, and is not spoken of; nor where it is not known how it stopped.
    """

    prediction: int
    radius: float
    label: int | None
    hits: int | None
    drawn: int | None
    alpha: float
    noise: Noise | None
    radii: tuple[float, ...]
    norm: str
    fixed: bool


def explain(certificates: Certificates, i: int) -> str:
    """What the certificate of image `i` says and rests on, why there is none, and how many samples the next step wants.

    Sentences for a reader, the last of them on the next radius: of the table where one was asked for, else that of ten
    times the samples. Samples and hits are spoken of only where the certificates hold them. Deterministic. Raises
    `InvalidInput` where there is no image `i`.

    >>> import torch
    >>> from lemmata.robustness import Certificates
    >>> from lemmata.robustness.smoothing.noise import Gaussian
    >>> few = Certificates(torch.tensor([-1]), torch.tensor([0.0]), hits=torch.tensor([9]), drawn=torch.tensor([9]),
    ...                    noise=Gaussian(0.5), alpha=0.001, stopped="fixed")
    >>> from textwrap import fill
    >>> print(fill(explain(few, 0), 100))
    Abstained: 9 of 9 noisy copies fell on one class, so that its probability is above 0.4642 with
    confidence 0.999. n = 9 can never certify at alpha = 0.001: it needs n >= 10.
    """
    n = len(certificates)
    if isinstance(i, bool) or not isinstance(i, SupportsIndex):
        raise InvalidInput(f"image i = {i!r}; give a whole number, 0 to {n - 1}")
    i = operator.index(i)
    if not -n <= i < n:
        raise InvalidInput(f"no image {i} among {n}; give 0 to {n - 1}")
    seen = _seen(certificates, i)
    return " ".join(part for part in (_found(seen), _next(seen)) if part)


def samples_to_prove(share: float, p0: float, *, alpha: float) -> float:
    """How many samples n prove p > p0 by Clopper and Pearson's bound if floor(share n) are hits; inf where share <= p0.

    inf also beyond 10^9 samples. The rounding of the hits lets the least such n vary by a few.

    >>> samples_to_prove(0.9, 0.5, alpha=0.001), samples_to_prove(0.51, 0.5, alpha=0.001) > 20_000
    (18, True)
    """
    if share <= p0:
        return math.inf
    low, high = samples_needed(p0, alpha=alpha) - 1, 16
    while high <= MOST and not _proves(share, high, p0, alpha):
        low, high = max(low, high), high * 2
    if high > MOST:
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _proves(share, middle, p0, alpha) else (middle, high)
    return high


def _proves(share: float, n: int, p0: float, alpha: float) -> bool:
    hits = math.floor(share * n + 1e-9)
    return float(clopper_pearson(hits, n, alpha=alpha, side="lower")) > p0


def _seen(certificates: Certificates, i: int) -> _Seen:
    def entry(name: str) -> int | None:
        values = getattr(certificates, name)
        return None if values is None or int(values[i]) < 0 else int(values[i])

    asked = certificates.radii
    return _Seen(
        prediction=int(certificates.prediction[i]), radius=float(certificates.radius[i]), label=entry("label"),
        hits=entry("hits"), drawn=entry("drawn"), alpha=certificates.alpha, noise=certificates.noise,
        radii=() if asked is None else tuple(sorted(asked.double().tolist())), norm=certificates.norm,
        fixed=certificates.stopped == "fixed",
    )  # fmt: skip


def _found(seen: _Seen) -> str:
    """The outcome and what it rests on."""
    if seen.prediction < 0:
        if seen.hits is None or not seen.drawn:
            return "Abstained: no class was proven to have the probability that it takes."
        seen_hits = f"Abstained: {seen.hits:,} of {seen.drawn:,} noisy copies fell on one class"
        if not seen.fixed:
            return f"{seen_hits}."
        low = float(clopper_pearson(seen.hits, seen.drawn, alpha=seen.alpha, side="lower"))
        return f"{seen_hits}, so that its probability is above {low:.4f} with confidence {1 - seen.alpha:g}."
    right = (
        ""
        if seen.label is None
        else ", its label"
        if seen.label == seen.prediction
        else f", not its label {seen.label}"
    )
    said = f"Class {seen.prediction}{right}, {_within(seen)}"
    sure = f"(confidence {1 - seen.alpha:g})" if seen.alpha else "(certain, as nothing was drawn)"
    if seen.hits is None or not seen.drawn:
        return f"{said} {sure}."
    return f"{said}: {seen.hits:,} of {seen.drawn:,} noisy copies fell on it {sure}."


def _within(seen: _Seen) -> str:
    """Against what the class was certified, in the words of its norm."""
    radius = f"{seen.radius:.4g}"
    if seen.radius == 0:
        return "at the image itself alone (radius 0)"
    if seen.norm == "patch":
        return f"whatever a patch of {radius} x {radius} pixels shows, and wherever"
    if seen.norm == "l0":
        return f"whatever any {radius} pixel{'' if seen.radius == 1 else 's'} of the image become"
    return f"on the whole {seen.norm} ball of radius {radius}"


def _next(seen: _Seen) -> str:
    """What the next step would take: towards a class, or the next radius asked for; else what ten times give."""
    if seen.hits is None or not seen.drawn:
        return ""
    if seen.prediction < 0 and not seen.radii:
        return _towards(seen, HALF, "certify")
    if seen.noise is None:
        return ""
    beyond = [radius for radius in seen.radii if radius > seen.radius or seen.prediction < 0]
    if beyond:
        step = "certify the smallest radius" if seen.prediction < 0 else "reach the next radius"
        return _towards(seen, float(seen.noise.threshold(beyond[0])), f"{step} {beyond[0]:g}")
    return "No larger radius was asked for." if seen.radii else _ten_times(seen, seen.noise)


def _ten_times(seen: _Seen, noise: Noise) -> str:
    assert seen.hits is not None
    assert seen.drawn
    more = 10 * seen.drawn
    hits = math.floor(seen.hits / seen.drawn * more)
    radius = float(noise.radius(clopper_pearson(hits, more, alpha=seen.alpha, side="lower")))
    capped = "; with all hits nothing but more samples helps" if seen.hits == seen.drawn else ""
    if f"{radius:.4g}" == f"{seen.radius:.4g}" or radius < seen.radius:
        return "Ten times the samples, at this share of hits, would hardly change it."
    return f"Ten times the samples, at this share of hits, would give radius {radius:.4g}{capped}."


def _towards(seen: _Seen, p0: float, what: str) -> str:
    """What it takes to prove p > p0: impossible with so few samples, so many of them, or hardly ever."""
    assert seen.hits is not None
    assert seen.drawn is not None
    least, share = samples_needed(p0, alpha=seen.alpha), seen.hits / seen.drawn
    if seen.drawn < least:
        return f"n = {seen.drawn:,} can never {what} at alpha = {seen.alpha:g}: it needs n >= {least:,}."
    condition = f" its probability must be above {p0:.6g};"
    if share <= p0:
        return f"To {what},{condition} the share of hits, {share:.6g}, is not: more samples would hardly help."
    wanted = samples_to_prove(share, p0, alpha=seen.alpha)
    many = f"more than {MOST:,}" if math.isinf(wanted) else f"some {float(f'{wanted:.3g}'):,.0f}"
    return f"To {what},{condition} at this share of hits, {share:.6g}, it takes {many} samples, fixed beforehand."
