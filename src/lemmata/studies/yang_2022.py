"""Tensor Programs V: tuning large neural networks via zero-shot hyperparameter transfer (Yang, Hu and others, 2022).

Question. A step size that is right for a narrow network is wrong for a wide one, so that large networks are tuned by
guesses. Is there a parametrisation in which it is right for both?

The paper's answer. The maximal update parametrisation (muP) is the one in which each layer's activations change by as
much at every width; in it the best step size, and most other hyper-parameters, stay where they are as the width grows,
and wider is better. In the standard parametrisation (SP) changes grow with the width, and the best step size falls.
"Coordinate checking", the change of activations in the first few steps against the width, tells whether a network is
in muP.

Here, at laptop scale: perceptrons on scikit-learn's digits, three hidden layers.

    coordinates    powers of the width with which pre-activations change, on one example: after one step so small that
                   the change is linear in it, by Adam and by SGD, for which theory gives the powers in SP as well (see
                   `_yang_2022_training`); and after four steps of an ordinary size. Widths 128 to 1,024, base 32.
    transfer       Adam with a cosine schedule, one epoch of 1,280 digits in batches of 32, step sizes 2^-10 to 2^-3;
                   the best one, by training loss, against the width. Widths 64 to 512, base 64.

Powers of the width are multiples of 1/2, so that a quarter to either side tells them apart: the margin of every
exponent here, and of the shift of log2 of the best step size for each doubling.

The rules are those of the paper's table (`lemmata.nets.mup`). The paper's own networks are transformers; that GPT-3 is
tuned through a small proxy cannot be tested here.

That wider is better was claimed after the runs had been seen, and is open: with the narrow network's step size the
training loss in muP falls with the width, by rank correlations of -1 in four seeds and -0.8 in two, and six do not tell
their mean from the -0.9 which "falls" is here. In SP they are anything from -1 to 1.

Chosen after pilot runs of three to five seeds: one example, since the losses of several make the first step's change
noisy; the schedule (with a constant step size the best one is twice as uncertain), grid and widths; logarithms of
losses, of which one is far from the others. No claim is made of the second hidden layer under SGD, of which the change
that the first layer passes on, of another power, is a large part at these widths (in SP the exponent is 0.3), nor, for
the same reason, of where SP moves it under Adam; none of the best step size of SGD, which on the digits hardly moves in
SP either. Seeds are independent weights, examples and orders.
"""

from lemmata.studies import _yang_2022_figures as figures
from lemmata.studies._yang_2022_training import Coordinates, Transfer, move
from lemmata.studies._yang_2022_training import transfer as train
from lemmata.study import Paper, Study
from lemmata.study.kinds import ordering, scaling, trend, value

study = Study(
    "yang-2022",
    paper=Paper(
        key="yang2022",
        title="Tensor Programs V: tuning large neural networks via zero-shot hyperparameter transfer",
        authors=(
            "Greg Yang", "Edward J. Hu", "Igor Babuschkin", "Szymon Sidor", "Xiaodong Liu", "David Farhi",
            "Nick Ryder", "Jakub Pachocki", "Weizhu Chen", "Jianfeng Gao",
        ),
        year=2022,
        venue="arXiv preprint",
        arxiv="2203.03466",
        entry="misc",
    ),
    topic="scaling",
    question="Does the best step size of a narrow network stay the best one as the network grows wider?",
    notes="At the base width muP is SP; both are one family, followed to other widths by different powers of $n$.",
)  # fmt: skip

MARGIN = 0.25
SP = "the standard parametrisation"

# ---- the coordinate check --------------------------------------------------------------------------------------------

WIDTHS = [128, 256, 512, 1024]
TINY = {"lr": 1e-7, "steps": 1}
ORDINARY = {"adam": {"lr": 2.0**-7, "steps": 4}, "sgd": {"lr": 0.1, "steps": 4}}
RUNS = [{"optimiser": name, **sizes} for name, steps in ORDINARY.items() for sizes in (TINY, steps)]

coordinates = study.experiment(
    "coordinates",
    config=Coordinates,
    sweep=[{"width": WIDTHS, **{name: [setting] for name, setting in run.items()}} for run in RUNS],
    seeds={"smoke": 3, "laptop": 10, "paper": 10},
    scales={"smoke": {"width": [64, 256]}, "paper": {"width": [256, 512, 1024, 2048, 4096, 8192]}},
    vectorised=("seed",),
    block=10,
)
coordinates.trial(move)
coordinates.figure(figures.first_step)
coordinates.figure(figures.four_steps)

NAMES = {"first": "first hidden layer", "second": "second hidden layer", "third": "third hidden layer"}
NAMES["output"] = "output"
RULES = {"adam": "Adam", "sgd": "SGD"}
POWERS: dict[str, dict[str, float | None]] = {  # of the width, in SP; of the second hidden layer see above
    "adam": {"second": None, "third": 1.0, "output": 1.5},
    "sgd": {"first": -0.5, "third": 0.5, "output": 1.0},
}

