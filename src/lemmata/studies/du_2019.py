"""Gradient descent provably optimizes over-parameterized neural networks (Du, Zhai, Poczos, Singh, 2019).

Question. The squared loss of a network with ReLU units is neither convex nor smooth. Why does gradient descent reach
zero all the same, whatever the labels are?

The paper's answer. If the network is wide, no weight has to go far: |w_r - w_r(0)| = O(1 / sqrt(m)). So few units
change sides, the Gram matrix H of the units stays what it was at the start, and with lambda_0 its smallest eigenvalue

    |y - u(k)|^2 <= (1 - eta lambda_0 / 2)^k |y - u(0)|^2        (Theorem 4.1).

In the limit of width H is a kernel of the data, positive definite if no two points are parallel (Theorem 3.1).

Laptop scale. As in the paper's experiments, points uniform on the unit sphere and standard Gaussian labels, as many as
there are dimensions, here 100. u(x) = sum_r a_r relu(w_r . x) / sqrt(m), the first layer trained, w ~ N(0, I),
a = +-1; 64 to 4,096 units, 60 steps of full-batch descent on half the squared error.

Paper scale. 1,000 points in 1,000 dimensions, up to 16,384 units.

Deviations. The step size is 1 / lambda_max(H), far above the theorem's O(lambda_0 / n^2), and the widths are far below
its Omega(n^6 / lambda_0^4): the claims ask for more than is proven. lambda_0 is that of the limit. Zero is read as a
thousandth of the residual at the start; an exponent as within 0.1, a factor of 1.5 over the range of widths. As for the
converse of Theorem 3.1, two equal points make H singular (opposite ones need not). Seeds are independent points, labels
and weights.
"""

from lemmata.studies import _du_2019_figures as figures
from lemmata.studies._du_2019_descent import Descent, measure
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, scaling, trend

study = Study(
    "du-2019",
    paper=Paper(
        key="du2019",
        title="Gradient Descent Provably Optimizes Over-parameterized Neural Networks",
        authors=("Simon S. Du", "Xiyu Zhai", "Barnabas Poczos", "Aarti Singh"),
        year=2019,
        venue="International Conference on Learning Representations",
        arxiv="1810.02054",
        entry="inproceedings",
    ),
    topic="kernels",
    question="Does gradient descent fit a wide network at the rate of its kernel because no weight goes far?",
    notes="$lambda_0$ is the smallest eigenvalue of $H_(i j) = x_i dot x_j (pi - theta_(i j)) \\/ (2 pi)$.",
)

WIDTHS = [64, 256, 1024, 4096]
ZERO = 1e-3
NARROW = 8
MARGIN = 0.1
MEAN_FIELD = "mean-field scaling, in which weights travel far at any width"

descent = study.experiment(
    "descent",
    config=Descent,
    sweep={"width": WIDTHS},
    seeds={"smoke": 5, "laptop": 10, "paper": 3},
    scales={
        "smoke": {"n": 40, "d": 40, "width": WIDTHS[:-1]},
        "paper": {"n": 1_000, "d": 1_000, "width": [256, 1_024, 4_096, 16_384]},
    },
    vectorised=("seed",),
)
descent.trial(measure)
descent.figure(figures.convergence)
descent.figure(figures.against_width)

definite = descent.claim(
    "the Gram matrix is positive definite when no two points are parallel",
    name="gram-is-definite",
    where="Theorem 3.1",
    kind=exact(of="over_rounding", at_least=10.0),
    quoted="lambda_0 > 0",
    note="smallest eigenvalue in units of what rounding can move it by, in every run",
)
definite.control("two equal points", parallel=True)

fits = descent.claim(
    "gradient descent reaches zero training error, whatever the labels",
    name="reaches-zero",
    where="Theorem 4.1, Figure 1",
    kind=exact(of="left", at_most=ZERO),
    note="|y - u(k)| / |y - u(0)| after the last step, at every width, in every run",
)
fits.control("two equal points with different labels", parallel=True)
fits.control("eight hidden units", width=NARROW)

bounded = descent.claim(
    "at the linear rate of the smallest eigenvalue, or faster",
    name="linear-rate",
    where="Theorem 4.1",
    kind=exact(of="over_bound", at_most=1.0),
    quoted="|y - u(k)|² at most (1 - eta lambda_0 / 2)^k |y - u(0)|²",
    note="largest ratio of the two sides' roots over all steps after the first, at every width, in every run",
)
bounded.control("the rate of the largest eigenvalue is too fast", eigenvalue="largest")
bounded.control("eight hidden units", width=NARROW)

descent.claim(
    "the residual is the one that the kernel predicts, the better the wider the network",
    name="kernel-predicts",
    where="section 3 (H stays what it was), lemma 3.1",
    kind=trend(of="rate_error", over="width", at_least=0.9, falling=True),
).control(MEAN_FIELD, scaling="mean field")

descent.claim(
    "no weight goes far: the largest distance falls as one over the root of the width",
    name="distance-falls",
    where="Theorem 4.1, Corollary 4.1, Figure 1c",
    kind=scaling(of="distance", over="width"),
    paper=-0.5,
    quoted="O(1/√m)",
    margin=MARGIN,
    note="largest |w_r - w_r(0)| over the units, after the last step",
).control(MEAN_FIELD, scaling="mean field")

descent.claim(
    "and so does the share of units that change sides",
    name="flips-fall",
    where="lemma 3.2, Figure 1b",
    kind=scaling(of="flips", over="width"),
    paper=-0.5,
    quoted="at most proportional to the distance: O(1/√m)",
    margin=MARGIN,
).control(MEAN_FIELD, scaling="mean field")
