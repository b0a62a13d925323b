"""The figures of the study of Onken and Ruthotto (2020)."""

from lemmata.figures import Axis, Figure, Panel, Series

NAMES = {"disc-opt": "discretise, then optimise", "opt-disc": "optimise, then discretise"}


def checks(table) -> Figure:
    """Taylor remainders with the first derivative, for three ways of taking it."""
    rows = table[(table.sign == 1) & (table.steps == 1)]
    series = []
    for (approach, rtol), own in rows.groupby(["approach", "rtol"]):
        if approach == "disc-opt" and rtol != table.rtol.min():
            continue
        at = "RK4, 29 steps" if approach == "disc-opt" else f"tolerance {rtol:.0e}"
        series.append(Series.over_seeds(f"{NAMES[approach]}, {at}", own, y="remainder"))
    x = series[0].x
    for order in (1, 2):
        line = Series(label=f"order {order}", x=x, y=order * (x - x[-1]) + series[0].y[-1], role="theory")
        series.append(line)
    panel = Panel(
        x=Axis(label="step h of the check, log10"), y=Axis(label="Taylor remainder, log10"),
        series=series,
    )  # fmt: skip
    return Figure(
        name="derivative-checks",
        title="Which gradients pass a derivative check",
        caption="Along a random direction, at initial weights: with the right gradient the remainder falls like h^2, "
        "with a wrong one like h. Every seed, mean, and 95 % interval.",
        panels=[panel],
    )


def losses(table) -> Figure:
    """The misfit while training."""
    rows = table[table.wrong == "none"]
    series = [Series.over_seeds(NAMES[approach], own, y="loss") for approach, own in rows.groupby("approach")]
    panel = Panel(x=Axis(label="iterations of Adam"), y=Axis(label="mean squared error, log10"), series=series)
    return Figure(
        name="training",
        title="The same losses by either approach",
        caption="Networks fitted to a series of 30 points, RK4 with one step between two points against the adjoint "
        "equation by two. Every seed, mean, and 95 % interval.",
        panels=[panel],
    )
