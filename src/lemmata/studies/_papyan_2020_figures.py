"""The figures of the study of Papyan, Han and Donoho (2020)."""

from dataclasses import replace
from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

EPOCH = Axis(label="epoch", log=True)


def collapse(table) -> Figure:
    """NC1, equality of norms, NC3 and NC4 against epochs: the network and its controls."""
    labels = {
        "nc1": "NC1: tr(S_W S_B⁺) / K",
        "norms": "NC2: std / mean of |m|",
        "duality": "NC3: |W/|W| − M/|M||²",
    }
    panels = []
    for name, label in labels.items():
        series = [
            replace(Series.over_seeds(title, rows, y=f"{name}_curve", role=role), low=None, high=None)
            for title, rows, role in _kinds(table)
        ]
        panels.append(Panel(x=EPOCH, y=Axis(label=label, log=True), series=series, references=_zero_error(table)))
    return Figure(
        name="collapse",
        title="What collapses after the training error is zero",
        caption="Variability within classes, equality of the lengths of class means, and distance of classifier and "
        "class means, on the training set. Theory sends all to 0. Vertical line: the epoch at which no error is "
        "left, mean over seeds. Each thin line is a seed.",
        panels=panels,
    )


def cosines(table) -> Figure:
    """The root mean square of cosines against epochs, ten classes and five, with the simplex drawn in."""
    panels = []
    for classes in sorted(table.classes.unique(), reverse=True):
        rows = table[table.classes == classes]
        series = [Series.over_seeds(title, part, y="rms_cosine_curve", role=role) for title, part, role in _kinds(rows)]
        simplex = Reference(label=f"simplex: 1/{classes - 1}", value=1 / (classes - 1), role="theory")
        label = Axis(label="root mean square of cosines of class means")
        panels.append(Panel(x=EPOCH, y=label, series=series, references=[simplex], title=f"{classes} classes"))
    return Figure(
        name="cosines",
        title="Class means become a simplex",
        caption="Root mean square of the cosines between centred class means, mean over seeds with its 95 % interval: "
        "1 / (K − 1) is the least that vectors of equal length can have, and only the simplex has it.",
        panels=panels,
    )


def _kinds(table) -> list[tuple[str, Any, Any]]:
    ten = table[(table.labels == "true") & (table.classes == table.classes.max())]
    kinds = [
        ("weight decay", ten[ten.normalised & (ten.weight_decay > 0)], "measured"),
        ("no weight decay", ten[ten.normalised & (ten.weight_decay == 0)], "control"),
        ("no batch normalisation", ten[~ten.normalised.astype(bool)], "control"),
    ]
    return [kind for kind in kinds if len(kind[1])]


def _zero_error(table) -> list[Reference]:
    own = table[table.normalised.astype(bool) & (table.weight_decay > 0) & (table.classes == table.classes.max())]
    at = own.zero_error.to_numpy(dtype=float)
    if not np.isfinite(at).all():
        return []
    return [Reference(label="zero error", value=float(at.mean()), axis="x", role="theory")]
