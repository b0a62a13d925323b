"""Deep information propagation (Schoenholz, Gilmer, Ganguli, Sohl-Dickstein, 2017).

Question. How deep may a network be before it can no longer be trained, and does its initialisation decide?

The paper's answer. Mean-field theory follows two inputs through random networks: their correlation converges
exponentially, over a depth scale xi_c that diverges on a line in the plane of weight and bias variances, the edge of
chaos, which parts vanishing from exploding gradients. Networks train if, and only if, information about the input can
travel through them, so that the trainable depth is a fixed multiple of xi_c. Dropout destroys the critical point.

Here tanh networks, sigma_b^2 = 0.05 unless a control moves it:

    maps        64 networks of width 1,000: variance from 4 and correlation from 1/2, twelve layers
    decay       8 networks of width 10,000: 1 - c of two inputs that are nearly alike, over three depth scales
    dropout     16 networks of width 1,000: two copies of one input
    gradients   8 networks of width 300, 20 layers, with their weights: growth of squared gradients a layer
    training    12 to 48 hidden layers of width 64 on scikit-learn's digits, 192 steps of stochastic gradient descent

The first three draw layers without drawing weights, which leaves the law of what they measure as it is
(`_schoenholz_2017_random`). Theory is `lemmata.propagation.mean_field`; the paper gives curves, and the numbers quoted
are those of its theory at the settings named.

Margins. Maps: five standard errors of the mean of 64 networks, in each of 24 comparisons a run (false alarm of all runs
below 1 %). Depth scales: 10 %, three of the standard deviations 2 (xi / (3 x 8 x 10,000))^(1/2) that one run has at
the largest. Where gradients turn from vanishing to exploding: 10 %, between points of a grid that are 16 % apart. The
multiple of xi_c at which training stops is quoted from nowhere: that it is a multiple is claimed (exponent 1, to 1/4),
and that it is the same for other biases (to a quarter). Where a network of 48 layers trains best: 20 %, the grid having
26 %. Chosen after pilots of two and three seeds: what counts as trained (half of the examples right), the step size
(0.01), the number of steps, and the depths, of which 64 and more do not train in as many steps at this width. Seeds are
independent networks.

Chosen after first values, of log chi off by 0.010 to 0.025: that the growth of gradients may be off by five of its
deviations, as the maps may. The deviation was then taken to be 0.010 at every weight variance (a relative variance of
5/N a layer); it is now the one that theory has at each, which is smaller at all of them. The control of that claim was
networks of 10 and of 5 units at first; they kept to theory at smoke scale, where it could not be refuted, and it is
another theory now.
"""

import numpy as np

from lemmata.studies import _schoenholz_2017_figures as figures
from lemmata.studies._schoenholz_2017_gradients import Gradients, send_back
from lemmata.studies._schoenholz_2017_random import Decay, Dropped, Maps, follow_decay, follow_dropout, follow_maps
from lemmata.studies._schoenholz_2017_training import Depths, train_depths
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ratio, scaling, value

study = Study(
    "schoenholz-2017",
    paper=Paper(
        key="schoenholz2017",
        title="Deep information propagation",
        authors=("Samuel S. Schoenholz", "Justin Gilmer", "Surya Ganguli", "Jascha Sohl-Dickstein"),
        year=2017,
        venue="International Conference on Learning Representations",
        arxiv="1611.01232",
        entry="inproceedings",
    ),
    topic="signal propagation",
    question="How deep can a random network be and still be trained?",
    notes="Edge of chaos of tanh, by theory: sigma_w^2 = 1.189, 1.761, 1.986, 2.505 at sigma_b^2 = 0.001, 0.05, 0.1, "
    "0.3.",
)

EDGE = {0.001: 1.1892, 0.05: 1.7610, 0.1: 1.9861, 0.3: 2.5051}  # of chaos, by sigma_b^2
LOG_EDGE = {bias: round(float(np.log(edge)), 4) for bias, edge in EDGE.items()}


def log(xi: float) -> float:
    """What a claim about a depth scale is about."""
    return round(float(np.log(xi)), 4)


# ---- signals ---------------------------------------------------------------------------------------------------------

