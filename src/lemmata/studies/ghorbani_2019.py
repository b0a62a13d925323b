"""Outliers of the Hessian with and without batch normalisation (Ghorbani, Krishnan and Xiao, 2019).

Question. While a network without batch normalisation is trained, a few large eigenvalues of the Hessian separate from
the bulk, and the gradient comes to lie in their eigenspaces; with batch normalisation both are almost absent. Is that
so in networks small enough for a laptop, and is it the batch's statistics that do it?

Networks. Perceptrons of four hidden layers of 48 ReLU units (10,714 parameters without, 10,906 with normalisation) on
1,000 of the 8x8 digits, He's initialisation, cross-entropy, SGD with step size 0.05, momentum 0.9 and batches of 100
for 16 epochs, the same in all settings. Every hidden layer is linear - batch normalisation - ReLU, or linear - bias -
ReLU. Paper scale: ResNet-32 on CIFAR-10, with batch normalisation or with biases in its place, batches of 128, 128
epochs.

Measured at the start and after 1, 2, 4, ... epochs: the ten largest eigenvalues of the Hessian of the training loss
with their eigenvectors, each certified by its residual (1 % of the largest); the ratio of the first to the K-th, K =
10 the number of classes; and the share of the gradient's squared length in the span of those K eigenvectors, out of
10,714 dimensions. "In training" is the mean over all checkpoints but the first, of the logarithm for ratios.

Whose Hessian. With batch normalisation the loss is that of training: the mean over batches of 100, each normalised by
its own statistics, which follow the weights. Two things take this dependence away. *Fixed statistics*: the same
network, the normalisation's means and deviations being those of the untrained network on the training set, constant
through training; it starts as the same function with the same parameters. *Evaluation mode*: the trained network with
batch normalisation, its Hessian taken with the running statistics held constant.

What is read as large, almost absent and concentrated was set before the seeds were run (the design was found in pilot
runs of one): an eigenvalue that more than doubles; a ratio of less than half; more, or less, than half of the gradient.
The paper's abstract gives no numbers, and none of its figures' are quoted.

A limit seen here. Once the training set is fitted (after 8 epochs the training loss is below 0.1), the gradient
concentrates with batch normalisation too, where the curvature is ten times smaller than without.

The density. A perceptron with one hidden layer of 16 units (1,210 parameters; 32 units at first, for twice the time),
trained for 4 epochs: the density by stochastic Lanczos quadrature beside that of all eigenvalues, in float64, both
smoothed by a hundredth of the range.

Seeds are independent draws of examples, initial weights, order and probes.
"""

from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._ghorbani_2019_networks import Spectrum
from lemmata.studies._ghorbani_2019_spectra import LARGE, Accuracy, compare, follow
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ratio, value

INF = float("inf")
CIFAR = {
    "data": "cifar10", "n": 50_000, "network.kind": "resnet", "network.depth": 32, "training.batch": 128,
    "training.epochs": 128,
}  # fmt: skip
SMOKE = {"n": 100, "network.width": 8, "network.depth": 2, "training.epochs": 2, "training.batch": 25}

study = Study(
    "ghorbani-2019",
    paper=Paper(
        key="ghorbani2019",
        title="An Investigation into Neural Net Optimization via Hessian Eigenvalue Density",
        authors=("Behrooz Ghorbani", "Shankar Krishnan", "Ying Xiao"),
        year=2019,
        venue="International Conference on Machine Learning",
        arxiv="1901.10159",
        entry="inproceedings",
    ),
    topic="loss landscapes",
    question="Does batch normalisation remove the outliers of the Hessian, and the gradient's concentration in them?",
)

# ---- spectra along training ------------------------------------------------------------------------------------------

spectra = study.experiment(
    "spectra",
    config=Spectrum,
    sweep={"normalisation": ["none", "batch"]},
    seeds={"smoke": 2, "laptop": 6, "paper": 5},
    scales={"smoke": SMOKE, "paper": CIFAR},
    vectorised=("seed", "statistics", "first"),
    data=lambda config: config.data,
)
spectra.trial(follow)

