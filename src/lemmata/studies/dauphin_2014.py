"""Identifying and attacking the saddle point problem in high-dimensional non-convex optimization (Dauphin, 2014).

Question. Where training stalls, is it in a local minimum?

The paper's answer (Dauphin, Pascanu, Gulcehre, Cho, Ganguli and Bengio). No: near a saddle. Of the critical points of a
network's loss, those at high loss are saddles, and the share of negative eigenvalues (the index) rises with the loss,
as for random Gaussian fields; the distribution of eigenvalues shifts to the left. Saddles are surrounded by plateaus,
which gradient descent leaves slowly; Newton's method is attracted by them; the saddle-free Newton method, which divides
by the absolute values of the eigenvalues, leaves them fast.

Experiments.

    points      critical points of a perceptron with 3 tanh units on 60 digits of 4x4 pixels (91 parameters): found by
                Newton-MR from random weights, and as minima of the networks with 0, 1, 2 or 3 units fewer, which are
                critical points of the whole; polished to a gradient of 1e-12, each with a bound on its
                distance to a true critical point and its whole spectrum
    escape      from 1e-3 and from 1e-6 beside the saddle where all hidden units are 0: gradient descent, Newton's
                method and the saddle-free one
    surfaces    the same methods on ratio x^2 - y^2 and on the monkey saddle x^3 - 3 x y^2, where all is known

What counts as a critical point. Methods that shrink the gradient norm also stop where it has a local minimum that is
not 0 (Frye and others, 2021). Here most end points of Newton-MR are not critical, or not yet after 40 steps; none of
them is counted. Points that differ by a permutation of the units or their signs have the same loss, and count once.

Readings. That the index rises is read as a rank correlation of loss and index above 1/2 among the points of a seed,
that the spectrum shifts to the left as one of loss and mean eigenvalue below -1/2. The paper gives a monotone curve and
no number for either.

Deviations. Fewer pixels, units and digits, so that every spectrum is dense; the squared loss; a weight decay of 0.003,
which keeps critical points at finite weights: without it searches had not converged in a pilot, as units saturated.
Full batches throughout. Left out: deep autoencoders and recurrent networks.

Chosen after first runs. With Newton-MR alone (and minima) six seeds found five to ten points each; their index rose
with the loss as claimed (0.87), but of the eigenvalues that left open whether -0.69 is below -1/2, as each seed had few
saddles; so minima of smaller networks were added. *Escaped* was at first 5 % below the saddle's loss, where the path is
bent; it is 1 % now, where the eigenvalues still rule. The range of initial weights began at 0.1; small weights all lead
to one saddle. All this was seen on other random streams, starts and digits than those of the verdicts: an offset is
added to every seed.

Minima of smaller networks are critical points by construction, and that they are saddles the more, the more units are
off, theory nearly says; so both readings are asked also of those points only that searches of the whole network reach.

Seeds are independent starts and directions, on the same digits: intervals are over searches, not over data. Places are
named in words, except for the abstract; numbers beside the claims on steps follow from the steps' formulas.
"""

import math

from lemmata.studies import _dauphin_2014_figures as figures
from lemmata.studies._dauphin_2014_escape import Escape, escape
from lemmata.studies._dauphin_2014_points import Points, find_points
from lemmata.studies._dauphin_2014_surfaces import Surface, follow
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, scaling, value

INF = math.inf

study = Study(
    "dauphin-2014",
    paper=Paper(
        key="dauphin2014",
        title="Identifying and attacking the saddle point problem in high-dimensional non-convex optimization",
        authors=(
            "Yann N. Dauphin", "Razvan Pascanu", "Caglar Gulcehre", "Kyunghyun Cho", "Surya Ganguli", "Yoshua Bengio",
        ),
        year=2014,
        venue="NeurIPS",
        arxiv="1406.2572",
        entry="inproceedings",
    ),
    topic="loss landscapes",
    question="Are critical points at high loss saddles, and which methods leave them?",
    notes="The index of a critical point is the share of negative eigenvalues of its Hessian.",
)  # fmt: skip

# ---- critical points -------------------------------------------------------------------------------------------------

INDEX = "index of critical points against training error"

points = study.experiment(
    "points",
    config=Points,
    seeds={"smoke": 3, "laptop": 8, "paper": 20},
    scales={
        "smoke": {"hidden": 2, "side": 2, "n": 20, "starts": 9, "steps": 25},
        "paper": {"side": 10, "n": 500, "hidden": 5, "starts": 100, "steps": 300},
    },
    vectorised=("seed", "counted"),
    block=200,
    data="mnist-5k",
)
points.trial(find_points)
points.figure(figures.index_against_loss)

OTHERS = {"counted": "shuffled"}
for points_are, suffix in (("that searches reach", "_reached"), ("with those of smaller networks", "")):
    ending = suffix.replace("_", "-")
    points.claim(
        f"the higher the loss of a critical point, the larger its index ({points_are})",
        name=f"index-rises{ending}",
        where="abstract; " + INDEX,
        kind=value(of=f"rank_of_index{suffix}", null=0.0),
        quoted="monotone curve (read as: a rank correlation above 1/2)",
        within=(0.5, INF),
        note="Spearman's rho of loss and index over the critical points of a seed",
    ).control("indices of other points", OTHERS)

    points.claim(
        f"and the further left its eigenvalues ({points_are})",
        name=f"spectrum-shifts{ending}",
        where="eigenvalue distributions at three training errors",
        kind=value(of=f"rank_of_spectrum{suffix}", null=0.0),
        quoted="shifts to the left (read as: a rank correlation below -1/2)",
        within=(-INF, -0.5),
        note="Spearman's rho of loss and mean eigenvalue over the critical points of a seed",
    ).control("spectra of other points", OTHERS)

