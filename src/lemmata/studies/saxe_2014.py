"""Exact solutions to the nonlinear dynamics of learning in deep linear neural networks (Saxe and others, 2014).

Question. A deep linear network computes a matrix. Why does gradient descent learn it in stages, with plateaus, and what
does depth cost?

The paper's answer. With white inputs and weights that are decoupled, every singular mode a of the map grows by itself,

    tau da/dt = 2 a (s - a),    a(t) = s e^(2st/tau) / (e^(2st/tau) - 1 + s / a_0)      (two layers),

so that it is half learned at (tau / 2s) log(s / a_0 - 1): stronger modes first, each after a plateau. The
transition, from a tenth to nine tenths, takes (tau / 2s) log 81 whatever a_0 is, so that it is short beside the plateau
only where a_0 is very small: for the strongest mode here it is 0.53 of the half-time and 0.72 of the time before it.

N layers give tau da/dt = N a^(2 - 2/N) (s - a). The largest curvature is of order N, the step that it allows of order
1/N, and then the number of steps tends to a limit as N grows, for weights whose product a_0 is not small: a finite
delay. Random orthogonal weights are such, scaled Gaussian ones are not.

What runs. Gradient descent on the literal matrices, 8 inputs and outputs, singular values 4, 2, 1, 1/2 (of a design of
ours), a_0 = 1/1000, step 1/500 of the unit of time; up to 64 layers. The solution's error is stated before it is looked
at: the first order of the step, in closed form at any depth, and for small random weights the overlap of modes, by a
matrix solution (`_saxe_2014_theory`). So the claim is not that curves look alike, but that nothing is left over.

Places are named in words: the paper's numbering was not at hand. The abstract is where the claims on plateaus,
depth and orthogonal weights are made; the two-layer solution and its learning time were known exactly.

Thresholds. Deviations are claimed against the stated error, with 2.5 eta times the largest curvature, N s_1^(2 - 2/N)
(4 to 5 %), for what its first order leaves out.
The half-time from random weights may be off by 5 %: stronger modes take away a share c^2 of a_0, with three of them and
64 hidden units below 1/4 in 999 of 1,000 draws (chi-squared), which is log(4/3) / log(s / a_0) = 4.5 %. For random
weights 64 hidden units were chosen after pilots with 16 had shown overlaps four times as large, as this formula says.
Of the initialisations, the depths, the exponent 1 and the largest of the six step sizes were set after pilots of 12
draws, in which orthogonal weights took 14 steps with 2 layers, 19 with 8, and 24 to 26 with 16 to 128: independent of
depth is what deep networks are, not shallow ones. The claim on them had first been that the exponent of the steps in
the depth is 0; two drafts of that, one of them with a network called learned at 5 % of the loss, were inconclusive. As
it stands, a ratio of 128 to 16 layers at 0.1 % of the loss, with 16 draws for 12, it was written after them. The
control from Gaussian weights is cut off at 300 steps, and a ratio that is infinite there is a bound: at least 300 over
what 16 layers take, 180 and more. So there is a second one, which arrives.

Left out: greedy pretraining, and the nonlinear networks that the paper compares with.

Seeds are independent draws of U, V, frames and weights. From decoupled weights they must agree, and do, to rounding.
"""

import math

from lemmata.studies import _saxe_2014_figures as figures
from lemmata.studies._saxe_2014_initialisations import Initialisation, learning_times
from lemmata.studies._saxe_2014_networks import DeepNetwork, Network, measure
from lemmata.studies._saxe_2014_theory import half_time, half_time_of_infinite_depth
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ratio, scaling, value

study = Study(
    "saxe-2014",
    paper=Paper(
        key="saxe2014",
        title="Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
        authors=("Andrew M. Saxe", "James L. McClelland", "Surya Ganguli"),
        year=2014,
        venue="International Conference on Learning Representations",
        arxiv="1312.6120",
        entry="inproceedings",
    ),
    topic="training dynamics",
    question="When does a deep linear network learn each singular value, with what plateaus, and what does depth cost?",
    notes="Two layers: $a(t) = s e^(2 s t) / (e^(2 s t) - 1 + s / a_0)$ for each singular value $s$ of the target, "
    "half learned at $t = log(s / a_0 - 1) / (2 s)$, time in units of $tau$, one over the step size.",
)

