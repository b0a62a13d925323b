"""Visualizing the loss landscape of neural nets (Li, Xu, Taylor, Studer and Goldstein, 2018).

Question. Why are deep networks without shortcuts hard to train, and why do large batches generalise worse: can one see
it on the loss surface, and see it rightly?

Filter normalisation. The loss is drawn over theta + x d_1 + y d_2, each filter of a Gaussian direction d rescaled to
the length of the network's own filter, so that what is seen does not depend on the scale of the weights, which
rectifiers and batch normalisation leave free.

Convexity as a number. The paper judges surfaces by eye, and by |lambda_min / lambda_max|. We measure at which share of
the midpoints of pairs of grid points Jensen's inequality fails (`_li_2018_convexity.py`), which is 0 for a convex loss
of any scale; below 1 %, the level that the paper names for |lambda_min / lambda_max|, a surface counts as nearly
convex.

Experiments.

    depth              residual and plain networks of 32 and 8 layers on 1,000 digits, 8x8 pixels, trained alike; the
                       loss of 100 of them over two planes of two filter-normalised directions, [-1, 1] squared, at all
                       of 11 x 11 points (first 200 images, three planes and 13 x 13 points, with the same verdicts)
    batch              perceptrons with batch normalisation, 256-64-64-64-10, batches of 16 against all 1,000 digits, 60
                       epochs. Weight decay 0, or 0.016: the sum of the step sizes times the weight decay is that of
                       the paper's small-batch training (3.1). Sharpness on the line through both solutions, and along
                       random directions; the plane that the path of training lies in
    published          the authors' own ResNet-56 with and without shortcuts, on CIFAR-10 (paper scale; the weights and
                       the images lie in the data directory)
    published-errors   their test errors

Deviations: data and network sizes as above; step sizes fall like half a cosine; no crops and no flips, also at paper
scale, where `depth` is ResNet-56 and `batch` VGG-9, on CIFAR-10 for 300 epochs.

Seeds are independent draws of split, initial weights, batches and directions (of images and directions for the
published weights); the conditions of a seed share them.
"""

from lemmata.studies import _li_2018_figures as figures
from lemmata.studies._li_2018_batch import Batch, compare_batches
from lemmata.studies._li_2018_depth import Depth, train_and_draw
from lemmata.studies._li_2018_published import WEIGHTS, Errors, Published, count_errors, draw_published
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, value

INF = float("inf")

study = Study(
    "li-2018",
    paper=Paper(
        key="li2018",
        title="Visualizing the loss landscape of neural nets",
        authors=("Hao Li", "Zheng Xu", "Gavin Taylor", "Christoph Studer", "Tom Goldstein"),
        year=2018,
        venue="NeurIPS",
        arxiv="1712.09913",
        entry="inproceedings",
    ),
    topic="loss surfaces",
    question="Do shortcuts make the loss of deep networks nearly convex, and is a sharper solution a worse one?",
    notes="Pages and figures are those of arXiv:1712.09913v3.",
)

# ---- shortcuts and depth ---------------------------------------------------------------------------------------------

NEARLY = 0.01
BY_EYE = "The paper says so of contour plots; the level is that which it names for |lambda_min / lambda_max| (p. 9)."
depth = study.experiment(
    "depth",
    config=Depth,
    sweep={"shortcuts": [True, False]},
    seeds={"smoke": 2, "laptop": 8, "paper": 5},
    scales={
        "smoke": {"depth": 14, "n": 100, "epochs": 2, "images": 30, "planes": 1, "points": 5, "n_test": 100},
        "paper": {
            "data": "cifar10", "n": 50_000, "n_test": 9_900, "pool": 1, "depth": 56, "channels": 16, "epochs": 300,
            "batch": 128, "images": 1000, "planes": 1, "points": 25,
        },
    },
    data=lambda config: config.data,
)  # fmt: skip
depth.trial(train_and_draw)
depth.figure(figures.deep_surfaces)
depth.figure(figures.deep_numbers)

residual = depth.claim(
    "the loss around a deep network with shortcuts is nearly convex",
    name="residual-nearly-convex",
    where="section 6, Figures 1 and 5",
    kind=value(of="nonconvex"),
    select={"shortcuts": True},
    quoted="nearly convex (read as: 1 % at most)", within=(-INF, NEARLY),
    note=BY_EYE,
)  # fmt: skip
residual.control("without shortcuts", shortcuts=False)

