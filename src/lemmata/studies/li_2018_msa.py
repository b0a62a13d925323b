"""Maximum principle based algorithms for deep learning (Li, Chen, Tai and E, 2018).

Question. If a residual network is a controlled differential equation, can it be trained by maximising the Hamiltonian
of each layer, with no gradient by weights? The basic method of successive approximations (MSA) takes that maximum and
starts again. It ignores that states and costates no longer solve their equations with the new weights, and diverges.
The paper's extended method (E-MSA) augments the Hamiltonian by rho/2 times the squares of what they lack.

Experiments.

    toy       the paper's: a net of width 5 with tanh on [0, 5], forward Euler, learns the sine on [-pi, pi], x repeated
              as input, the sum of y(T) as output; 10 layers, 30 samples
    digits    200 digits of 7 x 7 pixels, and ten zeros that end as the scores, through four layers of width 59
    linear    linear-quadratic control, where the rho that E-MSA needs has a closed form

The paper's claims put to the test.

- E-MSA converges where MSA does not. Read as: in the last five of 20 iterations the objective stays below 3 times the
  least that was met.
- It falls at every iteration once rho is large enough (lemma on J(phi) - J(theta)).
- It falls faster per iteration, at first, than SGD, Adagrad and Adam. Read as: after 5 iterations of the toy problem,
  and after 10 on digits.
- It leaves slow manifolds: from weights near 0, where gradient descent stalls, it goes on.

Not in the paper: for linear-quadratic control the least rho with which E-MSA converges, here as the place where the
growth of the error crosses 1; and on digits the rival that the step sizes of the authors leave out, the gradient method
that falls furthest of three rules with 1 to 1000 times the authors' step, chosen for each seed in hindsight.

Controls: rho = 0; a rho with which nothing moves; and costates of the wrong sign, whose Hamiltonians are maximised as
well as ever, and whose networks get worse at every iteration.

Deviations: fewer layers and samples, 20 iterations; all methods on the whole set; digits without convolutions. rho is
what the authors' code has in our units (rho n h: they sum over samples and do not divide by h), 15 for the toy problem
and 2 for digits, as 0.03 of batches of 128; theirs weighs the second term less. Steps of SGD, Adagrad and Adam (0.1,
0.1 and 0.005; digits 0.01, 0.01 and 0.001), Adagrad's first sum of squares (0.1), and ten inner iterations of L-BFGS,
from weights moved by 0.005 in the toy problem, are those of the authors' code. No number of the paper is quoted.

What these claims owe to outcomes. First runs, on other random streams, fixed the sizes, for time. They showed that
gradient descent of step 0.1 and Adagrad do most of their work on the sine in one step: the sum of five copies of x is
far too large, and shrinking it is all that this step does. Those claims stay as they are. In five iterations Adagrad is
the further one by two thirds of a decade, gradient descent by a third; after 20 E-MSA is ahead of both. On digits the
authors' steps hardly move in ten iterations, and E-MSA is ahead of all three rules; with the step that was best in
hindsight gradients get further. Verdicts are of streams from 541,000. Five seeds of the toy problem left open whether
E-MSA falls further than those two; by their spread 37 and 9 would settle it, and it has forty, none of them among those
five, which contradict both claims.

Seeds are independent draws of the weights and of the samples; no two share a digit.
"""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._li_2018_msa_digits import Digits, recognised
from lemmata.studies._li_2018_msa_linear import FACTORS, Linear, located
from lemmata.studies._li_2018_msa_toy import Toy, trained
from lemmata.study import Curve, Paper, Study
from lemmata.study.kinds import ordering, value

INF = float("inf")
FROZEN = {"rho": 1e5}
WRONG = "costates of the wrong sign"
RULES = {"sgd": "gradient descent", "adagrad": "Adagrad", "adam": "Adam"}
NAMES = {"e-msa": "E-MSA", "msa": "basic MSA", **RULES, "hindsight": "gradients, best step in hindsight"}

