"""Chizat, Oyallon, Bach (2019): lazy training is a matter of scale, and not what makes networks learn well.

The paper's statements. Multiply a model's output by alpha and divide the loss by alpha^2. If the output is zero at the
start, then as alpha grows the parameters move by O(1/alpha) only, and the outputs stay within O(1/alpha) of those of
the linearised model (section 2), whatever the width. And on a teacher-student problem a two-layer network in this
lazy regime generalises worse than the same network outside of it.

Laptop scale, `scaling`. Two-layer networks of 30 GELU units (the theorem asks for a derivative that is Lipschitz), and
of 5, in the NTK parameterisation, their copies subtracted so that the output starts at zero (the paper's doubling); a
teacher of three ReLU units in 10 dimensions, 100 examples; full-batch descent for 1,000 steps with a quarter of the
critical step size of the linearisation, over alpha^2; alpha from 10 to 300, float64. The linearisation is trained in
closed form (`kernels.LinearisedTraining`). `generalisation`: 50 ReLU units, 20 dimensions, 200 examples, 2,000 steps,
alpha from 0.1 to 100; test loss on 300 fresh examples.

The bound on the gap is an upper one. With a subtracted copy the two halves' second-order errors cancel, and the
measured exponent is near -2.

Deviations: sizes, and the teacher's law, are ours; the paper's convolutional networks on CIFAR-10 are left out. Seeds
are independent teachers, examples and initial weights. Paper scale makes both larger; it needs no GPU.
"""

import math

from lemmata.studies import _chizat_2019_figures as figures
from lemmata.studies._chizat_2019_training import Lazy, run_lazy
from lemmata.study import Paper, Study
from lemmata.study.kinds import ratio, scaling, trend

study = Study(
    "chizat-2019",
    paper=Paper(
        key="chizat2019",
        title="On lazy training in differentiable programming",
        authors=("Lénaïc Chizat", "Edouard Oyallon", "Francis Bach"),
        year=2019,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1812.07956",
        entry="inproceedings",
    ),
    topic="kernels",
    question="Is it the scale of a network's output, not its width, that makes training lazy, and is lazy good?",
    notes="Trained is $alpha f$ on the loss over $alpha^2$: the equation of the outputs is the same for every $alpha$, "
    "while the parameters move $1 slash alpha$ as far.",
)

SCALES = [10.0, 30.0, 100.0, 300.0]
SMALL = {"activation": ["gelu"], "inputs": [10], "n": [100], "test": [400], "steps": [1000]}
ZERO = "an output that does not start at zero, so that alpha times it has to be unlearned"

rates = study.experiment(
    "scaling",
    config=Lazy,
    sweep=[{"scale": SCALES, "width": [30, 5], **SMALL}],
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    scales={
        "smoke": {"scale": [10.0, 100.0], "n": 30, "test": 20, "steps": 300},
        "paper": {"n": 1000, "inputs": 100, "steps": 10_000},
    },
    vectorised=("seed", "scale"),
)
rates.trial(run_lazy)
rates.figure(figures.against_scale)

for width in (30, 5):
    rates.claim(
        "the parameters move by 1/alpha" + ("" if width == 30 else ", in a network of five units as well"),
        name=f"parameters-{width}",
        where="Section 2, bounds between the lazy and the linearised path",
        kind=scaling(of="relative_distance", over="scale"),
        select={"width": width},
        paper=-1.0,
        quoted="O(1/alpha): exponent -1",
        margin=0.1,
        note="relative distance from the start, at the end; the margin is what the next order, 1/alpha, may add from "
        "alpha = 10 on",
    ).control(ZERO, start="plain").control("no scaling: alpha = 1 throughout", scaled=False)

rates.claim(
    "the outputs approach those of the linearised model at least as fast as 1/alpha",
    name="gap",
    where="Section 2, bounds between the lazy and the linearised path",
    kind=scaling(of="gap", over="scale"),
    select={"width": 30},
    quoted="O(1/alpha): exponent at most -1",
    within=(-math.inf, -1.0),
    note="RMSE on test examples at the end",
).control(ZERO, start="plain").control("a derivative that jumps: ReLU", activation="relu")

teacher = study.experiment(
    "generalisation",
    config=Lazy,
    sweep={"scale": [0.1, 0.3, 1.0, 3.0, 10.0, 100.0]},
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    scales={
        "smoke": {"scale": [0.1, 1.0, 100.0], "n": 100, "width": 30, "inputs": 10, "test": 100, "steps": 500},
        "paper": {"n": 1000, "inputs": 100, "steps": 20_000, "test": 2000},
    },
    vectorised=("seed", "scale"),
)
teacher.trial(run_lazy)
teacher.figure(figures.generalisation)

teacher.claim(
    "the lazy network generalises worse",
    name="lazy-is-worse",
    where="Numerical experiments, two-layer networks: teacher and student",
    kind=ratio(of="test_loss", over="scale", between=(100.0, 0.1)),
    quoted="lower test loss outside of the lazy regime",
    within=(-math.inf, 0.9),
    note="test loss at alpha = 0.1 over that at alpha = 100; at least a tenth lower is asked for",
).control("the linearised network, which cannot but be lazy", student="linearised")

teacher.claim(
    "and the worse, the larger the scale",
    name="monotone",
    where="Numerical experiments, two-layer networks: teacher and student",
    kind=trend(of="test_loss", over="scale"),
    note="rank correlation of test loss and alpha, seed by seed",
).control("the linearised network, which cannot but be lazy", student="linearised")