maps = study.experiment(
    "maps",
    config=Maps,
    sweep={"weight_variance": [1.0, 1.3, 1.7, 2.5]},
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={"smoke": {"weight_variance": [1.3], "depth": 5, "networks": 32, "width": 500}},
    vectorised=("seed",),
)
maps.trial(follow_maps)
maps.figure(figures.maps)
maps.claim(
    "variances and correlations of signals in random networks follow the maps of mean-field theory",
    name="maps",
    where="the section on the recursions of length and correlation",
    kind=exact(of="deviation", at_most=5.0),
    quoted="recursions of q and c",
    note="largest deviation of the mean of networks from theory, over layers and both quantities, in standard errors",
).control("the theory of another bias variance", weight_variance=1.3, theory_bias=0.1).control(
    "networks of width 5, as many units in all", weight_variance=1.3, width=5, networks=12_800
)

BELOW = {sw: round(1.7609546 - sw, 7) for sw in (1.0, 1.3, 1.6, 1.7)}  # the edge at sigma_b^2 = 0.05

decay = study.experiment(
    "decay",
    config=Decay,
    sweep={"below": list(BELOW.values())},
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={"smoke": {"width": 500, "networks": 4}},
    vectorised=("seed",),
)
decay.trial(follow_decay)
decay.figure(figures.decay)

SCALES = {  # sigma_w^2: xi_c, and a control with its own
    1.0: (3.63, "a smaller bias variance, 0.001", {"bias_variance": 0.001}, 22.89),
    1.3: (7.83, "a larger bias variance, 0.1", {"bias_variance": 0.1}, 4.815),
    1.6: (27.03, "a larger bias variance, 0.1", {"bias_variance": 0.1}, 10.15),
    1.7: (74.92, "a larger bias variance, 0.1", {"bias_variance": 0.1}, 14.36),
}
for sw, (xi, words, setting, moved) in SCALES.items():
    decay.claim(
        f"at sigma_w^2 = {sw:g} two inputs become alike over xi_c = {xi:g} layers",
        name=f"xi-{sw:g}".replace(".", "-"),
        where="the section on depth scales",
        kind=value(of="log_xi"),
        select={"below": BELOW[sw], "edge_of": 0.05},
        paper=log(xi),
        quoted=f"xi_c = -1/log chi_1 = {xi:g} layers",
        margin=0.1,
        note="natural logarithm of the fitted depth scale",
    ).control(words, setting, moves="log xi_c", to=log(moved))

decay.claim(
    "the depth scale diverges at the edge of chaos",
    name="xi-diverges",
    where="abstract: “one of these depth scales diverges”",
    kind=scaling(of="xi", over="below", null=None),
    select={"below": [BELOW[1.3], BELOW[1.6], BELOW[1.7]], "edge_of": 0.05},
    paper=-1.0,
    quoted="1/xi_c falls to 0 linearly: exponent -1",
    margin=0.25,
    note="against the distance of sigma_w^2 from the edge; theory has -1.12 over these three",
).control("the distance taken from the edge of another bias variance", bias_variance=0.1)

dropout = study.experiment(
    "dropout",
    config=Dropped,
    sweep={"keep": [0.9, 0.95, 0.99, 1.0]},
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={"smoke": {"keep": [0.9, 1.0], "depth": 30}},
    vectorised=("seed",),
)
dropout.trial(follow_dropout)
dropout.figure(figures.dropout)
dropout.claim(
    "dropout destroys the critical point: with a tenth of the units dropped, even copies of one input part",
    name="dropout",
    where="abstract: “the presence of dropout destroys the order-to-chaos critical point”",
    kind=value(of="late"),
    select={"keep": 0.9},
    paper=0.356,
    quoted="correlation at the fixed point of theory: 0.356",
    margin=0.05,
    note="at what was the edge of chaos",
).control("no dropout", moves="the correlation", to=1.0, keep=1.0).control(
    "a twentieth dropped", moves="the correlation", to=0.509, keep=0.95
)

# ---- gradients -------------------------------------------------------------------------------------------------------

