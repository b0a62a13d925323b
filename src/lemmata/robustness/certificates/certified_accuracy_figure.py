"""The curve of certified accuracy as a figure: steps with their band, decisions as points, attacks beside.

A certificate bounds the robust accuracy from below and an attack from above: drawn together they enclose it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.given import require_number
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.robust_accuracy import RobustAccuracy

if TYPE_CHECKING:
    from lemmata.robustness.certificates.certified_accuracy import CertifiedAccuracy

STEPS = ("l0", "patch")  # norms that count
MOST_STEPS = 40  # counts that an axis can name
FEW = 8  # sizes of an attack that are drawn as points
BANDS = {
    "pointwise": "an interval that holds at each radius alone, not at all at once",
    "bonferroni": "intervals that hold at all these radii at once",
}
UNITS = {
    "l2": "ℓ2 distance",
    "l1": "ℓ1 distance",
    "linf": "ℓ∞ distance",
    "l0": "number of pixels",
    "patch": "patch side",
}


class OtherClassifier(UserWarning):
    """An attack is drawn beside the certificates of another classifier than the one it attacked."""


def draw(curves: Sequence[CertifiedAccuracy], beside: Sequence[Any] = (), *, labels: Sequence[str] = ()) -> Figure:
    """One or several curves in one panel, each with its band, and empirical robust accuracies beside them.

    Warns of attacks on another classifier than the one that was certified, which bound nothing of it.
    """
    one = curves[0]
    names = list(labels) or [f"certified: {curve.name}" for curve in curves]
    series = [part for curve, name in zip(curves, names, strict=True) for part in _curve(curve, name)]
    others = _attacks(beside, one.norm, [_subject(curve) for curve in curves])
    series += others
    reach = max(float(np.max(line.x)) for line in series)
    whole = one.norm in STEPS and reach <= MOST_STEPS
    panel = Panel(
        x=Axis(label="radius", unit=UNITS.get(one.norm, one.norm)),
        y=Axis(label="share of images right and robust", limits=(0.0, 1.02)),
        series=[_on_steps(line) for line in series] if whole else series,
    )
    if whole:
        panel = replace(panel, x=replace(panel.x, ticks=tuple(str(step) for step in range(round(reach) + 1))))
    what = BANDS.get(one.method, "a band that holds at all radii at once")
    said = f"Share of {one.n:,} images certified at each radius, with {what} ({100 * one.confidence:g} % over images"
    caption = f"{said}; {one.method}). {_certainty(one)}"
    if others:
        caption += " What no attack has changed bounds the robust accuracy of the attacked classifier from above."
    none = all(not curve.certified.any() for curve in curves)
    title = "Nothing is certified" if none else "Certified accuracy"
    facts = f"{one.n:,} images, {100 * one.confidence:g} % band" + (f", alpha = {one.alpha:g}" if one.alpha else "")
    return Figure(name="certified-accuracy", title=f"{title}: {facts}", caption=caption, panels=[panel])


def _certainty(curve: CertifiedAccuracy) -> str:
    if curve.alpha == 0:
        return "The certificates are certain: nothing was drawn."
    return f"Each certificate may be false with probability {curve.alpha:g}."


def _curve(curve: CertifiedAccuracy, label: str) -> list[Series]:
    """Steps where radii were found, points where only some were asked for."""
    if not curve.whole:
        return [Series(label=label, x=curve.radii, y=curve.accuracy, low=curve.low, high=curve.high, style="points")]
    if curve.decided is not None:  # between and below the radii asked for nothing was decided
        low, high = curve.band_at(curve.decided)
        shares = curve.at(curve.decided)
        return [Series(label=f"{label}, decisions", x=curve.decided, y=shares, low=low, high=high, style="points")]
    # On (r_(j-1), r_j] the share is that at r_j; beyond the last radius it is 0.
    x = np.append(0.0, np.repeat(curve.radii, 2))
    x[-1] = x[-1] or 1.0  # where no radius is positive, a stretch of nothing certified is what there is to see
    rows = [np.append(np.repeat(values, 2), 0.0) for values in (curve.accuracy, curve.low)]
    high = np.append(np.repeat(curve.high, 2), curve.band_at(float(curve.radii[-1]) + 1.0)[1])
    return [Series(label=label, x=x, y=rows[0], low=rows[1], high=high)]


def _on_steps(series: Series) -> Series:
    """A curve in a norm that counts, at the counts: 0, 1, 2, ..."""
    x, y = np.asarray(series.x, dtype=np.float64), np.asarray(series.y, dtype=np.float64)
    if series.style == "points" or len(x) < 3 or series.low is None or series.high is None:
        return series
    at = np.arange(round(float(x.max())) + 1, dtype=np.float64)
    place = np.searchsorted(x, at)  # the first of the corners at a radius is the share there
    return replace(series, x=at, y=y[place], low=series.low[place], high=series.high[place], style="points")


def _subject(curve: CertifiedAccuracy) -> str:
    """What was certified, as attacks name what they attack."""
    return "model" if curve.noise is None else f"smoothed, {curve.noise}"


def _attacks(beside: Sequence[Any], norm: str, subjects: Sequence[str]) -> list[Series]:
    """Empirical accuracies by their label, each at its sizes in increasing order."""
    if not isinstance(beside, Sequence) or isinstance(beside, str):
        raise InvalidInput(f"beside = {beside!r:.60}; give a list of attacks or of (eps, accuracy, label)")
    points: dict[str, list[tuple[float, float]]] = {}
    for one in beside:
        label, pairs = _named(one, norm)
        label = f"{label}, upper bound: not broken by attack"
        subject = getattr(one, "subject", None)
        if subject is not None and subject not in subjects:
            label = f"{label} ({'unsmoothed' if subject == 'model' else subject})"
            warnings.warn(
                f"an attack on another classifier ({subject}) than the one certified ({', '.join(subjects)}) bounds "
                "nothing of it; attack what was certified, such as Smoothed(model, sigma=...)",
                OtherClassifier, stacklevel=4,
            )  # fmt: skip
        points.setdefault(label, []).extend(pairs)
    found = {label: np.array(sorted(pairs)) for label, pairs in points.items()}
    return [
        Series(
            label=label, x=pairs[:, 0], y=pairs[:, 1], role="control", style="points" if len(pairs) < FEW else "line"
        )
        for label, pairs in found.items()
    ]


def _named(one: Any, norm: str) -> tuple[str, list[tuple[float, float]]]:
    """An attack's name, its sizes and what each left right: of an `Attack`, a `RobustAccuracy` or three things."""
    if isinstance(one, Attack):
        reach = one.eps.broadcast_to(one.success.shape)
        if bool((reach != reach[..., :1]).any()):
            raise InvalidInput("an attack with a radius for each image has no place on a curve; attack at common radii")
        label, given, sizes = one.name, one.norm, reach[..., 0].flatten().tolist()
        shares = one.robust_accuracy.flatten().tolist()
    elif isinstance(one, RobustAccuracy):
        label, given, sizes, shares = one.label, one.norm, one.eps.tolist(), one.accuracy.tolist()
    elif isinstance(one, tuple) and len(one) == 3:
        sizes, shares = [require_number(one[0], "beside: eps")], [require_number(one[1], "beside: accuracy")]
        label, given = str(one[2]), norm
    else:
        raise InvalidInput(f"beside: {one!r}; give attacks, their robust accuracies, or (eps, accuracy, label)")
    if given != norm:
        raise InvalidInput(f"an attack in {given} beside certificates in {norm}; attack in the norm that is certified")
    pairs = list(zip(sizes, shares, strict=True))
    if not all(eps >= 0 and 0 <= share <= 1 for eps, share in pairs):
        raise InvalidInput(f"beside {label!r}: {pairs}; give shares in [0, 1] at distances")
    return label, pairs
