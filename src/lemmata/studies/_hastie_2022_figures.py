"""The figures of the study of Hastie and others (2022)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._hastie_2022_minimum import predicted_minimum
from lemmata.studies._hastie_2022_regression import Regression, isotropic_risk

GAMMA = Axis(label="features for each sample, γ = p / n", log=True)
RISK = Axis(label="risk, in units of the noise", log=True, limits=(0.08, 60.0))
THRESHOLD = Reference(label="p = n", value=1.0, axis="x", role="theory")


def risk_curves(table) -> Figure:
    """The risk with and without a ridge against gamma, with the formulas; and the share by which they are off."""
    own = _rows(table, law="gaussian", weak=1.0, n=int(table.n.max()), snr=5.0)
    plain, tuned = own[own.ridge == 0], own[own.ridge == 1]
    flipped = _rows(table, law="rademacher", weak=1.0, ridge=0.0)
    series = [
        Series.over_seeds(f"no ridge, p {sign} n", rows, x="gamma", y="risk")
        for sign, rows in (("<", plain[plain.gamma < 1]), (">", plain[plain.gamma > 1]))
        if len(rows)
    ]
    series.append(Series.over_seeds("ridge γ/SNR", tuned, x="gamma", y="risk"))
    risks = Panel(x=GAMMA, y=RISK, series=[*series, *_formulas(own)], references=[THRESHOLD], title="risk")
    return Figure(
        name="risk",
        title="Least squares is worst at p = n, and a ridge is all it takes",
        caption=f"Conditional risk given X, exact over the noise, n = {int(own.n.max())}, SNR = {own.snr.max():g}: "
        "mean over seeds with its 95 % interval, and limits for n, p → ∞ (at p = n there is no mean). Right: "
        "relative deviation from the limit; the band is the error stated beforehand, 3 / (n − df₂).",
        panels=[risks, _deviations(plain, tuned, flipped)],
    )


def second_descents(table) -> Figure:
    """The risk beyond the threshold for each signal-to-noise ratio, in units of the null risk, with its minimum."""
    own = table[table.n == table.n.max()]
    series, references = [], []
    for snr in sorted(own.snr.unique()):
        rows = own[own.snr == snr].copy()
        rows["risk"] = [type(curve)(curve.x, curve.y / snr) for curve in rows.risk]
        series.append(Series.over_seeds(f"SNR = {snr:g}", rows, y="risk"))
        gamma = np.geomspace(1.1, 12, 200)
        formula = [isotropic_risk(g, snr) / snr for g in gamma]
        series.append(Series(label=f"limit, SNR = {snr:g}", x=gamma, y=formula, role="theory"))
        if snr > 1:
            place = predicted_minimum(snr)
            references.append(Reference(label="minimum, √SNR / (√SNR − 1)", value=place, axis="x"))
    y = Axis(label="risk / null risk", log=True, limits=(0.5, 3.0))
    return Figure(
        name="second-descent",
        title="Beyond p = n there is a minimum if SNR > 1",
        caption="Risk given X over that of predicting 0, n = 200, features added to the same samples; mean over seeds "
        "with its 95 % interval. The paper's place of the minimum is √SNR / (√SNR − 1).",
        panels=[Panel(x=GAMMA, y=y, series=series, references=references)],
    )


def correlated(table) -> Figure:
    """The risk beyond the threshold when half of the features are weak, by where the signal is."""
    own = table[(table.weak < 1) & (table.ridge == 0) & (table.law == "gaussian")]
    series = []
    for signal, words in (("strong", "signal on strong features"), ("weak", "signal on weak features")):
        rows = own[own.signal == signal]
        if len(rows):
            series.append(Series.over_seeds(words, rows, x="gamma", y="risk"))
            gamma = np.geomspace(rows.gamma.min(), rows.gamma.max(), 40)
            weak, n, snr = float(rows.weak.min()), int(rows.n.max()), float(rows.snr.max())
            fields = {"n": n, "weak": weak, "signal": signal, "snr": snr}
            risks = [Regression.build({**fields, "features": round(g * n)}).theory().total for g in gamma]
            series.append(Series(label=f"fixed point, {words}", x=gamma, y=risks, role="theory"))
    return Figure(
        name="correlated",
        title="With unequal features the fixed point gives the risk",
        caption="Half of the features have variance 1, half 0.1; n = 200, SNR = 5, no ridge. Mean over seeds with its "
        "95 % interval, and the limit from the spectrum.",
        panels=[Panel(x=GAMMA, y=Axis(label="risk, in units of the noise", log=True), series=series)],
    )


def _rows(table, **fields):
    for name, wanted in fields.items():
        table = table[table[name] == wanted]
    return table[table.reference == 1]


def _formulas(own) -> list[Series]:
    """The limits on both sides of gamma = 1, without a ridge, and with the optimal one on all of the axis."""
    snr, n = float(own.snr.max()), int(own.n.max())
    curves = []
    for low, high in ((0.1, 0.98), (1.02, 10.0)):
        gamma = np.geomspace(low, high, 80)
        curves.append(Series(label="limit", x=gamma, y=[isotropic_risk(g, snr) for g in gamma], role="theory"))
    features = np.unique(np.geomspace(0.1 * n, 10 * n, 60).round().astype(int))
    tuned = [Regression(n=n, features=int(p), snr=snr, ridge=1.0).theory().total for p in features]
    return [*curves, Series(label="limit, ridge γ/SNR", x=features / n, y=tuned, role="theory")]


def _deviations(plain, tuned, flipped) -> Panel:
    away = plain[np.isfinite(plain.predicted)]
    series = [Series.over_seeds("no ridge", away, x="gamma", y="deviation")]
    if len(flipped):
        rows = flipped[np.isfinite(flipped.predicted)]
        series.append(Series.over_seeds("no ridge, Rademacher features", rows, x="gamma", y="deviation"))
    series.append(Series.over_seeds("ridge γ/SNR", tuned, x="gamma", y="deviation"))
    stated = away.groupby("gamma").stated_error.max()
    x, error = stated.index.to_numpy(dtype=float), stated.to_numpy(dtype=float)
    band = Series(label="stated error", x=x, y=0 * error, low=-error, high=error, role="theory")
    y = Axis(label="measured / limit − 1")
    return Panel(x=GAMMA, y=y, series=[*series, band], references=[THRESHOLD], title="deviation from the limit")
