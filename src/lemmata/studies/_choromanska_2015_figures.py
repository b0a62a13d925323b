"""Figures of `choromanska_2015`: losses by width, energies by size, layers of critical points, the edge of the band."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies import _choromanska_2015_theory as theory


def test_losses(table) -> Figure:
    """The test losses of all networks of all seeds, by width: their distribution functions."""
    own = _trained(table)
    series = []
    for width, rows in own.groupby("width"):
        values = np.sort(np.concatenate([loss / loss.min() for loss in rows.test_losses]))
        share = (np.arange(len(values)) + 0.5) / len(values)
        series.append(Series(label=f"{width} hidden units", x=values, y=share))
    panel = Panel(
        x=Axis(label="test loss / the seed's best of that width", log=True), y=Axis(label="share of networks below"),
        series=series,
    )  # fmt: skip
    return Figure(
        name="test-losses",
        title="Large networks all end alike, small ones do not",
        caption="Final test losses of many trainings from independent weights, in units of the best of the same seed "
        "and width: distribution functions over all networks of all seeds. A steep curve is a concentrated one.",
        panels=[panel],
    )


def by_width(table) -> Figure:
    """Spread, worst over best, and correlation, by width."""
    own, before = _trained(table), table[table.measured == "untrained"]
    panels = []
    for name, label, log in (
        ("spread", "standard deviation of test losses", True),
        ("worst_over_best", "worst test loss / best", True),
        ("correlation", "correlation of training and test loss", False),
    ):
        series = [Series.over_seeds("trained", own, x="width", y=name)]
        if len(before):
            series.append(Series.over_seeds("before training", before, x="width", y=name, role="control"))
        panels.append(Panel(x=Axis(label="hidden units", log=True), y=Axis(label=label, log=log), series=series))
    return Figure(
        name="by-width",
        title="With the width, minima become alike, and their order on the training set says less",
        caption="Statistics of a seed's networks: mean over seeds with its 95 % interval.",
        panels=panels,
    )


def energies(table) -> Figure:
    """Energies of the minima that descent finds, and their spread, by size."""
    own, alone = table[table.couplings.astype(bool)], table[~table.couplings.astype(bool)]
    means = [Series.over_seeds("mean over descents", own, x="units", y="mean")]
    spreads = [Series.over_seeds("interacting units", own, x="units", y="spread")]
    if alone.units.nunique() > 1:
        spreads.append(Series.over_seeds("units that do not interact", alone, x="units", y="spread", role="control"))
    sizes = np.unique(own.units)
    counted = [_counted_mean(int(N)) for N in sizes]
    means.append(Series(label="mean over all minima, exact theory", x=sizes, y=counted, role="theory"))
    edges = [
        Reference(label="edge -E_inf", value=-theory.threshold(3), role="theory"),
        Reference(label="ground state, N → inf", value=-theory.layer(3), role="theory"),
    ]
    x = Axis(label="units N", log=True)
    return Figure(
        name="energies",
        title="Descent on a spin glass: the larger, the less it matters where one starts",
        caption="Left: energies of the minima found from random starts on one Hamiltonian, mean over Hamiltonians with "
        "its 95 % interval, and the mean over all minima that there are. Right: their standard deviation on one "
        "Hamiltonian.",
        panels=[
            Panel(x=x, y=Axis(label="energy a unit"), series=means, references=edges),
            Panel(x=x, y=Axis(label="standard deviation of energies", log=True), series=spreads),
        ],
    )


def layers(table) -> Figure:
    """Mean energy and number of the critical points of each index, at each size, with the theory."""
    own = table[(table.indices == "own") & (table.degree == 3)]
    energy, count = [], []
    for units, rows in own.groupby("units"):
        k = np.arange(units) / (units - 1)
        for panel, name in ((energy, "layers"), (count, "counts")):
            values, expected = np.stack(list(rows[name])), np.stack(list(rows[f"expected_{name}"]))[0]
            half = 1.96 * values.std(0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(int(units))
            mean = values.mean(0)
            panel.append(Series(label=f"{units} units", x=k, y=mean, low=mean - half, high=mean + half, style="points"))
            panel.append(Series(label="exact theory", x=k, y=expected, role="theory"))
    x = Axis(label="index / (N - 1)")
    return Figure(
        name="layers",
        title="All critical points of small spin glasses, one by one",
        caption="Left: their mean energy by index; the layers of the paper. Right: how many there are of each index. "
        "Means over Hamiltonians with 95 % intervals over seeds, and the expectations at the same size.",
        panels=[
            Panel(x=x, y=Axis(label="mean energy a unit"), series=energy),
            Panel(x=x, y=Axis(label="critical points a Hamiltonian"), series=count),
        ],
    )


def above_the_edge(table) -> Figure:
    """The share of minima above the edge, as it is and raised; and the rates of the layers."""
    own = table[table.degree == 3]
    series = []
    for widened, rows in own.groupby("widened", sort=False):
        label = f"above -E_inf + {widened:g}" if widened else "above -E_inf"
        series.append(Series.over_seeds(label, rows, x="units", y="outside"))
    u = np.linspace(-1.68, -theory.threshold(3), 200)
    rates = []
    for k in (0, 1, 2, 5):
        rate = theory.complexity(u, 3, k)
        rates.append(Series(label=f"index {k}", x=u[rate >= 0], y=rate[rate >= 0]))
    edge = Reference(label="-E_inf", value=-theory.threshold(3), axis="x", role="theory")
    return Figure(
        name="above-the-edge",
        title="The band is a limit: at finite size minima lie above its edge, and come down to it",
        caption="Left: the share of all minima that is above the band's edge, and above the edge raised by 0.2, from "
        "the exact theory. Right: the rates Theta_k(u) at which the numbers of critical points grow, N → inf: the "
        "layers begin one after the other and end at one edge.",
        panels=[
            Panel(x=Axis(label="units N", log=True), y=Axis(label="share of minima", limits=(0, 1.02)), series=series),
            Panel(x=Axis(label="energy a unit, u"), y=Axis(label="log number / N"), series=rates, references=[edge]),
        ],
    )


def _trained(table):
    return table[(table.measured == "trained") & ~table.control.astype(bool)]


def _counted_mean(N: int) -> float:
    energy, weight = theory.minima(N, 3, matrices=1000, random=np.random.default_rng(N))
    return float((weight * energy).sum())
