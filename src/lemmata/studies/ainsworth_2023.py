"""Git Re-Basin: merging models modulo permutation symmetries (Ainsworth, Hayase and Srinivasa, 2023).

Question. Two networks trained from independent weights have a barrier between them on the straight line. Does it go
away when the neurons of one are put into the order of the other's?

    pi = argmax_pi <theta_a, pi theta_b>;      theta(t) = (1 - t) theta_a + t pi theta_b

by weight matching (no data), or by the straight-through estimator, which looks at the loss of the midpoint. Both are
instruments of `lemmata.landscape.permutation`, and work from the graph of any model.

Experiments.

    pairs     perceptrons with three hidden layers, 8 to 128 neurons each, on 4,000 digits of 14x14 pixels, He's initial
              weights, momentum 0.9, weight decay 0.001, a constant step of 0.1 in batches of 50, 10 epochs; the line on
              1,000 of the training digits, and on 600 test digits
    training  pairs of 64 neurons a layer, after 500 to 40,000 digits were seen
    many      three networks of 128 neurons a layer, brought into one order (MergeMany), and averaged
    repair    pairs with four layers of 32 neurons, after 24,000 digits; REPAIR of the midpoint

"Zero barrier" is read as at most 2 % of ln 10, the loss of guessing: 0.046 nats on test digits, the width of a line in
a plot of the loss. "Better than the ends" is the loss of the middle of the line below the mean of its ends' ("height"
below zero; two networks of one law differ by chance, and the better of them is no law of its own). A barrier is the
largest height on the line, and cannot be negative.

Deviations: small images, 4,000 of them, networks a quarter as wide as the paper's of 3 x 512; no ResNets: what the
paper shows of ResNet-20 by width is asked of perceptrons.

What these claims owe to outcomes. Settings and claims were changed after outcomes had been seen, some of them several
times, on the random streams of seeds counted from 0. The verdicts are of streams that nothing was tried on (seeds count
from 7,340,000), with test digits that no two pairs of an experiment share. Changed before that:

    training      a step of 0.1, where matching leaves nothing: smaller steps leave a barrier, if longer training does
                  not make up for them. What a large constant step leaves in the weights is noise, which an average of
                  two networks halves; part of what merging gains is of this kind
    widths        128 the largest, not 256, for time; straight-through matching at 128, as it was open at 64
    ends          the midpoint is compared with the mean of the ends: with the better one it was open (-0.034 +- 0.035)
    three merged  as good as the networks: that the mean is better was open at first. 20,000 digits were tried, and
                  40,000 put back
    trends        contrasts of their ends, as zeros are ranked by noise (over widths rho = -0.90, in training -0.94,
                  left open against -0.8 and -0.9); that in training got its tenth when its control came out undecided
    adam          says that there are trainings after which matching leaves a barrier: the third of its kind, after one
                  on an annealed step and one on small steps
    four passes   are enough for no barrier: took the place of a claim that four passes gain 99 % of the objective
    middle        the peak before matching; the best point of the matched line was tried first
    REPAIR        put where it has something to do, with 16 seeds of its own: with six layers it made one pair in three
                  worse
    seeds, steps  8 pairs, not 6 (three networks again 6); the straight-through estimator takes 20 steps, not 60 or 30

That orders found together close a cycle holds by construction and is tested as such; the claim on the two others of
three networks stands in its place, and had not been looked at.

Seeds are independent draws of the split, of all networks, their batches and permutations: no two pairs of an experiment
share a network.
"""

from lemmata.studies import _ainsworth_2023_figures as figures
from lemmata.studies._ainsworth_2023_merging import Many, Merging, merge, merge_many
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, exact, value

INF = float("inf")
ZERO = 0.046
WIDTHS = [8, 16, 32, 64, 128]
WIDE = {"width": 128, "depth": 3, "optimiser": "momentum"}
PLAIN = {"copied": False, "repaired": False}
SEEN = [500, 1000, 4000, 40_000]

study = Study(
    "ainsworth-2023",
    paper=Paper(
        key="ainsworth2023",
        title="Git Re-Basin: merging models modulo permutation symmetries",
        authors=("Samuel K. Ainsworth", "Jonathan Hayase", "Siddhartha Srinivasa"),
        year=2023,
        venue="ICLR",
        arxiv="2209.04836",
        entry="inproceedings",
    ),
    topic="loss landscapes",
    question="Are independently trained networks one and the same up to the order of their neurons?",
)

# ---- pairs -----------------------------------------------------------------------------------------------------------