PLAIN = {"normalisation": "none", "statistics": "batch", "first": 1}
NORMALISED = {"normalisation": "batch", "statistics": "batch", "first": 1}

appear = spectra.claim(
    "without batch normalisation large eigenvalues appear in training",
    name="outliers-appear",
    where="abstract, section 4",
    kind=value(of="growth", null=1.0),
    select=PLAIN,
    within=(LARGE, INF),
    quoted="“rapid appearance of large isolated eigenvalues”",
    note="largest eigenvalue in training in units of that at the start; large is read as more than doubled",
)
appear.control("with batch normalisation", normalisation="batch")
appear.control("a network that hardly moves", {"training.step_size": 1e-5})

rapid = spectra.claim(
    "they appear rapidly: within the first quarter of the training",
    name="outliers-appear-rapidly",
    where="abstract, section 4",
    kind=value(of="appearance_share"),
    select=PLAIN,
    within=(-INF, 0.25),
    quoted="“rapid appearance”",
    note="share of the training after which the largest eigenvalue has first doubled, on the grid of checkpoints",
)
rapid.control("a hundredth of the step size", {"training.step_size": 5e-4})

absent = spectra.claim(
    "with batch normalisation the outliers are almost absent",
    name="outliers-almost-absent",
    where="abstract, section 4",
    kind=ratio(of="outlier_ratio", over="normalisation", between=("none", "batch")),
    select={"statistics": "batch", "first": 1},
    within=(0.0, 0.5),
    quoted="“almost absent”",
    note="lambda_1 / lambda_10 in training, with batch normalisation over without; almost absent is read as halved",
)
absent.control("normalisation by fixed statistics leaves them", statistics="fixed")

concentrated = spectra.claim(
    "without batch normalisation the gradient concentrates in the outliers' eigenspaces",
    name="gradient-concentrates",
    where="abstract, section 4",
    kind=value(of="gradient_share", null=0.0),
    select=PLAIN,
    within=(0.5, INF),
    quoted="“a surprising concentration of the gradient in the corresponding eigenspaces”",
    note="share of the squared gradient in the ten leading eigenvectors; 0.001 if it had no preferred direction",
)
concentrated.control("with batch normalisation", normalisation="batch")
concentrated.control("the next ten eigenvectors", first=11)

spread = spectra.claim(
    "with batch normalisation less than half of the gradient lies there",
    name="gradient-spread",
    where="abstract, section 4",
    kind=value(of="gradient_share"),
    select=NORMALISED,
    within=(-INF, 0.5),
    quoted="“almost absent”",
)
spread.control("without batch normalisation", normalisation="none")
spread.control("normalisation by fixed statistics", statistics="fixed")

held = spectra.claim(
    "the same network has the outliers when its statistics are held constant",
    name="outliers-when-statistics-are-held",
    where="audit (ours)",
    kind=value(of="gained_by_holding", null=1.0),
    select=NORMALISED,
    within=(1.0, INF),
    note="lambda_1 / lambda_10 of the Hessian in evaluation mode over that in training mode, in mid-training",
)
held.control("without batch normalisation the modes are one", normalisation="none")

# ---- how exact the density is ----------------------------------------------------------------------------------------

accuracy = study.experiment(
    "accuracy",
    config=Accuracy,
    seeds={"smoke": 3, "laptop": 6, "paper": 10},
    scales={"smoke": {"width": 6, "n": 100, "epochs": 2, "probes": 5}},
    vectorised=("seed", "steps"),
)
accuracy.trial(compare)

accuracy.claim(
    "stochastic Lanczos quadrature gives the density of the whole spectrum accurately",
    name="density-is-accurate",
    where="abstract, section 3",
    kind=value(of="misplaced"),
    within=(-INF, 0.01),
    quoted="“scalable and accurate estimation of the entire Hessian spectrum”",
    note="share of the eigenvalues that would have to move, beyond the width of smoothing: half of the L1 distance",
).control("five steps", steps=5)
accuracy.claim(
    "and the largest eigenvalue to a thousandth, from every probe",
    name="largest-eigenvalue",
    where="section 3",
    kind=exact(of="largest_off", at_most=1e-3),
).control("five steps", steps=5)

