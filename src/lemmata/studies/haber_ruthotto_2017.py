"""Stable architectures for deep neural networks (Haber and Ruthotto, 2017).

Question. A residual network is forward Euler's method for y' = sigma(K(t) y + b(t)). What does the theory of stability
of differential equations, and of their discretisations, say about which deep networks can be trained?

The paper's answer, in three steps. (1) Where eigenvalues of the layers' Jacobian have positive real parts, features
that were close part and gradients explode; where they are negative, features run together and learning is ill-posed;
weights should keep them near zero. (2) The discretisation has to be stable too: |1 + h lambda| <= 1 for forward Euler.
A companion experiment of Ruthotto's course shows what happens otherwise: data made by 200 layers are fitted by 5
(h |lambda| = 6), whose objective has its minimiser at other weights, and does not generalise. (3) Architectures that
are stable by themselves: antisymmetric weights, and a two-field network integrated by Verlet's method, which train at
hundreds of layers on data in the plane.

Setting. (1) K = r I + a quarter turn, r = 2, 0, -2, ten layers of h = 0.1, and the course's thousand layers with
eigenvalues -0.001 +- 0.2 i. (2) The course's own: K(a, b) = -(a + b) I + a P + b P^T, T = 10, 20 inputs 0.1 N(0, 1),
101 x 101 weights. (3) 128 layers of width 8 on circles, on the swiss roll and on the five classes of the peaks, 200
samples, 50 steps of Adam; a layer's weights begin as those of the next. Verlet's edge of stability, h |K| = 2, is the
textbook's.

What is not in the paper: rates are compared with the limit of ln|1 + h lambda| / h, the real part, within the bias of
forward Euler; no accuracy of the paper is quoted. The words as numbers: "fits" is a test accuracy of 0.95; "better" is
ten points; "wrong" is a distance of 0.5 from the true weights at least, "right" of 0.2 at most; "does not generalise"
is a gap between training and test objective above 1, at some weights, against one below 0.01.

What the third step owes to its setting. Where every layer begins with weights of its own draw the plain network trains
well and Verlet's does not at h = 1 (pilots); the paper's smooth weights are what its theory is of. At h = 1/8 forward
Euler's own growth with antisymmetric weights, h omega^2 T / 2, and the growth of products that are not normal, leave it
between the two. With steps eight times as long none of the three trains: the stability of Verlet's method ends as well.

Chosen after pilot runs on other random streams: T, depth, number of steps and of seeds; the levels 0.1 of the objective
and 0.2 of the growth that define the two thresholds; the distances and gaps above. The minimiser with a hundred layers
is 0.94, not 1: differences between features have decayed by e^-30, and what is fitted is the discretisation's error.
A first run (seeds from 5,230,000) left the comparison on the swiss roll open with 6 seeds, and the control of the claim
on growth, h = 1, passed, as the plain network's perturbations grow more there too; hence 12 seeds and a shorter time.
The claim on the peaks was read as that on the swiss roll is; two runs before it (seeds from 5,230,000 and 5,300,000)
had 0.79 against 0.64 and 0.60. Real parts of 3 as a control came from the second: with 1 the circles were fitted nearly
as well (0.94), since tanh bounds what grows. The verdicts are of streams that nothing was tried on (seeds count from
5,231,000).

One more network, of 32 layers and trained for longer (200 steps of 0.03), carries no claim: its features are drawn.

Seeds are independent draws of inputs, weights, data for training and for testing, and perturbations.
"""

from lemmata.studies import _haber_ruthotto_2017_figures as figures
from lemmata.studies._haber_ruthotto_2017_networks import Deep, Initial
from lemmata.studies._haber_ruthotto_2017_objective import Weights, fit
from lemmata.studies._haber_ruthotto_2017_propagation import Forward, Verlet, propagate, threshold
from lemmata.studies._haber_ruthotto_2017_training import follow, initial, learn
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, reached, value

INF = float("inf")

study = Study(
    "haber-ruthotto-2017",
    paper=Paper(
        key="haber2017",
        title="Stable architectures for deep neural networks",
        authors=("Eldad Haber", "Lars Ruthotto"),
        year=2017,
        venue="Inverse Problems 34(1), 014004",
        arxiv="1705.03341",
        entry="article",
    ),
    topic="networks as differential equations",
    question="Which deep residual networks are stable, and does it matter for learning?",
    notes="The objective's experiment, and the thousand layers, are from L. Ruthotto's course Numerical Methods for "
    "Deep Learning.",
)

