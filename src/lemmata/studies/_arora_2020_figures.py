"""The figures of the study of Arora et al. (2020)."""

from dataclasses import replace

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band
from lemmata.studies._arora_2020_leads import CLASSIFIERS, averaged

LABELS = {"ntk": "NTK", "gaussian": "RBF", "polynomial": "poly", "forest": "RF", "nngp": "last layer"}


def ranks(table) -> Figure:
    """Average ranks over tables, and the pairwise differences with their intervals."""
    found = averaged(_own(table))
    named = replace(
        found,
        names=tuple(LABELS[name] for name in found.names),
        pairs=tuple(replace(p, first=LABELS[p.first], second=LABELS[p.second]) for p in found.pairs),
    )
    tests = "; ".join(f"{p.first} - {p.second} {p.holm:.2g}" for p in named.pairs)
    return replace(
        named.plot(),
        title=f"Four classifiers on {len(found.values)} tables",
        caption=f"RBF: support vectors with the Gaussian kernel; poly: with the polynomial; RF: random forest. "
        f"Accuracies averaged over splits; tables are the units. Friedman's test: p = {found.friedman_p:.2g}. "
        f"Left: half of Nemenyi's critical difference on either side. Right: Hodges-Lehmann estimates with 95 % "
        f"intervals (none below 6 tables). Wilcoxon's p, after Holm: {tests}.",
    )


def shares(table) -> Figure:
    """P90, P95 and PMA of every classifier."""
    found = averaged(_own(table))
    at = np.arange(len(CLASSIFIERS))
    series = [
        Series(label=label, x=at, y=values, style="points")
        for label, values in (("PMA", found.pma), ("P90", found.p90), ("P95", found.p95))
    ]
    panel = Panel(
        x=Axis(label="classifier", ticks=tuple(LABELS[name] for name in CLASSIFIERS)),
        y=Axis(label="share"), series=series,
    )  # fmt: skip
    return Figure(
        name="shares-of-the-best",
        title="How near to the best of the four",
        caption="PMA: mean over tables of the accuracy over the best one there. P90, P95: share of the tables on which "
        "that ratio is at least 0.9, 0.95. Accuracies averaged over splits.",
        panels=[panel],
    )


def table_by_table(table) -> Figure:
    """The difference on every table, in order, from the other classifiers and from the last layer alone."""
    own = _own(table)
    panels = []
    for other in ("gaussian", "forest", "nngp"):
        gaps = own.assign(gap=own["ntk"] - own[other]).pivot(index="seed", columns="table", values="gap")
        values = gaps.to_numpy(dtype=float)
        values = values[:, np.argsort(np.nanmean(values, axis=0))]
        mean, low, high = mean_and_band(values)
        series = Series(
            label="mean over splits, 95 % band", x=np.arange(1, values.shape[1] + 1), y=mean, low=low, high=high,
            style="points",
        )  # fmt: skip
        panels.append(
            Panel(
                x=Axis(label="tables, in order"), y=Axis(label="difference in accuracy"), series=[series],
                references=[Reference(label="equal", value=0.0, role="theory")],
                title=f"NTK minus {LABELS[other]}",
            )
        )  # fmt: skip
    return Figure(
        name="table-by-table",
        title="Table by table",
        caption="Accuracy of the NTK minus that of the other, mean over random splits of each table.",
        panels=panels,
    )


def _own(table):
    return table[~table.control & (table.labels == "true")]