plain = depth.claim(
    "without shortcuts it is not",
    name="plain-not-convex",
    where="section 6, Figures 1 and 5",
    kind=value(of="nonconvex"),
    select={"shortcuts": False},
    quoted="chaotic (read as: more than 1 %)", within=(NEARLY, INF),
    note=BY_EYE,
)  # fmt: skip
plain.control("a network of eight layers needs no shortcuts", depth=8)

contrast = depth.claim(
    "a deep network loses convexity without shortcuts",
    name="shortcuts-keep-convexity",
    where="section 6, Figures 1 and 5",
    kind=ordering(of="nonconvex", over="shortcuts", order=(True, False), gap=NEARLY),
    select={"shortcuts": [True, False]},
    quoted="from nearly convex to chaotic (read as: by 1 % at least)",
    note=BY_EYE,
)
contrast.control("eight layers need no shortcuts", depth=8)

worse = depth.claim(
    "a deep network without shortcuts has the larger test error",
    name="plain-generalises-worse",
    where="p. 7, Figure 5",
    kind=ordering(of="test_error", over="shortcuts", order=(True, False), gap=0.02),
    select={"shortcuts": [True, False]},
    quoted="13.31 % against 5.89 %",
    note="By two points at least: two standard errors of an error of 10 % on 1,000 test digits.",
)
worse.control("eight layers need no shortcuts", depth=8)

# ---- small and large batches -----------------------------------------------------------------------------------------

batch = study.experiment(
    "batch",
    config=Batch,
    sweep={"decayed": [False, True]},
    seeds={"smoke": 2, "laptop": 8, "paper": 5},
    scales={
        "smoke": {"n": 200, "large": 200, "epochs": 4, "samples": 50, "n_test": 100},
        "paper": {
            "data": "cifar10", "network": "vgg9", "n": 50_000, "n_test": 9_900, "pool": 1, "small": 128, "large": 8192,
            "epochs": 300, "weight_decay": 5e-4,
        },
    },
    vectorised=("seed", "decayed", "against", "normalization", "shrink", "plane", "steps"),
    block=100,
    data=lambda config: config.data,
)  # fmt: skip
batch.trial(compare_batches)
batch.figure(figures.between_solutions)
batch.figure(figures.normalised_lines)
batch.figure(figures.errors)
batch.figure(figures.paths)

for decayed, small, large, name in ((False, 7.37, 11.07, "without"), (True, 6.0, 10.19, "with")):
    batch.claim(
        f"{name} weight decay, large batches generalise worse than small ones",
        name=f"large-batches-worse-{name}-decay",
        where="section 5, p. 5 (VGG-9)",
        kind=value(of="gap", null=0.0),
        select={"decayed": decayed},
        quoted=f"{large} % against {small} %", within=(0.01, INF),
        note="By a point at least: two standard errors of an error of 8 % on 3,000 test digits.",
    ).control("both trained in small batches", against="small")  # fmt: skip

looks_sharp = batch.claim(
    "on the line through both solutions, without weight decay, the large-batch one looks sharper",
    name="line-without-decay",
    where="section 5, Figure 2",
    kind=value(of="apparent", null=0.0),
    select={"decayed": False},
    quoted="large batches look sharp", within=(0.0, INF),
)  # fmt: skip
looks_sharp.control("with weight decay", decayed=True)

misleads = batch.claim(
    "with weight decay the small-batch one looks sharper, though it generalises better",
    name="line-with-decay",
    where="section 5, Figure 2",
    kind=value(of="apparent", null=0.0),
    select={"decayed": True},
    quoted="small batches look sharp", within=(-INF, 0.0),
)  # fmt: skip
misleads.control("without weight decay", decayed=False)

for decayed, name in ((False, "without"), (True, "with")):
    rightly = batch.claim(
        f"filter-normalised, {name} weight decay, the large-batch solution is the sharper one",
        name=f"normalised-{name}-decay",
        where="section 5, Figure 3",
        kind=value(of="normalised", null=0.0),
        select={"decayed": decayed},
        quoted="the solution that generalises worse is sharper", within=(0.0, INF),
    )  # fmt: skip
    rightly.control(
        "directions of one length, small-batch weights shrunk without a change of the function",
        normalization="none", shrink=0.2,
    )  # fmt: skip

batch.claim(
    "shrinking the weights without a change of the function leaves the filter-normalised picture",
    name="filter-normalisation-is-invariant",
    where="section 4",
    kind=exact(of="moved", at_most=1e-3),
    quoted="no change",
    note="Up to rounding in float32.",
).control("directions that are not normalised", normalization="none")

