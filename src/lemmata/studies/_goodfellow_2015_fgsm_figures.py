"""The figures of the study of Goodfellow, Shlens and Szegedy (2015)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band

KINDS = ("linear", "relu", "maxout")
MOVES = {"fgsm": "along the sign of the gradient", "random signs": "by random signs"}
SIZE = Axis(label="size of the move eps", unit="of the range of a pixel")


def errors_by_size(table) -> Figure:
    """The error of logistic regression against eps."""
    own = table[~table["control"]]
    series = [
        Series.over_seeds(MOVES[move], rows, y="error", role="measured" if move == "fgsm" else "control")
        for move, rows in own.groupby("move")
    ]
    panel = Panel(
        x=SIZE,
        y=Axis(label="error on 3 against 7", limits=(0.0, 1.02)),
        series=series,
        references=[
            Reference(label="the paper's 99 %", value=0.99),
            Reference(label="eps = 0.25", value=0.25, axis="x"),
        ],
    )
    return Figure(
        name="logistic",
        title="A step along the sign of the gradient ruins logistic regression",
        caption="Error on moved test digits: every seed, mean and 95 % band. The same step by random signs does "
        "nothing.",
        panels=[panel],
    )


def errors(table) -> Figure:
    """Error on moved digits by network, without and with adversarial training; digits of strangers."""
    own = _usual(table)
    names = Axis(label="network", ticks=("softmax", "ReLU", "maxout"), limits=(-0.5, 2.5))
    moved = own[own["move"] == "fgsm"]
    plain, hard = (moved[moved["defence"] == name] for name in ("none", "adversarial"))
    random = own[(own["move"] == "random signs") & (own["defence"] == "none")]
    theirs = Series(
        label="the paper", x=[0, 2], y=[0.999, 0.894], role="paper", style="points",
    )  # fmt: skip
    trained = Series(label="the paper", x=[2], y=[0.179], role="paper", style="points")
    left = Panel(
        x=names, y=Axis(label="error on moved digits", limits=(0.0, 1.05)), title="Trained as usual",
        series=[
            _bars("own gradient", plain, "moved_error"), _bars("a stranger's gradient", plain, "transfer_error"),
            _bars("random signs", random, "moved_error", role="control"), theirs,
        ],
    )  # fmt: skip
    everything = table[(~table["control"]) & (table["defence"] == "adversarial")]
    steps = everything[(everything["move"] == "pgd") & (everything["labels"] == "true")]
    random_labels = everything[(everything["labels"] == "permuted") & (everything["move"] == "fgsm")]
    right = Panel(
        x=names, y=Axis(label="error on moved digits", limits=(0.0, 1.05)), title="Trained on moved digits",
        series=[
            _bars("own gradient", hard, "moved_error"), _bars("a stranger's gradient", hard, "transfer_error"),
            _bars("twenty steps", steps, "moved_error"),
            _bars("trained on random labels", random_labels, "moved_error", role="control"), trained,
        ],
    )  # fmt: skip
    return Figure(
        name="errors",
        title="Whose gradient it is hardly matters, that it is one does",
        caption="Error on test digits moved by eps = 0.25: along the sign of the network's own gradient, of a "
        "stranger's (same kind, other digits, other weights), and by random signs; for the maxout "
        "network also by twenty steps, and after training on random labels. Bars: mean over seeds, 95 % interval.",
        panels=[left, right],
    )


def log_odds(table) -> Figure:
    """The mean log-odds on the way, beside the straight line."""
    own = _usual(table)
    own = own[own["move"] == "fgsm"]
    panels = []
    for defence, title in (("none", "Trained as usual"), ("adversarial", "Trained on moved digits")):
        rows = own[own["defence"] == defence]
        series = [
            Series.over_seeds({"linear": "softmax", "relu": "ReLU"}.get(kind, kind), part, y="log_odds")
            for kind in KINDS
            if len(part := rows[rows["network"] == kind])
        ]
        panels.append(
            Panel(
                x=SIZE, y=Axis(label="log-odds against the class"), series=series, title=title,
                references=[Reference(label="as probable as all others", value=0.0, role="theory")],
            )
        )  # fmt: skip
    return Figure(
        name="linearity",
        title="Along the step the log-odds rise in a line, unless the network was trained on it",
        caption="Log-odds against the true class on the way from a digit to the moved digit, mean of sixteen digits: "
        "every seed, mean and 95 % band.",
        panels=panels,
    )


def confidence(table) -> Figure:
    """Mean confidence in errors of the softmax classifier, against the length of training."""
    own = table[(~table["control"]) & (table["network"] == "linear") & (table["move"] == "fgsm")]
    own = own[own["defence"] == "none"]
    panel = Panel(
        x=Axis(label="epochs of training", log=True),
        y=Axis(label="mean confidence in errors", limits=(0.0, 1.02)),
        series=[Series.over_seeds("linear softmax", own, x="training.epochs", y="confidence")],
        references=[Reference(label="the paper's 79.3 %", value=0.793)],
    )
    return Figure(
        name="confidence",
        title="The longer trained, the surer of its errors",
        caption="Mean of the largest softmax output over misclassified moved digits (eps = 0.25).",
        panels=[panel],
    )


def _usual(table):
    own = table[(~table["control"]) & (table["labels"] == "true")]
    return own[own["training.epochs"] == own["training.epochs"].max()]


def _bars(label: str, table, of: str, **rest) -> Series:
    pivot = table.pivot(index="seed", columns="network", values=of).reindex(columns=list(KINDS))
    values = pivot.to_numpy(dtype=float)
    mean, low, high = mean_and_band(values)
    return Series(label=label, x=np.arange(len(KINDS)), y=mean, low=low, high=high, seeds=values, style="bars", **rest)