pairs = study.experiment(
    "pairs",
    config=Merging,
    sweep=[
        {"width": WIDTHS, "matching": ["weights"]},
        {"width": [128], "matching": ["none", "four passes", "straight-through"]},
        {"width": [64], "optimiser": ["adam"], "step_size": [0.001], "weight_decay": [0.0]},
        {"width": [128], "copied": [True]},
    ],
    seeds={"smoke": 2, "laptop": 8, "paper": 10},
    scales={
        "smoke": {"n": 300, "n_test": 100, "measured": 200, "presented": 900, "pool": 4, "points": 5, "steps": 5},
        "paper": {"data": "mnist", "n": 60_000, "n_test": 10_000, "pool": 1, "presented": 6_000_000, "steps": 500},
    },
    vectorised=("seed", "matching", "copied", "reach", "steps", "repaired", "mixed"),
    block=100,
    data=lambda config: config.data,
)
pairs.trial(merge)
pairs.figure(figures.by_width)
pairs.figure(figures.lines)

pairs.claim(
    "after weight matching there is no barrier between wide networks",
    name="zero-barrier",
    where="figure of MNIST perceptrons",
    kind=value(of="barrier_test"),
    select={**WIDE, **PLAIN, "matching": "weights"},
    quoted="zero (read as: at most 2 % of ln 10)", within=(-INF, ZERO),
).control("a random order", matching="random").control(
    "the orders that were found, given to other layers", matching="exchanged"
).control("the order that matches the weights before training", matching="initial").control(
    "eight neurons a layer", width=8
)  # fmt: skip

pairs.claim(
    "the midpoint is better than the mean of the ends, by the test loss",
    name="midpoint-better",
    where="figure of MNIST perceptrons (weight matching)",
    kind=value(of="height_test", null=0.0),
    select={**WIDE, **PLAIN, "matching": "weights"},
    quoted="better than the ends (read as: than their mean)", within=(-INF, 0.0),
).control("a random order", matching="random").control(
    "the order that matches the weights before training", matching="initial"
)  # fmt: skip

for claim, of, region, words in (
    ("ste-zero-barrier", "barrier_test", (-INF, ZERO), "there is no barrier"),
    ("ste-midpoint-better", "height_test", (-INF, 0.0), "the midpoint is better than the mean of the ends"),
):
    pairs.claim(
        f"after straight-through matching {words}",
        name=claim,
        where="figure of MNIST perceptrons (straight-through estimator)",
        kind=value(of=of, null=0.0 if of == "height_test" else None),
        select={**WIDE, **PLAIN, "matching": "straight-through"},
        quoted="zero (read as: at most 2 % of ln 10)" if of == "barrier_test" else "better than the ends (their mean)",
        within=region,
        note="It starts from weight matching and keeps the best order by the loss on training digits: on those it "
        "cannot be worse, on test digits it can.",
    ).control("a random order", matching="random")  # fmt: skip

pairs.claim(
    "perceptrons of a sixteenth of the width have a barrier left",
    name="wide-only",
    where="figure of ResNet-20 by width",
    kind=difference(of="barrier_test", over="width", between=(8, 128)),
    select={"width": [8, 128], "depth": 3, "optimiser": "momentum", **PLAIN, "matching": "weights"},
    quoted="zero at 32 times the width, not at 1 (read as: lower by 2 % of ln 10 at least)", within=(-INF, -ZERO),
    note="In the paper this is of ResNet-20 on CIFAR-10.",
).control("a random order", matching="random")  # fmt: skip

pairs.claim(
    "weight matching ends after three or four passes",
    name="passes",
    where="appendix A.5",
    kind=value(of="passes"),
    select={**WIDE, **PLAIN, "matching": "weights"},
    paper=3.5, quoted="3 to 4", margin=0.5,
    note="The pass that finds nothing to improve counts.",
).control("weights before training", matching="initial")  # fmt: skip

pairs.claim(
    "four passes are enough for no barrier",
    name="four-passes-suffice",
    where="appendix A.5",
    kind=value(of="barrier_test"),
    select={**WIDE, **PLAIN, "matching": "four passes"},
    quoted="3 to 4 passes", within=(-INF, ZERO),
    note="Added when the passes had been seen to be more.",
).control("a random order", matching="random")  # fmt: skip

pairs.claim(
    "a permutation that was planted is found, every neuron of it",
    name="planted",
    where="not in the paper: what the instrument promises",
    kind=exact(of="recovered", at_least=1.0),
    select={**WIDE, "matching": "weights", "copied": True},
    quoted="all neurons",
).control("the orders that were found, given to other layers", matching="exchanged")

pairs.claim(
    "before matching the loss is highest in the middle of the line",
    name="middle",
    where="not in the paper: the two ends are draws of one law",
    kind=value(of="peak"),
    select={**WIDE, **PLAIN, "matching": "none"},
    paper=0.5, quoted="t = 1/2, by symmetry", margin=0.1,
).control("the line ends at three quarters of the way", moves="the peak", to=2 / 3, reach=0.75)  # fmt: skip

