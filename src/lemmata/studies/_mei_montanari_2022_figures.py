"""The figures of the study of Mei and Montanari (2022)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._mei_montanari_2022_features import MOMENTS
from lemmata.studies._mei_montanari_2022_theory import limiting_risk, optimal_ridge

PSI = Axis(label="features for each dimension, ψ₁ = N / d", log=True)
NULL = Reference(label="null", value=1.0, role="theory")


def risk_curves(table) -> Figure:
    """The risk against psi1 without a ridge and with the best one, with the limits, and the deviations."""
    own = _main(table)
    psi2 = float(own.n.max() / own.d.max())
    threshold = Reference(label="N = n", value=psi2, axis="x", role="theory")
    plain, tuned = own[(own.ridge == 0) & ~own.tuned], own[own.tuned]
    series = [
        Series.over_seeds(f"no ridge, N {sign} n", rows, x="psi1", y="risk")
        for sign, rows in (("<", plain[plain.psi1 < psi2]), (">", plain[plain.psi1 > psi2]))
        if len(rows)
    ]
    series.append(Series.over_seeds("best ridge", tuned, x="psi1", y="risk"))
    snr, psi = float(own.snr.max()), np.geomspace(own.psi1.min(), own.psi1.max(), 80)
    below, above = psi[psi < 0.97 * psi2], psi[psi > 1.03 * psi2]
    series += [_limit(part, psi2, snr, tuned=False) for part in (below, above)]
    series.append(_limit(psi, psi2, snr, tuned=True))
    y = Axis(label="risk, signal 1", log=True, limits=(0.08, 30.0))
    panels = [Panel(x=PSI, y=y, series=series, references=[threshold, NULL], title="risk"), _deviations(own, threshold)]
    return Figure(
        name="risk",
        title="Random features: a peak at N = n, and the optimum at N → ∞",
        caption=f"d = {int(own.d.max())}, n = {int(own.n.max())}, SNR = {snr:g}; the risk given X and Θ is exact over "
        "inputs, noise and β. Mean over seeds with its 95 % interval, and the limits. Right: relative deviation; the "
        "band is the error stated beforehand, 3 / (n − df₂) + 3 / d.",
        panels=panels,
    )


def ridges(table) -> Figure:
    """The risk of the widest model against the ridge for each signal-to-noise ratio, in units of the interpolator's."""
    width = table.features.max()
    own = table[~table.control & (table.features == width) & ~table.tuned & (table.ridge > 0)]
    series = []
    for snr in sorted(own.snr.unique()):
        rows = own[own.snr == snr]
        if rows.ridge.nunique() < 2:
            continue
        series.append(Series.over_seeds(f"SNR = {snr:g}", rows, x="ridge", y="over_interpolator"))
        ridge = np.geomspace(rows.ridge.min(), rows.ridge.max(), 40)
        psi1, psi2 = float(width / rows.d.max()), float(rows.n.max() / rows.d.max())
        risks = [_risk(psi1, psi2, one, snr) for one in (0.0, *ridge)]
        series.append(Series(label="limit", x=ridge, y=np.array(risks[1:]) / risks[0], role="theory"))
    panel = Panel(
        x=Axis(label="ridge, λ", log=True), y=Axis(label="risk / that of the interpolator", log=True), series=series,
        references=[Reference(label="interpolator", value=1.0, role="theory")],
    )  # fmt: skip
    return Figure(
        name="ridge",
        title="With little noise, no ridge is best",
        caption=f"N = {int(width)} features; risk with a ridge over that of the interpolator on the same sample: mean "
        "over seeds with its 95 % interval, and the limits.",
        panels=[panel],
    )


def _main(table):
    own = table[~table.control & (table.snr == 10)]
    return own[own.tuned | own.ridge.isin([0.0, 0.1])]


def _risk(psi1: float, psi2: float, ridge: float, snr: float) -> float:
    return limiting_risk(psi1, psi2, ridge, **MOMENTS, noise=1 / snr)[0]


def _limit(psi: np.ndarray, psi2: float, snr: float, *, tuned: bool) -> Series:
    best = [optimal_ridge(float(p), psi2, **MOMENTS, noise=1 / snr) if tuned else 0.0 for p in psi]
    y = [_risk(float(p), psi2, ridge, snr) for p, ridge in zip(psi, best, strict=True)]
    return Series(label="limit, best ridge" if tuned else "limit", x=psi, y=y, role="theory")


def _deviations(own, threshold: Reference) -> Panel:
    plain = own[(own.ridge == 0) & ~own.tuned]
    away = plain[np.isfinite(plain.predicted)]
    fixed = own[(own.ridge == 0.1) & ~own.tuned]
    series = [
        Series.over_seeds(label, rows, x="psi1", y="deviation")
        for label, rows in (("no ridge", away), ("best ridge", own[own.tuned]), ("ridge 0.1", fixed))
        if len(rows)
    ]
    stated = away.groupby("psi1").stated_error.max()
    x, error = stated.index.to_numpy(dtype=float), stated.to_numpy(dtype=float)
    series.append(Series(label="stated error", x=x, y=0 * error, low=-error, high=error, role="theory"))
    y = Axis(label="measured / limit − 1")
    return Panel(x=PSI, y=y, series=series, references=[threshold], title="deviation from the limit")
