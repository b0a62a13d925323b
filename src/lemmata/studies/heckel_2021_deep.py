"""Double descent in time of convolutional networks with noisy labels (Heckel & Yilmaz, 2021, Figures 1 and 4).

Question. In a deep network, the last layer and the ones below are learned at different speeds. Does the test error
descend twice, and does a smaller step size for the last layer leave one descent, and a lower best error?

CIFAR-10 (paper scale; one GPU, 4,000 epochs: the better part of a day a network). The paper's five-layer network and
settings, with 20 % of the labels replaced by other classes (`_heckel_2021_cifar`), for three choices of step sizes: 0.1
for all layers; 0.001 for the last; 0.05 below and 0.2 for the last. The paper's numbers are those of the curves in its
repository (one run each): best test error 18.1, 15.2 and 20.3 %, and with one step size a peak of 30 % at epoch 169,
counted from 0. The third choice changes two things: the last layer's step is doubled and the others' is halved. So
20.3 % is no effect of the last layer alone, and a fourth choice, ours, has 0.2 for the last and 0.1 below. On
MNIST-1D the layers below are left as they are.

The repository (`_heckel_2021_shipped`). Its configuration has the share of wrong labels divided by nine, the number of
other classes, and its code divides by nine again: together they make 2.2 % wrong labels, not 20.

MNIST-1D. Our small stand-in: three convolutions with batch normalisation on signals with 20 % wrong labels, SGD with
momentum 0.9 and step size 0.02, 80 epochs; at paper scale 50 channels and 2,000 signals, at laptop scale 32 and 1,600,
where a network takes 3 seconds. In pilot runs without batch normalisation, or with perceptrons, there was no second
descent on these data. Sizes were chosen after pilot runs of seeds 0 and 1 (32 or 50 channels, 1,000 to 2,000 signals,
step sizes 0.02 and 0.05): with fewer signals the network whose last layer is slow is not trained to its minimum in 80
epochs, and larger steps make no larger bump. Heights and tolerances are those declared before. The height of the bump
on MNIST-1D, 0.015, was declared for paper scale, as two standard errors of a network's test error on its 4,000 test
signals. Laptop scale has 2,000, on which they are 0.021; the height was left as it was.

The guard that nothing is unstable looks at the mean loss of the batches met in an epoch (MNIST-1D) or the training
error (CIFAR-10), each as a running mean of three. It may rise by a twentieth of its first value. The test error is a
running mean of three on MNIST-1D, which is read every second epoch, and of nine on CIFAR-10. There three would not do:
the published curve of a small step for the last layer, which is said to descend once, then has a bump of 2.2 points
itself, with nine 0.7, and that of one step size still 3.3. Half of this is the height that is asked. (Before, the
second descent was asked of a mean of three, and both heights were 2 points; CIFAR-10 has not been run.)

A second guard was added after a first run at laptop scale. There the smoothed test error had a bump of 1.5 to 3 points
in each of five seeds, as in the pilot runs; but the mean over seeds had none, and falling curves with the same noise
have a bump as high (`_heckel_2021_noise`). So the bump is claimed without and with this guard. At this scale it says
little of a second descent; the published curve of CIFAR-10, of 4,000 epochs, has one when smoothed over 25.

Seeds are independent draws of the data (MNIST-1D: of the test signals too, which earlier runs shared between seeds),
wrong labels, initial weights and order. So drawn, five seeds left all four claims on MNIST-1D open, where the bump and
its cure had been reproduced before; by their spread 9 seeds would settle the bump, 15 that it is more than noise. So
laptop scale has fifteen seeds, none of them among those five. They find the bump, its cure and the order of the best
errors. Against the second guard it stays open: what noise does not make of the bump is 0.003 +- 0.005, of 0.025, and
some 78 seeds would be needed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._heckel_2021_cifar import Cifar, run_cifar
from lemmata.studies._heckel_2021_shipped import Shipped, count_wrong_labels
from lemmata.studies._heckel_2021_signals import Signals, run_signals
from lemmata.studies.heckel_2021 import study as linear_study
from lemmata.study import Study
from lemmata.study.kinds import difference, ordering, shape, value

study = Study(
    "heckel-2021-deep",
    paper=linear_study.paper,
    topic="double descent",
    question="Does the step size of the last layer decide whether the test error descends twice?",
)

# ---- MNIST-1D --------------------------------------------------------------------------------------------------------

SMALL, SAME, LARGE = 0.01, 1.0, 3.0

signals = study.experiment(
    "mnist1d",
    config=Signals,
    sweep={"fc_step": [SMALL, SAME, LARGE]},
    seeds={"smoke": 3, "laptop": 15, "paper": 15},
    scales={
        "smoke": {"n": 300, "channels": 8, "epochs": 40, "step_size": 0.4, "test": 100},
        "laptop": {"n": 1600, "channels": 32, "test": 2000},
    },
    vectorised=("seed", "fc_step", "label_noise"),
    block=10,
)
signals.trial(run_signals)

signals.claim(
    "with one step size the test error, smoothed, rises before its last fall, while the training loss falls",
    name="signals-bump",
    where="Fig. 1 and 4 (there on CIFAR-10)",
    kind=shape.double_descent(of="test_error", height=0.015, smooth=3, guard="mean_running_loss", tolerance=0.05),
    select={"fc_step": SAME, "label_noise": 0.2},
    note="height: twice the standard error of a test error of 0.35 on the 4,000 signals of paper scale; on laptop "
    "scale's 2,000 it would be 0.021",
).control("true labels", label_noise=0.0)
signals.claim(
    "it descends twice: the rise is more than the noise of single epochs makes of one descent",
    name="signals-double-descent",
    where="Fig. 1 and 4 (there on CIFAR-10)",
    kind=value(of="bump_beyond_noise", null=0.0),
    select={"fc_step": SAME, "label_noise": 0.2},
    within=(0.0, math.inf),
    note="height of the smoothed bump less the mean height of 200 falling curves with the same noise",
).control("true labels", label_noise=0.0)
signals.claim(
    "a step size a hundred times smaller for the last layer leaves one descent",
    name="signals-elimination",
    where="Fig. 4",
    kind=shape.single_descent(of="test_error", height=0.015, smooth=3, guard="mean_running_loss", tolerance=0.05),
    select={"fc_step": SMALL, "label_noise": 0.2},
).control("one step size", fc_step=SAME)
signals.claim(
    "the smaller the last layer's step size, the lower the best error",
    name="signals-best-error",
    where="Fig. 4 (15.2 < 18.1 < 20.3 % on CIFAR-10)",
    kind=ordering(of="best_error", over="fc_step", order=(SMALL, SAME, LARGE)),
    select={"label_noise": 0.2},
    note="the paper's 20.3 % is with half the step size for the layers below, too; here they keep theirs",
).control("8 epochs only, after which a slow last layer is behind", epochs=8)

# ---- CIFAR-10 --------------------------------------------------------------------------------------------------------

cifar = study.experiment(
    "cifar10",
    config=Cifar,
    sweep=[{"conv_step": [0.1], "fc_step": [0.001, 0.1, 0.2]}, {"conv_step": [0.05], "fc_step": [0.2]}],
    seeds={"paper": 5},
    vectorised=("seed",),
    block=1,
    data="cifar10",
)
cifar.trial(run_cifar)

SECOND = 0.016  # half of the bump of the published curve, 0.033, smoothed over nine epochs
NINE = "nine epochs a mean, which the published curve of a small step for the last layer needs to descend once"

cifar.claim(
    "with one step size the test error descends twice, with its peak near epoch 170",
    name="cifar-double-descent",
    where="Fig. 1a",
    kind=shape.double_descent(of="test_error", height=SECOND, smooth=9, guard="mean_train_error", tolerance=0.05),
    select={"conv_step": 0.1, "fc_step": 0.1},
    paper=170,
    margin=40,
    quoted="epoch 169, counted from 0 (published curve)",
    note=f"{NINE}; height: half of the published bump, 0.033; margin: a tenth of a decade on the figure's log axis",
).control("true labels", label_noise=0.0)
cifar.claim(
    "a step size a hundred times smaller for the last layer leaves one descent",
    name="cifar-elimination",
    where="Fig. 4",
    kind=shape.single_descent(of="test_error", height=SECOND, smooth=9, guard="mean_train_error", tolerance=0.05),
    select={"fc_step": 0.001},
    note=f"{NINE}; height: half of the bump of the published curve of one step size, 0.033",
).control("one step size", fc_step=0.1)
for label, below, fc_step, number, beside in (
    ("same", 0.1, 0.1, 0.181, ""),
    ("small", 0.1, 0.001, 0.152, ""),
    ("large", 0.05, 0.2, 0.203, ", and half of it below"),
):
    cifar.claim(
        f"best test error, {label} step size for the last layer{beside}",
        name=f"cifar-best-error-{label}",
        where="Fig. 4",
        kind=value(of="best_error"),
        select={"conv_step": below, "fc_step": fc_step},
        paper=number,
        margin=0.01,
        quoted=f"{number:.1%} (published curve)",
        note="margin: a point, what one published run leaves open",
    ).control("true labels", label_noise=0.0)
cifar.claim(
    "that a large step size costs accuracy is the last layer's doing: doubled alone, it costs half of it, or more",
    name="cifar-last-layer-alone",
    where="audit of Fig. 4 (ours), whose large step size comes with half the step size below",
    kind=difference(of="best_error", over="fc_step", between=(0.1, 0.2)),
    select={"conv_step": 0.1},
    within=(0.011, math.inf),
    quoted="20.3 - 18.1 = 2.2 points, with half the step size below",
).control("true labels", label_noise=0.0)

# ---- the authors' repository, and what cannot be tested --------------------------------------------------------------

shipped = study.experiment("shipped", config=Shipped, seeds={"smoke": 3, "laptop": 3, "paper": 3})
shipped.trial(count_wrong_labels)
shipped.claim(
    "the published code makes 2.2 % wrong labels of the published configuration, not 20 %",
    name="shipped-label-noise",
    where="audit of the authors' repository (ours): train.py and results/mcnn/cifar/base/config.json",
    kind=value(of="wrong_labels"),
    paper=0.0216,
    margin=1e-4,
    quoted="9 * 12 / 5,000 = 2.16 % (ours); the paper has 20 %",
    note="in the configuration the share is divided by nine already, for the number of other classes",
).control("divided by nine once", moves="the share", to=0.1998, divided=False)
shipped.claim(
    "ResNet-18 is improved likewise",
    name="resnet",
    where="the paper's experiment with ResNet-18",
    untestable="the authors' repository has its configurations, no curve or number, and it takes days on a GPU",
)

# ---- figures ---------------------------------------------------------------------------------------------------------


@signals.figure
def signals_error(table: Any) -> Figure:
    """Test and training error against epochs for the three step sizes, and where one step size fits the samples."""
    rows = table[~table["control"] & (table["fc_step"] == SAME)]
    epochs = rows["train_error"].iloc[0].x
    fitted = epochs[np.mean([curve.y for curve in rows["train_error"]], axis=0) <= 0.01]
    marks = [Reference(label="fitted, step size 1", value=fitted[0], axis="x", role="theory")] if len(fitted) else []
    return _errors(table, "mnist1d", "MNIST-1D, 20 % wrong labels", marks)


@cifar.figure
def cifar_error(table: Any) -> Figure:
    """Test and training error against epochs for the three step sizes, with the published best errors."""
    best = [Reference(label=f"{number:.1%}", value=number) for number in (0.152, 0.181, 0.203)]
    return _errors(table, "cifar10", "CIFAR-10, 20 % wrong labels", best)


def _errors(table: Any, name: str, title: str, references: Sequence[Reference]) -> Figure:
    swept = table[~table["control"]]
    steps = [field for field in ("fc_step", "conv_step") if field in swept]
    panels = [
        Panel(
            x=Axis(label="epochs", log=True),
            y=Axis(label=label),
            series=[Series.over_seeds(_label(*chosen), rows, y=curve) for chosen, rows in swept.groupby(steps)],
            references=references if curve == "test_error" else [],
            title=label,
        )
        for curve, label in (("test_error", "test error"), ("train_error", "training error"))
    ]
    return Figure(name=name, title=title, caption="Every seed, mean and 95 % band.", panels=panels)


def _label(last: float, below: float | None = None) -> str:
    return f"last layer's step size {last:g}" + ("" if below is None else f", {below:g} below")