gradients = study.experiment(
    "gradients",
    config=Gradients,
    sweep={"bias_variance": [0.05]},
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    scales={"smoke": {"width": 100, "depth": 10}, "paper": {"width": 1000, "depth": 50}},
    vectorised=("seed",),
)
gradients.trial(send_back)
gradients.figure(figures.gradients)
gradients.claim(
    "gradients vanish below the edge of chaos and explode above it",
    name="edge",
    where="abstract: “the ordered and chaotic phases correspond to regions of vanishing and exploding gradient”",
    kind=value(of="log_edge"),
    select={"bias_variance": 0.05},
    paper=LOG_EDGE[0.05],
    quoted="chi_1 = 1 at sigma_w^2 = 1.761",
    margin=0.1,
    note="natural logarithm of the weight variance at which squared gradients neither grow nor vanish",
).control("a larger bias variance, 0.3", moves="the edge", to=LOG_EDGE[0.3], bias_variance=0.3).control(
    "a smaller one, 0.001", moves="the edge", to=LOG_EDGE[0.001], bias_variance=0.001
)
gradients.claim(
    "their growth a layer is that of theory at every weight variance",
    name="growth",
    where="the section on back-propagation",
    kind=exact(of="off_errors", at_most=5.0),
    select={"bias_variance": 0.05},
    quoted="|grad|^2 grows by chi_1 a layer",
    note="largest |log chi - log chi_1| over the grid, in units of the deviation that theory expects, 0.007 to 0.010; "
    "in every seed",
).control("the theory of another bias variance", theory_bias=0.3)

# ---- training --------------------------------------------------------------------------------------------------------

DEEPEST = 48
training = study.experiment(
    "training",
    config=Depths,
    sweep=[{"depth": [12, 16, 24, DEEPEST]}, {"depth": [16], "bias_variance": [0.3]}],
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={
        "smoke": {"width": 32, "n": 384},
        "paper": {"depth": [12, 16, 24, 32, DEEPEST, 96], "width": 300, "epochs": 8},
    },
    vectorised=("seed", "theory_bias"),
    data="digits",
)
training.trial(train_depths)
training.figure(figures.boundary)

training.claim(
    "the depth to which networks train is a fixed multiple of xi_c",
    name="trainable-depth",
    where="the figures of training accuracy over depth and weight variance",
    kind=scaling(of="xi", over="depth", null=None),
    select={"bias_variance": 0.05, "depth": [12, 16, 24, DEEPEST]},
    paper=1.0,
    quoted="a multiple of xi_c: exponent 1",
    margin=0.25,
    note="xi_c of theory at the lowest weight variance that trains, against the depth",
).control("the theory of another bias variance", theory_bias=0.3)

training.claim(
    "and the same multiple for another bias variance",
    name="same-multiple",
    where="abstract: “random networks may be trained precisely when information can travel through them”",
    kind=ratio(of="depths_of_xi", over="bias_variance", between=(0.05, 0.3), null=None),
    select={"depth": 16},
    paper=1.0,
    margin=0.25,
    note="depth over xi_c at the boundary, 16 layers: sigma_b^2 = 0.3 against 0.05",
).control("one theory for both bias variances", theory_bias=0.05)

training.claim(
    "deep networks train best at the edge of chaos",
    name="best-at-the-edge",
    where="abstract: “arbitrarily deep networks may be trained only sufficiently close to criticality”",
    kind=value(of="centre"),
    select={"depth": DEEPEST, "bias_variance": 0.05},
    paper=LOG_EDGE[0.05],
    quoted="sigma_w^2 = 1.761",
    margin=0.2,
    note="mean of log sigma_w^2 weighted with the squared accuracy above chance, 48 layers; the grid's own middle is "
    "at 1.79, so that it is the control that networks which train everywhere would fail",
).control("a larger bias variance, 0.3, moves the edge", moves="the best", to=LOG_EDGE[0.3], bias_variance=0.3)

training.claim(
    "many depth scales deep, a network does not train",
    name="far-from-the-edge",
    where="the figures of training accuracy over depth and weight variance",
    kind=exact(of="lowest", at_most=0.2),
    select={"depth": DEEPEST, "bias_variance": 0.05},
    note="accuracy on the training set at sigma_w^2 = 0.8 (xi_c = 2.4), 48 layers; chance is 0.1",
).control("two layers", depth=2)