pairs.claim(
    "between networks trained by Adam without weight decay matching leaves a barrier",
    name="adam",
    where="not in the paper",
    kind=value(of="barrier_test"),
    select={"width": 64, "depth": 3, "optimiser": "adam", **PLAIN, "matching": "weights"},
    quoted="", within=(ZERO, INF),
    note="Found in pilots: that there is no barrier depends on how the networks were trained.",
).control(
    "the training of the other claims", optimiser="momentum", step_size=0.1, weight_decay=1e-3
)  # fmt: skip

for name, statement, quoted in (
    ("resnet-20", "ResNet-20 on CIFAR-10 has no barrier at 32 times its width, and one at its own", "zero at 32x only"),
    ("resnet-50", "two ResNet-50 on ImageNet, merged: their accuracy", "51.01 % top-1"),
):
    pairs.claim(
        statement, name=name, where="figure and text on ResNets", quoted=quoted,
        untestable="there is no GPU to train it on here; the instruments take any ResNet",
    )  # fmt: skip

# ---- in the course of training ---------------------------------------------------------------------------------------

course = study.experiment(
    "training",
    config=Merging,
    sweep={"width": [64], "presented": SEEN},
    seeds={"smoke": 2, "laptop": 8, "paper": 10},
    scales={
        "smoke": {"n_test": 100, "measured": 200, "pool": 4, "points": 5},
        "paper": {"data": "mnist", "n": 60_000, "n_test": 10_000, "pool": 1},
    },
    vectorised=("seed", "matching"),
    block=100,
    data=lambda config: config.data,
)
course.trial(merge)
course.figure(figures.in_training)

course.claim(
    "weight matching leaves a smaller share of the barrier late in training than early",
    name="emerges-in-training",
    where="figure of barriers in the course of training",
    kind=difference(of="left", over="presented", between=(1000, 40_000)),
    select={"presented": [1000, 40_000], "matching": "weights"},
    quoted="hard early, easy late (read as: by a tenth of the barrier at least)", within=(-INF, -0.1),
).control("a random order", matching="random")  # fmt: skip

# ---- several networks ------------------------------------------------------------------------------------------------

many = study.experiment(
    "many",
    config=Many,
    sweep={"matching": ["joint", "pairs"]},
    seeds={"smoke": 2, "laptop": 6, "paper": 10},
    scales={
        "smoke": {"n": 300, "n_test": 100, "measured": 200, "presented": 900, "pool": 4, "width": 16},
        "paper": {"data": "mnist", "n": 60_000, "n_test": 10_000, "pool": 1, "presented": 6_000_000, "width": 512},
    },
    vectorised=("seed", "matching"),
    block=100,
    data=lambda config: config.data,
)
many.trial(merge_many)
many.figure(figures.three)

many.claim(
    "the mean of three networks in one order is as good as they are, by the test loss",
    name="three-merged",
    where="Algorithm 3 (MergeMany)",
    kind=value(of="gain_merged"),
    select={"matching": "joint"},
    quoted="no loss by merging (read as: at most 2 % of ln 10)", within=(-INF, ZERO),
).control("random orders", matching="random")  # fmt: skip

many.claim(
    "three networks in one order: between the two that are not the first the middle of the line is as good as its ends",
    name="two-others",
    where="Algorithm 3 (MergeMany): one order for all",
    kind=value(of="between_others"),
    select={"matching": "joint"},
    quoted="zero (read as: at most 2 % of ln 10)", within=(-INF, ZERO),
).control("random orders", matching="random")  # fmt: skip

# ---- REPAIR ----------------------------------------------------------------------------------------------------------

repairing = study.experiment(
    "repair",
    config=Merging,
    sweep={"width": [32], "depth": [4], "presented": [24_000], "n_test": [300], "repaired": [False, True]},
    seeds={"smoke": 2, "laptop": 16},
    scales={"smoke": {"n": 300, "n_test": 100, "measured": 200, "presented": 900, "pool": 4, "points": 5}},
    vectorised=("seed", "matching", "repaired", "mixed"),
    block=100,
    data=lambda config: config.data,
)
repairing.trial(merge)
repairing.figure(figures.repaired)

repairing.claim(
    "REPAIR lowers the loss of the midpoint that weight matching leaves in narrow, deep networks",
    name="repair",
    where="not in the paper: Jordan et al. (2022), arXiv:2211.08403",
    kind=difference(of="height_test", over="repaired", between=(False, True)),
    select={"matching": "weights", "repaired": [False, True]},
    quoted="lower", within=(-INF, 0.0),
).control("statistics of the ends in other orders of their neurons", mixed=True)  # fmt: skip
