"""The curve of certified accuracy as a figure: steps with their band, decisions as points, attacks beside.

A certificate bounds the robust accuracy from below and an attack from above: drawn together they enclose it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series

if TYPE_CHECKING:
    from lemmata.robustness.certified_accuracy import CertifiedAccuracy

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


def draw(curves: Sequence[CertifiedAccuracy], beside: Sequence[Any] = (), *, labels: Sequence[str] = ()) -> Figure:
    """One or several curves in one panel, each with its band, and empirical robust accuracies beside them."""
    one = curves[0]
    names = list(labels) or [f"certified: {curve.name}" for curve in curves]
    series = [_curve(curve, name) for curve, name in zip(curves, names, strict=True)]
    if len(curves) == 1 and one.decided is not None and one.whole:
        at = one.decided[one.decided >= 0]
        series.append(Series(label="decisions", x=at, y=one.at(at), style="points"))
    series += _attacks(beside, one.norm)
    panel = Panel(
        x=Axis(label="radius", unit=UNITS.get(one.norm, one.norm)),
        y=Axis(label="share of images right and robust", limits=(0.0, 1.02)),
        series=series,
    )
    what = BANDS.get(one.method, "a band that holds at all radii at once")
    said = f"Share of {one.n:,} images certified at each radius, with {what} ({100 * one.confidence:g} % over images"
    caption = f"{said}; {one.method}). Each certificate may be false with probability {one.alpha:g}."
    if beside:
        caption += " What no attack has changed bounds the robust accuracy from above."
    return Figure(name="certified-accuracy", title="Certified accuracy", caption=caption, panels=[panel])


def _curve(curve: CertifiedAccuracy, label: str) -> Series:
    if not curve.whole:
        return Series(label=label, x=curve.radii, y=curve.accuracy, low=curve.low, high=curve.high, style="points")
    # On (r_(j-1), r_j] the share is that at r_j; beyond the last radius it is 0.
    x = np.append(0.0, np.repeat(curve.radii, 2))
    rows = [np.append(np.repeat(values, 2), 0.0) for values in (curve.accuracy, curve.low)]
    high = np.append(np.repeat(curve.high, 2), curve.band_at(float(curve.radii[-1]) + 1.0)[1])
    return Series(label=label, x=x, y=rows[0], low=rows[1], high=high)


def _attacks(beside: Sequence[Any], norm: str) -> list[Series]:
    points: dict[str, list[tuple[float, float]]] = {}
    for one in beside:
        eps, accuracy, label = _triple(one, norm)
        points.setdefault(label, []).append((eps, accuracy))
    return [
        Series(label=label, x=[p[0] for p in pairs], y=[p[1] for p in pairs], role="control", style="points")
        for label, pairs in ((label, sorted(found)) for label, found in points.items())
    ]


def _triple(one: Any, norm: str) -> tuple[float, float, str]:
    """An attack's size, what it left right, and its name; refused in another norm than the certificates'."""
    if isinstance(one, tuple) and len(one) == 3:
        eps, accuracy, label = float(one[0]), float(one[1]), str(one[2])
    elif not isinstance(one, tuple) and all(hasattr(one, part) for part in ("eps", "norm", "robust_accuracy")):
        if one.norm != norm:
            raise InvalidInput(
                f"an attack in {one.norm} beside certificates in {norm}; attack in the norm that is certified"
            )
        accuracy = one.robust_accuracy
        eps, accuracy, label = (
            float(one.eps),
            float(getattr(accuracy, "value", accuracy)),
            str(getattr(one, "name", "attack")),
        )
    else:
        raise InvalidInput(f"beside: {one!r}; give attacks, or (eps, accuracy, label)")
    if not (eps >= 0 and 0 <= accuracy <= 1):
        raise InvalidInput(f"beside {label!r}: accuracy {accuracy} at eps {eps}; give a share in [0, 1] at a distance")
    return eps, accuracy, label
