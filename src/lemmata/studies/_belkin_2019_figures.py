"""The figures of the study of Belkin and others (2019)."""

from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._belkin_2019_curves import OverFeatures, norm_ratio

FEATURES = Axis(label="number of random features N", log=True)


def _rows(table: Any, **fields: Any) -> Any:
    wanted = {"kind": "fourier", "label_noise": 0.0, "ridge": 0.0, "n": 400, **fields}
    return table[np.logical_and.reduce([table[name] == value for name, value in wanted.items()])]


def _threshold(n: int) -> Reference:
    return Reference(label=f"N = n = {n}", value=n, axis="x", role="theory")


def _limit(rows: Any, name: str) -> Reference:
    return Reference(label="kernel machine", value=float(rows[name].mean()), role="theory")


def _lines(axes: str, **labelled: Any) -> list[Series]:
    return [Series.over_seeds(label, rows, y=axes) for label, rows in labelled.items() if len(rows)]


def risks(table: Any) -> Figure:
    """Error and squared loss against N, with and without wrong labels, and for both kinds of features."""
    shown = {"true labels": _rows(table), "20 % wrong labels": _rows(table, label_noise=0.2)}
    loss = Axis(label="squared loss", log=True, limits=(0.1, 2e3))
    panels = [
        Panel(
            x=FEATURES, y=Axis(label="test error"), series=_lines("test_error", **shown),
            references=[_threshold(400), _limit(_rows(table), "limit_error")], title="Fourier features",
        ),
        Panel(
            x=FEATURES, y=loss,
            series=[*_lines("test_loss", test=_rows(table)), *_lines("train_loss", training=_rows(table))],
            references=[_threshold(400), _limit(_rows(table), "limit_loss")], title="Fourier features, true labels",
        ),
        Panel(
            x=FEATURES, y=Axis(label="test error"), series=_lines("test_error", measured=_rows(table, kind="relu")),
            references=[_threshold(400), _limit(_rows(table, kind="relu"), "limit_error")], title="ReLU features",
        ),
    ]  # fmt: skip
    return Figure(
        name="risks",
        title="The risk descends twice, and the second descent goes further",
        caption="Least squares of minimum norm on N random features of 400 digits: every seed, mean and 95 % band. The "
        "model just fits its training set at N = n; the dashed level is the limit of infinitely many features.",
        panels=panels,
    )


def norms(table: Any) -> Figure:
    """The norm of the predictor against N with its theory, and the test loss against the norm."""
    rows = _rows(table)
    config = OverFeatures()
    N = np.geomspace(1.02 * config.n, 10 * config.n, 80)
    theory = Series(
        label="Gaussian features, theory",
        x=N,
        y=float(rows["limit_norm"].mean()) * norm_ratio(config, N),
        role="theory",
    )
    norm = Panel(
        x=FEATURES, y=Axis(label="norm of the predictor", log=True),
        series=[*_lines("norm", measured=rows), theory],
        references=[_threshold(400), _limit(rows, "limit_norm")],
        title="norm",
    )  # fmt: skip
    both = []
    for label, chosen in (("N < n", lambda x: x < config.n), ("N > n", lambda x: x > config.n)):
        curves = list(zip(rows["norm"], rows["test_loss"], strict=True))
        x = np.concatenate([a.y[chosen(a.x)] for a, _ in curves])
        y = np.concatenate([b.y[chosen(b.x)] for _, b in curves])
        both.append(Series(label=label, x=x, y=y, style="points"))
    against = Panel(
        x=Axis(label="norm of the predictor", log=True), y=Axis(label="squared loss on the test set", log=True),
        series=both, title="loss against norm",
    )  # fmt: skip
    return Figure(
        name="norms",
        title="Beyond the threshold the norm falls, and the loss with it",
        caption="Left: mean over seeds with its 95 % band, and the root of N / (N - n) times the norm of the kernel "
        "machine. Right: every seed and N. The same norm comes with a lower loss where more features share it.",
        panels=[norm, against],
    )


def controls(table: Any) -> Figure:
    """The settings in which the peak must move or vanish, or the second descent be worth nothing."""
    settings = {
        "half the samples": ({"n": 200}, [_threshold(200)]),
        "a ridge of 0.1": ({"ridge": 0.1}, [_threshold(400)]),
        "labels that mean nothing": ({"label_noise": 0.9}, [_threshold(400)]),
    }
    panels = [
        Panel(
            x=FEATURES,
            y=Axis(label="squared loss on the test set", log=True),
            series=_lines("test_loss", test=_rows(table, **fields)),
            references=references,
            title=title,
        )
        for title, (fields, references) in settings.items()
    ]
    return Figure(
        name="controls",
        title="Where the peak must move, vanish, or come without a second descent",
        caption="Fourier features: every seed, mean and 95 % band.",
        panels=panels,
    )


def samples(table: Any) -> Figure:
    """Error against the number of samples at fixed numbers of features, and with a ridge."""
    cases = {
        "N = 300": (table["features"] == 300) & (table["ridge"] == 0),
        "N = 150": (table["features"] == 150) & (table["ridge"] == 0),
        "N = 300, ridge 0.1": (table["features"] == 300) & (table["ridge"] > 0),
    }
    panel = Panel(
        x=Axis(label="number of samples n", log=True),
        y=Axis(label="test error"),
        series=_lines("test_error", **{label: table[chosen] for label, chosen in cases.items()}),
        references=[Reference(label=f"n = {n}", value=n, axis="x", role="theory") for n in (150, 300)],
    )
    return Figure(
        name="samples",
        title="More samples hurt on the way to n = N",
        caption="Fourier features, 20 % of the training labels wrong: every seed, mean and 95 % band.",
        panels=[panel],
    )