# ---- forward propagation with given weights --------------------------------------------------------------------------

forward = study.experiment(
    "forward",
    config=Forward,
    sweep=[
        {"real": [2.0, 0.0, -2.0]},
        {"real": [-0.001], "rotation": [0.2], "layers": [1000]},
    ],
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    vectorised=("seed",),
)
forward.trial(propagate)
forward.figure(figures.stretches)

for name, words, real in (
    ("explodes", "with positive real parts features that were close move apart", 2.0),
    ("vanishes", "with negative real parts they run together", -2.0),
):
    claim = forward.claim(
        f"{words}: a perturbation changes at the rate of the real part",
        name=name,
        where="section on forward propagation, the examples K+ and K-",
        kind=value(of="rate", null=0.0),
        select={"real": real, "layers": 10},
        paper=real, quoted=f"real part {real:g}", margin=0.3,
        note="rate of ten layers at h = 0.1; ln|1 + h lambda| / h is 1.85 and -2.15",
    )  # fmt: skip
    claim.control("half the real part", moves="the rate", to=real / 2, real=real / 2)
    claim.control("a real part of 0", moves="the rate", to=0.0, real=0.0)

preserved = forward.claim(
    "with real parts of 0 distances are kept",
    name="preserved",
    where="section on forward propagation, the example K0",
    kind=value(of="rate"),
    select={"real": 0.0, "layers": 10},
    paper=0.0, quoted="purely imaginary eigenvalues", margin=0.1,
    note="forward Euler adds h / 2 = 0.05",
)  # fmt: skip
preserved.control("a real part of 1", moves="the rate", to=1.0, real=1.0)
preserved.control("the same eigenvalues at ten times the step", h=1.0)

thousand = forward.claim(
    "a thousand layers with eigenvalues -0.001 +- 0.2 i keep what goes in",
    name="thousand-layers",
    where="course, example of forward propagation through 1,000 layers, h = 0.1",
    kind=value(of="total"),
    select={"real": -0.001, "rotation": 0.2, "layers": 1000},
    quoted="features neither explode nor vanish (read as: within a factor e^0.5)", within=(-0.5, 0.5),
    note="ln of the growth; forward Euler's is 1000 ln|1 + h lambda| = 0.10",
)  # fmt: skip
thousand.control("ten times the step", h=1.0)

# ---- the edge of Verlet's stability ----------------------------------------------------------------------------------

edge = study.experiment(
    "edge",
    config=Verlet,
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    vectorised=("seed",),
)
edge.trial(threshold)
edge.figure(figures.verlet)

edge.claim(
    "the two-field network by Verlet's method is stable up to the step 2 / |K|",
    name="edge-of-stability",
    where="theory of Verlet's method, which the paper names stable without the constant",
    kind=reached(of="rate", threshold=0.2, rising=True),
    select={"gain": 1.0},
    paper=2.0, quoted="h |K| = 2", margin=0.1,
    note="first of the steps 0.5, 0.55, ... at which a perturbation grows by e^0.2 a layer",
).control("weights of twice the norm", moves="the edge", to=1.0, gain=2.0)  # fmt: skip

# ---- learning two weights --------------------------------------------------------------------------------------------

objective = study.experiment(
    "objective",
    config=Weights,
    sweep={"layers": [5, 100]},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"points": 21}},
    vectorised=("seed",),
)
objective.trial(fit)
objective.figure(figures.objectives)
objective.figure(figures.depths)

COURSE = "course, experiment on the stability of the forward propagation"
FEW, MANY = {"layers": 5, "T": 10.0}, {"layers": 100, "T": 10.0}

objective.claim(
    "five layers, h |lambda| = 6, are fitted best by the wrong weights",
    name="wrong-weights",
    where=COURSE,
    kind=value(of="distance"),
    select=FEW,
    quoted="unstable: another minimiser", within=(0.5, INF),
).control("a hundred layers", layers=100)  # fmt: skip

objective.claim(
    "a hundred layers, h |lambda| = 0.3, by nearly the right ones",
    name="right-weights",
    where=COURSE,
    kind=value(of="distance"),
    select=MANY,
    quoted="stable: the minimiser near the truth", within=(0.0, 0.2),
).control("five layers", layers=5)  # fmt: skip

