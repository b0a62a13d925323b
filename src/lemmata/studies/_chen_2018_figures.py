"""The figures of the study of Chen, Rubanova, Bettencourt and Duvenaud (2018)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.figures.figure import Role
from lemmata.study import Curve

SOLVERS = {"adams": "Adams (VODE)", "dopri5": "Dormand-Prince", "bosh3": "Bogacki-Shampine, order 3"}
WAYS = {"adjoint": "adjoint equation", "solver": "through the solver", "checkpoint": "checkpoints"}
TOLERANCE = Axis(label="tolerance, relative and absolute", log=True)


def errors(table) -> Figure:
    """Errors of the gradient against the tolerance."""
    right = table[(table.sign == 1) & table.back.isna()]
    series = [
        Series.over_seeds(SOLVERS[solver], rows, x="tolerance", y="error") for solver, rows in right.groupby("solver")
    ]
    for label, rows in (("wrong sign", table[table.sign == -1]), ("0.01 on the way back", table[table.back.notna()])):
        own = rows[rows.solver == "dopri5"]
        if len(own):
            series.append(Series.over_seeds(label, own, x="tolerance", y="error", role="control"))
    x = np.sort(table.tolerance.unique())
    series.append(Series(label="in proportion", x=x, y=x, role="theory"))
    return Figure(
        name="gradient-errors",
        title="The adjoint equation's gradient is as good as the tolerance",
        caption="Relative error of the gradient by all weights, random networks. Every seed, mean, and 95 % interval; "
        "controls by Dormand and Prince's method.",
        panels=[Panel(x=TOLERANCE, y=Axis(label="relative error of the gradient", log=True), series=series)],
    )


def orders(table) -> Figure:
    """Evaluations against the tolerance, by methods of two orders."""
    series = [
        Series.over_seeds(SOLVERS[solver], rows, x="tolerance", y="evaluations")
        for solver, rows in table.groupby("solver")
    ]
    x = np.sort(table.tolerance.unique())
    for power, solver in ((5, "dopri5"), (3, "bosh3")):
        own = table[(table.solver == solver) & (table.tolerance == x[-1])]
        if len(own):
            y = own.evaluations.mean() * (x / x[-1]) ** (-1 / power)
            series.append(Series(label=f"tolerance^(-1/{power})", x=x, y=y, role="theory"))
    return Figure(
        name="orders",
        title="Evaluations grow like a power of the tolerance",
        caption="Random networks, forwards. Every seed, mean, and 95 % interval.",
        panels=[Panel(x=TOLERANCE, y=Axis(label="evaluations of the field", log=True), series=series)],
    )


def bytes_held(table) -> Figure:
    """Bytes held against evaluations."""
    panels = []
    for solver, title in (("rk4", "RK4, fixed steps"), ("dopri5", "Dormand-Prince, tolerance 1e-3 to 1e-11")):
        series = []
        for way, rows in table[table.solver == solver].groupby("way"):
            role: Role = "control" if way == "checkpoint" else "measured"
            curve = rows.held.iloc[0]
            series.append(Series(label=WAYS[way], x=curve.x, y=curve.y, role=role))
        panels.append(
            Panel(
                x=Axis(label="evaluations of the field", log=True),
                y=Axis(label="held by autograd, in states", log=True),
                series=series,
                title=title,
            )
        )
    return Figure(
        name="memory",
        title="Constant memory by the adjoint equation, linear through the solver",
        caption="Bytes between forward and backward, weights and input left out, in bytes of a state of 512 samples. "
        "By fixed steps they are the same for all seeds; by tolerance the first seed's are drawn.",
        panels=panels,
    )


def table_one(table) -> Figure:
    """Test errors of networks against the weights between features and head."""
    names = {"resnet": "ResNet", "rk": "RK-Net", "ode": "ODE-Net"}
    own = table.assign(percent=100 * table.wrong)
    series = [
        Series.over_seeds(label, own[own.solved & (own.net == net)], x="between", y="percent")
        for net, label in names.items()
    ]
    none = own[~own.solved & (own.net == "ode")]
    if len(none):
        series.append(Series.over_seeds("nothing between", none, x="between", y="percent", role="control"))
    x = Axis(label="weights between features and head")
    return Figure(
        name="table-1",
        title="Digits: a neural ODE in the place of six residual blocks",
        caption="Test errors on 1,000 digits. Every seed, mean, and 95 % interval.",
        panels=[Panel(x=x, y=Axis(label="test error", unit="%"), series=series)],
    )


def continuations(table) -> Figure:
    """Errors of continued spirals against the time since the last observation."""
    names = {"ode": "neural ODE", "rnn": "recurrent network"}
    logs = table.assign(missed=[Curve(curve.x, np.log10(curve.y)) for curve in table.missed])
    series = [
        Series.over_seeds(label, rows, y="missed")
        for model, label in names.items()
        for rows in [logs[(logs.model == model) & (logs.sign == 1)]]
    ]
    wrong = logs[(logs.sign == -1) & (logs.model == "ode")]
    if len(wrong):
        series.append(Series.over_seeds("neural ODE, wrong sign in the adjoint", wrong, y="missed", role="control"))
    return Figure(
        name="spirals",
        title="Spirals, continued",
        caption="Root mean squared error of six spirals, of a first radius of 1 to 2, after 30 observations over three "
        "turns with noise of 0.05. Every seed, geometric mean, and 95 % interval.",
        panels=[
            Panel(
                x=Axis(label="time since the last observation, a turn is 2 pi"),
                y=Axis(label="error, log10"),
                series=series,
                references=[Reference(label="noise of an observation", value=float(np.log10(0.05 * 2**0.5)))],
            )
        ],
    )


def evaluations(table) -> Figure:
    """Evaluations forwards and errors against the tolerance, and evaluations through training."""
    trained = table[(table["at"] == 1) & (table.batches == 1) & ~table.frozen & (table.damping == 0)]
    names = [name for name in SOLVERS if name in set(trained.solver)]
    own = {name: trained[(trained.solver == name) & (trained.tolerance != 1.5e-8)] for name in names}
    panels = [
        Panel(
            x=TOLERANCE,
            y=Axis(label=label, log=True),
            series=[Series.over_seeds(SOLVERS[name], own[name], x="tolerance", y=y) for name in names],
        )
        for y, label in (("forward", "evaluations forwards"), ("error", "relative error of the output"))
    ]
    through = table[(table.batches == 4) & (table.scale == 1) & (table.solver == "adams")]
    series = [Series.over_seeds("trained", through[~through.frozen], x="at", y="forward")]
    if through.frozen.any():
        series.append(
            Series.over_seeds("field not trained", through[through.frozen], x="at", y="forward", role="control")
        )
    panels.append(
        Panel(
            x=Axis(label="share of training that is over"), y=Axis(label="evaluations, tolerance 0.001"), series=series
        )
    )
    return Figure(
        name="evaluations",
        title="Accuracy is paid in evaluations, and training adds to them",
        caption="A neural ODE in a network of digits, evaluated by adaptive solvers on test digits, after training "
        "(left, middle) and on the way (right, Adams). Every seed, mean, and 95 % interval.",
        panels=panels,
    )


def way_back(table) -> Figure:
    """Evaluations of the way back over those forwards, against the units of the loss."""
    own = table[(table["at"] == 1) & ~table.frozen & (table.solver == "adams") & (table.damping == 0)]
    units = own[own.batches == 4]
    by_tolerance = table[(table["at"] == 1) & (table.batches == 1) & (table.damping == 0) & ~table.frozen]
    paper = Reference(label="roughly half", value=0.5)
    ladder = [
        Series.over_seeds(SOLVERS[name], rows[rows.tolerance != 1.5e-8], x="tolerance", y="share")
        for name in ("adams", "dopri5")
        for rows in [by_tolerance[by_tolerance.solver == name]]
    ]
    axis = Axis(label="evaluations, back over forwards", limits=(0.0, 2.6))
    return Figure(
        name="way-back",
        title="The way back costs more where the solver sees the adjoint",
        caption="Left: the loss multiplied by a number, which changes no direction of descent; tolerance 0.001. Right: "
        "by tolerance, the loss as it is. Every seed, mean, and 95 % interval.",
        panels=[
            Panel(
                x=Axis(label="factor of the loss", log=True),
                y=axis,
                series=[Series.over_seeds(SOLVERS["adams"], units, x="scale", y="share")],
                references=[paper],
            ),
            Panel(x=TOLERANCE, y=axis, series=ladder, references=[paper]),
        ],
    )


def lost(table) -> Figure:
    """What is lost on the way back, and the gradient's error, against T."""
    own = table[(table.rate == 10) & (table.way == "adjoint")]
    place = Reference(label="tolerance e^{rT} = 1/2", value=float(np.log(0.5e6) / 10), axis="x", role="theory")
    panels = []
    for y, label in (("lost", "error of y(0), log10"), ("wrong", "error of the gradient, log10")):
        series = [
            Series.over_seeds("half the coordinates contract" if slow else "all contract", rows, y=y)
            for slow, rows in own.groupby("slow")
        ]
        panels.append(Panel(x=Axis(label="T"), y=Axis(label=label), series=series, references=[place]))
    return Figure(
        name="contraction",
        title="The state is lost on the way back, the gradient only if something remembers it",
        caption="Rate 10, tolerance 1e-6, Dormand and Prince's method. Relative errors of the initial state gone back "
        "to (left) and of the gradient by the adjoint equation (right). Every seed, mean, and 95 % interval.",
        panels=panels,
    )
