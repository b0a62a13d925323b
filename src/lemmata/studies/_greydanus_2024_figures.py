"""The figures of the study of MNIST-1D."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.studies._greydanus_2024_published import PUBLISHED

MODELS = {"linear": "linear", "mlp": "MLP", "cnn": "CNN", "gru": "GRU"}


def accuracies(table) -> Figure:
    """The test accuracy of each network on signals in order and shuffled, beside the published ones; and on digits."""
    own = table[~table.control]
    names = [name for name in MODELS if name in set(own.model)]
    ticks = Axis(label="network", ticks=tuple(MODELS[name] for name in names), limits=(-0.5, len(names) - 0.5))
    panels = []
    for title, order, rows in (
        ("signals", "kept", own[(own.data == "mnist1d") & (own.order == "kept")]),
        ("signals, pixels shuffled", "shuffled", own[(own.data == "mnist1d") & (own.order == "shuffled")]),
        ("digits", None, own[own.data == "mnist-5k"]),
    ):
        bars = [Series.over_seeds("here", rows, x="model", y="accuracy", order=names, style="bars")]
        if order is not None:
            entries = [PUBLISHED[name, order] for name in names]
            low, high = (np.array([end(e.table, e.notebook) for e in entries]) for end in (min, max))
            published = Series(
                label="published: table and notebook", x=range(len(names)), y=(low + high) / 2, low=low, high=high,
                role="paper", style="points",
            )  # fmt: skip
            bars.append(published)
        panels.append(Panel(x=ticks, y=Axis(label="test accuracy", limits=(0.0, 1.0)), series=bars, title=title))
    return Figure(
        name="accuracies",
        title="Signals tell networks apart, digits do not, and shuffled signals tell why",
        caption="Accuracy on 10,000 fresh signals (1,000 digits): mean over seeds with its 95 % interval, every seed, "
        "and the range of the two numbers that the authors' repository gives. Shuffled, the 40 numbers of every signal "
        "stand in another order.",
        panels=panels,
    )


def learning_curves(table) -> Figure:
    """Accuracy against steps, of each network on signals in order and shuffled."""
    own = table[~table.control & (table.data == "mnist1d")]
    panels = []
    for order, title in (("kept", "pixels in order"), ("shuffled", "pixels shuffled")):
        series = []
        for name, label in MODELS.items():
            rows = own[(own.model == name) & (own.order == order)]
            if not len(rows):
                continue
            series.append(Series.over_seeds(label, rows, y="accuracy_curve"))
        axis = Axis(label="test accuracy", limits=(0.0, 1.0))
        panels.append(Panel(x=Axis(label="steps of Adam"), y=axis, series=series, title=title))
    return Figure(
        name="learning-curves",
        title="The order of the pixels is what the convolutional network knows",
        caption="Accuracy on the test signals during training: mean over seeds with its 95 % interval, and every seed.",
        panels=panels,
    )
