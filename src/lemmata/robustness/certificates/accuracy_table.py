"""Certified accuracy of several runs at several radii: the table of the papers, and the envelope that it invites.

    envelope(r) = max over runs of A_run(r)

is what a reader takes from such a table: at each radius the best sigma. The largest of S estimates is biased upwards,
so the bands of the runs hold together: each run's over its radii at level alpha / S, and then, all at once with
confidence 1 - alpha,

    max low_run(r) <= max A_run(r) <= max high_run(r)

No single classifier has the envelope as its curve: sigma is chosen by the radius before an image is seen. Cost: a sort
a run. Fails: runs that were kept of many, since only those that are named are paid for.

Source: Cohen, Rosenfeld, Kolter (2019), the tables of section 4 and of their repository; Salman et al. (2019) for the
envelope over many training runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Figure, Series
from lemmata.robustness.certificates.certified_accuracy import CertifiedAccuracy, certified_accuracy, require_confidence
from lemmata.robustness.certificates.certified_accuracy_figure import draw
from lemmata.robustness.certificates.confidence_band import Floats
from lemmata.short_repr import short_repr

if TYPE_CHECKING:
    from lemmata.robustness.certificates.certificates import Certificates


@dataclass(frozen=True, eq=False)
class AccuracyTable:
    """`accuracy`, `low`, `high` (S, R) of the runs `names` (S,) at `radii` (R,), all ends valid at once.

    `best` (R,) is the run with the largest accuracy at each radius, the first of equals. `curves` (S,) are the whole
    curves, whose own bands hold for each run alone.
    """

    names: tuple[str, ...]
    radii: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    best: np.ndarray
    curves: tuple[CertifiedAccuracy, ...]
    confidence: float

    __repr__ = short_repr

    @property
    def envelope(self) -> tuple[Floats, Floats, Floats]:
        """The largest accuracy over the runs at each radius, and the ends of its band: (R,) each."""
        return self.accuracy.max(0), self.low.max(0), self.high.max(0)

    def markdown(self, digits: int = 2) -> str:
        """The table in Markdown, a row a run, the best of each column bold.

        >>> import torch
        >>> from lemmata.robustness import Certificates
        >>> label = torch.zeros(4, dtype=torch.int64)
        >>> runs = {"0.25": Certificates(label, torch.tensor([0.1, 0.3, 0.6, 0.7]), label=label),
        ...         "0.50": Certificates(label, torch.tensor([0.1, 0.1, 0.9, 1.4]), label=label)}
        >>> print(accuracy_table(runs, [0.25, 1.0]).markdown())
        | | r = 0.25 | r = 1.0 |
        | --- | --- | --- |
        | 0.25 | **0.75** | 0.00 |
        | 0.50 | 0.50 | **0.25** |
        """
        rows = [["", *(f"r = {radius}" for radius in self.radii.tolist())], ["---"] * (len(self.radii) + 1)]
        rows += [[name, *row] for name, row in zip(self.names, self._cells("**{}**", digits), strict=True)]
        return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)

    def latex(self, digits: int = 2) -> str:
        r"""The rows of a LaTeX table, with `\midrule` of booktabs below the head, the best of each column bold."""
        head = "".join(f"& $r = {radius}$" for radius in self.radii.tolist()) + "\\\\\n\\midrule\n"
        cells = zip(self.names, self._cells("\\textbf{{{}}}", digits), strict=True)
        return head + "\n".join(" & ".join([name, *row]) + "\\\\" for name, row in cells)

    def plot(self, beside: Sequence[Any] = ()) -> Figure:
        """Draw the curves of all runs, and the envelope at the table's radii with the band that pays for the choice."""
        figure = draw(self.curves, beside, labels=self.names)
        value, low, high = self.envelope
        best = Series(label="best run at each radius", x=self.radii, y=value, low=low, high=high, style="points")
        panel = figure.panels[0]
        return type(figure)(
            name="certified-accuracy-of-runs",
            title="Certified accuracy, run by run",
            caption=f"{figure.caption} The bands hold for each run alone; the intervals at the points for all "
            f"{len(self.names)} runs and {len(self.radii)} radii at once.",
            panels=[type(panel)(x=panel.x, y=panel.y, series=[*panel.series, best])],
        )

    def _cells(self, bold: str, digits: int) -> list[list[str]]:
        return [
            [
                bold.format(f"{value:.{digits}f}") if run == self.best[column] else f"{value:.{digits}f}"
                for column, value in enumerate(row)
            ]
            for run, row in enumerate(self.accuracy)
        ]


def accuracy_table(
    runs: Mapping[str, Certificates], radii: Sequence[float], *, confidence: float = 0.95, method: str = "auto"
) -> AccuracyTable:
    """The certified accuracy of `runs` (name -> certificates, with labels) at `radii`, with ends valid for all at once.

    Deterministic. Raises `InvalidInput` for no runs and for runs in different norms, and what `certified_accuracy`
    does.
    """
    if not isinstance(runs, Mapping) or not all(hasattr(one, "prediction") for one in runs.values()):
        raise InvalidInput(f"runs = {runs!r:.80}; give a mapping of names to certificates")
    if not runs:
        raise InvalidInput("no runs were given; give a mapping of names to certificates")
    require_confidence(confidence)
    norms = {certificates.norm for certificates in runs.values()}
    if len(norms) > 1:
        raise InvalidInput(f"runs in the norms {sorted(norms)} have no common radii; make a table of each")
    each = 1 - (1 - confidence) / len(runs)
    rows = [certified_accuracy(one, radii, confidence=each, method=method) for one in runs.values()]
    accuracy, low, high = (np.stack([getattr(row, end) for row in rows]) for end in ("accuracy", "low", "high"))
    return AccuracyTable(
        names=tuple(runs), radii=rows[0].radii, accuracy=accuracy, low=low, high=high, best=accuracy.argmax(0),
        curves=tuple(certified_accuracy(one, confidence=confidence) for one in runs.values()), confidence=confidence,
    )  # fmt: skip
