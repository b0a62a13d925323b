"""A proposal on machine learning via dynamical systems (Weinan E, 2017).

Question. The paper proposes to see deep networks as discretisations of dynamical systems, and their training as optimal
control in continuous time. It has no experiments; what it proposes has consequences that can be measured as depth grows
at a fixed end of time T, so that the steps have length h = T / N:

- the gradient of a residual network tends to that of the continuous problem, which the adjoint equation gives, at the
  order of the network's method: 1 for residual blocks, which are forward Euler;
- the least objective tends to that of the continuous problem;
- the control that is best satisfies the maximum principle in the limit: the Hamiltonian is constant in time.

The first is measured on y' = tanh(K(t) y + b(t)) with weights linear between five times; the limit is 64 steps of RK4.
The other two on linear-quadratic control, where the best control of every depth is known from Riccati's recursion and
the limit from the Gramian in closed form, so that nothing depends on how well a network was trained.

The paper's words as numbers: "tends to" is a log-log slope over the depth of -1 within 0.1, the order of forward Euler.
The strongest controls move it: blocks of Heun's method have order 2; costates whose equation has the wrong sign give a
gradient that is wrong at any depth; a control that is half as large again leaves a Hamiltonian that varies at any
depth; and layers that are added at the end (T grows) instead of refined have another limit. No number of the paper is
quoted, as it gives none.

Seeds are independent draws of weights, samples and matrices. On random streams from 640,000 a first look at one seed
showed objectives that 16 steps do not resolve; matrices A were halved. Verdicts are of streams from 660,000.
"""

from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.studies._e_2017_limits import Limit, approached
from lemmata.study import Paper, Study
from lemmata.study.kinds import scaling

LAYERS = [16, 32, 64, 128]

study = Study(
    "e-2017",
    topic="networks as differential equations",
    paper=Paper(
        key="e2017",
        title="A Proposal on Machine Learning via Dynamical Systems",
        authors=("Weinan E",),
        year=2017,
        venue="Communications in Mathematics and Statistics",
        doi="10.1007/s40304-017-0103-z",
        entry="article",
    ),
    question="Do residual networks and their training have a limit in depth, a problem of optimal control?",
    config=Limit,
    sweep=[{"layers": LAYERS}],
    seeds={"smoke": 3, "laptop": 8, "paper": 50},
    scales={"smoke": {}, "paper": {"n": 200}},
    vectorised=("seed", "layers"),
    block=100,
)
study.trial(approached)

order = {"where": "the thesis of the paper: networks discretise a continuous problem", "quoted": "tends to (order 1)"}

gradient = study.claim(
    "the gradient of a residual network tends to that of the adjoint equation, at first order in the step",
    name="gradient",
    kind=scaling(of="gradient_error", over="layers"),
    select={"layers": LAYERS}, paper=-1.0, margin=0.1, **order,
)  # fmt: skip
gradient.control("blocks of Heun's method", moves="the slope", to=-2.0, method="heun")
gradient.control("a wrong sign in the costate's equation", moves="the slope", to=0.0, sign=-1)

least = study.claim(
    "the least objective tends to that of the continuous problem, at first order",
    name="least-objective",
    kind=scaling(of="value_gap", over="layers"),
    select={"layers": LAYERS}, paper=-1.0, margin=0.1, **order,
)  # fmt: skip
least.control("layers are added at the end of time instead of refined", stretched=True)

constant = study.claim(
    "along the best control the Hamiltonian is constant in time, to first order",
    name="hamiltonian",
    kind=scaling(of="spread", over="layers"),
    select={"layers": LAYERS}, paper=-1.0, margin=0.1, **order,
)  # fmt: skip
constant.control("a control half as large again", moves="the slope", to=0.0, detuned=1.5)


@study.figure
def limits(table) -> Figure:
    """Distances from the limit against depth, in units of those of the shallowest network of the seed."""
    own = table[~table["control"]]
    panels = []
    for column, label in (
        ("gradient_error", "gradient, error in L2"),
        ("value_gap", "least objective, distance from its limit"),
        ("spread", "Hamiltonian, range in time"),
    ):
        first = own[own.layers == LAYERS[0]].set_index("seed")[column]
        rows = own.assign(share=own[column] / own.seed.map(first))
        series = [
            Series.over_seeds("measured", rows, x="layers", y="share"),
            Series(label="first order", x=LAYERS, y=[LAYERS[0] / layers for layers in LAYERS], role="theory"),
        ]
        panels.append(Panel(x=Axis(label="layers", log=True), y=Axis(label=label, log=True), series=series))
    return Figure(
        name="limits",
        title="Residual networks of growing depth, at a fixed end of time",
        caption="In units of what 16 layers give. Mean over seeds, 95 % interval, every seed.",
        panels=panels,
    )