for size in ("small", "large"):
    for decayed, name in ((False, "without"), (True, "with")):
        batch.claim(
            f"two principal components hold 40 to 90 % of the path's variation ({size} batches, {name} weight decay)",
            name=f"path-in-two-dimensions-{size}-{name}-decay",
            where="section 7, p. 11",
            kind=value(of=f"explained_{size}"),
            select={"decayed": decayed},
            quoted="40 to 90 %", within=(0.4, 0.9),
        ).control("two random directions hold almost nothing", plane="random")  # fmt: skip

batch.claim(
    "so they do of a random walk: the share is no sign that training keeps to two dimensions",
    name="random-walk-too",
    where="not in the paper: Antognini and Sohl-Dickstein (2018), arXiv:1806.08805",
    kind=value(of="walk"),
    select={"decayed": False},
    paper=0.76, quoted="(6 / pi^2) (1 + 1/4) = 76 % of a long walk in many dimensions", margin=0.02,
    note="The margin is for a walk of 60 steps, which is not long: its share is larger.",
).control("independent points, no walk", steps="independent")  # fmt: skip

batch.claim(
    "VGG-9 has test errors of 7.37 and 11.07 % (batches of 128, 8,192), with weight decay 6.0 and 10.19 %",
    name="vgg9-test-errors",
    where="p. 5",
    quoted="7.37 / 11.07 %; 6.0 / 10.19 %",
    untestable="the training here has no crops and flips, without which these errors cannot be reached",
)
depth.claim(
    "|lambda_min / lambda_max| is below 1 % over a large region around a DenseNet",
    name="densenet-eigenvalues",
    where="section 6, p. 9",
    quoted="below 1 %",
    untestable="there is no DenseNet here",
)

# ---- the authors' own networks ---------------------------------------------------------------------------------------

published = study.experiment(
    "published",
    config=Published,
    sweep={"shortcuts": [True, False]},
    seeds={"paper": 5},
    block=1,
    data=WEIGHTS,
)
published.trial(draw_published)
published.figure(figures.published_surfaces)

for shortcuts, statement, region, quoted in (
    (True, "the loss around the published ResNet-56 is nearly convex", (-INF, NEARLY), "1 % at most"),
    (False, "around the published ResNet-56 without shortcuts it is not", (NEARLY, INF), "more than 1 %"),
):
    published.claim(
        statement,
        name=f"published-{'residual' if shortcuts else 'plain'}-surface",
        where="section 6, Figures 1 and 5",
        kind=value(of="nonconvex"),
        select={"shortcuts": shortcuts},
        quoted=quoted, within=region, note=BY_EYE,
    ).control("the other network", shortcuts=not shortcuts)  # fmt: skip

contrast_inside = published.claim(
    "half as far out, the published network without shortcuts is the less convex one",
    name="published-contrast-inside",
    where="section 6, Figures 1 and 5",
    kind=ordering(of="nonconvex_inside", over="shortcuts", order=(True, False), gap=NEARLY),
    select={"shortcuts": [True, False]},
    quoted="from nearly convex to chaotic (read as: by 1 % at least)",
    note="Added after the whole plane had been seen, where both losses level off above that of guessing, "
    "2.3 nats, and neither is convex; so take it as a finding, not as a test. Its control was chosen after pilot runs "
    "of three seeds: planes ten and 25 times as narrow settled nothing, as kinks of a loss of 0.001 count; on one "
    "twice as wide the contrast held.",
)
contrast_inside.control("labels drawn at random, for which neither network is a solution", labels="random")

errors = study.experiment(
    "published-errors",
    config=Errors,
    sweep={"shortcuts": [True, False]},
    seeds={"paper": 1},
    block=1,
    data=WEIGHTS,
)
errors.trial(count_errors)
errors.figure(figures.published_errors)

for shortcuts, percent, margin in ((True, 5.89, 0.0048), (False, 13.31, 0.0068)):
    errors.claim(
        f"ResNet-56 {'with' if shortcuts else 'without'} shortcuts has a test error of {percent} %",
        name=f"published-{'residual' if shortcuts else 'plain'}-error",
        where="p. 7, Figure 5",
        kind=exact(of="test_error"),
        select={"shortcuts": shortcuts},
        paper=percent / 100, quoted=f"{percent} %", margin=margin,
        note="Nothing is random, so that there is one run and no statistics. The margin is two standard errors on "
        "10,000 images. The files of the weights say 6.34 and 13.31 %: the first is not the run that is printed.",
    ).control("images upside down", upright=False)  # fmt: skip