# ---- figures ---------------------------------------------------------------------------------------------------------

EPOCHS = Axis(label="epochs")
SETTINGS: dict[str, dict[str, Any]] = {
    "without normalisation": PLAIN,
    "with batch normalisation": NORMALISED,
    "with fixed statistics": {"normalisation": "batch", "statistics": "fixed", "first": 1},
}


def _rows(table: Any, fields: dict[str, Any]) -> Any:
    for name, wanted in fields.items():
        table = table[table[name] == wanted]
    usual = table["training.step_size"] == Spectrum().training.step_size
    return table[usual & (table["status"] == "ok")]


def _series(table: Any, of: str, **rest: Any) -> list[Series]:
    rows = {label: _rows(table, fields) for label, fields in SETTINGS.items()}
    return [
        Series.over_seeds(label, chosen, y=of, role="control" if "fixed" in label else "measured", **rest)
        for label, chosen in rows.items()
        if len(chosen)
    ]


@spectra.figure
def densities(table: Any) -> Figure:
    """The spectral densities in mid-training, in units of the K-th eigenvalue."""
    panels = []
    for label, fields in SETTINGS.items():
        rows = _rows(table, fields)
        if not len(rows):
            continue
        series = [Series.over_seeds("density", rows, y="density", role="control" if "fixed" in label else "measured")]
        panels.append(
            Panel(
                x=Axis(label="eigenvalue / tenth largest"),
                y=Axis(label="density", log=True, limits=(1e-5, 20.0)),
                series=series,
                references=[Reference(label="tenth largest", value=1.0, axis="x", role="theory")],
                title=label,
            )
        )
    return Figure(
        name="densities",
        title="Without batch normalisation a few eigenvalues stand far from the bulk",
        caption="Spectral density of the Hessian in the middle checkpoint of the training, by stochastic Lanczos "
        "quadrature (40 steps, 2 probes), every seed, mean and 95 % band. One eigenvalue is a bump of about 7e-4 high.",
        panels=panels,
    )


@spectra.figure
def along_training(table: Any) -> Figure:
    """Outlier ratio, gradient share and largest eigenvalue after each checkpoint."""
    half = [Reference(label="half of the gradient", value=0.5, role="theory")]
    panels = [
        Panel(x=EPOCHS, y=Axis(label="largest eigenvalue", log=True), series=_series(table, "largest")),
        Panel(x=EPOCHS, y=Axis(label="largest / tenth largest", log=True), series=_series(table, "ratio_curve")),
        Panel(
            x=EPOCHS, y=Axis(label="share of the gradient", limits=(0.0, 1.0)), references=half,
            series=_series(table, "share_curve"),
        ),
    ]  # fmt: skip
    return Figure(
        name="along-training",
        title="Outliers and the gradient's concentration come together, and go with the batch's statistics",
        caption="At the start and after 1, 2, 4, 8 and 16 epochs. The share is that of the squared gradient in the "
        "span of the ten leading eigenvectors. With fixed statistics the normalisation is there and its effect is not. "
        "With batch normalisation the gradient concentrates late, when the training set is fitted.",
        panels=panels,
    )


@accuracy.figure
def exactness(table: Any) -> Figure:
    """The estimated density of one network beside that of its eigenvalues."""
    own = table[~table["control"]]
    first = own[own["seed"] == own["seed"].min()].iloc[0]
    estimated, true = first["estimated_density"], first["exact_density"]
    panel = Panel(
        x=Axis(label="eigenvalue"),
        y=Axis(label="density", log=True, limits=(float(true.y.max()) * 1e-5, float(true.y.max()) * 2)),
        series=[
            Series(label="quadrature", x=estimated.x, y=np.where(estimated.y > 0, estimated.y, np.nan)),
            Series(label="all eigenvalues", x=true.x, y=np.where(true.y > 0, true.y, np.nan), role="theory"),
        ],
    )
    return Figure(
        name="exactness",
        title="The density by quadrature and that of all eigenvalues",
        caption=f"One network of {int(first['parameters']):,} parameters; over all seeds {own['misplaced'].mean():.2%} "
        f"of the mass is misplaced.",
        panels=[panel],
    )
