"""Spurious local minima are common in two-layer ReLU neural networks (Safran, Shamir, 2018).

Question. A student with one hidden layer of n rectified neurons learns from a teacher of k, on Gaussian inputs, with
all outputs fixed at one. The global minimum is zero. Does gradient descent find it?

The paper's answer. Often not: with an orthonormal teacher and n = k there are local minima that are not global, proved
by interval arithmetic, and random starts run into them the more often the larger k is. One or two extra neurons make
them rare again.

What runs. The population loss has a closed form (`landscape.teacher_student`), so that nothing is sampled but the
starts: entries N(0, 1/k), gradient steps of 5/k (at most 7/(n + 3)), Newton for the last stretch only where gradient
descent provably ends in the same point. A start counts as spurious when its loss, at a gradient below 1e-12, exceeds
1e-3. A seed is a batch of starts, the share of spurious ones its statistic. Batches are of 30 starts on a laptop (9 at
k = 20; 40 for the onset), 500 at the paper's scale.

That they are strict minima, and not saddles or plateaus, is proved as in the paper, by ball arithmetic, for one of each
loss (k = 10 and 12 on a laptop): within a tiny distance there is exactly one critical point, its Hessian is positive
definite and its loss positive. With orthonormal teachers and outputs of one the loss has no continuous symmetry.

Claims are of direction: the paper's table was not at hand, and its numbers are not quoted. The widths (6 to 20), the
step and the threshold are a rerun's, fixed before these seeds; the claim on where spurious minima become common (a
twentieth of the starts) and its move by an extra neuron are ours to say what the rise with k means. A pilot had
36 and 12 starts and the same verdicts; the batches were made smaller for their cost. With 24 starts for the onset the
claim on it was inconclusive: too few seeds reached a twentieth at k = 15 with an extra neuron.

Left out: teachers in more dimensions than neurons, and the paper's proof that these minima persist there.
"""

from lemmata.studies import _safran_shamir_2018_figures as figures
from lemmata.studies._safran_shamir_2018_descents import Onset, Students, measure, shares
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, reached, trend

study = Study(
    "safran-shamir-2018",
    paper=Paper(
        key="safran2018",
        title="Spurious Local Minima are Common in Two-Layer ReLU Neural Networks",
        authors=("Itay Safran", "Ohad Shamir"),
        year=2018,
        venue="International Conference on Machine Learning",
        arxiv="1712.08968",
        entry="inproceedings",
    ),
    topic="loss landscapes",
    question="How often does gradient descent end in a spurious minimum of a two-layer ReLU network, and do extra "
    "neurons help?",
    notes="The loss is $1/2 E(sum_i max(w_i x, 0) - sum_j max(v_j x, 0))^2$ over Gaussian $x$, in closed form.",
)

WIDTHS = [6, 8, 10, 12, 15, 20]
EXPERIMENTS = "experiments: shares of random starts by k and n"

descents = study.experiment(
    "descents",
    config=Students,
    sweep=[
        {"extra": [0], "k": [2, 3, 4, 5, *WIDTHS]},
        {"extra": [1], "k": [10, 15, 20]},
        {"extra": [2], "k": [20]},
    ],
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={
        "smoke": {"starts": 12, "wide": 0.25},
        "laptop": {"starts": 30, "wide": 0.3},
        "paper": {"starts": 500, "proofs": 20, "widest_proof": 20},
    },
    vectorised=("seed",),
)
descents.trial(measure)
descents.figure(figures.by_width)
descents.figure(figures.losses)

descents.claim(
    "the wider teacher and student of equal width, the larger the share of starts that end in spurious minima",
    name="rise",
    where=EXPERIMENTS,
    kind=trend(of="share", over="k", at_least=0.9),
    select={"extra": 0, "k": WIDTHS},
    note="Spearman's rho of each batch over k = 6, 8, 10, 12, 15, 20",
).control("two extra neurons", extra=2)

descents.claim(
    "at small widths there are none",
    name="small",
    where=EXPERIMENTS + ", which begin at k = 6",
    kind=exact(of="spurious", at_most=0),
    select={"extra": 0, "k": [2, 3, 4, 5]},
    note="number of spurious ends, k = n = 2 to 5, every batch; no spurious minimum is known there",
).control("k = 12", k=12)

descents.claim(
    "the points are strict local minima that are not global",
    name="strict",
    where="the computer-assisted proof of their existence",
    kind=exact(of="proved", at_least=1.0),
    select={"extra": 0, "k": [10, 12]},
    note="share of those tried, one of each loss, that ball arithmetic proves; every batch",
).control("the same points moved by a tenth", displaced=0.1)

descents.claim(
    "one extra neuron removes them at k = 10",
    name="one-extra",
    where=EXPERIMENTS + ", n = k + 1",
    kind=exact(of="spurious", at_most=0),
    select={"extra": 1, "k": 10},
    note="number of spurious ends, every batch",
).control("no extra neuron", extra=0)

descents.claim(
    "but leaves some at 15 and more at 20",
    name="one-extra-wide",
    where=EXPERIMENTS + ", n = k + 1",
    kind=ordering(of="share", over="k", order=(10, 15, 20)),
    select={"extra": 1, "k": [10, 15, 20]},
).control("two extra neurons", extra=2)

descents.claim(
    "two extra neurons remove them at k = 20",
    name="two-extra",
    where=EXPERIMENTS + ", n = k + 2",
    kind=exact(of="spurious", at_most=0),
    select={"extra": 2, "k": 20},
    note="number of spurious ends, every batch",
).control("one extra neuron", extra=1)

descents.claim(
    "every descent ends",
    name="ended",
    where="the method",
    kind=exact(of="unfinished", at_most=0),
    note="descents without a gradient below 1e-12 or a loss below 1e-7, every batch: shares are of all starts",
).control("a hundred steps", most=100)

start = study.experiment(
    "onset",
    config=Onset,
    sweep={"extra": [0, 1]},
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={
        "smoke": {"starts": 24, "ks": [4, 6, 8, 10]},
        "laptop": {"starts": 40},
        "paper": {"starts": 500},
    },
    vectorised=("seed",),
)
start.trial(shares)
start.figure(figures.onset)

start.claim(
    "they are common from k = 8 on, and one extra neuron moves that to 15",
    name="onset",
    where=EXPERIMENTS,
    kind=reached(of="share", threshold=0.05, rising=True),
    select={"extra": 0},
    paper=8.0,
    within=(6.0, 10.0),
    quoted="no number of the paper; 8 is ours",
    note="first k of 2, 4, 6, 8, 10, 12, 15 at which a twentieth of the starts ends in spurious minima",
).control("one extra neuron", moves="the onset", to=15.0, extra=1)
