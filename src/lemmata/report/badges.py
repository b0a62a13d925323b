"""How an outcome is shown: a symbol, a word and a colour, so that colour is never the only carrier."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Badge:
    """`ink` is the colour on a light ground (contrast above 4.5), `slug` names the style class."""

    word: str
    symbol: str
    ink: str
    meaning: str

    @property
    def slug(self) -> str:
        """The word as a class name."""
        return self.word.replace(",", "").replace(" ", "-")


BADGES = {
    badge.word: badge
    for badge in (
        Badge("reproduced", "✔", "#00664A", "the measured mean lies inside the margin, and every control fails"),
        Badge("direction only", "↗", "#0A5C99", "the sign or order is right, the size is outside the margin"),
        Badge("contradicted", "✘", "#A33A00", "the measured mean lies outside the margin"),
        Badge("inconclusive", "?", "#7A5B00", "the interval does not decide; more seeds would"),
        Badge("void", "∅", "#7B2F6B", "a control passed too, so the check says nothing"),
        Badge("not testable here", "–", "#595959", "what it needs cannot be had: named in the reason"),
    )
}
CONTROL_BADGES = {
    badge.word: badge
    for badge in (
        Badge("refuted", "✔", "#00664A", "the claim fails on this control, as it must"),
        Badge("passed", "✘", "#7B2F6B", "the claim holds where it must fail, so it says nothing"),
        Badge("undecided", "?", "#7A5B00", "the control's records do not decide"),
        Badge("refuted, but not moved", "!", "#7B2F6B", "the location is not where the control should have moved it"),
    )
}


def badge(outcome: str) -> Badge:
    """The badge of a claim's outcome, or of a control's.

    >>> badge("void").symbol, badge("refuted").symbol
    ('∅', '✔')
    """
    return (BADGES | CONTROL_BADGES)[outcome]
