"""The figures of the study of Ba and Caruana (2014)."""

from lemmata.figures import Axis, Figure, Panel, Reference, Series

BY_LABELS = ("SNN", "DNN", "CNN", "ECNN")
ACCURACY = Axis(label="accuracy on fresh signals", limits=(0.0, 1.0))


def learners(table) -> Figure:
    """Everyone's accuracy, taught by labels and by logits."""
    own = _plain(table)
    same, more = own[own.times == 1], own[own.times == 6]
    alike = more[more.learner != "CNN"]
    panels = [
        _bars("taught by labels, 1 input for each label", same[same.learner != "SNN-MIMIC"], BY_LABELS),
        _bars("an SNN, taught by ...", same[same.learner.isin(("SNN", "SNN-MIMIC"))], ("SNN", "SNN-MIMIC")),
        _bars("... on 6 times the inputs", alike, ("SNN-HARD", "SNN", "SNN-MIMIC")),
    ]
    return Figure(
        name="learners",
        title="A shallow network learns from logits what labels do not teach it",
        caption="SNN, DNN: one hidden layer, three hidden layers, of as many parameters. CNN, ECNN: a convolutional "
        "network, and the mean of three. SNN-MIMIC regresses on the logits of the ECNN; SNN-HARD learns its decisions; "
        "on 6 times the inputs SNN has their true labels. Mean over seeds with its 95 % interval, and every seed.",
        panels=panels,
    )


def transfer(table) -> Figure:
    """The student's accuracy against the number of inputs, between its teachers'."""
    own = _plain(table)
    student = own[own.learner == "SNN-MIMIC"].assign(inputs=lambda rows: rows.times * rows.labelled)
    labels = own[own.learner == "SNN"].assign(inputs=lambda rows: rows.times * rows.labelled)
    means = own[own.times == 1].groupby("learner").accuracy.mean()
    series = [
        Series.over_seeds("SNN-MIMIC, by logits", student, x="inputs", y="accuracy"),
        Series.over_seeds("SNN, by true labels", labels, x="inputs", y="accuracy", role="control"),
    ]
    lines = [Reference(label=name, value=float(means[name]), role="theory") for name in BY_LABELS[1:]]
    panel = Panel(x=Axis(label="inputs", log=True), y=Axis(label=ACCURACY.label), series=series, references=lines)
    return Figure(
        name="transfer",
        title="Unlabelled inputs help, and not as more data only",
        caption="All take the same steps. The lines are the mean accuracies of networks taught by the labels of the "
        "first 4,000 inputs (fewer at smoke scale); the ECNN is the teacher.",
        panels=[panel],
    )


def teachers(table) -> Figure:
    """The student against its teacher, and what taking means out of the logits does."""
    mimics = table[~table.control & (table.learner == "SNN-MIMIC") & (table.times == 6)]
    standard = mimics[mimics.removed == "sample means"]
    series = []
    for name in BY_LABELS:
        rows = standard[standard.teacher == name]
        point = Series(label=name, x=rows.teacher_accuracy, y=rows.accuracy, style="points")
        series.append(point)
    ends = [0.5, 1.0]
    series.append(Series(label="as good as its teacher", x=ends, y=ends, role="theory"))
    against = Panel(
        x=Axis(label="accuracy of the teacher"), y=Axis(label="accuracy of the student"), series=series,
        title="teachers of every seed",
    )  # fmt: skip
    by_ensemble = mimics[mimics.teacher == "ECNN"]
    order = ("sample means", "nothing", "output means, added back", "output means")
    short = ("samples'", "none", "outputs',\nadded back", "outputs'")
    removed = Panel(
        x=Axis(label="means taken out of the logits", ticks=short, limits=(-0.5, 3.5)), y=ACCURACY,
        series=[Series.over_seeds("SNN-MIMIC", by_ensemble, x="removed", y="accuracy", order=order, style="bars")],
        title="what is regressed on",
    )  # fmt: skip
    return Figure(
        name="teachers",
        title="Better teachers have better students; what matters in the logits is what predicts",
        caption="Left: students of 6 times the inputs, a point a seed. Right: the ECNN's students. Taking means out "
        "makes no difference, unless the outputs' are taken out and not added back.",
        panels=[against, removed],
    )


def bottleneck(table) -> Figure:
    """The training loss with and without bottleneck, by updates and by operations."""
    own = table[~table.control]
    panels = []
    for column, label in (("by_updates", "updates"), ("by_flops", "operations [GFlop]")):
        series = [
            Series.over_seeds(name, own[own.factored == factored], y=column)
            for name, factored in (("784-1000-10", False), ("784-50-1000-10, the first layer linear", True))
        ]
        loss = Axis(label="squared error on the logits", log=True)
        panels.append(Panel(x=Axis(label=label, log=True), y=loss, series=series))
    return Figure(
        name="bottleneck",
        title="A linear bottleneck makes updates cheaper, not better",
        caption="A shallow student of digits regresses on a perceptron's logits; stochastic gradient descent with "
        "momentum, batches of 100. Mean over seeds with its 95 % interval, and every seed.",
        panels=panels,
    )


def _plain(table):
    return table[~table.control & (table.teacher == "ECNN") & (table.removed == "sample means")]


def _bars(title: str, rows, order: tuple[str, ...]) -> Panel:
    bars = Series.over_seeds("accuracy", rows, x="learner", y="accuracy", order=order, style="bars")
    return Panel(x=Axis(label="", ticks=order, limits=(-0.5, len(order) - 0.5)), y=ACCURACY, series=[bars], title=title)