# ---- two layers ------------------------------------------------------------------------------------------------------

DECOUPLED = {"depth": 2, "initial": "decoupled", "strength": 1.0}
RANDOM = {"initial": "random"}
COLOURED = "inputs that are not white"
SOLUTION = "the solution for two layers, white inputs"

two = study.experiment(
    "two-layers",
    config=Network,
    sweep=[{"strength": [1.0, 2.0]}, {"initial": ["random"], "hidden": [64]}],
    seeds={"smoke": 3, "laptop": 10, "paper": 50},
    scales={"smoke": {"step": 0.005}},
    vectorised=("seed", "strength", "start", "white", "size"),
)
two.trial(measure)
two.figure(figures.modes)
two.figure(figures.half_times)

two.claim(
    "from decoupled weights every mode follows the solution at all times, within the error of the step",
    name="solution",
    where=SOLUTION,
    kind=exact(of="deviation_over_stated", at_most=1.0),
    select=DECOUPLED,
    quoted="a(t), to first order in the step",
    note="largest deviation of any mode at any step, over what the step's first order says; in every run",
).control(COLOURED, white=False).control("large random weights", initial="random", size=0.2)

two.claim(
    "and what it is off is the step's first order, computed",
    name="step-error",
    where=SOLUTION + "; its step error (ours)",
    kind=value(of="deviation_over_step", null=None),
    select=DECOUPLED,
    paper=1.0,
    quoted="-a'(t) (eta / 2) log(g(u) / g(u_0))",
    margin=0.04,
    note="largest deviation over the largest predicted, mean over modes; margin: 2.5 eta times the largest curvature",
).control(COLOURED, white=False)

two.claim(
    "the weakest mode is half learned at (tau / 2s) log(s / a_0 - 1)",
    name="learning-time",
    where="the learning time of a mode, tau / s up to a logarithm",
    kind=value(of="half_time_4"),
    select=DECOUPLED,
    paper=round(half_time(0.5, 1e-3), 3),
    quoted=f"log(499) / (2 · 1/2) = {half_time(0.5, 1e-3):.3f}",
    margin=0.062,
    note="s = 1/2, a_0 = 1/1000; margin: 1 %",
).control(
    "singular values and a_0 doubled",
    moves="the half-time",
    to=round(half_time(1.0, 2e-3), 3),
    strength=2.0,
    start=2e-3,
).control("singular values alone doubled", moves="the half-time", to=round(half_time(1.0, 1e-3), 3), strength=2.0)

two.claim(
    "from small random weights stronger modes are learned first",
    name="order",
    where="the learning time of a mode: stronger modes first",
    kind=exact(of="in_order", at_least=1.0),
    select=RANDOM,
    note="half-times of s = 4, 2, 1, 1/2 increase, in every run",
).control("large weights", size=0.2).control(COLOURED, white=False)

two.claim(
    "and each at the time of the solution, within what overlaps make of it",
    name="random-learning-times",
    where="small random weights; the learning time of a mode",
    kind=exact(of="half_time_off", at_most=0.05),
    select=RANDOM,
    quoted="a_0 = |W_1 v + W_2' u|^2 / 4",
    note="largest relative deviation of four half-times, in every run; 5 %: see the head of the study",
).control("large weights", size=0.2).control(COLOURED, white=False)

two.claim(
    "with the overlaps in the solution, nothing is left but the step and the half of the weights that shrinks",
    name="overlaps",
    where="small random weights; matrix solution (after Fukumizu 1998)",
    kind=exact(of="coupled_over_stated", at_most=1.0),
    select=RANDOM,
    note="deviation of any mode at any step over |Q_0|^2 + the step's error, in every run",
).control(COLOURED, white=False)

