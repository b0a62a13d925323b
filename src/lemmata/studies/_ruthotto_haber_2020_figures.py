"""The figures of the study of Ruthotto and Haber (2020)."""

from dataclasses import replace

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band

KINDS = {
    "resnet": "residual",
    "two-layer": "residual",
    "parabolic": "parabolic",
    "antisymmetric": "antisymmetric",
    "hyperbolic": "second-order",
    "hamiltonian": "Hamiltonian",
}


SHORT = {**KINDS, "hyperbolic": "2nd order", "hamiltonian": "Hamilton"}


def growth(table) -> Figure:
    """Distances through the layers, for each kind of network."""
    own = table[~table.control & (table.status == "ok")]
    series = []
    for (kind, activation, moving), rows in own.groupby(["kind", "activation", "moving"], sort=False):
        if activation not in ("tanh", "identity"):
            continue
        label = KINDS[kind] if moving else f"{KINDS[kind]}, linear, weights stay"
        series.append(_logarithms(label, rows, "distance"))
    panel = Panel(
        x=Axis(label="layer"),
        y=Axis(label="log10 of distance over the first"),
        series=series,
        references=[Reference(label="Theorem 1", value=0.0, role="theory")],
    )
    return Figure(
        name="distances",
        title="Parabolic networks never move two features apart",
        caption="Random convolutions with largest singular value 1, new ones in each layer, h = 1, tanh; the largest "
        "of the pairs, near and far. Mean of the logarithm over seeds with its 95 % interval. Second-order networks "
        "are stable while their weights stay; with new weights in each layer they are not.",
        panels=[panel],
    )


def limits(table) -> Figure:
    """How much the worst direction has grown, against the length of the step."""
    panels = []
    for kind, title, label in (
        ("parabolic", "Parabolic, forward Euler", "h |K|²"),
        ("hyperbolic", "Second-order, leapfrog", "h |K|"),
    ):
        own = table[~table.control & (table.kind == kind)]
        panels.append(
            Panel(
                x=Axis(label=label),
                y=Axis(label="log10 of distance over the first", limits=(-6.0, 7.0)),
                series=[_logarithms("after 20 layers", own, "grown", lowest=1e-6)],
                references=[
                    Reference(label="theory: 2", value=2.0, axis="x", role="theory"),
                    Reference(label="no growth", value=0.0, role="control"),
                ],
                title=title,
            )
        )
    return Figure(
        name="steps",
        title="Too long a step, and distances grow",
        caption="Two states 1e-5 apart in the direction that K stretches most, through 20 layers of one weight. Below "
        "the limit Euler's method shrinks them and leapfrog turns them; above it both grow until tanh saturates. Mean "
        "over seeds with its 95 % interval.",
        panels=panels,
    )


def drifts(table) -> Figure:
    """Deviation of the energy against the step."""
    own = table[~table.control]
    series = [Series.over_seeds(KINDS[kind], rows, x="step", y="drift") for kind, rows in own.groupby("kind")]
    steps = np.sort(own.step.unique())
    top = float(own[own.kind == "hyperbolic"].groupby("step").drift.mean().iloc[-1])
    series.append(Series(label="h²", x=steps, y=top * (steps / steps[-1]) ** 2, role="theory"))
    moving = table[table.control & table.moving & (table.kind == "hyperbolic")]
    if len(moving):
        changed = moving.groupby("step").drift.mean()
        series.append(
            Series(label="second-order, weights change", x=changed.index, y=changed.to_numpy(), role="control")
        )
    panel = Panel(
        x=Axis(label="step h", log=True),
        y=Axis(label="largest deviation of the energy, relative", log=True),
        series=series,
    )
    return Figure(
        name="energies",
        title="While weights stay, so does the energy",
        caption="Largest deviation from the energy at the start over T, by Verlet's method (leapfrog), mean over seeds "
        "with its 95 % interval: of the order of h², but where weights change on the way.",
        panels=[panel],
    )


def errors(table) -> Figure:
    """Errors of the trained networks."""
    own = table[~table.control & (table.status == "ok")]
    kinds = [kind for kind in KINDS if kind in set(own.kind)]
    drawn = [
        Series.over_seeds(label, own, x="kind", y=name, order=kinds, style="points")
        for label, name in (("test images", "test_error"), ("with noise of 0.3", "noisy_error"))
    ]
    axis = Axis(label="network", ticks=tuple(KINDS[kind] for kind in kinds))
    return Figure(
        name="errors",
        title="Errors of networks of equal width",
        caption="Trained on as many images by the same rule, each seed with test images of its own. Means and 95 % "
        "intervals over seeds. The parabolic and second-order networks have three fifths of the residual one's "
        "weights, the Hamiltonian one less than two fifths.",
        panels=[Panel(x=axis, y=Axis(label="share of wrong answers"), series=drawn)],
    )


def stretch(table) -> Figure:
    """How much the blocks of trained networks stretch small changes, and how long their steps are."""
    own = table[~table.control & (table.status == "ok")]
    kinds = [kind for kind in KINDS if kind in set(own.kind)]
    coarse = table[(table.kind == "parabolic") & ~table.finer.astype(bool) & ~table.omit.astype(bool)]
    stretched = [_points("short steps", own, kinds, "amplification")]
    if len(coarse):
        stretched.append(_points("as trained, h = 1", coarse, kinds, "amplification", role="control"))
    axis = Axis(label="network", ticks=tuple(SHORT[kind] for kind in kinds))
    return Figure(
        name="stretch",
        title="Only parabolic blocks never stretch",
        caption="The largest singular value of a block's derivative at test images, by power iteration, the steps so "
        "short that h |K|² is at most 2; parabolic blocks also as they were trained. Training leaves that region: on "
        "the right h |K|² with h = 1. Means (of logarithms on the left) and 95 % intervals over seeds.",
        panels=[
            Panel(
                x=axis,
                y=Axis(label="log10 of the largest stretch"),
                series=stretched,
                references=[Reference(label="Theorem 1", value=0.0, role="theory")],
            ),
            Panel(
                x=axis,
                y=Axis(label="h |K|², largest of the layers"),
                series=[Series.over_seeds("as trained", own, x="kind", y="step_norm", order=kinds, style="points")],
                references=[Reference(label="limit: 2", value=2.0, role="theory")],
            ),
        ],
    )


def _logarithms(label: str, rows, name: str, *, lowest: float = 1e-300) -> Series:
    curves = list(rows[name])
    values = np.log10(np.clip(np.stack([curve.y for curve in curves]), lowest, 1e300))
    mean, low, high = mean_and_band(values)
    return Series(label=label, x=curves[0].x, y=mean, low=low, high=high, seeds=values)


def _points(label: str, rows, kinds: list[str], name: str, **rest) -> Series:
    logs = rows.assign(logs=np.log10(rows[name].astype(float)))
    there = [kind for kind in kinds if kind in set(logs.kind)]
    drawn = Series.over_seeds(label, logs, x="kind", y="logs", order=there, style="points", **rest)
    places = [float(kinds.index(kind)) for kind in there]
    return replace(drawn, x=np.array(places))