objective.claim(
    "with five layers the objective on test inputs is another one: it does not generalise",
    name="does-not-generalise",
    where=COURSE,
    kind=value(of="log_gap"),
    select=FEW,
    quoted="large difference between training and test objective", within=(0.0, INF),
    note="log10 of the largest difference over the weights",
).control("a hundred layers", layers=100)  # fmt: skip

objective.claim(
    "with a hundred layers both objectives agree",
    name="generalises",
    where=COURSE,
    kind=value(of="log_gap"),
    select=MANY,
    quoted="nearly the same objective", within=(-INF, -2.0),
    note="log10 of the largest difference over the weights",
).control("five layers", layers=5)  # fmt: skip

enough = objective.claim(
    "the network follows its equation from the depth on at which h |lambda| = 2",
    name="enough-layers",
    where="stability of forward Euler; not in the paper: the depth of the change",
    kind=reached(of="truth", threshold=0.1),
    select=FEW,
    paper=15.0, quoted="N = 1.5 T", margin=1.5,
    note="first depth at which the objective at the true weights is below 0.1",
)  # fmt: skip
enough.control("twice the time", moves="the depth", to=30.0, T=20.0)

# ---- deep networks ---------------------------------------------------------------------------------------------------

begun = study.experiment(
    "begun",
    config=Initial,
    sweep={"kind": ["plain", "antisymmetric", "verlet"], "law": ["swiss roll"]},
    seeds={"smoke": 3, "laptop": 12, "paper": 12},
    scales={"paper": {"layers": 1024}},
    vectorised=("seed",),
)
begun.trial(initial)

begun.claim(
    "at initial weights perturbations grow less in the two-field network than in the plain one",
    name="grows-less",
    where="section on stable architectures",
    kind=difference(of="stretch", over="kind", between=("plain", "verlet")),
    select={"kind": ["plain", "verlet"], "T": 16.0},
    quoted="stable (read as: by a factor e less)", within=(-INF, -1.0),
).control("an eighth of the time, in which neither grows", T=2.0)  # fmt: skip

deep = study.experiment(
    "deep",
    config=Deep,
    sweep=[
        {"kind": ["plain", "verlet"], "law": ["circles", "swiss roll", "peaks"]},
        {"kind": ["antisymmetric"], "law": ["circles"]},
    ],
    seeds={"smoke": 3, "laptop": 12, "paper": 12},
    scales={
        "smoke": {"layers": 16, "steps": 10, "n": 50, "n_test": 100},
        "paper": {"layers": 1024, "steps": 300, "n": 1000, "n_test": 2000},
    },
    vectorised=("seed",),
)
deep.trial(learn)
deep.figure(figures.eigenvalues)
deep.figure(figures.trained)
deep.figure(figures.growth_before)

for kind, words in (("verlet", "the two-field network by Verlet's method"), ("antisymmetric", "antisymmetric weights")):
    fits = deep.claim(
        f"128 layers train: {words} fit the circles",
        name=f"fits-{kind}",
        where="numerical experiments, data in the plane",
        kind=value(of="accuracy"),
        select={"kind": kind, "law": "circles", "T": 16.0},
        quoted="trains at any depth (read as: test accuracy 0.95)", within=(0.95, INF),
    )  # fmt: skip
    fits.control("steps eight times as long, h = 1", T=128.0)
    if kind == "antisymmetric":
        fits.control("eigenvalues with positive real parts: 3 added to the diagonal", real=3.0)

for name, law in (("beats-plain", "swiss roll"), ("beats-plain-on-peaks", "peaks")):
    deep.claim(
        f"on the {law} the two-field network beats the plain one",
        name=name,
        where="numerical experiments, data in the plane",
        kind=difference(of="accuracy", over="kind", between=("plain", "verlet")),
        select={"kind": ["plain", "verlet"], "law": law, "T": 16.0},
        quoted="better (read as: by ten points of test accuracy)", within=(0.1, INF),
    ).control("steps eight times as long, h = 1", T=128.0)  # fmt: skip

# ---- what such a network does ----------------------------------------------------------------------------------------

shown = study.experiment(
    "shown",
    config=Deep,
    sweep={"law": ["swiss roll"], "layers": [32], "T": [8.0], "steps": [200], "lr": [0.03], "n": [400]},
    seeds={"smoke": 1, "laptop": 1, "paper": 1},
    scales={"smoke": {"steps": [30], "n": [100]}},
    vectorised=("seed",),
)
shown.trial(follow)
shown.figure(figures.untangled)
