"""Equations in prose: `$...$` holds typst mathematics, set by typst in the PDF and as MathML in the HTML.

What typst cannot read stays as it was written, dollars and all: a slip of the pen costs no report. A formula may not
contain `#`, typst's door to code.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

FORMULA = re.compile(r"\$(?!\s)([^$#]+)(?<!\s)\$(?!\d)")  # so that two sums in dollars are no formula
MATHML = re.compile(r"<math[ >].*?</math>", re.DOTALL)
FENCE = re.compile(r"<mo>([()\[\]|])</mo>")


@dataclass(frozen=True)
class Piece:
    """Plain text, or a formula in typst's notation without its dollars."""

    text: str
    math: bool = False


class Equations:
    """The formulas of a report, each rendered once.

    >>> equations = Equations(["risk of $x^2$", "costs $5 and $6", "none"])
    >>> [piece.math for piece in equations.pieces("risk of $x^2$")], equations.pieces("costs $5 and $6")
    ([False, True], [Piece(text='costs $5 and $6', math=False)])
    """

    def __init__(self, texts: Iterable[str]):
        formulas = sorted({formula for text in texts for formula in FORMULA.findall(text)})
        self.mathml = _rendered(formulas)

    def pieces(self, text: str) -> list[Piece]:
        """The text cut into plain pieces and formulas."""
        found: list[Piece] = []
        end = 0
        for match in FORMULA.finditer(text):
            if match[1] in self.mathml:
                found += [Piece(text[end : match.start()]), Piece(match[1], math=True)]
                end = match.end()
        return [piece for piece in [*found, Piece(text[end:])] if piece.text]


def _rendered(formulas: list[str]) -> dict[str, str]:
    """MathML by formula; one typst run for all, or one each when some cannot be read."""
    import typst

    if not formulas:
        return {}
    source = "\n\n".join(f"${formula.strip()}$" for formula in formulas)
    try:
        page = typst.compile(source.encode(), format="html").decode()
    except typst.TypstError:
        if len(formulas) == 1:
            return {}
        return {formula: mathml for one in formulas for formula, mathml in _rendered([one]).items()}
    calm = FENCE.sub(r'<mo stretchy="false">\1</mo>', page)  # in a line of text, brackets keep the text's height
    return dict(zip(formulas, MATHML.findall(calm), strict=True))
