"""Geometry of the loss landscape in overparameterized networks: symmetries, invariances (Simsek et al., 2021).

Question. A network with more neurons than the task wants has many global minima and many saddles that permutation
symmetry makes of fewer neurons' critical points. Which are more, and are the minima in one piece?

The paper's answer. An irreducible point of r neurons becomes T(r, m) affine subspaces of one function in a network of
m, a critical point G(r, m) affine subspaces of critical points. One extra neuron in each layer connects all r! permuted
minima. With few extra neurons the saddles are more numerous, with many the global minima are.

What runs. The formulas beside an enumeration of all subspaces, whose connected pieces are found by comparing them in
pairs; the first width at which minima are more, by a recurrence. The path that exchanges neurons by a spare one, for
every permutation, in networks of one and two hidden layers. Local minima of small students, one neuron split:
gradient and eigenvalues beside the theory (Fukumizu and Amari 2000). And gradient flow, by an implicit method to its
end, of students of a teacher of 6 neurons from random starts, by width.

The activation of the students is softplus + logistic, which has no symmetry: an odd one (erf, tanh) or a rectifier
has more global minima than T counts, which is why neither is used. Inputs are Gaussian in the plane, by quadrature.
The design is ours; so are all numbers that the formulas give. What the paper states in words is claimed as a direction.

Choices after pilots. The teachers' neurons were first drawn at random, and some came so close that no run told them
apart in 1,500 steps; they now lie evenly on a circle, turned at random. 8 neurons and 6 extra ones were tried, where a
quarter of the runs had not ended in 600 steps. For the splits, 4 neurons of a teacher of 5 and 2 of one of 6 were taken
since many of their runs end in a local minimum, where those of other sizes end nowhere, with weights that grow; in the
one the matrix of the second order is indefinite, in the other positive definite.

Thresholds. "Nearly all" is 95 % of the runs. A loss of zero is 1e-8 of the targets' variance. Ends are compared
with the manifold where the loss is at most 1e-20, to 1e-2: neurons of the teacher are 2 apart, and where k + 1 neurons
meet the loss knows their weights to its root of order 2 (k + 1) only. In pilots that asked for 1e-4, up to 12 % of
these ends missed it. The claim that a split keeps a minimum came after a pilot had shown that matrix definite.

Seeds are turns of the teacher, starts, and drawn networks. Counts are exact, and each seed gives the same.
"""

import math

from lemmata.landscape import symmetry
from lemmata.studies import _simsek_2021_figures as figures
from lemmata.studies._simsek_2021_counts import Count, Width, enumerate_subspaces, outnumber
from lemmata.studies._simsek_2021_paths import Exchange, exchange
from lemmata.studies._simsek_2021_splits import Split, split
from lemmata.studies._simsek_2021_students import Runs, run
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, value

study = Study(
    "simsek-2021",
    paper=Paper(
        key="simsek2021",
        title="Geometry of the Loss Landscape in Overparameterized Neural Networks: Symmetries and Invariances",
        authors=(
            "Berfin Şimşek", "François Ged", "Arthur Jacot", "Francesco Spadaro", "Clément Hongler", "Wulfram Gerstner",
            "Johanni Brea",
        ),
        year=2021,
        venue="International Conference on Machine Learning",
        arxiv="2105.12221",
        entry="inproceedings",
    ),
    topic="loss landscapes",
    question="Which are more in a wide network, global minima or the saddles symmetry makes, and are minima connected?",
    notes="$T(r, m) = sum_u binom(m, u) G(r, m - u) B_u$ subspaces of minima, "
    "$G(r, m) = sum_i (-1)^(r - i) binom(r, i) i^m$ of critical points.",
)  # fmt: skip

# ---- counts ----------------------------------------------------------------------------------------------------------

DEFINITION = "definition of {} in the main text"

counted = study.experiment(
    "subspaces",
    config=Count,
    sweep=[{"neurons": [1, 2], "extra": [0, 1, 2, 3]}, {"neurons": [3], "extra": [0, 1, 2]}, {"neurons": [4]}],
    seeds={"smoke": 1, "laptop": 1, "paper": 1},
    vectorised=("seed", "neurons", "extra", "rule"),
)
counted.trial(enumerate_subspaces)

