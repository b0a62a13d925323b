"""The figures of the study of Bartlett, Long, Lugosi and Tsigler (2020)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._bartlett_2020_benign_regression import Interpolation

SAMPLES = Axis(label="samples, n", log=True)
SPECTRA = {
    "benign: 1 spike, p ∝ n²": {"spectrum": "spike", "growth": 2.0},
    "slower: 1 spike, p ∝ n¹·⁵": {"spectrum": "spike", "growth": 1.5},
    "eigenvalues i⁻²": {"spectrum": "power", "alpha": 2.0},
    "equal eigenvalues, p = 1.2 n": {"spectrum": "isotropic", "aspect": 1.2},
}


def excess_risks(table) -> Figure:
    """The excess risk of each spectrum against n, with the limits."""
    series = []
    for label, fields in SPECTRA.items():
        rows = _rows(table, fields)
        if not len(rows):
            continue
        series.append(Series.over_seeds(label, rows, x="n", y="excess"))
        n = np.unique(np.geomspace(rows.n.min(), rows.n.max(), 12).round().astype(int))
        limits = [Interpolation(n=int(one), **fields).theory().total for one in n]
        series.append(Series(label="limit", x=n, y=limits, role="theory"))
    panel = Panel(
        x=SAMPLES, y=Axis(label="excess risk / noise", log=True), series=series,
        references=[Reference(label="signal", value=1.0, role="theory")],
    )  # fmt: skip
    return Figure(
        name="excess",
        title="The spectrum decides whether fitting noise is harmless",
        caption="Excess risk given X of the interpolator of minimum norm, exact over the noise; noise and signal of "
        "variance 1. Mean over seeds with its 95 % interval, and the limits of the fixed point.",
        panels=[panel],
    )


def bound_terms(table) -> Figure:
    """The three terms of the condition against n, and the excess risk over the two that the noise has."""
    terms = [("r₀ / n", "r0_over_n"), ("k* / n", "k_over_n"), ("n / R(k*)", "n_over_R")]
    panels = []
    for label in ("benign: 1 spike, p ∝ n²", "eigenvalues i⁻²"):
        rows = _rows(table, SPECTRA[label])
        if not len(rows):
            continue
        series = [Series.over_seeds(words, rows, x="n", y=name) for words, name in terms]
        series.append(Series.over_seeds("excess risk", rows, x="n", y="excess"))
        panels.append(Panel(x=SAMPLES, y=Axis(label="term", log=True), series=series, title=label))
    return Figure(
        name="terms",
        title="The effective ranks tell",
        caption="k* is the least k with r(k) ≥ n. Overfitting is benign if and only if r₀ / n, k* / n and n / R(k*) "
        "all vanish; the last two are what noise costs, to a constant.",
        panels=panels,
    )


def _rows(table, fields):
    for name, wanted in {"ridge": 0.0, "radial": False, "noise": 1.0, "signal": 1.0, **fields}.items():
        table = table[table[name] == wanted]
    return table
