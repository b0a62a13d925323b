"""The figures of the study of Cohen et al. (2019)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band
from lemmata.studies._cohen_2019_published import RADII, TABLES

RADIUS = Axis(label="radius", unit="ℓ2 distance")
NAMES = {"cifar10": "CIFAR-10", "imagenet": "ImageNet"}
METHODS = {
    "cohen": "noise alone", "stab": "stability", "macer_deferred30": "MACER", "consistency": "consistency",
    "salman": "SmoothAdv",
}  # fmt: skip


def certified_curves(table) -> Figure:
    """Certified accuracy against the radius, for each noise, and without noise in training."""
    matched = _alike(table[~table.control])
    plain = table[(table.noise == 0) & (table.sigma == 1) & (table.labels == "true")]
    random = table[(table.labels == "random") & (table.sigma == 1) & (table.noise == 1)]
    series = [Series.over_seeds(f"σ = {sigma:g}", rows, y="certified") for sigma, rows in matched.groupby("sigma")]
    series += [
        Series.over_seeds(label, rows, y="certified", role="control")
        for label, rows in (("σ = 1, trained without noise", plain), ("σ = 1, random labels", random)) if len(rows)
    ]  # fmt: skip
    largest = matched[matched.sigma == matched.sigma.max()]
    one = largest[largest.seed == largest.seed.min()].iloc[0]
    first = Series(
        label="one network, band over its images", x=one.certified.x, y=one.certified.y, low=one.low.y, high=one.high.y
    )
    attacked = Series(label="right under attack", x=one.empirical.x, y=one.empirical.y, role="control", style="points")
    share = Axis(label="certified accuracy", limits=(0.0, 1.02))
    return Figure(
        name="certified-accuracy",
        title="What noise certifies on digits",
        caption="Left: the share of test images right and certified at each radius, mean and 95 % interval over "
        f"networks. Right: one network (σ = {one.sigma:g}), with the band that holds at all radii at once over its "
        f"{int(one.images)} images (95 %), and the share of {int(one.attacked)} images that it gets right under "
        "SmoothAdv's attack. A curve ends where even all samples as hits certify no more.",
        panels=[
            Panel(x=RADIUS, y=share, series=series, title="Over networks"),
            Panel(x=RADIUS, y=share, series=[first, attacked], title="Over images"),
        ],
    )


def noise_levels(table) -> Figure:
    """Certified accuracy against sigma at several radii."""
    matched = _alike(table[~table.control])
    panel = Panel(
        x=_levels(matched),
        y=Axis(label="certified accuracy", limits=(0.0, 1.02)),
        series=[
            Series.over_seeds(f"radius {label}", matched, x="sigma", y=name, order=sorted(matched.sigma.unique()))
            for name, label in (("at_0", "0"), ("at_0_5", "0.5"), ("at_1", "1"), ("at_1_5", "1.5"))
        ],
    )
    return Figure(
        name="noise-levels",
        title="σ trades small radii for large ones",
        caption="At radius 0 noise only costs; at a large radius only large noise certifies anything.",
        panels=[panel],
    )


def abstentions(table) -> Figure:
    """The share of images that PREDICT abstains from."""
    matched = _alike(table[~table.control])
    panel = Panel(
        x=_levels(matched),
        y=Axis(label="share abstained from"),
        series=[
            Series.over_seeds(f"{label} samples", matched, x="sigma", y=name, order=sorted(matched.sigma.unique()))
            for name, label in (
                ("abstained_few", f"{int(matched.few.iloc[0]):,}"),
                ("abstained_many", f"{int(matched.many.iloc[0]):,}"),
            )
        ],
    )
    return Figure(
        name="abstention",
        title="More samples, fewer abstentions",
        caption="PREDICT abstains where the two leading classes cannot be told apart at level 0.001.",
        panels=[panel],
    )


def linear_radii(table) -> Figure:
    """Certified radius against the true one."""
    series = []
    for samples, rows in table[table.alpha < 0.5].groupby("samples"):
        distance = np.stack([np.asarray(row) for row in rows.distance]) / rows.sigma.iloc[0]
        radius = np.stack([np.asarray(row) for row in rows.radius]) / rows.sigma.iloc[0]
        order = distance[0].argsort()
        mean, low, high = mean_and_band(radius[:, order])
        role = "control" if rows.control.all() else "measured"
        series.append(Series(label=f"{samples:,} samples", x=distance[0][order], y=mean, low=low, high=high, role=role))
    series.append(Series(label="the distance itself", x=[0, 2], y=[0, 2], role="theory"))
    panel = Panel(
        x=Axis(label="distance to the hyperplane", unit="σ"), y=Axis(label="certified radius", unit="σ"), series=series
    )
    return Figure(
        name="linear",
        title="For a linear classifier the radius is known",
        caption="The certified radius falls short of it by what the samples leave open, and never exceeds it.",
        panels=[panel],
    )


def published_curves(table) -> Figure:
    """The published curves with their bands, and the printed cells."""
    panels = []
    for dataset, rows in table[~table.control & table.row.isna()].groupby("dataset"):
        series = []
        for _, one in rows.sort_values("sigma").iterrows():
            x = np.append(0.0, np.repeat(one.radii, 2))
            y, low = (np.append(np.repeat(np.asarray(part), 2), 0.0) for part in (one.accuracy, one.low))
            high = np.append(np.repeat(one.high, 2), np.asarray(one.high)[-1])
            series.append(Series(label=f"σ = {one.sigma:g}", x=x, y=y, low=low, high=high))
        cells = [(r, float(c)) for row in TABLES[dataset].values() for r, c in zip(RADII[dataset], row, strict=True)]
        shown = [cell for cell in cells if cell[1] > 0]
        series.append(
            Series(
                label="printed in the authors' tables",
                x=[r for r, _ in shown],
                y=[c for _, c in shown],
                role="paper",
                style="points",
            )
        )
        panels.append(
            Panel(x=RADIUS, y=Axis(label="certified accuracy", limits=(0.0, 1.02)), series=series, title=NAMES[dataset])
        )
    return Figure(
        name="published-curves",
        title="The published logs, counted anew",
        caption="Certified accuracy of 500 images (427 at σ = 0.25 on ImageNet), each curve with the band that holds "
        "at all radii at once (95 % over images).",
        panels=panels,
    )


def published_abstentions(table) -> Figure:
    """Abstention and time of PREDICT on ImageNet."""
    one = table[~table.control].iloc[0]
    samples = Axis(label="samples", log=True)
    return Figure(
        name="published-abstention",
        title="PREDICT on ImageNet, σ = 0.25",
        caption="The authors' logs of 500 images. A hundred times the samples settle what was left open, at a hundred "
        "times the cost.",
        panels=[
            Panel(
                x=samples,
                y=Axis(label="share of images", limits=(0.0, 1.02)),
                series=[
                    Series(label="right", x=one.right.x, y=one.right.y),
                    Series(label="abstained", x=one.abstained.x, y=one.abstained.y),
                ],
            ),
            Panel(
                x=samples,
                y=Axis(label="time of an image", unit="s", log=True),
                series=[Series(label="time", x=one.seconds.x, y=one.seconds.y)],
            ),
        ],
    )


def published_leads(table) -> Figure:
    """What the logs of Jeong and Shin give: average certified radii, and how far each method leads noise alone."""
    own = table[~table.control]
    levels = sorted(own.sigma.unique())
    means = own[own.method == "cohen"].groupby("sigma").average_radius.mean()
    radii, leads = (
        [
            Series.over_seeds(label, own[own.method == method], x="sigma", y=of, order=levels)
            for method, label in METHODS.items()
        ]
        for of in ("average_radius", "lead_in_sigma")
    )
    least = Reference(label="a hundredth of σ", value=0.01, role="theory")
    return Figure(
        name="published-leads",
        title="MNIST, from the logs: how far each training leads noise alone",
        caption="Average certified radius of 10,000 test images, five runs of each method, mean and 95 % interval over "
        f"runs. Noise alone has {', '.join(f'{means[sigma]:.3f}' for sigma in levels)}, as the logs give it. Right: a "
        "run's radius less that of a run trained by noise alone.",
        panels=[
            Panel(x=_levels(own), y=Axis(label="average certified radius"), series=radii),
            Panel(x=_levels(own), y=Axis(label="lead over noise alone", unit="σ"), series=leads, references=[least]),
        ],
    )


def _alike(table):
    """Members that are smoothed with the noise they were trained with."""
    return table[(table.noise == table.sigma) & (table.labels == "true") & (table.reach == 1.0)]


def _levels(table) -> Axis:
    """The sigmas as categories."""
    ticks = tuple(f"{sigma:g}" for sigma in sorted(table.sigma.unique()))
    return Axis(label="σ of the noise, in training and smoothing", ticks=ticks, limits=(-0.3, len(ticks) - 0.7))