counted.claim(
    "T(r, m) counts the affine subspaces on which a wide network computes the same function",
    name="minima-counted",
    where=DEFINITION.format("T"),
    kind=exact(of="T_over_listed", at_least=1.0, at_most=1.0),
    select={"extra": [1, 2, 3]},
    note="T over the subspaces listed one by one, r up to 4, up to 3 extra neurons",
).control("neurons that cancel left out of the list", rule="no cancelling").control(
    "neurons not told apart", rule="unlabelled"
)

counted.claim(
    "G(r, m) counts those of the critical points that one of r neurons induces",
    name="saddles-counted",
    where=DEFINITION.format("G"),
    kind=exact(of="G_over_listed", at_least=1.0, at_most=1.0),
    select={"neurons": [2, 3, 4], "extra": [1, 2]},
    note="not the number of ways to choose how many copies each neuron has, which the control counts",
).control("neurons not told apart: compositions of m", rule="unlabelled")

counted.claim(
    "with one extra neuron the subspaces of minima are one connected piece",
    name="one-piece",
    where="abstract: one extra neuron per layer",
    kind=exact(of="pieces"),
    select={"neurons": 3, "extra": 1},
    paper=1.0,
    margin=0.0,
    note="pieces found by comparing all 60 subspaces in pairs",
).control("no extra neuron", moves="the number of pieces", to=6.0, extra=0)

crossing = study.experiment(
    "outnumbering",
    config=Width,
    sweep=[
        {"neurons": [5, 8], "extra": [0, 1, 2, 3, 5, 8]},
        {"neurons": [10], "extra": [0, 1, 2, 5, 10, 20]},
        {"neurons": [20, 30], "extra": [0]},
    ],
    seeds={"smoke": 1, "laptop": 1, "paper": 1},
    vectorised=("seed", "neurons", "extra"),
)
crossing.trial(outnumber)
crossing.figure(figures.counts)

crossing.claim(
    "barely overparameterised, the saddles are more numerous",
    name="saddles-more",
    where="abstract: mildly overparameterised networks",
    kind=exact(of="one_fewer", at_least=1.0),
    select={"neurons": 10, "extra": [0, 1]},
    note="G(9, m) / T(10, m) = 4.5 and 1.75: one critical point of one neuron fewer",
).control("20 extra neurons", extra=20)

crossing.claim(
    "vastly overparameterised, the global minima are",
    name="minima-more",
    where="abstract: vastly overparameterised networks",
    kind=exact(of="all_fewer", at_most=1.0),
    select={"neurons": 10, "extra": [5, 10, 20]},
    note="sum of G(r, m) over r < 10, over T(10, m)",
).control("no extra neuron", extra=0)

crossing.claim(
    "a task for 10 neurons wants 3 more, before minima outnumber saddles",
    name="first-width",
    where="definitions of T and G; one critical point for each r",
    kind=exact(of="first_width"),
    select={"neurons": 10, "extra": 0},
    paper=float(symmetry.neurons_to_win(10)),
    quoted="first h with T(10, 10 + h) > sum G(r, 10 + h): 3",
    margin=0.0,
    note="computed from the paper's formulas; measured by a recurrence in m",
).control("20 neurons", moves="the first width", to=8.0, neurons=20).control(
    "30 neurons", moves="the first width", to=12.0, neurons=30
)

# ---- connection ------------------------------------------------------------------------------------------------------

connected = study.experiment(
    "connection",
    config=Exchange,
    sweep=[{"layers": [1], "width": [4], "spare": [True, False]}, {"layers": [2], "width": [3]}],
    seeds={"smoke": 2, "laptop": 5, "paper": 20},
)
connected.trial(exchange)
connected.figure(figures.paths)

connected.claim(
    "one extra neuron a layer connects all permuted minima by paths of zero loss",
    name="connected",
    where="abstract: one extra neuron per layer",
    kind=exact(of="largest_loss", at_most=1e-24),
    select={"spare": True},
    note="largest loss on the paths to all 24 (one layer) and 36 (two) permutations, over the variance of the targets",
).control("without the spare neuron, on the straight line", spare=False)