study = Study(
    "li-2018-msa",
    topic="networks as differential equations",
    paper=Paper(
        key="li2018msa",
        title="Maximum Principle Based Algorithms for Deep Learning",
        authors=("Qianxiao Li", "Long Chen", "Cheng Tai", "Weinan E"),
        year=2018,
        venue="Journal of Machine Learning Research",
        arxiv="1710.09513",
        entry="article",
    ),
    question="Can residual networks be trained by maximising Hamiltonians, layer by layer, instead of by gradients?",
)

toy = study.experiment(
    "toy",
    config=Toy,
    sweep=[{"method": ["e-msa", "msa", *RULES]}, {"method": ["e-msa", "sgd"], "gain": [0.01]}],
    seeds={"smoke": 3, "laptop": 40, "paper": 40},
    scales={
        "smoke": {"layers": 3, "n": 15, "iterations": 6, "inner": 3},
        "paper": {"layers": 20, "n": 100, "iterations": 500, "rho": 25.0},
    },
    vectorised=("seed", "method", "gain", "rho", "sign"),
    block=800,
)
toy.trial(trained)

digits = study.experiment(
    "digits",
    config=Digits,
    sweep={"method": ["e-msa", *RULES, "hindsight"]},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={
        "smoke": {"layers": 2, "n": 50, "iterations": 3, "inner": 4},
        "paper": {"n": 250, "layers": 10, "iterations": 400},
    },
    vectorised=("seed", "method", "sign"),
    block=200,
    data="mnist-5k",
)
digits.trial(recognised)

linear = study.experiment(
    "linear",
    config=Linear,
    sweep=[{"price": [0.5]}],
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"layers": 2, "iterations": 6}, "paper": {"layers": 100}},
    vectorised=("seed",),
    block=20,
)
linear.trial(located)

settles = toy.claim(
    "E-MSA settles, where the basic method does not",
    name="settles",
    where="sections on MSA and E-MSA",
    kind=value(of="late"),
    select={"method": "e-msa", "gain": 0.3},
    quoted="converges (read as: within a factor of 3 of the least objective)",
    within=(-INF, 0.4771),
)
settles.control("the basic method", method="msa").control(WRONG, sign=-1)

falls = toy.claim(
    "with rho large enough the objective does not rise",
    name="falls",
    where="error estimate for J(phi) - J(theta), and what follows for rho",
    kind=value(of="rises"),
    select={"method": "e-msa", "gain": 0.3},
    quoted="decreases (read as: rises at fewer than a tenth of the first five iterations)",
    within=(-INF, 0.1),
)
falls.control("rho = 0, the basic method", method="msa").control(WRONG, sign=-1)

for rival, words in RULES.items():
    toy.claim(
        f"in its first five iterations E-MSA falls further than {words}",
        name=f"faster-than-{rival}",
        where="abstract: favourable initial convergence rate per iteration; toy example",
        kind=ordering(of="early", over="method", order=("e-msa", rival)),
        select={"method": ["e-msa", rival], "gain": 0.3},
        quoted="faster per iteration",
    ).control("a rho with which hardly anything moves", FROZEN).control(WRONG, sign=-1)

for rival in (*RULES, "hindsight"):
    words = RULES.get(rival, "any gradient method, its step chosen in hindsight")
    digits.claim(
        f"on digits E-MSA falls further in ten iterations than {words}",
        name=f"digits-{rival}",
        where="abstract: favourable initial convergence rate per iteration; MNIST example"
        + ("; not in the paper: step sizes" if rival == "hindsight" else ""),
        kind=ordering(of="total", over="method", order=("e-msa", rival)),
        select={"method": ["e-msa", rival]},
        quoted="faster per iteration",
    ).control(WRONG, sign=-1)

