"""The curve of certified accuracy as a figure: steps with their band, decisions as points, attacks beside.

A certificate bounds the robust accuracy from below and an attack from above: drawn together they enclose it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.robustness.attacks.attack import Attack
from lemmata.robustness.attacks.robust_accuracy import RobustAccuracy

if TYPE_CHECKING:
    from lemmata.robustness.certified_accuracy import CertifiedAccuracy

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
    """Empirical accuracies by their label, each at its sizes in increasing order."""
    points: dict[str, list[tuple[float, float]]] = {}
    for one in beside:
        label, pairs = _named(one, norm)
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
        label, given, sizes, shares = str(one[2]), norm, [float(one[0])], [float(one[1])]
    else:
        raise InvalidInput(f"beside: {one!r}; give attacks, their robust accuracies, or (eps, accuracy, label)")
    if given != norm:
        raise InvalidInput(f"an attack in {given} beside certificates in {norm}; attack in the norm that is certified")
    pairs = list(zip(sizes, shares, strict=True))
    if not all(eps >= 0 and 0 <= share <= 1 for eps, share in pairs):
        raise InvalidInput(f"beside {label!r}: {pairs}; give shares in [0, 1] at distances")
    return label, pairs