two.claim(
    "a plateau, then a transition, the shorter beside the half-time the smaller a_0 is: here half of it",
    name="plateau",
    where="abstract; from the solution: log 81 / log(s / a_0 - 1)",
    kind=value(of="rise_over_half"),
    select=DECOUPLED,
    paper=round(math.log(81) / math.log(3999), 3),
    quoted=f"log 81 / log 3999 = {math.log(81) / math.log(3999):.3f}",
    margin=0.01,
    note="time from a tenth to nine tenths over the half-time, strongest mode; over the time to a tenth it is 0.72",
).control("a thousandth of a_0", moves="the ratio", to=round(math.log(81) / math.log(4e6 - 1), 3), start=1e-6).control(
    "one layer, which has no plateau", depth=1
)

# ---- depth -----------------------------------------------------------------------------------------------------------

DEPTHS = [1, 2, 4, 8, 16, 32, 64]
LIMIT = half_time_of_infinite_depth(1.0, 0.1)

deep = study.experiment(
    "depth",
    config=DeepNetwork,
    sweep={"depth": DEPTHS},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"step": 0.05, "depth": [1, 2, 4, 16, 64]}},
    vectorised=("seed", "start", "white", "layer_weight"),
)
deep.trial(measure)
deep.figure(figures.depths)

deep.claim(
    "the solution for N layers holds from 1 to 64, within the error of the step",
    name="deep-solution",
    where="dynamics of N layers: tau da/dt = N a^(2 - 2/N) (s - a)",
    kind=exact(of="deviation_over_stated", at_most=1.0),
    note="largest deviation at any step of any depth over the step's first order, in every run",
).control(COLOURED, white=False)

deep.claim(
    "with the step that the curvature allows, c / N, the delay tends to a finite limit",
    name="finite-delay",
    where="abstract: a finite delay, independent of depth; limit from the dynamics of N layers",
    kind=value(of="scaled_half_time"),
    select={"depth": 64},
    paper=round(LIMIT, 2),
    quoted=f"s/a_0 - 2 - log(a_0 / (s - a_0)) = {LIMIT:.2f}",
    margin=round(LIMIT / 10, 2),
    note="steps to half, times c, at N = 64; margin: a tenth (64 layers are 5 % before the limit)",
).control("twice the a_0", moves="the limit", to=round(half_time_of_infinite_depth(1.0, 0.2), 2), start=0.2).control(
    "weights of one size at every depth, so that a_0 = w^N", layer_weight=0.8
).control("four layers", depth=4)

# ---- random initialisations ------------------------------------------------------------------------------------------

init = study.experiment(
    "initialisations",
    config=Initialisation,
    sweep=[
        {"initial": ["orthogonal"], "depth": [2, 4, 8, 16, 32, 64, 128]},
        {"initial": ["gaussian"], "depth": [2, 4, 8, 16]},
    ],
    seeds={"smoke": 4, "laptop": 16, "paper": 50},
    scales={"smoke": {"most": 200}, "paper": {"most": 10_000}},
    vectorised=("seed", "gain"),
)
init.trial(learning_times)
init.figure(figures.initialisations)

init.claim(
    "random orthogonal weights have a learning time that does not depend on depth",
    name="orthogonal",
    where="abstract: random orthogonal initial conditions",
    kind=ratio(of="steps", over="depth", between=(16, 128), null=None),
    select={"initial": "orthogonal", "depth": [16, 128]},
    paper=1.0,
    within=(0.5, 2.0),
    quoted="independent of depth",
    note="steps with 128 layers over those with 16, to a thousandth of the loss at the best of six step sizes c / N",
).control("scaled Gaussian weights: with 128 layers not there after 300 steps", initial="gaussian", most=300).control(
    "orthogonal weights times 0.97: the product is 0.6 of that with 16 layers, 0.02 with 128", gain=0.97
)

init.claim(
    "scaled Gaussian weights have not: it grows with depth, and faster than that",
    name="gaussian",
    where="abstract: scaled random Gaussian initialisations cannot",
    kind=scaling(of="steps", over="depth"),
    select={"initial": "gaussian", "depth": [2, 4, 8, 16]},
    within=(1.0, math.inf),
    note="exponent of the steps, 2 to 16 layers",
).control("orthogonal weights", initial="orthogonal")
