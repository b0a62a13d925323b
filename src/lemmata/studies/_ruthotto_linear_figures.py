"""The figures of the study of Ruthotto's lecture on linear models."""

from dataclasses import replace
from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.figures.figure import mean_and_band
from lemmata.studies._ruthotto_linear_rates import bound

RULES = {
    "gcv": "GCV", "unbiased risk": "unbiased risk, σ told", "discrepancy": "discrepancy, |e| told", "l-curve": "L-curve"
}  # fmt: skip
NEAR = Reference(label="10 % above the best", value=1.1, role="theory")


def where(table: Any, **fields: Any) -> Any:
    """The rows with these values."""
    for name, wanted in fields.items():
        column = table[name]
        table = table[np.isclose(column.astype(float), wanted) if isinstance(wanted, float) else column == wanted]
    return table


def some(series: Series, most: int = 20) -> Series:
    """The same mean and band, with the first seeds only drawn one by one."""
    return replace(series, seeds=None if series.seeds is None else np.asarray(series.seeds)[:most])


def semiconvergence(table: Any) -> Figure:
    """Error and residual along CGLS, with noise and without."""
    cgls = where(table, method="cgls", stated=1.0)
    panels = []
    for name in ("heat", "phillips", "deriv2"):
        rows, clean = (where(cgls, problem=name, noise=level) for level in (0.01, 0.0))
        if not len(rows):
            continue
        series = [
            some(Series.over_seeds("error, 1 % noise", rows, y="error")),
            some(Series.over_seeds("residual, 1 % noise", rows, y="residual")),
        ]
        if len(clean):
            curve = clean.iloc[0]["error"]
            series.append(Series(label="error without noise", x=curve.x, y=curve.y, role="control"))
        best = Reference(label="best of 200 Tikhonov solutions", value=float(rows["tikhonov"].mean()), role="theory")
        panels.append(
            Panel(
                x=Axis(label="steps of CGLS"),
                y=Axis(label="relative error and residual", log=True, limits=(1e-3, 30.0)),
                series=series,
                references=[best],
                title=name,
            )
        )
    return Figure(
        name="semiconvergence",
        title="The error falls, then rises, while the residual only falls",
        caption="CGLS from zero on three ill-posed problems: twenty draws of the noise, mean of all and 95 % band. "
        "Dotted: the least error that Tikhonov regularisation reaches.",
        panels=panels,
    )


def stopping(table: Any) -> Figure:
    """The best iterate and the stopped one, against the best Tikhonov solution."""
    own = where(table, method="cgls", noise=0.01, stated=1.0)
    names = [name for name in ("heat", "phillips", "deriv2", "gravity", "shaw") if len(where(own, problem=name))]
    axis = Axis(label="problem", ticks=tuple(names))
    panels = [
        Panel(
            x=axis,
            y=Axis(label=label, log=True),
            series=[some(Series.over_seeds("CGLS", own, x="problem", y=column, order=names, style="points"))],
            references=[NEAR],
            title=title,
        )
        for column, label, title in (
            ("over_tikhonov", "least error / that of Tikhonov", "Best step"),
            ("stopped_over_best", "error at the stop / least error", "Stopped at |b - Ax| ≤ |e|"),
        )
    ]
    return Figure(
        name="stopping",
        title="Stopping early does what Tikhonov does",
        caption="Left: the least error along CGLS over the least along Tikhonov's path; right: what the discrepancy "
        "principle loses. Twenty draws as rings; mean of all and its 95 % interval.",
        panels=panels,
    )


def rates(table: Any) -> Figure:
    """Errors in energy with the proven bounds, and steps against the condition number."""
    own = where(table, stated=1.0)
    panels = []
    for method, title, last in (("steepest-descent", "steepest descent", 600), ("cgls", "CGLS", 120)):
        series = []
        for condition in (10.0, 100.0, 1000.0):
            rows = where(own, method=method, condition=condition)
            if len(rows):
                series.append(Series.over_seeds(f"κ = {condition:g}", rows, y="error"))
                steps = np.arange(last + 1.0)
                series.append(Series(label="proven bounds", x=steps, y=bound(method, condition, steps), role="theory"))
        x = Axis(label="steps", limits=(0.0, float(last)))
        panels.append(
            Panel(
                x=x, y=Axis(label="error in energy / first", log=True, limits=(1e-8, 3.0)), series=series, title=title
            )
        )
    panels.append(_steps(own))
    return Figure(
        name="rates",
        title="Steps grow with κ for steepest descent, with its root for CGLS",
        caption="Errors |A(x - x*)| for A'A with Chebyshev-distributed eigenvalues of condition κ; every start, and "
        "the bounds ((κ-1)/(κ+1))^k and 2((√κ-1)/(√κ+1))^k. Right: steps to an error of 1e-6.",
        panels=panels,
    )


