"""The figures of the study of Nakkiran and others (2020)."""

from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.study import Curve

WIDTH = Axis(label="width h of both hidden layers", log=True)
LOSS = Axis(label="test cross-entropy", unit="nats", log=True)
CAPTION = "Every seed, mean and 95 % band. "


def _rows(table: Any, **fields: Any) -> Any:
    wanted = {"label_noise": 0.15, "weight_decay": 0.0, "stopping": "none", **fields}
    return table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]


def _lines(quantity: str, cases: dict[str, Any]) -> list[Series]:
    """A line for each case there are records of, over widths or numbers of samples, which the curves hold as log2."""
    lines = []
    for label, rows in cases.items():
        if len(rows):
            unlogged = rows.assign(shown=[Curve(2.0**curve.x, curve.y) for curve in rows[quantity]])
            lines.append(Series.over_seeds(label, unlogged, y="shown"))
    return lines


def _threshold(rows: Any, label: str, letter: str = "h") -> list[Reference]:
    """The (geometric) mean place of the threshold of some rows, where all have one."""
    places = rows["threshold"].to_numpy(dtype=float)
    if not len(places) or not np.isfinite(places).all():
        return []
    place = float(2.0 ** places.mean())
    return [Reference(label=f"{label}: {letter} = {place:.3g}", value=place, axis="x", role="theory")]


def _usual(table: Any) -> tuple[int, int]:
    """The numbers of samples and of epochs of the claims at this scale."""
    own = table[~table["control"]]
    return int(own["n"].min()), int(own["epochs"].max())


def widths(table: Any) -> Figure:
    """Test loss, training and test error against the width; other times and numbers of samples beside it."""
    n, longest = _usual(table)
    base = _rows(table, n=n, epochs=longest)
    cases = {
        f"n = {n}, {longest} epochs": base,
        f"n = {n}, 100 epochs": _rows(table, n=n, epochs=100) if longest != 100 else table[:0],
        f"n = 1000, {longest} epochs": _rows(table, n=1000, epochs=longest),
    }
    marks = [mark for label, rows in cases.items() for mark in _threshold(rows, f"threshold, {label}")]
    errors = _lines("test_error", {"test": base}) + _lines("train_error", {"training": base})
    panels = [
        Panel(x=WIDTH, y=LOSS, series=_lines("test_loss", cases), references=marks, title="loss"),
        Panel(x=WIDTH, y=Axis(label="error"), series=errors, references=marks[:1], title=f"error, n = {n}"),
    ]
    return Figure(
        name="widths",
        title="The test loss peaks where training just fits its samples",
        caption=CAPTION + "The threshold is the width from which on the training error is at most 1 %, its mean over "
        "seeds. With twice the samples, or a quarter of the time, it is wider, and the peak with it.",
        panels=panels,
    )


def regularised(table: Any) -> Figure:
    """What wrong labels, weight decay and early stopping do to the peak."""
    n, longest = _usual(table)
    at = {"n": n, "epochs": longest}
    noises = {f"{100 * noise:g} % wrong labels": _rows(table, label_noise=noise, **at) for noise in (0.0, 0.15, 0.9)}
    decays = {f"weight decay {decay:g}": _rows(table, weight_decay=decay, **at) for decay in (0.0, 0.005, 0.02)}
    stops = {"last epoch": _rows(table, **at), "early stopping": _rows(table, stopping="validation", **at)}
    mark = _threshold(_rows(table, **at), "threshold")
    panels = [
        Panel(x=WIDTH, y=LOSS, series=_lines("test_loss", cases), references=mark, title=title)
        for title, cases in (("wrong labels", noises), ("weight decay", decays), ("early stopping", stops))
    ]
    return Figure(
        name="regularised",
        title="Wrong labels raise the peak; weight decay and early stopping remove it",
        caption=CAPTION + "The threshold is that of 15 % wrong labels without weight decay.",
        panels=panels,
    )


def samples(table: Any) -> Figure:
    """Test loss against the number of samples at two widths, and with the peak removed."""
    width = int(table[~table["control"]]["width"].min())
    at = {"width": width}
    cases = {
        f"h = {width}": _rows(table, **at),
        "h = 14": _rows(table, width=14),
        f"h = {width}, early stopping": _rows(table, stopping="validation", **at),
    }
    marks = [
        mark for label, rows in list(cases.items())[:2] for mark in _threshold(rows, f"just fitted, {label}", "n")
    ]  # fmt: skip
    panel = Panel(
        x=Axis(label="number of samples n", log=True), y=LOSS, series=_lines("test_loss", cases), references=marks
    )
    return Figure(
        name="samples",
        title="More samples hurt as long as they can be fitted",
        caption=CAPTION + "Vertical lines: the largest n that is fitted to a training error of 1 %, mean over seeds.",
        panels=[panel],
    )


def epochs(table: Any) -> Figure:
    """Errors and losses against epochs of a wide network, with wrong and with true labels."""
    own = table[table["step_size"] == table["step_size"].min()]
    cases = {"15 % wrong labels": _rows(own), "true labels": _rows(own, label_noise=0.0)}
    panels = [
        Panel(
            x=Axis(label="epochs", log=True),
            y=Axis(label=label, log=log),
            series=[Series.over_seeds(name, rows, y=curve) for name, rows in cases.items() if len(rows)],
            title=label,
        )
        for curve, label, log in (
            ("test_error", "test error", False),
            ("test_loss", "test cross-entropy", True),
            ("train_error", "training error", False),
        )
    ]
    return Figure(
        name="epochs",
        title="Over the epochs these perceptrons have one minimum",
        caption=CAPTION + "A perceptron wide enough to fit its samples many times over.",
        panels=panels,
    )
