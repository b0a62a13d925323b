"""Numbers and verdicts in plain English: what the table and the report print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lemmata.study.claim import Claim
from lemmata.study.kinds.component import Component
from lemmata.verdicts.power import LIMIT

if TYPE_CHECKING:
    from lemmata.verdicts.evidence import Judged


def number(x: float) -> str:
    """Four significant digits, no exponent where it can be avoided.

    >>> number(0.25), number(1234567.0), number(float("inf")), number(-0.0)
    ('0.25', '1.235e+06', '∞', '0')
    """
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    return f"{x + 0.0:.1f}".removesuffix(".0") if 1e3 <= abs(x) < 1e6 else f"{x + 0.0:.4g}"


def region(low: float, high: float, *, null: float | None = None) -> str:
    """A region in words; an edge that is "no effect" itself is not part of it.

    >>> region(2, 10), region(0.9, math.inf), region(0, math.inf, null=0), region(0, 0)
    ('2 to 10', 'at least 0.9', 'more than 0', 'exactly 0')
    """
    if low == high:
        return f"exactly {number(low)}"
    if low == -math.inf and high == math.inf:
        return "anything"
    if high == math.inf:
        return f"{'more than' if null == low else 'at least'} {number(low)}"
    if low == -math.inf:
        return f"{'less than' if null == high else 'at most'} {number(high)}"
    return f"{number(low)} to {number(high)}"


def region_of(component: Component) -> str:
    """The region of a component in words."""
    return region(component.low, component.high, null=component.null)


def p_value(p: float) -> str:
    """A p-value as a reader wants it.

    >>> p_value(0.0312), p_value(1e-9)
    ('p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def seeds_needed(needed: int) -> str:
    """How many seeds it would take.

    >>> seeds_needed(12), seeds_needed(LIMIT + 1)
    ('about 12', 'more than 10,000')
    """
    return f"more than {LIMIT:,}" if needed > LIMIT else f"about {needed:,}"


def count(n: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "seed"), count(5, "seed")
    ('1 seed', '5 seeds')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def paper(claim: Claim) -> str:
    """The paper's number as quoted, else as given, else a dash."""
    return claim.quoted or ("–" if claim.paper is None else number(claim.paper))


def margin(claim: Claim, components: Sequence[Judged]) -> str:
    """The regions of all components that have one; of a claim without records, its own region."""
    bounded = [judged.component for judged in components if region_of(judged.component) != "anything"]
    if not bounded:
        return "–" if region(*claim.region) == "anything" else region(*claim.region)
    distinct = list(dict.fromkeys(region_of(part) for part in bounded))
    if len(distinct) == 1:
        return distinct[0]
    return "; ".join(f"{part.label} {region_of(part)}" for part in bounded)


def ours(components: Sequence[Judged], *, seeds: bool = True) -> str:
    """What was measured: one line a component, named when there are several."""
    named = len(components) > 1
    lines = [measured(part) + (every_seed(part.component) if seeds else "") for part in components]
    return "; ".join(
        f"{part.component.label} {line}" if named else line for part, line in zip(components, lines, strict=True)
    )


def measured(judged: Judged) -> str:
    """The centre with its interval, or what there is instead."""
    if judged.component.n == 0:
        return "no number"
    if judged.method == "exact":
        low, high = number(judged.low), number(judged.high)
        return low if low == high else f"{low} to {high}"
    centre = f"median {centre_of(judged)}" if judged.method == "sign" else centre_of(judged)
    if not judged.low < judged.high or math.isinf(judged.high - judged.low):  # no interval, or one of no width
        return centre
    places = decimals(judged.mean, judged.low, judged.high)
    if places is None:
        return f"{centre} [{number(judged.low)}, {number(judged.high)}]"
    middle, low, high = (f"{x:z.{places}f}" for x in (judged.mean, judged.low, judged.high))
    return f"{'median ' if judged.method == 'sign' else ''}{middle} [{low}, {high}]"


def decimals(mean: float, low: float, high: float) -> int | None:
    """The decimals that show two digits of an interval's half width; None where a point without end would be worse.

    >>> decimals(0.166, 0.158, 0.174), decimals(5.6, 2.3, 8.9), decimals(1.0, 1.0, 1.0)
    (4, 1, None)
    """
    half = (high - low) / 2
    if not math.isfinite(half) or half <= 0 or abs(mean) >= 1e6:
        return None
    places = max(0, 1 - math.floor(math.log10(half)))
    return places if places <= 6 else None


def centre_of(judged: Judged) -> str:
    """The mean (or median); what is left of a mean of 0 after rounding is 0."""
    rounding = 1e-9 * (judged.high - judged.low)
    return number(0.0 if abs(judged.mean) < rounding < math.inf else judged.mean)


def every_seed(component: Component) -> str:
    """The samples in brackets, in the order of the seeds; identities with many records show only their range."""
    if component.n == 0 or (component.exact and component.n > len(set(component.seeds))):
        return ""
    return f" ({', '.join(number(x) for x in component.samples)})"