def _steps(own: Any) -> Panel:
    series = []
    for method, label in (("steepest-descent", "steepest descent"), ("cgls", "CGLS")):
        rows = where(own, method=method)
        if not len(rows):
            continue
        series.append(Series.over_seeds(label, rows, x="condition", y="steps", style="points"))
        conditions = np.geomspace(rows["condition"].min(), rows["condition"].max(), 40)
        worst = [_bounded_steps(method, c) for c in conditions]
        series.append(Series(label="proven bounds", x=conditions, y=worst, role="theory"))
    x, y = Axis(label="condition number κ", log=True), Axis(label="steps to 1e-6", log=True)
    return Panel(x=x, y=y, series=series, title="Steps")


def _bounded_steps(method: str, condition: float) -> float:
    root = condition if method == "steepest-descent" else condition**0.5
    factor = 1e6 if method == "steepest-descent" else 2e6
    return float(np.log(factor) / np.log((root + 1) / (root - 1)))


def path(table: Any) -> Figure:
    """The error along one path, with what each rule takes."""
    own = where(table, noise=0.01, stated=1.0, correlation=0.0)
    panels = []
    for name in ("heat", "phillips", "deriv2"):
        rows = where(own, problem=name)
        first = rows[rows["seed"] == rows["seed"].min()]
        if not len(first):
            continue
        curve = first.iloc[0]["error_along_path"]
        series = [Series(label="error of the solution", x=curve.x, y=curve.y)]
        for rule, label in RULES.items():
            taken = where(first, rule=rule)
            if len(taken) and np.isfinite(taken.iloc[0]["chosen"]):
                at = float(taken.iloc[0]["chosen"])
                series.append(Series(label=label, x=[at], y=[float(np.interp(at, curve.x, curve.y))], style="points"))
        low = float(curve.y.min())
        keep = curve.x[curve.y < 30 * low]
        panels.append(
            Panel(
                x=Axis(label="λ", log=True, limits=(float(keep[0]), float(keep[-1]))),
                y=Axis(label="relative error", log=True, limits=(0.7 * low, 30 * low)),
                series=series,
                title=name,
            )
        )
    return Figure(
        name="path",
        title="What each rule takes, on the path of one draw",
        caption="Error of 200 Tikhonov solutions from one decomposition, 1 % noise, first draw of the first seed. GCV "
        "aims at the prediction, and so to the left of the least error of the solution.",
        panels=panels,
    )


def choices(table: Any) -> Figure:
    """How far from the best each rule ends, by problem."""
    own = where(table, noise=0.01, stated=1.0, correlation=0.0)
    names = [name for name in ("heat", "phillips", "deriv2", "blur", "foxgood") if len(where(own, problem=name))]
    panels = []
    for column, title in (("prediction", "Prediction Ax"), ("solution", "Solution x")):
        series = []
        for rule, label in RULES.items():
            rows = where(own, rule=rule)
            rows = rows[rows["problem"].isin(names)]
            if len(rows):
                series.append(Series.over_seeds(label, rows, x="problem", y=column, order=names, style="points"))
        panels.append(
            Panel(
                x=Axis(label="problem", ticks=tuple(names)),
                y=Axis(label="error at the choice / least error", log=True),
                series=series,
                references=[NEAR],
                title=title,
            )
        )
    return Figure(
        name="choices",
        title="Each rule is near the best for the error that it aims at",
        caption="Median over a batch of draws; each ring is a seed's batch, with mean and 95 % interval. foxgood "
        "spends three degrees of freedom only, too few for GCV's theory.",
        panels=panels,
    )