connected.claim(
    "without it they are isolated points",
    name="isolated",
    where="abstract; the minimal width",
    kind=exact(of="smallest_curvature", at_least=1e-12),
    select={"layers": 1, "spare": False},
    note="smallest eigenvalue of the Hessian over the largest: positive, so no other zero of the loss is near",
).control("with an extra neuron", spare=True)

# ---- saddles ---------------------------------------------------------------------------------------------------------

splits = study.experiment(
    "splits",
    config=Split,
    sweep=[
        {"neurons": [5], "small": [4], "share": [-0.5, 0.25, 0.5, 1.5]},
        {"neurons": [6], "small": [2], "share": [-0.5, 0.25, 0.5, 1.5]},
    ],
    seeds={"smoke": 2, "laptop": 5, "paper": 20},
    scales={"smoke": {"share": [0.5, 1.5]}},
    vectorised=("seed", "share", "sum"),
)
splits.trial(split)
splits.figure(figures.splits)

splits.claim(
    "a split neuron of a critical point makes a critical point of the wider network",
    name="critical",
    where="symmetry-induced critical points",
    kind=exact(of="gradient", at_most=1e-9),
    note="largest gradient norm over the neurons split",
).control("shares that sum to 1.2", sum=1.2).control("a small network stopped on its way", stopped=True)

splits.claim(
    "minimum or saddle, as the matrix share (1 - share) E[(f - f*) a sigma'' x x'] says",
    name="index",
    where="symmetry-induced critical points; Fukumizu and Amari (2000)",
    kind=exact(of="index_off", at_most=0.0),
    note="largest difference of the numbers of negative eigenvalues, measured and predicted, over the neurons split",
).control("a small network stopped on its way", stopped=True)

splits.claim(
    "where that matrix is definite, shares between 0 and 1 keep the minimum",
    name="minimum-kept",
    where="symmetry-induced critical points; Fukumizu and Amari (2000)",
    kind=exact(of="saddles", at_most=0.0),
    select={"neurons": 6, "share": [0.25, 0.5]},
    note="share of split neurons that give a saddle: 2 neurons for 6, whose matrices are positive definite",
).control("a share of 1.5", share=1.5).control("4 neurons for 5, whose matrices are indefinite", neurons=5, small=4)

splits.claim(
    "every local minimum of a smaller network makes saddles",
    name="saddles-made",
    where="symmetry-induced saddles",
    kind=exact(of="saddle_on_every_line", at_least=1.0),
    select={"neurons": 5},
    note="share of neurons for which a share between 0 and 1, or one outside, gives a negative eigenvalue",
).control("a global minimum", small=5)

# ---- runs ------------------------------------------------------------------------------------------------------------

trained = study.experiment(
    "runs",
    config=Runs,
    sweep={"extra": [0, 1, 2, 4]},
    seeds={"smoke": 2, "laptop": 5, "paper": 20},
    scales={"smoke": {"starts": 6, "steps": 150, "extra": [0, 2]}, "paper": {"starts": 100, "steps": 3000}},
    vectorised=("seed", "other"),
)
trained.trial(run)
trained.figure(figures.runs)

trained.claim(
    "the more minima outnumber saddles, the more runs reach a global minimum",
    name="more-reach-it",
    where="experiments: student and teacher; abstract",
    kind=ordering(of="reached", over="extra", order=(0, 1, 4)),
    select={"extra": [0, 1, 4]},
    note="share of random starts whose gradient flow ends at zero loss; minima are more from 2 extra neurons on",
).control("a teacher as wide as the student: no neuron to spare", grows=True)

trained.claim(
    "where they do by far, nearly all runs do",
    name="nearly-all",
    where="experiments: student and teacher; abstract",
    kind=value(of="reached"),
    select={"extra": 4},
    within=(0.95, math.inf),
    note="4 extra neurons: ten times as many subspaces of minima as of saddles; at least 95 % of runs",
).control("no extra neuron", extra=0)

trained.claim(
    "where they end, every neuron is a copy of the teacher's or cancels",
    name="on-the-manifold",
    where="expansion manifold; all global minima",
    kind=exact(of="on_manifold", at_least=1.0),
    note="share of the settled runs whose neurons are copies with the right sum of output weights, or groups of sum 0",
).control("against the teacher with its output weights' signs turned", other=True)