points.claim(
    "what is counted is critical",
    name="critical",
    where="not in the paper: Frye and others (2021)",
    kind=exact(of="worst_distance", at_most=1e-6),
    quoted="gradient-flat points are none",
    note="largest certified distance to a true critical point (Newton and Kantorovich, by an estimated Lipschitz "
    "constant), in every seed; infinite without a certificate",
).control("all that searches end at", counted="all")

# ---- leaving a saddle ------------------------------------------------------------------------------------------------

NEAR_SADDLES = "Newton and saddle-free Newton near saddles"

leaving = study.experiment(
    "escape",
    config=Escape,
    sweep={"method": ["gradient", "newton", "saddle-free"]},
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    scales={
        "smoke": {"hidden": 1, "side": 2, "n": 20, "longest": 60},
        "paper": {"side": 10, "n": 500, "hidden": 5},
    },
    data="mnist-5k",
)
leaving.trial(escape)
leaving.figure(figures.losses)

leaving.claim(
    "Newton's method is attracted by a saddle",
    name="newton-attracted",
    where="abstract; " + NEAR_SADDLES,
    kind=exact(of="final_distance", at_most=1e-9),
    select={"method": "newton"},
    quoted="attracted",
    note="distance after 40 steps from 1e-3; the saddle's certified position is that accurate; in every run",
).control("saddle-free", method="saddle-free")

leaving.claim(
    "the saddle-free method leaves it at a rate of 2 a step, whatever the eigenvalues",
    name="saddle-free-escapes",
    where="abstract; step of the saddle-free method",
    kind=value(of="extra"),
    select={"method": "saddle-free"},
    paper=round(math.log2(1000), 2),
    quoted="by the formula of the step: log_2 1000 = 9.97 steps more from 1e-6 than from 1e-3",
    margin=1.0,
    note="margin: one step",
).control("from 1e-9", moves="the steps", to=round(math.log2(1e6), 2), nearer=1e-9).control(
    "gradient descent", method="gradient"
)

leaving.claim(
    "gradient descent leaves it at the rate of the most negative eigenvalue",
    name="gradient-escapes",
    where=NEAR_SADDLES,
    kind=value(of="extra_over_predicted"),
    select={"method": "gradient"},
    paper=1.0,
    quoted="by the formula of the step: log 1000 / log(1 + eta |lambda_min|) steps more",
    margin=0.1,
    note="steps more from 1e-6 than from 1e-3, over the prediction; margin: what other negative eigenvalues may do",
).control("saddle-free", method="saddle-free")

leaving.claim(
    "after equally many steps the saddle-free method is lowest, Newton's highest",
    name="order-of-methods",
    where="training curves of the three methods on downsampled digits",
    kind=ordering(of="final_loss", over="method", order=("saddle-free", "gradient", "newton")),
    note="loss after 40 steps from 1e-3 beside the saddle",
).control("a linear model, whose loss is convex", hidden=0)

# ---- two surfaces ----------------------------------------------------------------------------------------------------

TWO = "figure of a classical and a monkey saddle"

surfaces = study.experiment(
    "surfaces",
    config=Surface,
    sweep=[
        {"surface": ["classical"], "method": ["gradient", "newton", "saddle-free"], "ratio": [5.0, 50.0, 500.0]},
        {"surface": ["monkey"], "method": ["gradient", "newton", "saddle-free"], "start": [0.01]},
    ],
    seeds={"smoke": 2, "laptop": 5, "paper": 5},
    scales={"smoke": {"ratio": [5.0, 10.0, 20.0]}},
)
surfaces.trial(follow)
surfaces.figure(figures.paths)

CLASSICAL = {"surface": "classical", "ratio": 5.0}
surfaces.claim(
    "on 5x² - y² Newton's method jumps into the saddle",
    name="classical-newton",
    where=TWO,
    kind=exact(of="after_one", at_most=1e-12),
    select={**CLASSICAL, "method": "newton"},
    note="distance after one step, over that before",
).control("saddle-free", method="saddle-free")

surfaces.claim(
    "the saddle-free method doubles its distance from it",
    name="classical-saddle-free",
    where=TWO,
    kind=value(of="growth"),
    select={**CLASSICAL, "method": "saddle-free"},
    paper=2.0,
    margin=1e-6,
    note="growth of |y| a step; margin: rounding",
).control("gradient descent", moves="the growth", to=1.2, method="gradient")

surfaces.claim(
    "gradient descent is on a plateau, the longer the larger the ratio of curvatures",
    name="classical-plateau",
    where="abstract: plateaus; " + TWO,
    kind=scaling(of="steps", over="ratio"),
    select={"surface": "classical", "method": "gradient"},
    paper=1.0,
    quoted="log(1/y_0) / log(1 + 1/ratio): exponent 1",
    margin=0.05,
    note="exponent of the steps from 1e-6 to 1 in the ratio, 5 to 500; margin: log(1 + 1/5) is not 1/5",
).control("saddle-free", method="saddle-free")

surfaces.claim(
    "on the monkey saddle Newton's method halves its distance",
    name="monkey-newton",
    where=TWO,
    kind=value(of="growth"),
    select={"surface": "monkey", "method": "newton"},
    paper=0.5,
    margin=1e-6,
    note="f is homogeneous of degree 3, so that Newton's step is minus half the way; margin: rounding",
).control("saddle-free", moves="the factor", to=1.5, method="saddle-free")