def corner(table: Any) -> Figure:
    """The L-curve's loss as the noise falls."""
    own = where(table, problem="phillips", stated=1.0, correlation=0.0)
    series = [
        Series.over_seeds(label, rows, x="noise", y="solution")
        for rule, label in RULES.items()
        if len(rows := where(own, rule=rule)) and rows["noise"].nunique() > 1
    ]
    panel = Panel(
        x=Axis(label="noise / data", log=True),
        y=Axis(label="error at the choice / least error", log=True),
        series=series,
        references=[NEAR],
    )
    return Figure(
        name="corner",
        title="The less noise, the worse the L-curve's corner",
        caption="Phillips' problem, whose solution is smooth: medians over batches of draws, every "
        "seed, mean and 95 % band.",
        panels=[panel],
    )


def bias_and_variance(table: Any) -> Figure:
    """The formula against simulation."""
    own = where(table, correlation=0.0, formula="both")
    first = own.iloc[0]
    lam, bias, variance = first["bias"].x, first["bias"].y, first["variance"].y
    drawn = where(own, multiple=float(own["multiple"].min()))
    curves = np.array([curve.y for curve in drawn["simulated"]])
    mean, low, high = mean_and_band(curves)
    at = drawn.iloc[0]["simulated"].x
    inside = (lam >= at[0]) & (lam <= at[-1])
    series = [
        Series(label="squared bias", x=lam[inside], y=bias[inside]),
        Series(label="variance", x=lam[inside], y=variance[inside]),
        Series(label="their sum: the formula", x=lam[inside], y=(bias + variance)[inside], role="theory"),
        Series(label="simulated", x=at, y=mean, low=low, high=high, style="points"),
    ]
    least = Reference(label="least expected error", value=float(first["best"]), axis="x", role="theory")
    panel = Panel(
        x=Axis(label="λ", log=True), y=Axis(label="squared error of the solution", log=True), series=series,
        references=[least],
    )  # fmt: skip
    return Figure(
        name="bias-variance",
        title="Bias and variance, by the formula and by simulation",
        caption="Phillips' problem, 1 % white noise: mean over seeds of the mean squared error of 200 draws, with "
        "its 95 % interval, over the formula.",
        panels=[panel],
    )


def classifiers(table: Any) -> Figure:
    """How the gradient falls with the cost, and the test errors."""
    own = where(table, labels="true", ridge=0.01)
    own = own[own["intercept"].astype(bool)]
    falls = []
    for method, label in (("newton-cg", "Newton-CG"), ("steepest-descent", "steepest descent")):
        for row, (_, record) in enumerate(where(own, model="softmax", method=method).iterrows()):
            curve = record["gradient"]
            if row == 0:
                kept = np.unique(np.geomspace(1, len(curve.x), 40).round().astype(int)) - 1
                falls.append(Series(label=label, x=curve.x[kept], y=curve.y[kept]))
    errors = [
        Series.over_seeds(label, rows, x="model", y="test_error", order=[model], style="points")
        for model, label in (("softmax", "softmax"), ("least squares", "least squares"))
        if len(rows := where(own, model=model, method="newton-cg"))
    ]
    errors = [
        Series(label=s.label, x=np.array([float(i)]), y=s.y, low=s.low, high=s.high, seeds=s.seeds, style="points")
        for i, s in enumerate(errors)
    ]
    tolerance = Reference(label="tolerance", value=1e-3, role="theory")
    panels = [
        Panel(
            x=Axis(label="cost", unit="gradients", log=True), y=Axis(label="norm of the gradient", log=True),
            series=falls, references=[tolerance], title="Softmax regression, first seed",
        ),
        Panel(
            x=Axis(label="classifier", ticks=tuple(s.label for s in errors)), y=Axis(label="test error"), series=errors,
            title="Test error",
        ),
    ]  # fmt: skip
    return Figure(
        name="classifiers",
        title="Curvature pays, and so does the cross-entropy",
        caption="1,000 digits of mnist-5k, pooled to 14 x 14. Left: products with the Hessian count as gradients. "
        "Right: each ring is a split; mean and 95 % interval.",
        panels=panels,
    )