for rule, powers in POWERS.items():
    for layer, power in powers.items():
        still = coordinates.claim(
            f"in muP the first step of {RULES[rule]} changes the {NAMES[layer]} by as much at every width",
            name=f"{rule}-first-step-{layer}",
            where="the desiderata of muP; coordinate check",
            kind=scaling(of=layer, over="width", null=None),
            select={"optimiser": rule, **TINY},
            paper=0.0,
            quoted="Theta(1): exponent 0",
            margin=MARGIN,
            note="root mean square over units, after a step so small that the change is linear in it",
        )
        if power is None:
            still.control(SP, parametrisation="sp")
        else:
            still.control(SP, moves="the exponent", to=power, parametrisation="sp")

for rule, sizes in ORDINARY.items():
    for layer in ("third", "output"):
        coordinates.claim(
            f"nor do four ordinary steps of {RULES[rule]} change the {NAMES[layer]} by more in wider networks",
            name=f"{rule}-four-steps-{layer}",
            where="coordinate check (the paper's figure, and its authors' package)",
            kind=scaling(of=layer, over="width", null=None),
            select={"optimiser": rule, **sizes},
            paper=0.0,
            quoted="flat curves in muP, exploding ones in SP",
            margin=MARGIN,
        ).control(SP, parametrisation="sp")

coordinates.claim(
    "at the start the output of a network in muP shrinks as the root of the width",
    name="output-at-start",
    where="coordinate check (the authors' package): “shrink to 0 at initialization in muP (at a 1/sqrt(width) rate)”",
    kind=scaling(of="output_at_start", over="width", null=None),
    select={"optimiser": "adam", **TINY},
    paper=-0.5,
    quoted="exponent -1/2",
    margin=MARGIN,
).control(SP, moves="the exponent", to=0.0, parametrisation="sp")

# ---- transfer --------------------------------------------------------------------------------------------------------

FIGURE = "the figure of training loss against learning rate, by width"
PROXY = 64
WIDEST = 512

transferred = study.experiment(
    "transfer",
    config=Transfer,
    sweep=[{"width": [64, 128, 256, WIDEST]}, {"width": [PROXY, WIDEST], "parametrisation": ["sp"]}],
    seeds={"smoke": 3, "laptop": 6, "paper": 10},
    scales={
        "smoke": {"width": [64, 128, 256], "n": 256, "lowest": -9, "highest": -5},
        "paper": {"width": [64, 128, 256, WIDEST, 1024, 2048]},
    },
    vectorised=("seed", "parametrisation", "base"),
    block=2,
)
transferred.trial(train)
transferred.figure(figures.losses)
transferred.figure(figures.best)

transferred.claim(
    "in muP the best step size of Adam does not move with the width",
    name="best-step-size",
    where=FIGURE,
    kind=scaling(of="best_lr", over="width", null=None),
    select={"parametrisation": "mup", "base": PROXY},
    paper=0.0,
    quoted="stable across widths: exponent 0",
    margin=MARGIN,
    note="vertex of a parabola through log training loss, over log2 of the step size; theory for SP: hidden layers "
    "want 1/n",
).control(SP, moves="the exponent", to=-1.0, parametrisation="sp")

transferred.claim(
    "so that the best step size of the base network is that of one four times as wide",
    name="base-decides",
    where="the paper's table of muP's rules",
    kind=value(of="shift"),
    select={"width": 256, "base": PROXY, "parametrisation": "mup"},
    paper=0.0,
    quoted="log2 of the best step size at width 256 minus that at width 64: 0",
    margin=2 * MARGIN,
    note="margin: a quarter a doubling of the width",
).control("a base twice as wide", moves="the difference", to=-1.0, base=2 * PROXY)

transferred.claim(
    "with the step size that is best for the narrow network, one eight times as wide trains better in muP than in SP",
    name="zero-shot",
    where=FIGURE,
    kind=ordering(of="transferred", over="parametrisation", order=("mup", "sp")),
    select={"width": WIDEST, "base": PROXY},
    note="log training loss; both take the step size of the grid that is best at width 64 with the same seed",
).control("at the base's width, where they are one", width=PROXY)

transferred.claim(
    "in muP wider is better: with that step size the training loss falls with the width",
    name="wider-is-better",
    where=FIGURE,
    kind=trend(of="transferred", over="width", falling=True),
    select={"parametrisation": "mup", "base": PROXY},
    quoted="wider is better",
    note="log training loss, every width at the step size of the grid that is best at width 64 with the same seed",
).control(SP, parametrisation="sp")

transferred.claim(
    "GPT-3 is tuned through a proxy of a small part of its size, at a small part of the cost of its pretraining",
    name="gpt-3",
    where="the experiments on GPT-3",
    untestable="language models of billions of parameters, and the compute to train them",
)