slow = toy.claim(
    "from weights near 0 E-MSA gets further than gradient descent, which stalls",
    name="leaves-slow-manifolds",
    where="abstract: slow convergence on flat landscapes; toy example with small initial weights",
    kind=ordering(of="total", over="method", order=("e-msa", "sgd")),
    select={"method": ["e-msa", "sgd"], "gain": 0.01},
    quoted="E-MSA is not trapped",
)
slow.control("a rho with which hardly anything moves", FROZEN).control(WRONG, sign=-1)

threshold = linear.claim(
    "the least rho with which E-MSA converges is (w - lambda) / (2 beta)",
    name="threshold",
    where="ours: the error's iteration is linear for linear-quadratic control",
    kind=value(of="critical"),
    select={"price": 0.5},
    paper=1.0, quoted="in units of w / (4 beta), for lambda = w / 2", margin=0.1,
    note="margin: a fifth of the distance of the rho that were tried",
)  # fmt: skip
threshold.control("a price of three quarters of w", moves="the threshold", to=0.5, price=0.75)


@toy.figure
def objectives(table) -> Figure:
    """The objective over iterations, by method."""
    panels = []
    for gain, title in ((0.3, "usual initial weights"), (0.01, "initial weights near 0")):
        rows = table[(table.gain == gain) & (table.rho < FROZEN["rho"])]
        if len(rows):
            panels.append(_over_iterations(rows, title))
    return Figure(
        name="objectives",
        title="Training a network to be a sine, by Hamiltonians and by gradients",
        caption="Geometric mean over seeds with its 95 % interval, and every seed. An iteration of E-MSA costs ten and "
        "more of a gradient method's.",
        panels=panels,
    )


@digits.figure
def digits_objectives(table) -> Figure:
    """The objective over iterations on digits, by method."""
    return Figure(
        name="digits",
        title="Training a network on digits, by Hamiltonians and by gradients",
        caption="200 digits of 7 x 7 pixels, four layers. Steps of gradient methods are those of the authors' code, or "
        "of each seed's best of 21 methods. Geometric mean over seeds with its 95 % interval, and every seed.",
        panels=[_over_iterations(table, "")],
    )


def _over_iterations(table, title: str) -> Panel:
    """One panel: a line a method, and one for costates of the wrong sign; means of logarithms."""
    logs = table.assign(loss=[Curve(curve.x, np.log10(curve.y)) for curve in table.loss])
    series = [
        Series.over_seeds(label, rows, y="loss", role="control" if name == "msa" else "measured")
        for name, label in NAMES.items()
        for rows in [logs[(logs.method == name) & (logs.sign == 1)]]
        if len(rows)
    ]
    wrong = logs[(logs.sign == -1) & (logs.method == "e-msa")]
    if len(wrong):
        series.append(Series.over_seeds("E-MSA, " + WRONG, wrong, y="loss", role="control"))
    return Panel(x=Axis(label="iteration"), y=Axis(label="objective J, log10"), series=series, title=title)


@linear.figure
def growth(table) -> Figure:
    """The growth of the error over rho, at the price of the claim and at that of its control."""
    series = [
        Series.over_seeds(f"lambda = {price:g} w", table[table.price == price], y="growth")
        for price in sorted(table.price.unique())
    ]
    x = np.linspace(FACTORS[0], FACTORS[-1], 50)
    for price in sorted(table.price.unique()):
        series.append(
            Series(label=f"theory, lambda = {price:g} w", x=x, y=(1 - x / 4) / (price + x / 4), role="theory")
        )
    panel = Panel(
        x=Axis(label="rho, in units of w / (4 beta)"),
        y=Axis(label="growth of the error in an iteration", log=True),
        series=series,
        references=[
            Reference(label="neither grows nor falls", value=1.0, role="theory"),
        ],
    )
    caption = "Linear-quadratic control: successive approximations are a linear iteration."
    return Figure(name="growth", title="How much augmentation it takes", caption=caption, panels=[panel])
